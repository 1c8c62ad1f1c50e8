"""Datasets of other trainers as runs: what they say arrives in the run's folder, and in what is learned from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adapters.errors import StudioError
from adapters.record import read_record
from app.home import Home
from app.jobs.runs import read_events
from app.studio import Studio
from app.verbs.cli import main
from pipelines.class_images import given_class_images
from pipelines.dataset_folders import read_dataset
from pipelines.run_config import FILE, RunConfig
from pipelines.training import _pictures


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(Home.open(str(tmp_path / "home")))


def put(folder: Path, *names: str, caption: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n, name in enumerate(names):
        Image.new("RGB", (64, 64), (60 * n, 90, 120)).save(folder / name)
        if caption:
            (folder / name).with_suffix(".txt").write_text(caption)
    return folder


@pytest.fixture
def kohya(tmp_path: Path) -> Path:
    put(tmp_path / "k" / "10_zok cat", "a.png", "b.png", caption="zok cat on a lawn")
    put(tmp_path / "k" / "3_zok cat", "c.png")
    return tmp_path / "k"


def prepared(studio: Studio, path: Path, **options: Any) -> tuple[Path, RunConfig]:
    dataset = read_dataset(path, trigger=options.get("trigger", ""))
    noun = options.pop("noun", "")
    folder = studio.prepare_run(dataset, "mycat", noun, **options)
    return folder, RunConfig.load(folder)


def test_words_repeats_and_captions_of_a_dataset_are_the_runs(studio: Studio, kohya: Path) -> None:
    folder, config = prepared(studio, kohya)
    assert (config.trigger, config.class_noun, config.repeats, config.weights) == ("zok", "cat", (10, 10, 3), ())
    assert [(c.name, c.noun, c.trigger) for c in config.concepts] == [("mycat", "cat", "zok")]
    assert sorted(p.name for p in (folder / "references").iterdir()) == ["00.png", "00.txt", "01.png", "01.txt",
                                                                        "02.png"]
    found = _pictures(folder, config)
    assert [(p.caption, p.repeats, p.weight) for p in found] == [("zok cat on a lawn", 10, 1)] * 2 + [("", 3, 1)]


@pytest.mark.parametrize(("options", "said"), [
    ({"trigger": "ohwx"}, "ohwx cat on a lawn"), ({"method": "textual-inversion"}, "<zok> cat on a lawn")])
def test_captions_name_whatever_trigger_the_run_has(studio: Studio, kohya: Path, options: dict[str, str],
                                                    said: str) -> None:
    folder, config = prepared(studio, kohya, **options)
    config = config.with_triggers(lambda given: "never")
    assert [p.caption for p in _pictures(folder, config)] == [said, said, ""]


def test_weights_are_kept_with_the_run(studio: Studio, tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png"), put(tmp_path / "b", "b.png")
    (tmp_path / "c.json").write_text(json.dumps([{"path": "a", "loss_weight": 0.5}, {"path": "b"}]))
    folder, config = prepared(studio, tmp_path / "c.json", noun="cat")
    assert (config.repeats, config.weights) == ((), (0.5, 1.0))
    assert [p.weight for p in _pictures(folder, config)] == [0.5, 1.0]


def test_a_plain_folder_brings_its_captions_and_nothing_else(studio: Studio, tmp_path: Path) -> None:
    put(tmp_path / "p", "a.png"), put(tmp_path / "p", "b.png", caption="a cat")
    folder, config = prepared(studio, tmp_path / "p", noun="cat")
    assert (config.repeats, config.weights, config.trigger) == ((), (), "")
    config = config.with_triggers(lambda given: "zok")
    assert [(p.caption, p.repeats, p.weight) for p in _pictures(folder, config)] == [("", 1, 1), ("zok, a cat", 1, 1)]


def test_runs_from_before_repeats_still_open(studio: Studio, tmp_path: Path) -> None:
    folder, config = prepared(studio, put(tmp_path / "p", "a.png"), noun="cat")
    saved = json.loads((folder / FILE).read_text())
    del saved["repeats"], saved["weights"]
    (folder / FILE).write_text(json.dumps(saved))
    assert RunConfig.load(folder) == config


@pytest.mark.parametrize("values", [[1.0], [1.0, 0.0, 1.0], [1.0, float("nan"), 1.0]])
def test_repeats_that_do_not_fit_the_pictures_are_refused(studio: Studio, kohya: Path, values: list[float]) -> None:
    folder, _ = prepared(studio, kohya)
    saved = json.loads((folder / FILE).read_text()) | {"repeats": values}
    (folder / FILE).write_text(json.dumps(saved))
    with pytest.raises(StudioError, match=r"settings are for 1|'repeats\.1' cannot be"):
        _pictures(folder, RunConfig.load(folder))


def test_what_is_asked_for_stands_over_what_the_dataset_says(studio: Studio, tmp_path: Path) -> None:
    put(tmp_path / "a", "a.png"), put(tmp_path / "reg", "r.png", "s.png")
    (tmp_path / "d.toml").write_text('[[datasets]]\nflip_aug = true\n[[datasets.subsets]]\nimage_dir = "a"\n'
                                     '[[datasets.subsets]]\nimage_dir = "reg"\nis_reg = true\n')
    folder, config = prepared(studio, tmp_path / "d.toml", noun="cat")
    assert (config.training.flip, config.training.prior_weight) == (True, 1.0)
    assert len(given_class_images(folder / "class-images", 10)) == 2
    assert len(given_class_images(folder / "class-images", 1)) == 1
    assert given_class_images(folder / "none", 10) == []
    again = studio.prepare_run(read_dataset(tmp_path / "d.toml"), "other", "cat", flip=False, steps=None,
                               prior_weight=0.5)
    config = RunConfig.load(again)
    assert (config.training.flip, config.training.prior_weight) == (False, 0.5)


def test_several_words_are_for_methods_that_learn_none(studio: Studio, kohya: Path) -> None:
    put(kohya / "1_wug dog", "d.png")
    with pytest.raises(StudioError, match="learns the word of one thing, the dataset has pictures of 'wug dog' too"):
        prepared(studio, kohya, method="textual-inversion")
    folder, config = prepared(studio, kohya)
    # The folders come by name: 10_zok, 1_wug, 3_zok.
    assert [p.caption for p in _pictures(folder, config)] == ["zok cat on a lawn"] * 2 + ["wug dog", ""]


def test_a_dataset_may_have_more_pictures_than_the_browser_takes(studio: Studio, tmp_path: Path) -> None:
    many = put(tmp_path / "k" / "1_zok cat", *(f"{n:03d}.png" for n in range(101)))
    folder, _ = prepared(studio, many.parent)
    names = [p.name for p in sorted((folder / "references").iterdir())]
    assert len(names) == 101 and names[0] == "000.png" and names[-1] == "100.png"
    put(many, *(f"{n:03d}.png" for n in range(101, 201)))
    with pytest.raises(StudioError, match="201 pictures were given, at most 200"):
        studio.prepare_run(read_dataset(many.parent), "more", "cat")
    with pytest.raises(StudioError, match="201 pictures were given, at most 30"):
        studio.prepare_run(read_dataset(many), "more", "cat")


def test_break_a_scene_may_look_for_its_masks(studio: Studio, tmp_path: Path) -> None:
    scene = put(tmp_path / "p", "img.png")
    both = {"method": "break-a-scene", "concepts": [("bear", "toy"), ("cup", "mug")]}
    with pytest.raises(StudioError, match=r"0 of 2 are there; paint them, give maskN\.png files, or let"):
        prepared(studio, scene, **both)
    _, config = prepared(studio, scene, **both, masks="auto")
    assert config.training.masks == "auto" and len(config.concepts) == 2


def test_the_command_line_trains_on_kohyas_folder_and_says_what_is_not_used(
        tmp_path: Path, kohya: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(kohya / "log", "x.png")
    home = tmp_path / "home"
    assert main(["--home", str(home), "--json", "train", "--name", "mycat", "--images", str(kohya), "--preset", "fast",
                 "--steps", "1", "--batch", "1", "--preview-every", "0", "--set", "rank=1"]) == 0
    out = capsys.readouterr()
    assert "not used: the folder 'log'\n" in out.err
    record = read_record(Path(json.loads(out.out.splitlines()[-1])["adapter"]))
    assert (record.trigger, record.class_noun, record.phrase) == ("zok", "cat", "zok cat")


def test_regularisation_pictures_are_learned_from_in_the_place_of_painted_ones(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr("pipelines.class_images.Generator", never)
    put(tmp_path / "reg", "r.png"), put(tmp_path / "a")
    Image.new("RGB", (96, 64), "red").save(tmp_path / "a" / "wide.png")
    (tmp_path / "d.toml").write_text('[[datasets]]\n[[datasets.subsets]]\nimage_dir = "a"\nclass_tokens = "zok cat"\n'
                                     '[[datasets.subsets]]\nimage_dir = "reg"\nis_reg = true\n')
    home = tmp_path / "home"
    assert main(["--home", str(home), "train", "--name", "mycat", "--images", str(tmp_path / "d.toml"), "--preset",
                 "fast", "--steps", "1", "--batch", "1", "--preview-every", "0", "--set", "rank=1"]) == 0
    [run] = (home / "runs").iterdir()
    [step] = [e for e in read_events(run) if e["type"] == "step"]
    assert step["prior"] > 0
