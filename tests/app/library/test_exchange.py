"""Export, import and list by the command line, and downloads by the browser's links."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from safetensors.torch import save_file

from adapters.bundle import BundleAdapter
from adapters.card import model_card
from adapters.lora import LoraAdapter, LoraModule, LoraWeights
from adapters.perfusion import PerfusionAdapter
from adapters.record import AdapterRecord, Concept
from adapters.studio_file import save
from adapters.tokens import TokensAdapter
from app.home import Home
from app.http.server import create_app
from app.studio import Studio
from app.verbs.cli import main
from pipelines.base_models.locate import STARTER_PATH
from pipelines.base_models.skeleton import skeleton

QUERY = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
WORDS = ("<mycat>", "<mydog>")


@pytest.fixture
def studio(tmp_path: Path, record: AdapterRecord) -> Studio:
    """A library of a word, a LoRA, both as a bundle of two words, and a Perfusion concept."""
    studio = Studio(Home.open(str(tmp_path / "home")))
    host = skeleton("starter")
    size, width = host.layers()[QUERY].weight.shape[0], host.text.embedding().embedding_dim
    lora = LoraAdapter.from_weights(LoraWeights({QUERY: LoraModule(torch.randn(2, size), torch.randn(size, 2), 1.0)}))
    shapes = {p: m.weight.shape for p, m in host.cross_attention().items()}
    perfusion = PerfusionAdapter(WORDS[0], "cat", (torch.randn(1, width),), torch.ones(width), torch.ones(width),
                                 {p: torch.randn(s[0]) for p, s in shapes.items()})
    adapters: dict[str, Any] = {
        "word": TokensAdapter({WORDS[0]: [torch.randn(2, width)]}), "lora": lora, "perfusion": perfusion,
        "both": BundleAdapter({"words": TokensAdapter({w: [torch.randn(1, width)] for w in WORDS}), "lora": lora}),
    }
    for name, adapter in adapters.items():
        learned = name != "lora"
        concepts = tuple(Concept(name=w.strip("<>"), noun="cat", trigger=w if learned else "zok", learned=learned)
                         for w in (WORDS if name == "both" else WORDS[:1]))
        save(studio.library.folder / f"{name}.safetensors", adapter, record.model_copy(update={
            "name": name, "kind": adapter.kind, "spec": adapter.spec, "concepts": concepts,
            "trigger": concepts[0].trigger, "provenance": {"base": "starter"}}))
    return studio


def answer(capsys: pytest.CaptureFixture[str], studio: Studio, *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json", "--home", str(studio.home.root)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_the_list_says_kinds_triggers_and_formats(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    found = {e["name"]: e for e in answer(capsys, studio, "list")["adapters"]}
    assert {n: e["kind"] for n, e in found.items()} == {"word": "tokens", "lora": "lora", "both": "bundle",
                                                        "perfusion": "perfusion"}
    assert found["both"]["triggers"] == {"mycat": "<mycat>", "mydog": "<mydog>"}
    assert found["lora"]["triggers"] == {"mycat": "zok"} and found["lora"]["trigger"] == "zok"
    assert [c["name"] for c in found["both"]["concepts"]] == ["mycat", "mydog"]
    assert found["perfusion"]["formats"] == ["studio"] and "a1111" in found["word"]["formats"]


def test_a_bundle_is_exported_with_its_words_named(studio: Studio, tmp_path: Path,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.safetensors"
    report = answer(capsys, studio, "export", "both", "--format", "kohya", "--out", str(out))
    assert (report["file"], report["matched"], report["layers"], report["unmatched"]) == (str(out), 3, 3, [])
    assert [Path(f["file"]).name for f in report["files"]] == ["out.safetensors", "out-words.safetensors",
                                                               "out-words-mydog.safetensors"]
    assert any("all files are needed" in n for n in report["notes"])


def test_an_exported_word_is_imported_again(studio: Studio, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "Again.safetensors"
    answer(capsys, studio, "export", "word", "--format", "a1111", "--out", str(out))
    found = answer(capsys, studio, "import", str(out))
    assert (found["name"], found["kind"], found["triggers"]) == ("Again", "tokens", {"Again": "<mycat>"})
    assert json.loads((studio.library.folder / "Again.json").read_text("utf-8"))["activation text"] == "<mycat>"


def test_an_sdxl_embedding_finds_a_place_in_the_library(studio: Studio, tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"clip_l": torch.ones(2, 768), "clip_g": torch.ones(2, 1280)}, tmp_path / "My Style.safetensors")
    found = answer(capsys, studio, "import", str(tmp_path / "My Style.safetensors"))
    assert (found["name"], found["family"], found["trigger"]) == ("My-Style", "sdxl", "<my-style>")


def test_perfusion_needs_the_word_approximate(studio: Studio, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", "perfusion", "--format", "kohya", "--out", str(tmp_path / "out.safetensors")]
    assert main([*arguments, "--home", str(studio.home.root)]) == 2
    assert "gate" in capsys.readouterr().err and not (tmp_path / "out.safetensors").exists()


@pytest.mark.skipif(not STARTER_PATH.exists(), reason="the starter is not built yet")
def test_an_approximation_takes_the_base_that_the_adapter_names(studio: Studio, tmp_path: Path,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    card = studio.library.folder / "perfusion.md"
    card.write_text(model_card(studio.library.get("perfusion").record, {"identity": 0.71}))
    report = answer(capsys, studio, "export", "perfusion", "--format", "kohya", "--out",
                    str(tmp_path / "out.safetensors"), "--approximate", "--offline")
    assert report["approximation"]["layer_outputs"] > 0 and len(report["files"]) == 2
    assert any("off by" in n for n in report["notes"])
    said = (tmp_path / "out.md").read_text("utf-8")  # what was measured was not measured on this
    assert "off by" in said and "out-words.safetensors" in said and "0.71" not in said


@pytest.fixture
def client(studio: Studio) -> TestClient:
    return TestClient(create_app(studio, ["127.0.0.1"]), base_url="http://127.0.0.1")


def test_every_format_that_the_library_offers_gives_a_file(studio: Studio, client: TestClient) -> None:
    for entry in studio.library.entries():
        offered = [e for e in client.get(f"/studio/library/{entry.name}").json()["exports"] if not e["approximate"]]
        for format in (e["format"] for e in offered):
            got = client.get(f"/studio/library/{entry.name}/export/{format}")
            several = entry.name == "both" and format != "studio"
            assert got.status_code == 200
            assert f"{entry.name}.{'zip' if several else 'safetensors'}" in got.headers["content-disposition"]
            if several:
                names = set(zipfile.ZipFile(io.BytesIO(got.content)).namelist())
                assert {"both.safetensors", "both-words.safetensors", "both.json", "both.md"} <= names
    near = [e["format"] for e in client.get("/studio/library/perfusion").json()["exports"] if e["approximate"]]
    assert near == ["diffusers", "kohya"]
    assert list(studio.home.temporary.iterdir()) == []


def test_a_format_that_does_not_fit_is_a_sentence_and_leaves_nothing(studio: Studio, client: TestClient) -> None:
    got = client.get("/studio/library/perfusion/export/kohya")
    assert got.status_code == 400 and "Perfusion" in got.json()["error"]
    assert list(studio.home.temporary.iterdir()) == []
