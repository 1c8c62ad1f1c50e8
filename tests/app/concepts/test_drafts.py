"""Drafts: nothing that was typed or painted is lost, and what a training gets is what was asked for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapters.errors import StudioError
from app.concepts.draft import Draft
from app.concepts.drafts import Drafts, import_captions


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path / "drafts", tmp_path / "trash")


def picture(folder: Path, name: str, size: tuple[int, int] = (64, 48), colour: str = "red") -> Path:
    """A picture whose left half is `colour` and whose right half is white."""
    image = Image.new("RGB", size, "white")
    image.paste(colour, (0, 0, size[0] // 2, size[1]))
    path = folder / name
    image.save(path)
    return path


def filled(drafts: Drafts, tmp_path: Path, count: int = 3) -> Draft:
    draft = drafts.new()
    for n, colour in enumerate(("red", "green", "blue", "black")[:count]):
        shot = drafts.add(draft.id, f"{colour}.png", picture(tmp_path, f"{colour}.png", colour=colour))
        drafts.change(draft.id, shot.id, caption=f"a {colour} thing {n}")
    return drafts.get(draft.id)


def test_a_draft_is_there_for_a_second_process(drafts: Drafts, tmp_path: Path) -> None:
    made = filled(drafts, tmp_path)
    drafts.update(made.id, title="things", things=[{"name": "mycat", "noun": "cat"}], prefix="photo of ")
    again = Drafts(tmp_path / "drafts", tmp_path / "trash")
    found = again.get(made.id)
    assert found.label == "things" and found.things[0].noun == "cat"
    assert [found.caption_of(s) for s in found.shots][:1] == ["photo of a red thing 0"]
    assert [d.id for d in again.all()] == [made.id]


def test_taking_one_picture_out_touches_no_other_and_can_be_undone(drafts: Drafts, tmp_path: Path) -> None:
    draft = filled(drafts, tmp_path)
    first, second, third = draft.shots
    after = drafts.remove(draft.id, second.id)
    assert [s.caption for s in after.shots] == [first.caption, third.caption]
    back = drafts.take_back(draft.id, second.id)
    assert {s.id: s.caption for s in back.shots} == {s.id: s.caption for s in draft.shots} and not back.removed
    assert drafts.picture(draft.id, second.id).is_file()
    with pytest.raises(StudioError, match="brought back"):
        drafts.take_back(draft.id, second.id)


def test_crop_and_flip_are_done_for_pictures_and_masks_alike(drafts: Drafts, tmp_path: Path) -> None:
    draft = drafts.new()
    shot = drafts.add(draft.id, "a.png", picture(tmp_path, "a.png", (80, 40)))
    mask = Image.new("L", (80, 40))
    mask.paste(255, (0, 0, 40, 40))
    mask.save(tmp_path / "m.png")
    drafts.set_mask(draft.id, shot.id, draft.things[0].id, tmp_path / "m.png")
    drafts.change(draft.id, shot.id, crop=(0.25, 0.0, 1.0, 1.0), flipped=True)
    with drafts.dataset(draft.id) as dataset:
        (sample,) = dataset.samples
        shown, drawn = Image.open(sample.picture).copy(), Image.open(sample.masks[0]).copy()
    assert shown.size == drawn.size == (60, 40)
    red = np.asarray(shown.convert("RGB"))[..., 1] < 128
    assert red[:, -20:].all() and not red[:, :-20].any()  # red was on the left and is on the right now
    assert np.array_equal(red, np.asarray(drawn) > 127)
    assert Image.open(drafts.picture(draft.id, shot.id)).size == (80, 40)  # what was taken in stays whole


def greys(drafts: Drafts, draft: Draft) -> list[object]:
    """What is in a corner of each mask of a draft's only picture, as a training gets them."""
    with drafts.dataset(draft.id) as dataset:
        (sample,) = dataset.samples
        return [Image.open(m).getpixel((0, 0)) for m in sample.masks]


def test_two_who_ask_for_one_draft_at_once_get_files_of_their_own(drafts: Drafts, tmp_path: Path) -> None:
    draft, both = filled(drafts, tmp_path), threading.Barrier(2, timeout=60)

    def ask(flipped: bool) -> tuple[Path, list[bool]]:
        if flipped:
            for shot in draft.shots:
                drafts.change(draft.id, shot.id, flipped=True)
        with drafts.dataset(draft.id) as dataset:
            both.wait()  # the other has its files too
            colours = [Image.open(p).convert("RGB").getpixel((0, 0)) for p in dataset.pictures]
            both.wait()
            return dataset.pictures[0], [c == (255, 255, 255) for c in colours]

    with ThreadPoolExecutor(2) as pool:
        plain = pool.submit(ask, False)
        while not list((tmp_path / "drafts" / draft.id).glob("ready*/02.png")) and not plain.done():
            time.sleep(0.01)
        turned = pool.submit(ask, True)
        (first, seen), (second, seen_turned) = plain.result(), turned.result()
    assert first != second and seen == [False] * 3 and seen_turned == [True] * 3
    assert not list((tmp_path / "drafts" / draft.id).glob("ready*"))


def test_a_mask_belongs_to_its_thing_whatever_comes_and_goes(drafts: Drafts, tmp_path: Path) -> None:
    draft = filled(drafts, tmp_path, 1)
    draft = drafts.update(draft.id, things=[t.model_dump() for t in draft.things] + [{"name": "cup", "noun": "mug"}])
    first, second = draft.things
    shot = draft.shots[0]
    for thing, grey in ((first, 255), (second, 130)):
        Image.new("L", (64, 48), grey).save(tmp_path / "m.png")
        drafts.set_mask(draft.id, shot.id, thing.id, tmp_path / "m.png")
    drafts.update(draft.id, things=[second.model_dump()])
    assert greys(drafts, draft) == [130]
    drafts.update(draft.id, things=[second.model_dump(), first.model_dump()])  # taken back, in the other order
    assert greys(drafts, draft) == [130, 255]


def test_masks_go_along_only_where_every_thing_has_one(drafts: Drafts, tmp_path: Path) -> None:
    draft = filled(drafts, tmp_path, 1)
    draft = drafts.update(draft.id, things=[t.model_dump() for t in draft.things] + [{}])
    Image.new("L", (64, 48), 255).save(tmp_path / "m.png")
    drafts.set_mask(draft.id, draft.shots[0].id, draft.things[0].id, tmp_path / "m.png")
    with drafts.dataset(draft.id) as dataset:
        assert dataset.masks == [()]


def test_soft_edges_of_a_mask_are_kept_and_an_empty_mask_is_none(drafts: Drafts, tmp_path: Path) -> None:
    draft = filled(drafts, tmp_path, 1)
    shot, thing = draft.shots[0], draft.things[0]
    soft = Image.linear_gradient("L").resize((64, 48))
    soft.save(tmp_path / "m.png")
    drafts.set_mask(draft.id, shot.id, thing.id, tmp_path / "m.png")
    assert np.array_equal(np.asarray(Image.open(drafts.mask(draft.id, shot.id, thing.id))), np.asarray(soft))
    Image.new("L", (64, 48)).save(tmp_path / "m.png")
    assert drafts.set_mask(draft.id, shot.id, thing.id, tmp_path / "m.png").shots[0].masks == ()
    Image.new("L", (10, 100), 255).resize((40, 48)).save(tmp_path / "m.png")
    with pytest.raises(StudioError, match="its picture is 64x48"):
        drafts.set_mask(draft.id, shot.id, thing.id, tmp_path / "m.png")


def test_find_and_replace_goes_over_all_captions(drafts: Drafts, tmp_path: Path) -> None:
    draft = filled(drafts, tmp_path)
    assert drafts.replace(draft.id, "thing", "toy") == 3
    assert [s.caption for s in drafts.get(draft.id).shots] == ["a red toy 0", "a green toy 1", "a blue toy 2"]
    assert drafts.replace(draft.id, "green", "yellow") == 1
    with pytest.raises(StudioError, match="nothing to look for"):
        drafts.replace(draft.id, "", "x")


def test_text_files_give_their_pictures_captions(drafts: Drafts, tmp_path: Path) -> None:
    draft = filled(drafts, tmp_path)
    told: list[str] = []
    assert import_captions(drafts, draft.id, [("RED.txt", "a toy\non grass\n"), ("other.txt", "x")], told.append) == 1
    assert drafts.get(draft.id).shots[0].caption == "a toy on grass"
    assert told == ["'other.txt' has the name of no picture here"]


@pytest.mark.parametrize(("fields", "said"), [
    ({"crop": (0.5, 0, 0.2, 1)}, "crop"), ({"crop": (0, 0, 2, 1)}, "crop"), ({"caption": "x" * 3000}, "caption"),
    ({"id": "0" * 12}, "no 'id' to set"), ({"masks": []}, "no 'masks' to set"), ({"flipped": "maybe"}, "flipped")])
def test_what_makes_no_sense_is_refused_and_changes_nothing(
        drafts: Drafts, tmp_path: Path, fields: dict[str, object], said: str) -> None:
    draft = filled(drafts, tmp_path, 1)
    with pytest.raises(StudioError, match=said):
        drafts.change(draft.id, draft.shots[0].id, **fields)
    assert drafts.get(draft.id).shots == draft.shots


def test_the_same_file_twice_is_refused(drafts: Drafts, tmp_path: Path) -> None:
    draft = filled(drafts, tmp_path, 1)
    with pytest.raises(StudioError, match="here already"):
        drafts.add(draft.id, "red again.png", tmp_path / "red.png")


def test_a_draft_has_one_to_six_things(drafts: Drafts) -> None:
    draft = drafts.new()
    for things in ([], [{}] * 7):
        with pytest.raises(StudioError, match="things"):
            drafts.update(draft.id, things=things)


def test_a_deleted_draft_comes_back_whole(drafts: Drafts, tmp_path: Path) -> None:
    draft = filled(drafts, tmp_path)
    drafts.delete(draft.id)
    assert drafts.all() == []
    with pytest.raises(StudioError, match="not here any more"):
        drafts.get(draft.id)
    assert drafts.restore(draft.id).shots == draft.shots and drafts.picture(draft.id, draft.shots[0].id).is_file()


@pytest.mark.parametrize("id", ["", "../../etc", "x" * 12 + "/", "0123456789a.", "nothere00000"])
def test_an_id_that_is_none_is_a_sentence(drafts: Drafts, id: str) -> None:
    for act in (drafts.get, drafts.restore, drafts.delete):
        with pytest.raises(StudioError, match="draft"):
            act(id)


def test_a_damaged_draft_hides_no_other(drafts: Drafts, tmp_path: Path) -> None:
    good, bad = filled(drafts, tmp_path), drafts.new()
    (tmp_path / "drafts" / bad.id / "draft.json").write_text("{")
    assert [d.id for d in drafts.all()] == [good.id]
    with pytest.raises(StudioError, match="pictures are still in"):
        drafts.get(bad.id)
