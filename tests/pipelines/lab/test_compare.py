"""What the pictures of a comparison, and the sheet of them, say of where they came from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from adapters.host import Host
from adapters.record import AdapterRecord
from adapters.studio_file import save
from app.library.verifying import verify
from app.verbs.lab_verbs import _pictures
from pipelines.contact_sheet import grid
from pipelines.generator import Generator
from pipelines.image_file import read_settings, tensors_hash
from pipelines.lab.compare import Comparison
from pipelines.lab.evaluate import Plan
from pipelines.painter import Painter
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


def test_a_sheet_of_pictures_that_say_nothing_is_a_plain_one(tmp_path: Path) -> None:
    grid([image()], ["one"], tmp_path / "deep" / "sheet.webp")
    assert verify(tmp_path / "deep" / "sheet.webp")["intact"] is None
