"""What was written is told from what was changed since."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file

from adapters.errors import StudioError
from adapters.files import copy_with_metadata, read_header
from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.record import AdapterRecord, Concept
from adapters.studio_file import load, save
from app.library.verifying import verify
from app.verbs.cli import main
from pipelines.exchange import export


@pytest.fixture
def adapter(tmp_path: Path, host: Host, record: AdapterRecord) -> Path:
    made = LoraAdapter.for_training(host, rank=2, alpha=2, targets=("to_q",))
    made.inject(host, "adapter_0")
    save(tmp_path / "a.safetensors", made, record)
    return tmp_path / "a.safetensors"


def test_a_picture_is_intact_as_saved_and_says_what_made_it(picture: Path) -> None:
    found = verify(picture)
    assert found["intact"] is True and "is intact" in found["says"]
    assert found["made"]["request"]["seed"] == 7 and found["made"]["adapters"][0][0] == "mycat"


def test_one_changed_pixel_is_seen_with_the_text_kept(picture: Path) -> None:
    with Image.open(picture) as image:
        text, pixels = dict(image.info), np.array(image)
    pixels[3, 5, 1] ^= 1
    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        chunks.add_itxt(key, str(value))
    Image.fromarray(pixels).save(picture, pnginfo=chunks)
    found = verify(picture)
    assert found["intact"] is False and "was changed" in found["says"]


def test_a_picture_saved_anew_without_loss_is_intact_and_a_stripped_one_says_nothing(picture: Path,
                                                                                     tmp_path: Path) -> None:
    with Image.open(picture) as image:
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("semblance", image.info["semblance"])
        image.save(tmp_path / "again.png", pnginfo=chunks, compress_level=1)
        image.save(tmp_path / "bare.png")
    assert verify(tmp_path / "again.png")["intact"] is True
    bare = verify(tmp_path / "bare.png")
    assert bare["intact"] is None and bare["made"] is None and "nothing can be checked" in bare["says"]


def test_every_byte_of_an_adapters_tensors_counts_and_its_name_does_not(adapter: Path) -> None:
    assert verify(adapter)["intact"] is True
    whole = adapter.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    for at in np.linspace(start, len(whole) - 1, 12).astype(int):
        adapter.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        try:
            assert verify(adapter)["intact"] is False
        except StudioError as error:
            assert "not numbers" in str(error)  # the flip made an infinity
    adapter.write_bytes(whole)
    metadata = dict(read_header(adapter).metadata)
    told = json.loads(metadata["semblance"])
    metadata["semblance"] = json.dumps({**told, "name": "other"})
    copy_with_metadata(adapter, adapter.with_name("b.safetensors"), metadata)
    found = verify(adapter.with_name("b.safetensors"))
    assert found["intact"] is True and found["name"] == "other"


@pytest.mark.parametrize("format", ["diffusers", "kohya"])
def test_an_exported_adapter_is_checked_too_and_says_its_base_and_whom_it_shows(
        adapter: Path, record: AdapterRecord, tmp_path: Path, format: str) -> None:
    made, _ = load(adapter)
    save(adapter, made, record.model_copy(update={"concepts": (Concept(name="ada", trigger="zok", kind="person"),)}))
    out = tmp_path / "out.safetensors"
    export(adapter, format, out)
    found = verify(out)
    assert (found["intact"], found["name"], found["trigger"], found["person"]) == (True, "mycat", "zok", True)
    assert (found["base"], found["base_hash"]) == (record.base.family, record.base.hash)
    whole = out.read_bytes()
    out.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert verify(out)["intact"] is False
    save_file({"a.lora_A.weight": torch.ones(2, 2)}, out)
    with pytest.raises(StudioError, match="was not made by this studio"):
        verify(out)


def test_the_verb_says_it_and_refuses_what_is_none(picture: Path, tmp_path: Path,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(picture), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["intact"] is True
    (tmp_path / "no.png").write_bytes(b"nothing")
    assert main(["verify", str(tmp_path / "no.png")]) != 0
    assert main(["verify", str(tmp_path / "none.png")]) != 0
