from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from adapters.perfusion import PerfusionAdapter
from adapters.record import AdapterRecord
from adapters.studio_file import load, save
from adapters.tensors import read_tensors
from pipelines.corpus import captions, second_moment
from pipelines.dataset import CAPTIONS
from pipelines.methods import plain
from pipelines.methods.perfusion.config import Config
from pipelines.methods.perfusion.recipe import build, superclass_encoding
from tests.adapters.tools import anatomy, answer, same, twin
from tests.pipelines.tools import (
    LEFT,
    begin,
    class_images,
    equal,
    image,
    lesson,
    run,
    states_with_and_without_checkpointing,
    unbroken_and_resumed,
)


def settings(**changes: Any) -> Config:
    return Config(**{"steps": 4, "batch": 2, "learning_rate": 0.03, "ridge": 1e-3, "captions": 100, "masks": "given",
                     "schedule": "constant", "buckets": False, **changes})


def part(state: dict[str, torch.Tensor], ends: str) -> dict[str, torch.Tensor]:
    return {k: t for k, t in state.items() if k.startswith("target.") and k.endswith(ends)}


# what a step changes


def test_one_step_changes_the_word_and_every_value_target_alone(host: Host) -> None:
    tree = anatomy(host)
    made = begin(host, settings(steps=1), lesson("mycat"))
    start = made.recipe.adapter.state()
    run(made)
    end = made.recipe.adapter.state()
    changed = {k for k in start if not torch.equal(start[k], end[k])}
    assert changed == {"token.0", "i", "v"} | part(start, "to_v").keys()
    assert equal(part(start, "to_k"), part(end, "to_k"))
    made.recipe.adapter.eject()
    assert anatomy(host) == tree


def test_every_value_target_and_the_word_have_a_gradient_that_is_not_0(host: Host) -> None:
    made = begin(host, settings(), lesson("mycat"))
    made._enter(made.recipe.phases[0])
    sum(made.losses(made.samples.sample(made.generator, 2)).values()).backward()
    trained = made.groups["tokens"] + made.groups["values"]
    assert len(trained) == 5 and all(p.grad is not None and p.grad.any() for p in trained)
    assert all(p.grad is None for p in made.groups["keys"])


def test_the_word_and_the_values_have_their_own_rates_and_no_decay(host: Host) -> None:
    made = begin(host, settings(steps=1), lesson("mycat"))
    run(made)
    assert [(g["lr"], g["weight_decay"]) for g in made.optimizer.param_groups] == [(0.006, 0.0), (0.03, 0.0)]


def test_without_key_locking_the_keys_learn_too(host: Host) -> None:
    made = begin(host, settings(steps=1, key_locking=False), lesson("mycat"))
    start = part(made.recipe.adapter.state(), "to_k")
    run(made)
    end = part(made.recipe.adapter.state(), "to_k")
    assert len(start) == 4 and not any(torch.equal(start[k], end[k]) for k in start)


# i*


@pytest.mark.parametrize("accumulate", [1, 3])
def test_i_moves_once_an_optimizer_step_by_all_that_the_step_saw(host: Host, accumulate: int) -> None:
    config, seen = settings(steps=2, accumulate=accumulate), list[torch.Tensor]()
    recipe = build(host, config, lesson("mycat"))

    def encoded(text: Any, tokens: Any) -> None:
        where = host.text.positions(tokens, "<mycat>")
        assert (where.sum(1) == 1).all()
        seen.append(text.states.detach()[where].mean(0))
        recipe.encoded(text, tokens)

    made = begin(host, config, lesson("mycat"), recipe=replace(recipe, encoded=encoded))
    i = made.recipe.adapter.state()["i"]
    run(made)
    assert len(seen) == 2 * accumulate
    for step in range(2):
        i = 0.99 * i + 0.01 * torch.stack(seen[step * accumulate:(step + 1) * accumulate]).mean(0)
    torch.testing.assert_close(made.recipe.adapter.state()["i"], i, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("options", [{}, {"accumulate": 2, "schedule": "cosine", "prior_weight": 1.0, "flip": True}])
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_resumed_run_ends_bit_for_bit_as_an_unbroken_one(host: Host, stop: int, options: dict[str, Any]) -> None:
    taught = lesson("mycat", masks=[LEFT])
    whole, again = unbroken_and_resumed(host, settings(**options), taught, stop)
    assert equal(again.recipe.adapter.state(), whole.recipe.adapter.state())


def test_gradient_checkpointing_gives_the_same_concept(host: Host) -> None:
    assert equal(*states_with_and_without_checkpointing(host, lambda at: begin(at, settings(), lesson("mycat"))))


# where it starts


def test_the_superclass_is_the_mean_over_captions_at_the_nouns_last_token(host: Host) -> None:
    found = superclass_encoding(host, "zok cat")
    expected = []
    for caption in CAPTIONS:
        prompt = caption.format("a zok cat")
        ids = host.tokenizer(prompt).input_ids
        states = host.text.encode_prompts([prompt]).states[0]
        expected.append(states[ids.index(host.tokenizer("cat").input_ids[1])])
    torch.testing.assert_close(found, torch.stack(expected).mean(0), rtol=1e-5, atol=1e-6)


def test_c_is_kept_by_text_encoder_and_count(host: Host, tmp_path: Path) -> None:
    first = second_moment(host, 100, tmp_path)
    file, = tmp_path.iterdir()
    assert torch.equal(second_moment(host, 100, tmp_path), first) and len(list(tmp_path.iterdir())) == 1
    written = file.stat().st_mtime_ns
    host.text_encoder.final_layer_norm.weight.data *= 2
    torch.testing.assert_close(second_moment(host, 100, tmp_path), 4 * first)
    second_moment(host, 120, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3 and file.stat().st_mtime_ns == written


@pytest.mark.parametrize("part", [0, 40, -8])
def test_a_damaged_c_is_made_anew(host: Host, tmp_path: Path, part: int) -> None:
    first = second_moment(host, 100, tmp_path)
    file, = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:part])
    assert torch.equal(second_moment(host, 100, tmp_path), first)
    assert torch.equal(read_tensors(file)[1]["C"], first)


def test_c_is_over_every_token_but_padding(host: Host) -> None:
    tokens = host.text.tokenize(captions(100))
    kept = host.text.encode_prompts(captions(100)).states[~tokens.padding].double()
    torch.testing.assert_close(second_moment(host, 100, None), kept.T @ kept / len(kept), rtol=1e-6, atol=1e-8)


def test_statistics_of_too_few_directions_ask_for_a_ridge(host: Host) -> None:
    """The tiny encoder's states have mean 0, so one direction is missing."""
    with pytest.raises(StudioError, match="set 'ridge'"):
        build(host, settings(ridge=0.0), lesson("mycat"))


# masks and class images


def test_masks_are_soft_and_the_loss_is_their_weighted_mean(host: Host) -> None:
    half = Image.new("L", (32, 32), 128)
    half.paste(255, (0, 0, 16, 32))
    made = begin(host, settings(batch=1, min_snr_gamma=None), lesson("mycat", masks=[half]))
    batch = made.samples.sample(made.generator, 1)
    assert batch.masks is not None and torch.equal(batch.masks.unique(), torch.tensor([128 / 255, 1.0]))
    found = made.predict(batch, torch.tensor([500]), torch.randn(1, 4, 8, 8))
    error = (found.predicted - found.target).square()
    m = batch.masks
    expected = (m * error).sum() / (4 * m.sum())
    torch.testing.assert_close(made.recipe.objective(found, batch)["denoising"], expected)
    whole = begin(twin(host), settings(batch=1, min_snr_gamma=None, mask_normalise="all"),
                  lesson("mycat", masks=[half]))
    torch.testing.assert_close(whole.recipe.objective(found, batch)["denoising"], (m * error).mean())


def test_masks_and_class_images_are_made_by_the_base_itself(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even though the edit shows from its first moment."""
    base, seen = answer(host), list[bool]()

    def painted(noun: str, count: int) -> list[Image.Image]:
        seen.append(same(answer(host), base))
        return class_images(noun, count)

    def watched(at: Host, taught: Any, wanted: str, source: str, model: str) -> Any:
        seen.append(same(answer(at), base))
        return taught

    monkeypatch.setattr(plain, "fill_in", watched)
    begin(host, settings(prior_weight=1.0), lesson("mycat", painted=painted))
    assert seen == [True, True] and not same(answer(host), base)


def test_the_trained_file_paints_what_the_run_painted(host: Host, tmp_path: Path, record: AdapterRecord) -> None:
    other = twin(host)
    made = begin(host, settings(), lesson("mycat"))
    run(made)
    adapter = made.recipe.adapter
    assert isinstance(adapter, PerfusionAdapter)
    save(tmp_path / "a.safetensors", adapter, record.model_copy(update={"kind": "perfusion", "spec": adapter.spec}))
    again, _ = load(tmp_path / "a.safetensors")
    again.inject(other, "a")
    assert same(answer(host, "a photo of <mycat>"), answer(other, "a photo of <mycat>"))


def test_concepts_trained_alone_go_in_together(host: Host) -> None:
    made: list[Any] = []
    nouns: list[Callable[[], Any]] = [lambda: lesson("mycat"), lambda: replace(
        lesson("mydog"), concepts=(lesson("x", "mydog").concepts[1],), pictures=(replace(
            lesson("mydog").pictures[0], image=image(5)),))]
    base = answer(host, "<mycat> and <mydog>")
    for taught in nouns:
        trained = begin(twin(host), settings(), taught())
        run(trained)
        trained.recipe.adapter.eject()
        made.append(trained.recipe.adapter)
    for n, adapter in enumerate(made):
        adapter.inject(host, f"a{n}")
    both = answer(host, "<mycat> and <mydog>")
    assert torch.isfinite(both[1]).all() and not same(both, base)
    for adapter in reversed(made):
        adapter.eject()
    assert same(answer(host, "<mycat> and <mydog>"), base)
