"""Datasets of other trainers, as these write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adapters.errors import StudioError
from pipelines.dataset_folders import TRIGGER, Dataset, read_dataset
from pipelines.dataset_folders.model import plain


def put(folder: Path, *names: str, caption: str = "", ending: str = ".txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (40, 40), "red").save(folder / name)
        if caption:
            (folder / name).with_suffix(ending).write_text(caption, "utf-8")
    return folder


def toml(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "dataset.toml"
    file.write_text(text.replace("DIR", str(tmp_path)), "utf-8")
    return file


def concepts(tmp_path: Path, *given: dict[str, Any]) -> Path:
    file = tmp_path / "concepts.json"
    file.write_text(json.dumps([{"name": "c", "path": str(tmp_path / "a"), **g} for g in given]), "utf-8")
    return file


def job(tmp_path: Path, *datasets: str, process: str = "") -> Path:
    rows = "".join(f"\n        - {d.replace('DIR', str(tmp_path))}" for d in datasets)
    file = tmp_path / "job.yaml"
    file.write_text(f"job: extension\nconfig:\n  name: mine\n  process:\n    - type: sd_trainer\n{process}"
                    f"      datasets:{rows}\n", "utf-8")
    return file


def facts(dataset: Dataset) -> list[tuple[str, str, float, float]]:
    return [(s.picture.name, s.caption, s.repeats, s.weight) for s in dataset.samples]


# plain folders


def test_a_plain_folder_is_its_pictures_and_their_masks(tmp_path: Path) -> None:
    put(tmp_path, "b.png", "a.png", "a-mask0.png")
    found = read_dataset(tmp_path)
    assert facts(found) == [("a.png", "", 1, 1), ("b.png", "", 1, 1)]
    assert [[m.name for m in ms] for ms in found.masks] == [["a-mask0.png"], []]
    assert (found.trigger, found.noun, found.settings, found.notices, found.most) == ("", "", {}, (), 30)


def test_a_plain_folder_has_captions_for_the_pictures_that_have_one(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "a-mask0.png", "b.png"), put(tmp_path, "c.png", caption="a cat\nasleep")
    (tmp_path / "a.txt").write_text("the Zok on a mat")
    found = read_dataset(tmp_path, trigger="zok")
    assert facts(found) == [("a.png", f"the {TRIGGER} on a mat", 1, 1), ("b.png", "", 1, 1),
                            ("c.png", f"{TRIGGER}, a cat", 1, 1)]
    assert [len(m) for m in found.masks] == [1, 0, 0] and (found.trigger, found.noun, found.most) == ("", "", 30)
    assert found.notices == ("1 captions did not name the trigger, it stands in front of them now",)


def jsonl(folder: Path, *rows: object) -> Path:
    (folder / "metadata.jsonl").write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows), "utf-8")
    return folder


def test_metadata_jsonl_names_pictures_and_their_captions(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "a-masklabel.png", "b.png", "c.png"), put(tmp_path / "in", "d.png")
    jsonl(tmp_path, {"file_name": "b.png", "text": "a ZOK cat"}, "", {"file_name": "a.png", "text": "zok cat asleep"},
          {"file_name": "b.png", "text": "zok cat, from behind", "width": 40}, {"file_name": "in/d.png"})
    found = read_dataset(tmp_path, trigger="zok")
    assert facts(found) == [("b.png", f"a {TRIGGER} cat\n{TRIGGER} cat, from behind", 1, 1),
                            ("a.png", f"{TRIGGER} cat asleep", 1, 1), ("d.png", "", 1, 1)]
    assert [[m.name for m in ms] for ms in found.masks] == [[], ["a-masklabel.png"], []]
    assert found.notices == ("not used: width, pictures without a line in metadata.jsonl (1)",)


@pytest.mark.parametrize(("row", "told"), [
    ({"file_name": "gone.png"}, "names 'gone.png' as a picture"), ({"file_name": "a.txt"}, "'a.txt' as a picture"),
    ({"file_name": "../a.png"}, "leads out of the folder"), ({"text": "a cat"}, "where the path of a folder or file"),
    ({"file_name": "a.png", "text": 7}, "write a text there"), ([1], "no list of tables"), ("{", "readable as JSONL")])
def test_lines_that_name_no_picture_are_refused(tmp_path: Path, row: object, told: str) -> None:
    put(tmp_path / "in", "a.png", caption="a cat"), put(tmp_path, "a.png")
    with pytest.raises(StudioError, match=told):
        read_dataset(jsonl(tmp_path / "in", row))


def test_masks_of_a_plain_folder_may_lie_elsewhere_and_of_a_dataset_not(tmp_path: Path) -> None:
    put(tmp_path / "p", "a.png"), put(tmp_path / "m", "a.png"), put(tmp_path / "k" / "2_zok cat", "a.png")
    assert read_dataset(tmp_path / "p", masks=tmp_path / "m").masks == [(tmp_path / "m" / "a.png",)]
    with pytest.raises(StudioError, match="leave out --masks"):
        read_dataset(tmp_path / "k", masks=tmp_path / "m")


def test_pictures_beside_numbered_folders_are_what_is_meant_and_the_folders_are_named(tmp_path: Path) -> None:
    put(tmp_path, "a.png"), put(tmp_path / "2_zok cat", "b.png")
    found = read_dataset(tmp_path)
    assert [p.name for p in found.pictures] == ["a.png"]
    assert found.notices == ("not used: the folder '2_zok cat'",)


@pytest.mark.parametrize("name", ["none", "notes.txt", "a.png"])
def test_what_is_no_dataset_is_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.png"), (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(StudioError, match=r"is not a folder|is no dataset"):
        read_dataset(tmp_path / name)


# kohya's folders


def test_kohyas_folders_say_repeats_trigger_and_class(tmp_path: Path) -> None:
    put(tmp_path / "10_zok cat", "a.png", "b.png"), put(tmp_path / "3_zok cat", "c.png")
    put(tmp_path / "log", "d.png"), put(tmp_path / "0_zok cat", "e.png"), put(tmp_path / ".cache", "f.png")
    found = read_dataset(tmp_path)
    assert facts(found) == [("a.png", "", 10, 1), ("b.png", "", 10, 1), ("c.png", "", 3, 1)]
    assert (found.trigger, found.noun, found.others) == ("zok", "cat", ())
    assert found.notices == ("not used: the folder '0_zok cat', the folder 'log'",)
    assert found.most == 200


def test_kohyas_captions_are_first_lines_of_txt_or_caption_files(tmp_path: Path) -> None:
    folder = put(tmp_path / "1_zok cat", "a.png", caption="a photo of Zok cat, sitting\nsecond line")
    put(folder, "b.png", caption="zok, zokking on a zok", ending=".caption"), put(folder, "c.png")
    assert [s.caption for s in read_dataset(tmp_path).samples] == [
        f"a photo of {TRIGGER} cat, sitting", f"{TRIGGER}, zokking on a {TRIGGER}", ""]


def test_a_caption_without_the_trigger_gets_it_in_front_and_that_is_said(tmp_path: Path) -> None:
    put(tmp_path / "1_zok cat", "a.png", caption="a cat"), put(tmp_path / "1_zok cat", "b.png", caption="zok")
    found = read_dataset(tmp_path)
    assert [s.caption for s in found.samples] == [f"{TRIGGER}, a cat", TRIGGER]
    assert found.notices == ("1 captions did not name the trigger, it stands in front of them now",)


def test_folders_of_other_words_keep_their_own_captions(tmp_path: Path) -> None:
    put(tmp_path / "1_zok cat", "a.png"), put(tmp_path / "2_wug dog", "b.png")
    put(tmp_path / "2_wug dog", "c.png", caption="wug dog in snow")
    found = read_dataset(tmp_path)
    assert facts(found) == [("a.png", "", 1, 1), ("b.png", "wug dog", 2, 1), ("c.png", "wug dog in snow", 2, 1)]
    assert (found.trigger, found.others) == ("zok", ("wug dog",))
    assert "'wug dog': learned under these words" in found.notices[0]


def test_a_numbered_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "1_zok cat")
    with pytest.raises(StudioError, match="has no pictures"):
        read_dataset(tmp_path)


# kohya's dataset.toml


def test_a_subsets_settings_stand_over_its_datasets_and_these_over_the_general_ones(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path / name, f"{name}.png", caption="zok cat", ending=".caption")
    found = read_dataset(toml(tmp_path, """
        [general]
        num_repeats = 2
        [[datasets]]
          [[datasets.subsets]]
          image_dir = "DIR/a"
          class_tokens = "zok cat"
        [[datasets]]
        num_repeats = 5
          [[datasets.subsets]]
          image_dir = "b"
          class_tokens = "zok cat"
          [[datasets.subsets]]
          image_dir = "c"
          num_repeats = 7
          class_tokens = "zok cat"
        """))
    assert facts(found) == [(f"{n}.png", f"{TRIGGER} cat", r, 1) for n, r in zip("abc", (2, 5, 7), strict=True)]
    assert (found.trigger, found.noun, found.notices) == ("zok", "cat", ())


def test_what_a_toml_says_in_vain_is_listed_in_one_line(tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png")
    found = read_dataset(toml(tmp_path, """
        [general]
        enable_bucket = true
        [[datasets]]
        resolution = 512
          [[datasets.subsets]]
          image_dir = "a"
          keep_tokens = 1
        [more]
        x = 1
        """))
    assert found.notices == ("not used: more, enable_bucket, resolution, keep_tokens",)


def test_an_ending_of_captions_is_taken_as_it_is_given(tmp_path: Path) -> None:
    folder = put(tmp_path / "a", "a.png", caption="one")
    (folder / "a.cap").write_text("two")
    text = '[[datasets]]\n[[datasets.subsets]]\nimage_dir = "a"\ncaption_extension = "ENDING"'
    for ending, said in ((".cap", "two"), ("txt", "one"), (".none", "")):
        found = read_dataset(toml(tmp_path, text.replace("ENDING", ending)), trigger="zok")
        assert found.samples[0].caption == (f"{TRIGGER}, {said}" if said else "")


def test_regularisation_pictures_are_class_images_at_kohyas_weight(tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png"), put(tmp_path / "reg", "r.png", "s.png")
    found = read_dataset(toml(tmp_path, """
        [[datasets]]
          [[datasets.subsets]]
          image_dir = "reg"
          is_reg = true
          [[datasets.subsets]]
          image_dir = "a"
        """))
    assert [p.name for p in found.pictures] == ["a.png"] and [p.name for p in found.class_images] == ["r.png", "s.png"]
    assert found.settings == {"prior_weight": 1.0}
    assert found.notices == ("2 regularisation pictures are used as class images",)


def test_flipping_is_the_runs_when_all_folders_ask_for_it_and_else_is_said(tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png"), put(tmp_path / "b", "b.png")
    text = ('[[datasets]]\nflip_aug = true\n[[datasets.subsets]]\nimage_dir = "a"\n'
            '[[datasets.subsets]]\nimage_dir = "b"\n')
    assert read_dataset(toml(tmp_path, text)).settings == {"flip": True}
    mixed = read_dataset(toml(tmp_path, text + "flip_aug = false\n"))
    assert mixed.settings == {} and mixed.notices == ("not used: flipping of some folders alone",)


def test_masks_of_a_subset_have_their_pictures_names(tmp_path: Path) -> None:
    put(tmp_path / "a", "img.png", "img_1.png"), put(tmp_path / "m", "img.png", "img_1.jpg")
    found = read_dataset(toml(tmp_path, '[[datasets]]\n[[datasets.subsets]]\nimage_dir = "a"\n'
                                        'conditioning_data_dir = "m"\n'))
    assert [[m.name for m in ms] for ms in found.masks] == [["img.png"], ["img_1.jpg"]]


# OneTrainer


def test_onetrainers_concepts_have_weights_and_repeats(tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png", "b.png"), put(tmp_path / "s", "c.png")
    found = read_dataset(concepts(
        tmp_path, {"balancing": 2.5, "loss_weight": 0.5},
        {"balancing": 20.0, "balancing_strategy": "SAMPLES"}, {"path": "s"}, {"enabled": False, "path": "nowhere"}))
    assert facts(found) == [("a.png", "", 2.5, 0.5), ("b.png", "", 2.5, 0.5), ("a.png", "", 10, 1),
                            ("b.png", "", 10, 1), ("c.png", "", 1, 1)]


def test_onetrainers_masks_and_captions_lie_beside_their_pictures_in_each_folder(tmp_path: Path) -> None:
    put(tmp_path / "a", "img.png", "two.png", "img-masklabel.png", "img-condlabel.png")
    put(tmp_path / "s" / "deep", "img.png", "img-masklabel.png")
    (tmp_path / "a" / "img.txt").write_text("zok one\n\nzok two\n")
    found = read_dataset(concepts(tmp_path, {}, {"path": "s", "include_subdirectories": True}), trigger="zok")
    assert found.pictures == [tmp_path / "a" / "img.png", tmp_path / "a" / "two.png",
                              tmp_path / "s" / "deep" / "img.png"]
    assert found.masks == [(tmp_path / "a" / "img-masklabel.png",), (), (tmp_path / "s/deep/img-masklabel.png",)]
    assert [s.caption for s in found.samples] == [f"{TRIGGER} one\n{TRIGGER} two", "", ""]


@pytest.mark.parametrize(("text", "said"), [
    ({"prompt_source": "sample"}, "own words"), ({"prompt_source": "filename"}, "a cat asleep"),
    ({"prompt_source": "concept", "prompt_path": "prompts.txt"}, "first\nsecond")])
def test_prompts_come_from_samples_file_names_or_one_file(tmp_path: Path, text: dict[str, str], said: str) -> None:
    put(tmp_path / "a", "a cat asleep.png", caption="own words")
    (tmp_path / "prompts.txt").write_text("first\nsecond\n")
    found = read_dataset(concepts(tmp_path, {"text": text}))
    assert found.samples[0].caption == "\n".join(f"{TRIGGER}, {line}" for line in said.splitlines())


def test_onetrainers_switches_that_have_no_meaning_here_are_listed_and_others_not(tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png")
    image = {"enable_random_flip": True, "enable_crop_jitter": True, "enable_random_rotate": False,
             "random_rotate_max_angle": 30.0}
    found = read_dataset(concepts(tmp_path, {
        "image": image, "text": {"enable_tag_shuffling": True, "tag_delimiter": ","}, "image_variations": 1,
        "text_variations": 3, "__version": 2, "seed": 1, "surprise": "x", "validation_concept": False,
    }, {"type": "VALIDATION", "name": "check\x1b[31m"}))
    assert found.settings == {"flip": True}
    assert found.notices == ("not used: text_variations, surprise, image.enable_crop_jitter, "
                             "text.enable_tag_shuffling, the concept 'check?[31m' of type VALIDATION",)


def test_a_training_configuration_of_onetrainer_is_read_for_its_concepts(tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png")
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"concepts": [{"path": "a"}], "epochs": 3}))
    assert [p.name for p in read_dataset(file).pictures] == ["a.png"]
    file.write_text(json.dumps({"concepts": None, "concept_file_name": "training_concepts/concepts.json"}))
    with pytest.raises(StudioError, match=r"keeps its concepts in 'training_concepts/concepts\.json'; give that"):
        read_dataset(file)


# ai-toolkit


def test_ai_toolkits_datasets_are_read_from_its_job(tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png", caption="a [trigger] cat,\nin snow"), put(tmp_path / "m", "a.png")
    put(tmp_path / "b", "b.png", caption="p3r5on", ending=".cap"), put(tmp_path / "b", "c.png")
    found = read_dataset(job(
        tmp_path, "{folder_path: DIR/a, mask_path: DIR/m, num_repeats: 4, resolution: [512, 768]}",
        "{folder_path: b, caption_ext: cap, default_caption: nothing, loss_multiplier: 0.25}",
        process="      trigger_word: p3r5on\n      train: {steps: 10}\n"))
    assert facts(found) == [("a.png", f"a {TRIGGER} cat, in snow", 4, 1), ("b.png", TRIGGER, 1, 0.25),
                            ("c.png", f"{TRIGGER}, nothing", 1, 0.25)]
    assert found.masks == [(tmp_path / "m" / "a.png",), (), ()]
    assert found.trigger == "p3r5on"
    assert found.notices == ("1 captions did not name the trigger, it stands in front of them now",
                             "not used: process.train, resolution")


def test_inverted_masks_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png")
    with pytest.raises(StudioError, match="asks for inverted masks"):
        read_dataset(job(tmp_path, "{folder_path: a, invert_mask: true}"))


# what strangers write


@pytest.mark.parametrize("path", ["../out", "a/../../out", "link", "/nowhere/at/all", "none", "", "C:\\\\pictures"])
def test_a_path_that_leads_out_or_nowhere_is_refused(tmp_path: Path, path: str) -> None:
    put(tmp_path / "out", "secret.png"), put(tmp_path / "in" / "a", "a.png")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    file = toml(tmp_path / "in", f'[[datasets]]\n[[datasets.subsets]]\nimage_dir = "{path}"\n')
    with pytest.raises(StudioError, match=r"leads out of the folder|is not there|where the path"):
        read_dataset(file)


def test_an_absolute_path_that_exists_is_allowed(tmp_path: Path) -> None:
    put(tmp_path / "out", "a.png"), (tmp_path / "in").mkdir()
    file = toml(tmp_path / "in", f'[[datasets]]\n[[datasets.subsets]]\nimage_dir = "{tmp_path / "out"}"\n')
    assert read_dataset(file).pictures == [tmp_path / "out" / "a.png"]


def test_files_of_captions_are_text_files_inside(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a", "a.png"), (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "in" / "key").write_text("secret")
    for path in ("../secret.txt", "key", "none.txt"):
        with pytest.raises(StudioError, match=r"leads out of the folder|no such \.txt file"):
            read_dataset(concepts(tmp_path / "in", {"text": {"prompt_source": "concept", "prompt_path": path}}))


def test_a_caption_that_is_a_link_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = put(tmp_path / "k" / "1_zok cat", "a.png")
    (folder / "a.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(StudioError, match="is a link to another folder"):
        read_dataset(tmp_path / "k")


@pytest.mark.parametrize("ending", ["/../../secret.txt", ".t/x", "..", "*"])
def test_an_ending_is_no_path(tmp_path: Path, ending: str) -> None:
    put(tmp_path / "a", "a.png")
    with pytest.raises(StudioError, match="write an ending"):
        read_dataset(toml(tmp_path, f'[[datasets]]\n[[datasets.subsets]]\nimage_dir = "a"\n'
                                    f'caption_extension = "{ending}"\n'))


@pytest.mark.parametrize("data", [b"\xff\xfe", b"zok " * 20_000])
def test_captions_that_are_no_text_or_far_too_long_are_refused(tmp_path: Path, data: bytes) -> None:
    (put(tmp_path / "1_zok cat", "a.png") / "a.txt").write_bytes(data)
    with pytest.raises(StudioError, match=r"not UTF-8 text|more than 64 KB"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "true", '"many"', "1" + "0" * 400, "1e9", "[1]"])
def test_numbers_that_make_no_sense_are_refused(tmp_path: Path, value: str) -> None:
    put(tmp_path / "a", "a.png")
    with pytest.raises(StudioError, match="as 'num_repeats'; give a number"):
        read_dataset(toml(tmp_path, f'[[datasets]]\n[[datasets.subsets]]\nimage_dir = "a"\nnum_repeats = {value}\n'))


@pytest.mark.parametrize(("name", "text"), [
    ("d.toml", "[[datasets"), ("d.json", "{"), ("d.json", "[" * 100_000), ("d.json", "1" * 5000), ("d.yaml", "a: ["),
    ("d.yaml", "[" * 5000), ("d.yml", ""), ("d.toml", ""), ("d.json", "3"),
    ("d.json", '{"datasets": {}}'), ("d.json", '{"datasets": [{"subsets": 1}]}'), ("d.json", "[[]]"),
    ("d.json", '{"general": 1, "datasets": []}'), ("d.json", '{"config": {"process": [{"datasets": 3}]}}'),
    ("d.json", '{"config": {"process": []}}'), ("d.json", '{"concepts": "x"}'), ("d.json", "[]"),
    ("d.json", '[{"path": "a", "image": 3}]'), ("d.json", '[{"path": 3}]'), ("d.json", '[{"enabled": false}]'),
    ("d.json", '[{"path": "a", "text": {"prompt_source": "web"}}]'),
    ("d.json", '[{"path": "a", "balancing_strategy": "MANY"}]'), ("d.json", '[{"path": "a", "loss_weight": "x"}]'),
    ("d.json", '[{"path": "a\\u0000"}]'), ("d.yaml", "config: {process: [{trigger_word: [1], datasets: []}]}"),
])
def test_damaged_and_senseless_configurations_are_refused_with_a_sentence(tmp_path: Path, name: str,
                                                                         text: str) -> None:
    put(tmp_path / "a", "a.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(StudioError, match=";"):
        read_dataset(tmp_path / name)


def test_yaml_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(f"config: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']")
    with pytest.raises(StudioError, match="not readable as YAML"):
        read_dataset(tmp_path / "d.yaml")
    assert not (tmp_path / "made").exists()


def test_yaml_that_would_unfold_without_bound_is_refused_and_plain_references_are_read(tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png")
    levels = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 20)}]}}" for n in range(1, 30))]
    (tmp_path / "d.yaml").write_text("\n".join(levels))
    with pytest.raises(StudioError, match="not readable as YAML"):
        read_dataset(tmp_path / "d.yaml")
    (tmp_path / "d.yaml").write_text("x: &p a\nconfig: {process: [{datasets: [{folder_path: *p}]}]}")
    assert [p.name for p in read_dataset(tmp_path / "d.yaml").pictures] == ["a.png"]


def test_a_configuration_of_a_megabyte_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(" " * (1 << 20) + "[]")
    with pytest.raises(StudioError, match="more than a megabyte"):
        read_dataset(tmp_path / "d.json")


def test_a_tree_of_far_too_many_files_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.dataset_folders.onetrainer._MANY", 3)
    put(tmp_path / "a" / "b", "1.png", "2.png", "3.png")
    with pytest.raises(StudioError, match="more than 3 files"):
        read_dataset(concepts(tmp_path, {"include_subdirectories": True}))


def test_a_strangers_text_is_one_short_line_without_control_characters() -> None:
    assert plain("a\x1b[2J\nb\u202e" + "c" * 200) == "a?[2J b?" + "c" * 112
