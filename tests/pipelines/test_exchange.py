from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from adapters.card import model_card
from adapters.errors import StudioError
from adapters.files import copy_with_metadata, read_header
from adapters.lora import LoraAdapter, LoraModule, LoraWeights
from adapters.record import AdapterRecord, Concept, read_record
from adapters.studio_file import load, save
from adapters.tensors import read_tensors, write_tensors
from pipelines.base_models.locate import STARTER_PATH
from pipelines.base_models.skeleton import skeleton
from pipelines.exchange import export, import_file
from pipelines.exchange.lora import compare
from tests.adapters.lora.tools import same

QUERY = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
CONV = "unet.down_blocks.0.resnets.0.conv1"
TEXT = "text_encoder.encoder.layers.0.self_attn.q_proj"
FORMATS = ("diffusers", "kohya")
LAYERS = {QUERY: (4, 2.0), CONV: (2, 3.0), TEXT: (3, 3.0)}


def weights(*, rslora: bool = False, dora: bool = False, scale: float = 1.0) -> LoraWeights:
    """Random weights with the shapes of Stable Diffusion 1.x."""
    layers, chance, modules = skeleton("sd1").layers(), torch.Generator().manual_seed(0), {}
    for name, (rank, alpha) in LAYERS.items():
        shape = layers[name].weight.shape
        down = scale * torch.randn(rank, *shape[1:], generator=chance)
        up = torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=chance)
        magnitude = torch.rand(shape[0], generator=chance) if dora else None
        modules[name] = LoraModule(down, up, alpha, rslora, magnitude)
    return LoraWeights(modules)


@pytest.fixture
def sd1(record: AdapterRecord) -> AdapterRecord:
    return record.model_copy(update={"base": record.base.model_copy(update={"family": "sd1"})})


@pytest.fixture
def studio_file(sd1: AdapterRecord, tmp_path: Path) -> Path:
    path = tmp_path / "mycat.safetensors"
    save(path, LoraAdapter.from_weights(weights()), sd1)
    return path


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_an_exported_adapter_imports_with_equal_updates(sd1: AdapterRecord, tmp_path: Path, format: str,
                                                        rslora: bool, dora: bool, scale: float) -> None:
    original = weights(rslora=rslora, dora=dora, scale=scale)
    save(tmp_path / "a.safetensors", LoraAdapter.from_weights(original), sd1)
    report = export(tmp_path / "a.safetensors", format, tmp_path / "out.safetensors")
    assert (report.format, report.layers, report.matched) == (format, 3, 3)
    assert report.max_difference < 1e-6
    adapter, record = import_file(tmp_path / "out.safetensors", "again")
    assert isinstance(adapter, LoraAdapter)
    read = adapter.weights()
    assert read.modules.keys() == original.modules.keys()
    for name, module in original.modules.items():
        again = read.modules[name]
        assert torch.equal(again.down, module.down) and torch.equal(again.up, module.up)
        assert again.scale == pytest.approx(module.scale, rel=1e-6)
        assert (again.magnitude is None) == (not dora)
        assert not dora or torch.equal(again.magnitude, module.magnitude)
    assert (record.name, record.method, record.base.family) == ("again", "imported", "sd1")


@pytest.mark.parametrize("change", [{"alpha": 2.0001}, {"rslora": True}, {"magnitude": torch.ones(320)}])
def test_an_export_that_reads_back_otherwise_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    written = weights()
    other = LoraWeights({**written.modules, QUERY: replace(written.modules[QUERY], **change)})
    fewer = LoraWeights({n: m for n, m in written.modules.items() if n != CONV})
    assert compare(written, written, tmp_path).max_difference == 0
    for read in (other, fewer):
        with pytest.raises(StudioError, match="did not read back as it was written"):
            compare(written, read, tmp_path)


def test_kohya_import_keeps_the_trigger_phrase(studio_file: Path, tmp_path: Path) -> None:
    export(studio_file, "kohya", tmp_path / "k.safetensors")
    assert import_file(tmp_path / "k.safetensors", "again")[1].trigger == "zok cat"


def test_an_exported_file_has_no_studio_record(studio_file: Path, tmp_path: Path) -> None:
    for format in FORMATS:
        export(studio_file, format, tmp_path / "out.safetensors")
        assert "semblance" not in read_header(tmp_path / "out.safetensors").metadata


PERSON = Concept(name="ada", noun="woman", trigger="zok", kind="person")
MUG = Concept(name="mug", noun="cup", trigger="zig", kind="object")


@pytest.mark.parametrize("format", [*FORMATS, "studio"])
@pytest.mark.parametrize(("concepts", "kind"), [((PERSON,), "person"), ((MUG, PERSON), "person"), ((MUG,), "object"),
                                                ((), "")])
def test_an_exported_file_says_its_base_and_what_it_shows_and_comes_back_with_them(
        sd1: AdapterRecord, tmp_path: Path, format: str, concepts: tuple[Concept, ...], kind: str) -> None:
    told = {"consent": "0123456789ab"} if kind == "person" else {}
    base = sd1.base.model_copy(update={"hash": "0123456789abcdef"})
    save(tmp_path / "a.safetensors", LoraAdapter.from_weights(weights()), sd1.model_copy(update={
        "concepts": concepts, "provenance": told, "base": base}))
    export(tmp_path / "a.safetensors", format, tmp_path / "out.safetensors")
    _, record = import_file(tmp_path / "out.safetensors", "again")
    assert (record.base.hash, record.concept_kind, record.shows_a_person) == (base.hash, kind, kind == "person")
    assert record.provenance.get("consent") == told.get("consent")
    assert record.phrase == (concepts[0].phrase if concepts else "zok cat")


@pytest.mark.parametrize(("key", "value"), [("base_hash", "../../x"), ("concept_kind", "king"), ("consent", "x" * 999)])
def test_labels_that_make_no_sense_are_left_out(studio_file: Path, tmp_path: Path, key: str, value: str) -> None:
    export(studio_file, "kohya", tmp_path / "out.safetensors")
    plain = import_file(tmp_path / "out.safetensors", "again")[1]
    metadata = dict(read_header(tmp_path / "out.safetensors").metadata)
    copy_with_metadata(tmp_path / "out.safetensors", tmp_path / "odd.safetensors",
                       metadata | {f"semblance_{key}": value})
    record = import_file(tmp_path / "odd.safetensors", "again")[1]
    assert (record.concepts, record.provenance) == (plain.concepts, {"file": "odd.safetensors"})
    assert record.base.hash in ("", plain.base.hash)


@pytest.mark.parametrize("format", [*FORMATS, "studio"])
def test_a_card_lies_beside_an_export_and_nothing_says_folders_or_captions(sd1: AdapterRecord, tmp_path: Path,
                                                                           format: str) -> None:
    library = tmp_path / "library-of-anna"
    record = sd1.model_copy(update={"provenance": {"base": "/home/anna/bases/b", "images_sha256": ["ab" * 32]}})
    library.mkdir()
    save(library / "mycat.safetensors", LoraAdapter.from_weights(weights()), record)
    figures = {"encoder": "CLIP x", "images": 32, "identity": 0.71}
    (library / "mycat.md").write_text(model_card(record, figures) + "\nOf a caption: anna at the lake\n")
    export(library / "mycat.safetensors", format, tmp_path / "out" / "cat.safetensors")
    card = (tmp_path / "out" / "cat.md").read_text("utf-8")
    assert all(said in card for said in ("# mycat", sd1.base.hash, f"`{'ab' * 8}`", "| identity | 0.71 |"))
    assert {p.suffix for p in (tmp_path / "out").iterdir()} == {".safetensors", ".json", ".md"}
    assert not [p for p in (tmp_path / "out").iterdir() if b"anna" in p.read_bytes()]


def test_a_card_is_no_place_to_export_to(studio_file: Path, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="ends like a sidecar, a card or a picture"):
        export(studio_file, "kohya", tmp_path / "README.md")


def test_a_studio_file_imports_with_its_own_record(studio_file: Path, sd1: AdapterRecord) -> None:
    adapter, record = import_file(studio_file, "other")
    assert record == sd1
    assert isinstance(adapter, LoraAdapter) and same(adapter.weights(), weights())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["lora.kohya.diffusers.bin", "no-ending", "picture.png"])
def test_a_foreign_file_is_recognised_whatever_its_name(studio_file: Path, tmp_path: Path, format: str,
                                                        name: str) -> None:
    export(studio_file, format, tmp_path / "out.safetensors")
    (tmp_path / "out.safetensors").rename(tmp_path / name)
    adapter, _ = import_file(tmp_path / name, "again")
    assert isinstance(adapter, LoraAdapter) and set(adapter.layers) == set(LAYERS)


def test_an_import_can_be_saved_and_loaded(studio_file: Path, tmp_path: Path) -> None:
    export(studio_file, "kohya", tmp_path / "k.safetensors")
    adapter, record = import_file(tmp_path / "k.safetensors", "again")
    save(tmp_path / "saved.safetensors", adapter, record)
    read, again = load(tmp_path / "saved.safetensors")
    assert again == record and read_record(tmp_path / "saved.safetensors") == record
    assert isinstance(read, LoraAdapter) and isinstance(adapter, LoraAdapter)
    assert same(read.weights(), adapter.weights())


@pytest.mark.parametrize("tensors", [
    {"model.diffusion_model.input_blocks.0.0.weight": torch.ones(2)},
    {"emb_params": torch.ones(1, 100)}, {},
])
def test_a_file_that_is_no_adapter_is_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(StudioError, match="is no LoRA or embedding that this studio knows"):
        import_file(tmp_path / "a.safetensors", "a")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"PK\3\4 a pickle in a zip")
    with pytest.raises(StudioError, match="not a whole safetensors file"):
        import_file(tmp_path / "a.safetensors", "a")


@pytest.mark.parametrize("keys", [
    ("lora_unet_input_blocks_1_1_proj_in.lora_down.weight",
     "lora_unet_input_blocks_1_1_proj_in.lora_up.weight"),
    ("unet.down_blocks.9.attn.to_q.lora_A.weight", "unet.down_blocks.9.attn.to_q.lora_B.weight"),
])
def test_a_lora_of_another_base_is_refused_by_the_layer(tmp_path: Path, keys: tuple[str, str]) -> None:
    save_file({keys[0]: torch.ones(2, 640), keys[1]: torch.ones(640, 2)}, tmp_path / "a.safetensors")
    with pytest.raises(StudioError, match=r"'a\.safetensors' was trained for another base"):
        import_file(tmp_path / "a.safetensors", "a")


@pytest.mark.skipif(not STARTER_PATH.exists(), reason="the starter is not built yet")
@pytest.mark.parametrize("format", FORMATS)
def test_a_lora_of_the_starter_is_recognised_as_such(tmp_path: Path, record: AdapterRecord,
                                                     format: str) -> None:
    name = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    size = skeleton("starter").layers()[name].weight.shape[0]
    module = LoraModule(torch.randn(2, size), torch.randn(size, 2), 1.0)
    save(tmp_path / "a.safetensors", LoraAdapter.from_weights(LoraWeights({name: module})), record)
    export(tmp_path / "a.safetensors", format, tmp_path / "b.safetensors")
    assert import_file(tmp_path / "b.safetensors", "b")[1].base.family == "starter"


def test_an_unknown_format_is_refused(studio_file: Path, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="no format 'ckpt'; choose one of: diffusers, kohya, a1111, studio"):
        export(studio_file, "ckpt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_values_that_are_not_numbers_are_refused(studio_file: Path, tmp_path: Path) -> None:
    export(studio_file, "kohya", tmp_path / "k.safetensors")
    header, tensors = read_tensors(tmp_path / "k.safetensors")
    key = next(k for k in tensors if "lora_up" in k)
    tensors[key][0, 0] = torch.nan
    write_tensors(tmp_path / "k.safetensors", tensors, header.metadata)
    with pytest.raises(StudioError, match="not numbers"):
        import_file(tmp_path / "k.safetensors", "a")


def tamper(change: str) -> Any:
    def apply(tensors: dict[str, torch.Tensor]) -> None:
        key = next(k for k in tensors if "lora_A" in k)
        tensors.pop(key) if change == "lose" else tensors.update({key: tensors[key][:, :7].clone()})
    return apply


@pytest.mark.parametrize("change", ["lose", "cut"])
def test_a_studio_file_that_does_not_fit_its_base_is_refused(studio_file: Path, change: str) -> None:
    header, tensors = read_tensors(studio_file)
    tamper(change)(tensors)
    write_tensors(studio_file, tensors, header.metadata)
    with pytest.raises(StudioError, match=r"'mycat\.safetensors'"):
        import_file(studio_file, "a")
