"""What a person points at becomes a mask: by GrabCut on the sample scenes, by SAM and CLIPSeg with tiny weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from pipelines import pointing
from pipelines.mask_report import overlap
from pipelines.mask_sources import sam as sam_source
from pipelines.pointing import Finder, Pointed, cut
from pipelines.references import open_image
from pipelines.shipped import SAMPLES
from tests.pipelines.test_mask_sources import clipseg, sam  # noqa: F401 -- fixtures
from tests.pipelines.tools import image

Box = tuple[float, float, float, float]


def things() -> list[tuple[Image.Image, Image.Image, Box, tuple[float, float, bool]]]:
    """Every thing of the sample scenes: picture, true mask, the box around it and a click into its middle."""
    found = []
    for folder in sorted(p.parent for p in (SAMPLES / "scenes").glob("*/sample.json")):
        for path in sorted(folder.glob("mask*.png")):
            mask = open_image(path).convert("L")
            rows, columns = np.nonzero(np.asarray(mask) > 127)
            w, h = mask.size
            box = (columns.min() / w, rows.min() / h, (columns.max() + 1) / w, (rows.max() + 1) / h)
            found.append((open_image(folder / "img.png"), mask, box, (columns.mean() / w, rows.mean() / h, True)))
    return found


def test_a_box_or_a_single_click_finds_the_things_of_the_sample_scenes() -> None:
    pytest.importorskip("cv2")
    shown = things()
    boxed = [overlap(cut(picture, Pointed(box=box)), mask) for picture, mask, box, _ in shown]
    clicked = [overlap(cut(picture, Pointed(clicks=(click,))), mask) for picture, mask, _, click in shown]
    assert len(shown) == 15
    assert np.mean(boxed) > 0.9 and np.mean(clicked) > 0.8


def test_a_click_beside_the_thing_takes_what_it_says_out() -> None:
    pytest.importorskip("cv2")
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 30, (120, 120, 3)) + np.array([30, 110, 40])
    for left in (20, 62):  # two red squares, a little apart
        pixels[40:80, left:left + 40] = chance.integers(0, 30, (40, 40, 3)) + np.array([200, 40, 40])
    picture = Image.fromarray(pixels.astype(np.uint8))
    both = np.asarray(cut(picture, Pointed(box=(0.1, 0.25, 0.92, 0.75))))
    one = np.asarray(cut(picture, Pointed(clicks=((0.33, 0.5, True), (0.68, 0.5, False)))))
    assert both[60, 40] == both[60, 82] == 255
    assert one[60, 40] == 255 and one[60, 82] == 0


@pytest.mark.parametrize("told", [{}, {"box": [0.5, 0, 0.4, 1]}, {"box": [0, 0, 2, 1]}, {"clicks": [[0.1, 0.1, False]]},
                                  {"word": " "}, {"clicks": [["a", 0, True]]}, [], {"other": 1}])
def test_pointing_at_nothing_is_one_sentence(told: Any) -> None:
    with pytest.raises(StudioError, match="point again"):
        Pointed.of(told)


def test_nothing_found_is_said_with_what_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pointing, "cut", lambda picture, pointed: Image.new("L", picture.size))
    with pytest.raises(StudioError, match="GrabCut found nothing there"):
        Finder(lambda: pytest.fail("no base is needed")).find(image(), Pointed(clicks=((0.5, 0.5, True),)))


def test_sam_is_asked_with_the_box_and_all_clicks_in_its_own_pixels(sam: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    finder, seen = Finder(lambda: pytest.fail("no base is needed"), sam_model=str(sam)), dict[str, Any]()
    plain = sam_source.SamModel.forward

    def watch(self: Any, **given: Any) -> Any:
        seen.update(given)
        answer = plain(self, **given)
        answer.pred_masks = answer.pred_masks.abs() + 1  # tiny random weights may find nothing
        return answer

    monkeypatch.setattr(sam_source.SamModel, "forward", watch)
    picture = Image.new("RGB", (32, 16))  # SAM's side is 64 there: everything twice as large
    mask, how = finder.find(picture, Pointed(box=(0, 0, 0.5, 1), clicks=((0.25, 0.5, True), (0.75, 0.5, False))))
    assert (mask.size, how) == ((32, 16), "SAM")
    assert seen["input_boxes"].tolist() == [[[0, 0, 32, 32]]]
    assert seen["input_points"].tolist() == [[[[16, 16], [48, 16]]]] and seen["input_labels"].tolist() == [[[1, 0]]]
    assert not seen["multimask_output"]
    finder.find(picture, Pointed(clicks=((0.25, 0.5, True),)))
    assert seen["multimask_output"]  # one click may mean the thing or a part of it


def test_a_word_is_looked_for_by_clipseg_where_its_weights_are(host: Host, clipseg: Path) -> None:  # noqa: F811
    mask, how = Finder(lambda: host, clipseg_model=str(clipseg)).find(image(), Pointed(word="cat"))
    assert (mask.size, how) == (image().size, "CLIPSeg") and max(mask.tobytes()) == 255
