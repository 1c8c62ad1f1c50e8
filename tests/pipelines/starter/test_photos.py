"""Photos for the autoencoder: split by subject, cropped, and optional."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adapters.errors import StudioError
from pipelines.starter.photos import VARIABLE, Crops, photo_folder, split_subjects, squares


def _subjects(folder: Path, count: int) -> Path:
    for n in range(count):
        (folder / f"s{n:02}").mkdir(parents=True)
        shade = 20 * (n + 1)
        Image.new("RGB", (90, 60), (shade, shade, shade)).save(folder / f"s{n:02}" / "0.jpg", quality=100)
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("no subject")
    return folder


def test_every_fourth_subject_is_kept_out_and_none_is_in_both(tmp_path: Path) -> None:
    split = split_subjects(_subjects(tmp_path, 9))
    assert [p.name for p in split.kept_out] == ["s03", "s07"]
    assert [p.name for p in split.trained] == ["s00", "s01", "s02", "s04", "s05", "s06", "s08"]


def test_too_few_subjects_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="holds 3 folders with pictures"):
        split_subjects(_subjects(tmp_path, 3))


def test_without_the_variable_there_are_no_photos_and_a_wrong_one_is_said(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert photo_folder() is None
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert photo_folder() == tmp_path
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(StudioError, match=VARIABLE):
        photo_folder()


def test_crops_come_from_the_trained_subjects_alone_and_from_torchs_generator(tmp_path: Path) -> None:
    split = split_subjects(_subjects(tmp_path, 8))
    crops = Crops(split.trained, 32)
    torch.manual_seed(0)
    drawn = crops.draw(60)
    torch.manual_seed(0)
    assert np.array_equal(drawn, crops.draw(60)) and drawn.shape == (60, 32, 32, 3)
    shades = {round(float(c.mean()) / 20) for c in drawn}
    assert shades == {1, 2, 3, 5, 6, 7}
    assert {round(float(np.asarray(s).mean()) / 20) for s in squares(split.kept_out, 32)} == {4, 8}
    assert crops.draw(0).shape == (0, 32, 32, 3)
