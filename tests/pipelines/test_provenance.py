"""What pictures and adapters say of where they came from, and what they leave out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.record import AdapterRecord, read_record
from adapters.studio_file import save
from app.concepts.belongings import Found
from pipelines.base_models import listed
from pipelines.base_models.locate import lasting, named
from pipelines.exchange.writing import export
from pipelines.generator import Generator
from pipelines.image_file import UsedAdapter, save_png
from pipelines.lab.compare import Comparison
from pipelines.methods.common import resolve
from pipelines.painter import Painter
from pipelines.request import Request
from pipelines.run_config import RunConfig
from pipelines.shipped import SAMPLES
from pipelines.training import _config_told
from tests.pipelines.tools import image


def test_a_picture_names_its_base_with_its_hash_and_not_where_it_lies(host: Host, tmp_path: Path) -> None:
    base, painter = tmp_path / "a-clients-folder" / "mybase", Painter("cpu")
    base.mkdir(parents=True)
    painter._base = (str(base), Generator(host))
    painter.paint_files(str(base), [], Request(prompt="a cat", steps=1), [tmp_path / "x.png"])
    assert b"a-clients-folder" not in (tmp_path / "x.png").read_bytes()
    with Image.open(tmp_path / "x.png") as picture:
        told = json.loads(picture.info["semblance"])
    assert (told["base"], told["base_hash"]) == ("mybase", host.identity.hash)


@pytest.mark.parametrize(("base", "told"), [("/home/anna/clients/mybase", "mybase"), ("starter", "starter"),
                                            ("owner/name", "owner/name"), ("~/anna/x", "x"),
                                            ("clients/anna/sd15", "sd15"), ("/anna/x/", "x"),
                                            (r"C:\anna\sd15", "sd15")])
def test_an_exported_adapter_does_not_say_where_its_base_lies(host: Host, record: AdapterRecord, tmp_path: Path,
                                                              base: str, told: str) -> None:
    adapter = LoraAdapter.for_training(host, rank=2, alpha=2, targets=("to_q",))
    adapter.inject(host, "adapter_0")
    record = record.model_copy(update={"provenance": {
        "base": base, "images_sha256": ["ab"], "config": {"steps": 4, "mask_model": base}}})
    save(tmp_path / "a.safetensors", adapter, record)
    export(tmp_path / "a.safetensors", "studio", tmp_path / "out.safetensors")
    assert b"anna" not in (tmp_path / "out.safetensors").read_bytes()
    assert read_record(tmp_path / "out.safetensors").provenance == {
        "base": told, "images_sha256": ["ab"], "config": {"steps": 4, "mask_model": told}}


def test_a_base_of_this_folder_is_called_by_its_last_part_and_found_from_every_other(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "anna").mkdir()
    save_file({"x": torch.zeros(1)}, tmp_path / "anna" / "sd15.safetensors")
    monkeypatch.chdir(tmp_path)
    assert (named("anna/sd15.safetensors"), named("anna")) == ("sd15.safetensors", "anna")
    assert lasting("anna/sd15.safetensors") == str(tmp_path / "anna" / "sd15.safetensors")
    assert (lasting("starter"), lasting("owner/name")) == ("starter", "owner/name")
    (tmp_path / "bases.json").write_text('[{"spec": "anna/sd15.safetensors"}]')
    monkeypatch.setenv(listed.VARIABLE, str(tmp_path / "bases.json"))
    assert lasting("anna/sd15.safetensors") == "anna/sd15.safetensors"


def test_a_record_does_not_say_where_a_model_for_masks_lies(tmp_path: Path) -> None:
    training = resolve("lora", "starter", mask_model=str(tmp_path / "anna" / "sam"))
    config = RunConfig(name="mycat", class_noun="cat", base="starter", training=training)
    assert _config_told(config)["mask_model"] == "sam"


def test_pictures_of_an_adapter_are_found_by_its_hash_its_name_and_its_checkpoints(tmp_path: Path) -> None:
    settings = {"prompt": "", "negative_prompt": "", "steps": 1, "sampler": "DDIM", "guidance": 1.0, "seed": 0,
                "width": 8, "height": 8, "base": "starter"}
    for file, name, noted in (("renamed", "berta", "a" * 12), ("retrained", "anna", "b" * 12),
                              ("checkpoint", "anna-step00000500", "c" * 12), ("other", "hannah", "d" * 12)):
        save_png(image(), tmp_path / f"{file}.png", settings, [UsedAdapter(name, 1.0, {}, noted)])
    anna = Found(names={"anna"}, hashes={"a" * 12})
    found = {f.stem for f in tmp_path.glob("*.png") if anna.shown_in(f)}
    assert found == {"renamed", "retrained", "checkpoint"}


@pytest.mark.parametrize(("consent", "kind"), [("c1", "person"), ("", "")])
def test_what_a_comparison_teaches_of_a_person_says_so(tmp_path: Path, consent: str, kind: str) -> None:
    compared = Comparison(tmp_path, "starter", "bear", SAMPLES / "koala", ("lora",), consent=consent)
    compared._prepare("lora", tmp_path / "run")
    config = RunConfig.load(tmp_path / "run")
    assert (config.consent, [c.kind for c in config.concepts]) == (consent, [kind])
