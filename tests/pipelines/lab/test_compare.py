"""What the pictures of a comparison, and the sheet of them, say of where they came from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from adapters.record import AdapterRecord
from adapters.studio_file import save
from app.library.verifying import verify
from app.verbs.cli import build_parser
from app.verbs.lab_verbs import _noun_of, _pictures
from pipelines.contact_sheet import grid
from pipelines.generator import Generator
from pipelines.image_file import read_settings, tensors_hash
from pipelines.lab.compare import Comparison
from pipelines.lab.evaluate import Plan
from pipelines.methods import METHODS
from pipelines.painter import Painter
from pipelines.run_config import RunConfig
from tests.adapters.lora.tools import filled
from tests.pipelines.tools import image


class Grey:
    """An encoder to which all pictures are alike."""

    name = "grey"

    def images(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        return torch.ones(len(pictures), 2) / 2 ** 0.5


def test_a_comparisons_pictures_and_its_sheet_say_what_made_them(host: Host, record: AdapterRecord,
                                                                 tmp_path: Path) -> None:
    painter, files = Painter("cpu"), []
    painter._base = ("tiny", Generator(host))
    for n, method in enumerate(("lora", "other")):
        files.append(tmp_path / method / "adapter.safetensors")
        save(files[-1], filled(host, seed=n), record)
    plan = Plan(("a photo of {}",), (5,), 1)
    compared = Comparison(tmp_path / "secret-folder", "tiny", "cat", tmp_path, (), plan=plan, painter=painter)
    rows = [compared._row(method, method, used, {}, Grey(), [image()], 0.0, 0)
            for method, used in (("none", []), ("lora", [str(files[0])]), ("other", [str(files[1])]))]
    for row, phrase, used in zip(rows, ("cat", "zok cat", "zok cat"), ([], ["compared-lora"], ["compared-other"]),
                                 strict=True):
        for file in Path(row.pictures[0]).parent.glob("*.png"):
            found = verify(file)
            assert found["intact"] is True and found["made"]["base"] == "tiny"
            assert [name for name, *_ in found["made"]["adapters"]] == used
            assert b"secret-folder" not in file.read_bytes()
        assert read_settings(Path(row.pictures[0])).request["prompt"] == f"a photo of a {phrase}"
        assert read_settings(Path(row.pictures[0])).request["seed"] == 5
    again = compared._row("lora", "lora", [str(files[0])], {}, Grey(), [image()], 0.0, 0)
    assert again.pictures == rows[1].pictures
    _pictures(rows, tmp_path, "grey")
    assert verify(tmp_path / "grid.png")["intact"] is True
    with Image.open(tmp_path / "grid.png") as sheet:
        told = json.loads(sheet.info["semblance"])
    assert sorted((a["name"], a["hash"]) for a in told["adapters"]) == [
        ("compared-lora", tensors_hash(files[0])), ("compared-other", tensors_hash(files[1]))]
    assert told["base_hash"] == host.identity.hash


def _pictures_in(folder: Path, *masks: str) -> Path:
    folder.mkdir()
    for n in range(2):
        image(seed=n, side=128).save(folder / f"{n}.png")
    for name in masks:
        Image.new("L", (128, 128), 255).save(folder / f"{name}.png")
    return folder


def test_methods_that_need_masks_find_them_where_none_are_given(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: dict[str, RunConfig] = {}

    def train(folder: Path, cache: Path) -> None:
        prepared.update({p.parent.name: RunConfig.load(p.parent) for p in folder.parent.glob("*/config.json")})
        raise InterruptedError

    monkeypatch.setattr("pipelines.lab.compare.train_apart", train)
    pictures = _pictures_in(tmp_path / "pictures")
    with pytest.raises(InterruptedError):
        Comparison(tmp_path / "out", "starter", "bear", pictures, METHODS, steps=2, alone=False).run(Grey())
    assert set(prepared) == set(METHODS)  # each before the first training
    assert prepared["break-a-scene"].training.masks == "auto" and prepared["lora"].training.masks == "given"
    masked = _pictures_in(tmp_path / "masked", "0-mask0", "1-mask0")
    with pytest.raises(InterruptedError):
        Comparison(tmp_path / "out2", "starter", "bear", masked, METHODS, steps=2, alone=False).run(Grey())
    assert prepared["break-a-scene"].training.masks == "given"


@pytest.mark.parametrize(("masks", "settings"), [(("0-mask0", "0-mask1"), {"steps": 2}), ((), {"steps": 0})])
def test_what_cannot_be_compared_is_said_before_anything_is_trained(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, masks: tuple[str, ...], settings: dict[str, int]) -> None:
    monkeypatch.setattr("pipelines.lab.compare.train_apart", lambda *_: pytest.fail("was trained"))
    pictures = _pictures_in(tmp_path / "pictures", *masks)
    with pytest.raises(StudioError):
        Comparison(tmp_path / "out", "starter", "bear", pictures, METHODS, alone=False, **settings).run(Grey())


@pytest.mark.parametrize(("told", "noun"), [
    ('{"noun": "bear"}', "bear"), ("{}", "thing"), ("[half", "thing"), ("", "thing")])
def test_a_comparisons_noun_is_what_the_folder_says(tmp_path: Path, told: str, noun: str) -> None:
    if told:
        (tmp_path / "sample.json").write_text(told, "utf-8")
    assert _noun_of(tmp_path) == noun
    assert build_parser().parse_args(["compare", "--references", str(tmp_path)]).class_noun == ""


def test_a_sheet_of_pictures_that_say_nothing_is_a_plain_one(tmp_path: Path) -> None:
    grid([image()], ["one"], tmp_path / "deep" / "sheet.webp")
    assert verify(tmp_path / "deep" / "sheet.webp")["intact"] is None
