from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import pipelines.methods.lora.recipe
from adapters.errors import StudioError
from pipelines import extras
from pipelines.methods import METHODS, config_class
from pipelines.methods.common import MEMORY, PRESET_NAMES, resolve
from pipelines.methods.describe import page
from pipelines.methods.lora.config import Config
from pipelines.precision import pick_precision
from pipelines.run_config import FILE, RunConfig
from pipelines.training import train_run
from tests.pipelines.tools import Watch, image

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preset", PRESET_NAMES)
@pytest.mark.parametrize("family", ["sd1", "starter"])
def test_every_preset_of_every_method_is_valid(method: str, preset: str, family: str) -> None:
    assert resolve(method, family, preset).method == method


def test_a_family_overlays_the_preset_and_overrides_overlay_both() -> None:
    general, starter = resolve("lora", "sd1", "fast"), resolve("lora", "starter", "fast")
    assert (general.layers, starter.layers) == ("attention", "all")
    assert starter.rank == general.rank
    assert resolve("lora", "starter", "fast", layers="attention", rank=None).layers == "attention"
    assert resolve("lora", "starter", "fast", rank=None).rank == starter.rank


@pytest.mark.parametrize("preset", ["", "slow", "starter", "FAST"])
def test_an_unknown_preset_is_refused(preset: str) -> None:
    with pytest.raises(StudioError, match="choose one of: fast, balanced, best"):
        resolve("lora", "sd1", preset)


@pytest.mark.parametrize("method", ["", "dreambooth", "../lora"])
def test_an_unknown_method_is_refused(method: str) -> None:
    with pytest.raises(StudioError, match="There is no method"):
        resolve(method, "sd1")


@pytest.mark.parametrize(("key", "value"), [
    ("steps", 0), ("steps", -1), ("steps", "many"), ("rank", 0), ("rank", 10_000), ("alpha", 0),
    ("learning_rate", float("nan")), ("learning_rate", 0), ("batch", 0), ("seed", -1), ("zoom", 0.1),
    ("precision", "fp8"), ("schedule", "none"), ("nonsense", 1), ("min_snr_gamma", 0), ("ema", 1), ("ema", 0),
    ("optimizer", "sgd"), ("quantize", "2bit"), ("cycles", 0),
])
def test_a_setting_out_of_range_is_named(key: str, value: Any) -> None:
    with pytest.raises(StudioError, match=f"'{key}' cannot be"):
        resolve("lora", "sd1", **{key: value})


# memory


FITS = [(method, family, memory) for method in METHODS for family in ("sd1", "sd2", "sdxl") for memory in MEMORY
        if family != "sdxl" or memory == "24" or method in ("lora", "textual-inversion")]


@pytest.mark.parametrize(("method", "family", "memory"), FITS)
@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_less_memory_never_means_fewer_pictures_a_step(method: str, preset: str, memory: str, family: str) -> None:
    plain, fitted = resolve(method, family, preset), resolve(method, family, preset, memory)
    assert fitted.batch <= plain.batch
    assert fitted.batch * fitted.accumulate >= plain.batch * plain.accumulate
    assert fitted.steps == plain.steps


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preset", PRESET_NAMES)
@pytest.mark.parametrize("memory", MEMORY)
def test_the_starter_is_as_it_is_whatever_the_memory(method: str, preset: str, memory: str) -> None:
    fitted = resolve(method, "starter", preset, memory)
    assert fitted == resolve(method, "starter", preset) and fitted.accumulate == 1


def test_sdxl_in_8_gb_takes_everything_that_saves() -> None:
    found = resolve("lora", "sdxl", "best", "8")
    assert (found.batch, found.accumulate, found.gradient_checkpointing) == (1, 4, True)
    assert (found.optimizer, found.quantize) == ("adamw8bit", "4bit")
    assert resolve("lora", "sd1", "best", "8").quantize == "none"


def test_a_table_in_the_table_is_for_its_preset_alone() -> None:
    assert [resolve("break-a-scene", "sd1", p, "24").optimizer for p in PRESET_NAMES] == ["adamw", "adamw", "adamw8bit"]
    best = resolve("break-a-scene", "sd1", "best", "8")
    assert (best.model_dump()["tuning"], best.learning_rate) == ("lora", 1e-4)


def test_overrides_lie_over_the_memorys_table() -> None:
    found = resolve("lora", "sdxl", "best", "8", batch=2, quantize="none")
    assert (found.batch, found.quantize, found.optimizer) == (2, "none", "adamw8bit")


@pytest.mark.parametrize("memory", ["6", "16", "much", "fast"])
def test_other_amounts_of_memory_are_refused(memory: str) -> None:
    with pytest.raises(StudioError, match=f"no settings for {memory} GB.* choose one of: 8, 12, 24"):
        resolve("lora", "sd1", memory=memory)


@pytest.mark.parametrize("method", ["perfusion", "break-a-scene"])
@pytest.mark.parametrize("memory", ["8", "12"])
def test_what_does_not_fit_is_said(method: str, memory: str) -> None:
    with pytest.raises(StudioError, match=f"'{method}' on Stable Diffusion XL does not fit {memory} GB.* of 24 GB"):
        resolve(method, "sdxl", memory=memory)


# prodigy


def test_prodigys_rates_are_factors_of_1_where_none_are_given() -> None:
    found = resolve("perfusion", "starter", optimizer="prodigy").model_dump()
    assert (found["learning_rate"], found["word_rate"]) == (1.0, 1.0)
    found = resolve("perfusion", "starter", optimizer="prodigy", learning_rate=0.5).model_dump()
    assert (found["learning_rate"], found["word_rate"]) == (0.5, 0.5)
    found = resolve("perfusion", "starter", optimizer="prodigy", word_rate="0.5").model_dump()
    assert (found["learning_rate"], found["word_rate"]) == (1.0, 0.5)
    assert resolve("lora", "starter", optimizer="adamw").learning_rate == resolve("lora", "starter").learning_rate


def test_prodigy_and_a_pull_that_goes_by_the_learning_rate_are_refused() -> None:
    with pytest.raises(StudioError, match=r"'norm_prior' cannot be True.* which Prodigy finds itself"):
        resolve("textual-inversion", "starter", optimizer="prodigy", norm_prior=True)


def test_unlike_rates_with_prodigy_are_refused_before_the_pictures_are_prepared(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines.methods.lora.recipe, "plain_samples", lambda *_, **__: pytest.fail("prepared"))
    pytest.importorskip("prodigyopt")
    (tmp_path / "references").mkdir()
    image(side=128).save(tmp_path / "references" / "0.png")
    training = resolve("lora", "starter", optimizer="prodigy", word=True, word_rate=0.5, preview_every=0)
    RunConfig(name="mycat", class_noun="cat", base="starter", training=training).save(tmp_path)
    with pytest.raises(StudioError, match=r"one learning rate.* found 0.5, 1;"):
        train_run(tmp_path, report=lambda event: None, control=Watch())


# runs


def run_config() -> RunConfig:
    return RunConfig(name="mycat", class_noun="cat", base="starter", trigger="zok",
                     training=resolve("lora", "starter", rank=3))


def test_a_run_comes_back_equal_with_the_settings_of_its_method(tmp_path: Path) -> None:
    run_config().save(tmp_path)
    again = RunConfig.load(tmp_path)
    assert again == run_config()
    assert type(again.training) is config_class("lora") is Config and again.training.rank == 3


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"\xff\xfe",
                                  b'{"training": {"method": "none"}}'])
def test_a_damaged_run_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(StudioError):
        RunConfig.load(tmp_path)


def test_a_run_without_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="no readable settings"):
        RunConfig.load(tmp_path)


def test_precision_as_accelerate_calls_it() -> None:
    assert pick_precision("fp32") == "no"
    assert pick_precision("bf16") == "bf16"
    assert pick_precision("auto") in ("no", "bf16", "fp16")


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="has a GPU")
def test_fp16_without_a_graphics_processor_is_refused() -> None:
    with pytest.raises(StudioError, match="which fp16 needs"):
        pick_precision("fp16")


def test_a_run_from_before_there_were_logs_has_none(tmp_path: Path) -> None:
    old = run_config().model_dump(mode="json")
    del old["tensorboard"]
    (tmp_path / FILE).write_text(json.dumps(old))
    assert RunConfig.load(tmp_path) == run_config() and not run_config().tensorboard


@pytest.mark.parametrize(("changes", "package"), [
    ({"training": resolve("lora", "starter", optimizer="prodigy")}, "prodigyopt"),
    ({"training": resolve("lora", "starter", optimizer="adamw8bit")}, "bitsandbytes"),
    ({"tensorboard": True}, "tensorboard"),
])
def test_a_run_whose_package_is_not_installed_is_refused_before_it_begins(
        tmp_path: Path, changes: dict[str, Any], package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    run_config().model_copy(update=changes).save(tmp_path)
    events: list[Any] = []
    with pytest.raises(StudioError, match=f"needs the package '{package}'.*pip install {package}$"):
        train_run(tmp_path, report=events.append, control=Watch())
    assert not events
    run_config().check_packages()  # asks for nothing


def test_the_page_of_methods_is_up_to_date() -> None:
    assert (REPOSITORY / "docs" / "METHODS.md").read_text("utf-8") == page()
