"""Attention by matrices says what the fused kernel says, and is taken only in trainings and with few keys."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0

from pipelines.lesson import silent
from pipelines.matrix_attention import FEW_KEYS, MatrixAttention
from pipelines.speed import running
from pipelines.training import set_up


def layer(context: int | None) -> Attention:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Attention(query_dim=16, cross_attention_dim=context, heads=2, dim_head=8)


def outcome(attention: Attention, queries: int, keys: int | None, grad: bool) -> tuple[torch.Tensor, ...]:
    """What it says, and with `grad` the gradients of what it was given."""
    draw = torch.Generator().manual_seed(5)
    given = [torch.randn(2, queries, 16, generator=draw)]
    if keys:
        given.append(torch.randn(2, keys, 12, generator=draw))
    with torch.set_grad_enabled(grad):
        said = attention(*(x.requires_grad_(grad) for x in given))
        return (said, *torch.autograd.grad(said.square().sum(), given)) if grad else (said,)


@pytest.mark.parametrize(("queries", "keys"), [(9, None), (30, 7), (FEW_KEYS + 1, 7)])
def test_it_says_what_the_fused_kernel_says(queries: int, keys: int | None) -> None:
    attention, found = layer(12 if keys else None), []
    for processor in (AttnProcessor2_0(), MatrixAttention()):
        attention.set_processor(processor)
        found.append(outcome(attention, queries, keys, grad=True))
    for fused, matrices in zip(*found, strict=True):
        torch.testing.assert_close(matrices, fused, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("keys", "grad", "expected"), [
    (7, True, AttnProcessor), (FEW_KEYS, True, AttnProcessor), (FEW_KEYS + 1, True, AttnProcessor2_0),
    (7, False, AttnProcessor2_0)])
def test_it_is_taken_with_few_keys_and_in_trainings(monkeypatch: pytest.MonkeyPatch, keys: int, grad: bool,
                                                    expected: type) -> None:
    attention, asked = layer(12), []
    for kind in (AttnProcessor, AttnProcessor2_0):
        def noted(self: object, *given: object, kind: type = kind, own: object = kind.__call__) -> object:
            asked.append(kind)
            return own(self, *given)  # type: ignore[operator]

        monkeypatch.setattr(kind, "__call__", noted)
    attention.set_processor(MatrixAttention())
    outcome(attention, 4, keys, grad)
    assert asked == [expected]


@pytest.mark.parametrize(("precision", "expected"), [("bf16", True), ("fp32", False)])
def test_a_run_in_bf16_on_a_processor_is_set_up_with_it(tmp_path: Path, precision: str, expected: bool) -> None:
    config = running._take_in("textual-inversion", 1, tmp_path)
    config = config.model_copy(update={"training": config.training.model_copy(update={"precision": precision})})
    made = set_up(tmp_path, config, silent, cache=tmp_path / "cache")
    found = {type(p) for p in made.host.unet.attn_processors.values()}
    assert (found == {MatrixAttention}) == (expected and not torch.cuda.is_available())
