"""DreamBench over two subjects with a painter that paints nothing, and an encoder that sees colour."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from adapters.errors import StudioError
from adapters.record import AdapterRecord
from adapters.studio_file import save
from adapters.tokens import TokensAdapter
from pipelines.base_models.load import load_base
from pipelines.generator import Painted, Request
from pipelines.image_file import UsedAdapter
from pipelines.lab.compare import Comparison
from pipelines.lab.dreambench import LIVE, SUBJECTS, DreamBench, prompts_of, subjects_in


class Grey:
    """A picture's brightness, as an angle; a text says nothing."""

    name = "grey"

    def images(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        level = torch.tensor([float(p.convert("L").resize((1, 1)).getpixel((0, 0))) for p in pictures]) / 255
        return torch.stack([level.cos(), level.sin()], -1)


class Painter:
    """Counts what it is asked for; every picture is black."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def paint(self, base: str, use: Any, request: Request, **_: Any) -> Painted:
        self.asked.append(request.prompt)
        return Painted([Image.new("RGB", (64, 64))], [request.seed], {}, ["none"])

    def told(self, base: str, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return [{"prompt": self.asked[-1], "negative_prompt": "", "steps": 1, "sampler": "DDIM", "guidance": 1.0,
                 "seed": 0, "width": 64, "height": 64, "base": base}]

    def made_with(self, use: Any) -> list[UsedAdapter]:
        return []


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, level in (("clock", 0), ("dog", 255)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for n in range(2):
            Image.new("RGB", (64, 64), (level,) * 3).save(tmp_path / "data" / name / f"{n}.png")
    return tmp_path / "data"


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The references of every training; each is answered with the same adapter file."""
    host = load_base("starter")
    adapter = TokensAdapter.for_training(host, {"<a>": "cat"})
    record = AdapterRecord(kind=adapter.kind, method="textual-inversion", name="a", base=host.identity,
                           trigger="<a>", spec=adapter.spec)
    save(tmp_path / "a.safetensors", adapter, record)
    asked: list[Path] = []

    def train(self: Comparison, method: str) -> dict[str, Any]:
        asked.append(self.references)
        return {"adapter": str(tmp_path / "a.safetensors"), "seconds": 2.0, "peak_bytes": 3}

    monkeypatch.setattr(Comparison, "_train", train)
    return asked


def test_it_is_the_published_benchmark() -> None:
    assert len(SUBJECTS) == 30
    assert sum(noun in LIVE for noun in SUBJECTS.values()) == 9
    assert {len(prompts_of(noun)) for noun in SUBJECTS.values()} == {25}
    assert prompts_of("dog") != prompts_of("clock")
    assert DreamBench(Path(), Path(), "b", "lora").seeds == 4


def test_every_subject_is_trained_painted_and_averaged(data: Path, tmp_path: Path, trained: list[Path]) -> None:
    painter = Painter()
    bench = DreamBench(data, tmp_path / "out", "starter", "textual-inversion", seeds=2, prompts=3,
                       painter=painter)  # type: ignore[arg-type]
    found = bench.run([Grey()], say=lambda text: None)
    assert trained == [data / "clock", data / "dog"]
    assert sum("<a>" in prompt for prompt in painter.asked) == 2 * 3 * 2
    assert (found["subjects"], found["of"]) == (2, 30)
    # The pictures are black as the clock's references are; the dog's are white.
    rows = {r["subject"]: r["identity"] for r in found["rows"]}
    assert rows["clock"] == pytest.approx(1) and rows["dog"] == pytest.approx(float(torch.tensor(1.0).cos()), abs=1e-4)
    assert found["encoders"]["grey"]["identity"]["mean"] == pytest.approx(sum(rows.values()) / 2, abs=1e-4)
    assert "prompt" not in found["encoders"]["grey"]  # this encoder reads no words
    assert json.loads((tmp_path / "out" / "dreambench.json").read_text()) == found


def test_what_was_painted_is_not_painted_again(data: Path, tmp_path: Path, trained: list[Path]) -> None:
    painter = Painter()
    bench = DreamBench(data, tmp_path / "out", "starter", "textual-inversion", subjects=["clock"], seeds=1, prompts=2,
                       painter=painter)  # type: ignore[arg-type]
    first = bench.run([Grey()], say=lambda text: None)
    count = len(painter.asked)
    assert count and bench.run([Grey()], say=lambda text: None) == first
    assert len(painter.asked) == count


def test_a_subject_that_is_not_there_is_one_sentence(data: Path, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"should have a folder 'vase'.*has clock, dog"):
        subjects_in(data, ["vase"])
    with pytest.raises(StudioError, match="has none of them"):
        subjects_in(tmp_path)
    assert subjects_in(data, ["dog"]) == {"dog": "dog"}


@pytest.mark.parametrize(("changed", "fits"), [({}, True), ({"steps": 7}, False), ({"preset": "fast"}, False)])
def test_what_was_trained_with_other_settings_is_not_taken_for_these(
        data: Path, tmp_path: Path, trained: list[Path], changed: dict[str, Any], fits: bool) -> None:
    def bench(**settings: Any) -> None:
        DreamBench(data, tmp_path / "out", "starter", "textual-inversion", subjects=["clock"], seeds=1, prompts=1,
                   painter=Painter(), **settings).run([Grey()], say=lambda text: None)  # type: ignore[arg-type]

    bench()
    with contextlib.nullcontext() if fits else pytest.raises(StudioError, match="other settings; choose another"):
        bench(**changed)
    Image.new("RGB", (64, 64), (9, 9, 9)).save(data / "clock" / "0.png")
    with pytest.raises(StudioError, match="other pictures"):
        bench()
