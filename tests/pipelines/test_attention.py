from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn

from adapters.host import Host
from adapters.tokens import TokensAdapter
from pipelines.attention import AttentionProbe, WordProbe
from tests.adapters.lora.tools import filled


@pytest.fixture
def tall(host: Host) -> Host:
    """Cross-attention on 8 x 8 and 4 x 4 grids, down, middle and up."""
    config = {k: v for k, v in host.unet.config.items() if not k.startswith("_")}
    with torch.random.fork_rng():
        torch.manual_seed(2)
        unet = UNet2DConditionModel(**{
            **config, "down_block_types": ("CrossAttnDownBlock2D",) * 2, "up_block_types": ("CrossAttnUpBlock2D",) * 2})
    return Host(host.identity, {**host.components, "unet": unet}, host.tokenizer, host.vae, host.scheduler)


class Scores:
    """diffusers' own unfused attention, which writes its probabilities down."""

    def __init__(self, path: str, seen: dict[str, torch.Tensor]) -> None:
        self.path, self.seen = path, seen

    def __call__(self, attn: Any, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None = None,
                 attention_mask: Any = None, **_: Any) -> torch.Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (attn.head_to_batch_dim(x) for x in (
            attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)))
        probabilities = attn.get_attention_scores(query, key)
        self.seen[self.path] = probabilities.unflatten(0, (-1, attn.heads))
        found: torch.Tensor = attn.to_out[0](attn.batch_to_head_dim(probabilities @ value))
        return found


LAYERS = {
    8: ["down_blocks.0.attentions.0", "up_blocks.1.attentions.0", "up_blocks.1.attentions.1"],
    4: ["down_blocks.1.attentions.0", "up_blocks.0.attentions.0", "up_blocks.0.attentions.1"],  # not the middle one
}


def pass_through(host: Host, prompts: list[str]) -> torch.Tensor:
    noise = torch.randn(len(prompts), 4, 8, 8, generator=torch.Generator().manual_seed(1))
    text = host.text.encode(host.text.tokenize(prompts))
    return host.denoise(noise, torch.full((len(prompts),), 500), text)


def columns(host: Host, prompts: list[str], *positions: list[int]) -> torch.Tensor:
    made = torch.zeros(len(prompts), len(positions), host.tokenizer.model_max_length, dtype=torch.bool)
    for n, chosen in enumerate(positions):
        made[:, n, chosen] = True
    return made


def hooks(module: nn.Module) -> int:
    return sum(len(m._forward_hooks) for m in module.modules())


@pytest.mark.parametrize("resolution", [4, 8])
def test_maps_are_the_mean_over_heads_and_the_resolutions_down_and_up_layers(tall: Host, resolution: int) -> None:
    prompts, seen = ["a photo of a cat", "a red dog"], dict[str, torch.Tensor]()
    probe = AttentionProbe(tall, resolution)
    with torch.no_grad():
        with probe.watching():
            pass_through(tall, prompts)
        for path, module in tall.unet.named_modules():
            if path.endswith(".attn2"):
                module.set_processor(Scores(path, seen))
        pass_through(tall, prompts)
    assert len(seen) == 7
    picked = [seen[f"{path}.transformer_blocks.0.attn2"].mean(1) for path in LAYERS[resolution]]
    expected = torch.stack(picked).mean(0)
    found = probe.maps(columns(tall, prompts, [5], [2, 3]))
    assert found.shape == (2, 2, resolution, resolution)
    torch.testing.assert_close(found[:, 0].flatten(1), expected[:, :, 5], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found[:, 1].flatten(1), expected[:, :, 2] + expected[:, :, 3], rtol=1e-4, atol=1e-6)


def test_all_tokens_together_have_all_the_attention(tall: Host) -> None:
    probe = AttentionProbe(tall, 4)
    with torch.no_grad(), probe.watching():
        pass_through(tall, ["a cat"])
    torch.testing.assert_close(probe.maps(columns(tall, ["a cat"], list(range(77)))), torch.ones(1, 1, 4, 4))


@torch.no_grad()
def test_a_samples_map_is_the_same_whatever_else_is_in_the_batch(tall: Host) -> None:
    """So the attention loss has one value with class images behind the batch or without."""
    probe, found = AttentionProbe(tall, 4), []
    for prompts in (["a cat on the beach"], ["a cat on the beach", "a photo of a dog"]):
        with probe.watching():
            pass_through(tall, prompts)
        found.append(probe.maps(columns(tall, prompts, [2]))[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-7)


@torch.no_grad()
def test_watching_changes_no_bit_of_what_passes_and_leaves_no_hook(tall: Host) -> None:
    before, at_first = pass_through(tall, ["a cat"]), hooks(tall.unet)
    probe = AttentionProbe(tall, 8)
    with probe.watching():
        assert hooks(tall.unet) > at_first
        assert torch.equal(pass_through(tall, ["a cat"]), before)
    assert hooks(tall.unet) == at_first
    with pytest.raises(KeyboardInterrupt), probe.watching():
        raise KeyboardInterrupt
    assert hooks(tall.unet) == at_first


@torch.no_grad()
def test_each_watch_begins_anew_and_what_passes_outside_is_not_seen(tall: Host) -> None:
    probe, found = AttentionProbe(tall, 4), []
    for prompt in ("a cat", "a red dog", "a cat"):
        with probe.watching():
            pass_through(tall, [prompt])
        pass_through(tall, ["something else"])
        found.append(probe.maps(columns(tall, [prompt], [1])))
    assert torch.equal(found[0], found[2]) and not torch.equal(found[0], found[1])


@torch.no_grad()
def test_only_the_chosen_resolutions_layers_are_kept(tall: Host) -> None:
    probe = AttentionProbe(tall, 4)
    with probe.watching():
        pass_through(tall, ["a cat"])
    kept = {path.split(".transformer")[0] for path, tensors in probe._seen.items() if tensors}
    assert kept == set(LAYERS[4])


@torch.no_grad()
def test_a_resolution_that_no_layer_has_is_an_error(tall: Host) -> None:
    probe = AttentionProbe(tall, 5)
    with probe.watching():
        pass_through(tall, ["a cat"])
    with pytest.raises(RuntimeError, match="5 x 5"):
        probe.maps(columns(tall, ["a cat"], [1]))


@torch.no_grad()
def test_maps_are_computed_in_full_precision_under_autocast(tall: Host) -> None:
    probe = AttentionProbe(tall, 4)
    with probe.watching():
        pass_through(tall, ["a cat"])
    chosen = columns(tall, ["a cat"], [2])
    exact = probe.maps(chosen)
    with torch.autocast("cpu", torch.bfloat16):
        found = probe.maps(chosen)
    assert found.dtype == torch.float32 and torch.equal(found, exact)


@torch.no_grad()
def test_a_lora_in_the_queries_is_seen(tall: Host) -> None:
    path = f"unet.{LAYERS[4][0]}.transformer_blocks.0.attn2.to_q"
    found = []
    for lora in (None, filled(tall, {path: (2, 2.0)})):
        if lora:
            lora.inject(tall, "a")
        probe = AttentionProbe(tall, 4)
        with probe.watching():
            pass_through(tall, ["a cat"])
        found.append(probe.maps(columns(tall, ["a cat"], [2])))
    assert not torch.allclose(found[0], found[1])


# learned words


@pytest.fixture
def worded(tall: Host) -> Iterator[Host]:
    TokensAdapter({"<a>": [torch.randn(2, 24)], "<b>": [torch.randn(1, 24)]}).inject(tall, "words")
    yield tall


@torch.no_grad()
def test_each_word_has_its_own_map_wherever_it_stands_and_zeros_where_it_does_not(worded: Host) -> None:
    prompts = ["a photo of <a> and <b>", "a photo of <b> and <a>", "a photo of <b>", "a cat"]
    tokens, probe = worded.text.tokenize(prompts), WordProbe(worded, 4, ("<b>", "<a>"))
    with probe.watching():
        pass_through(worded, prompts)
    found = probe.read(tokens)
    for sample, places in enumerate([([7], [4, 5]), ([4], [6, 7]), ([4], []), ([], [])]):
        expected = probe.maps(columns(worded, prompts, *places))[sample]
        assert torch.equal(found[sample], expected)
        assert [bool(m.any()) for m in found[sample]] == [bool(p) for p in places]


def test_gradients_reach_the_words_the_same_with_checkpointing(worded: Host) -> None:
    rows, found = worded.text._words["<a>"][0], []
    for checkpointing in (False, True):
        if checkpointing:
            worded.unet.enable_gradient_checkpointing()
        probe = WordProbe(worded, 4, ("<a>",))
        with probe.watching():
            painted = pass_through(worded, ["a photo of <a>"])
        maps = probe.read(worded.text.tokenize(["a photo of <a>"]))
        (maps / maps.amax()).square().mean().add(painted.square().mean()).backward()
        assert rows.grad is not None and rows.grad.any()
        found.append(rows.grad)
        rows.grad = None
    assert torch.equal(*found)
