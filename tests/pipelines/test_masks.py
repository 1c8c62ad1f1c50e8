from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from pipelines.auto_masks import fill_in
from pipelines.mask_sources import attention
from pipelines.mask_sources.attention import attention_masks, attention_resolution
from pipelines.masks import check_masks, find_masks, open_mask, take_in_masks
from pipelines.methods.break_a_scene.scene import with_background
from pipelines.recipe import Batch
from pipelines.references import is_mask
from tests.adapters.tools import anatomy
from tests.pipelines.tools import LEFT, RIGHT, WHOLE, image, lesson, mask


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image().save(folder / name)


# names


@pytest.mark.parametrize(("name", "expected"), [
    ("mask.png", True), ("mask0.png", True), ("Mask12.PNG", True), ("cat-mask1.png", True), ("cat_mask1.jpg", True),
    ("cat-masklabel.png", True), ("cat.png", False), ("masked.png", False), ("catmask.png", False),
    ("maskot.png", False)])
def test_mask_names(name: str, expected: bool) -> None:
    assert is_mask(Path(name)) is expected


def test_numbered_masks_belong_to_a_single_picture_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    put(tmp_path, "img.jpg", "mask10.png", "mask2.png", "mask0.png")
    found = find_masks([tmp_path / "img.jpg"])
    assert [f.name for f in found[0]] == ["mask0.png", "mask2.png", "mask10.png"]


def test_of_several_pictures_each_has_the_masks_of_its_own_name(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png", "a-mask1.png", "a-mask0.png", "b-masklabel.png", "mask0.png")
    found = find_masks([tmp_path / "a.png", tmp_path / "b.png"])
    assert [[f.name for f in m] for m in found] == [["a-mask0.png", "a-mask1.png"], ["b-masklabel.png"]]


def test_a_folder_of_masks_also_knows_numbered_and_like_named_files(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png", "m/a_1.png", "m/a_0.png", "m/b.png")
    found = find_masks([tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "m")
    assert [[f.name for f in m] for m in found] == [["a_0.png", "a_1.png"], ["b.png"]]
    with pytest.raises(StudioError, match="is not a folder"):
        find_masks([tmp_path / "a.png"], tmp_path / "nowhere")


# contents


def test_a_soft_mask_stays_soft(tmp_path: Path) -> None:
    grey = Image.fromarray((np.arange(1024) % 256).astype(np.uint8).reshape(32, 32))
    grey.save(tmp_path / "mask.png")
    assert np.array_equal(np.array(open_mask(tmp_path / "mask.png", image())), np.array(grey))


def test_a_cut_out_counts_by_its_opacity(tmp_path: Path) -> None:
    cut = image().convert("RGBA")
    cut.putalpha(LEFT)
    cut.save(tmp_path / "mask.png")
    assert np.array_equal(np.array(open_mask(tmp_path / "mask.png", image())), np.array(LEFT))


@pytest.mark.parametrize(("made", "told"), [
    (mask((0, 0, 8, 8), side=48), "is 48x48 pixels, its picture is 32x32"),
    (mask((0, 0, 0, 0)), "is empty"), (Image.new("L", (32, 32), 127), "is empty")])
def test_masks_of_another_size_and_empty_ones_are_refused(tmp_path: Path, made: Image.Image, told: str) -> None:
    made.save(tmp_path / "mask.png")
    with pytest.raises(StudioError, match=told):
        open_mask(tmp_path / "mask.png", image())


def test_another_count_of_masks_than_of_concepts_is_refused() -> None:
    with pytest.raises(StudioError, match="has 1 masks for 2 concepts"):
        check_masks([LEFT], 2, "img.jpg")
    check_masks([LEFT, RIGHT], 2, "img.jpg")


def test_masks_are_kept_at_the_size_of_the_kept_picture(tmp_path: Path) -> None:
    image(side=64).save(tmp_path / "img.png")
    image(side=32).save(tmp_path / "00.png")
    LEFT.resize((64, 64)).save(tmp_path / "mask0.png")
    RIGHT.resize((64, 64)).save(tmp_path / "mask1.png")
    files = find_masks([tmp_path / "img.png"])
    assert take_in_masks([tmp_path / "img.png"], files, 2, [tmp_path / "00.png"],
                         tmp_path / "kept") == 2
    with Image.open(tmp_path / "kept" / "00-1.png") as kept:
        assert kept.size == (32, 32) and kept.mode == "L"


@pytest.mark.parametrize(("second", "refused"), [
    ((0, 0, 16, 32), True), ((0, 0, 4, 4), True), ((7, 0, 23, 32), True), ((8, 0, 24, 32), False)])
def test_masks_that_overlap_by_more_than_half_of_the_smaller_are_refused(second: tuple[int, int, int, int],
                                                                       refused: bool) -> None:
    if not refused:
        check_masks([LEFT, mask(second)], 2, "img.jpg")
        return
    with pytest.raises(StudioError, match=r"masks 0 and 1 of 'img\.jpg' overlap"):
        check_masks([LEFT, mask(second)], 2, "img.jpg")


# on the grid


def grids(seed: int = 0, count: int = 3) -> torch.Tensor:
    """Random hard masks [2, N, 8, 8]."""
    return (torch.rand(2, count, 8, 8, generator=torch.Generator().manual_seed(seed)) > 0.6).float()


def test_the_background_and_the_union_cover_everything_once(host: Host) -> None:
    given = grids()
    found = with_background(given)
    union, background = given.amax(1), found[:, -1]
    assert torch.equal(found[:, :3], given)
    assert torch.equal(union + background, torch.ones(2, 8, 8)) and 0 < background.sum() < background.numel()


def batch(masks: torch.Tensor) -> torch.Tensor:
    union = Batch(torch.zeros(1), torch.zeros(1), masks).union
    assert union is not None
    return union


def test_the_union_of_masks_is_idempotent_and_free_of_order() -> None:
    given = grids()
    union = batch(given)
    assert union.shape == (2, 1, 8, 8) and torch.equal(union[:, 0], given.sum(1).clamp(max=1))
    assert torch.equal(batch(torch.cat([given, given, union], 1)), union)
    for order in ([2, 1, 0], [1, 2, 0]):
        assert torch.equal(batch(given[:, order]), union)
    assert torch.equal(batch(union), union)


def test_without_masks_there_is_no_union() -> None:
    assert Batch(torch.zeros(1), torch.zeros(1)).union is None


# from the base's own attention


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny base attends on 4 x 4."""
    monkeypatch.setattr(attention, "attention_resolution", lambda host: 4)


@pytest.mark.usefixtures("coarse")
def test_automatic_masks_are_soft_and_divided_by_their_maximum(host: Host) -> None:
    tree = anatomy(host)
    found = attention_masks(host, [image(), image(1, side=48).crop((0, 0, 48, 40))], "cat")
    assert [m.size for m in found] == [(32, 32), (48, 40)]
    for made in found:
        values = np.array(made.crop(((made.width - made.height) // 2, 0, (made.width + made.height) // 2, made.height)))
        assert values.max() > 240 and values.min() < 15 and len(np.unique(values)) > 10
    assert anatomy(host) == tree


@pytest.mark.usefixtures("coarse")
def test_automatic_masks_are_the_same_each_time_and_another_noun_has_others(host: Host) -> None:
    one, again, other = (np.array(attention_masks(host, [image()], n)[0]) for n in ("cat", "cat", "red dog"))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_sdxl_is_looked_at_more_finely(host: Host) -> None:
    assert attention_resolution(host) == 16
    host.identity = host.identity.model_copy(update={"family": "sdxl"})
    assert attention_resolution(host) == 32


@pytest.mark.usefixtures("coarse")
def test_settings_say_which_masks_are_used(host: Host) -> None:
    with_one, without = lesson("mycat", masks=[LEFT]), lesson("mycat")
    assert fill_in(host, with_one, "none").pictures[0].masks == ()
    assert fill_in(host, with_one, "given") is with_one and fill_in(host, without, "given") is without
    assert fill_in(host, with_one, "auto") is with_one
    made, = fill_in(host, without, "auto").pictures[0].masks
    assert made.size == WHOLE.size and made.mode == "L"
