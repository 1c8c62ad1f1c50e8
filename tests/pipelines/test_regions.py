"""Concepts in regions: there where the mask is white, as if they were not there where it is black."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from adapters.record import AdapterRecord
from pipelines.generator import Chosen, Generator, Request
from pipelines.regions import Region, bound, prompts_of
from tests.adapters.lora.tools import KEY, QUERY, filled, output
from tests.pipelines.tools import LEFT, RIGHT, WHOLE

REQUEST = Request(prompt="a photo of a zok cat and the sea", seed=3, steps=3, guidance=2.0)
UNET = {QUERY: (4, 2.0), KEY: (2, 3.0)}  # a text encoder's part would be in the words everywhere


def paint(host: Host, chosen: list[Chosen], **changes: Any) -> np.ndarray[Any, Any]:
    generator = Generator(host)
    with generator.using(chosen):
        return np.array(generator.paint(REQUEST.model_copy(update=changes)).images[0])


def predictions(host: Host, regions: list[Region]) -> torch.Tensor:
    """One prediction of the denoiser for noise, with guidance."""
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    with torch.no_grad():
        states = host.text.encode_prompts(["", REQUEST.prompt]).states
        options = {"encoder_hidden_states": states, "return_dict": False}
        if not regions:
            found: torch.Tensor = host.unet(noise, 500, **options)[0]
            return found
        texts = [host.text.encode_prompts([p]) for p in prompts_of(REQUEST.prompt, regions)]
        with bound(host, regions, texts):
            found = host.unet(noise, 500, **options)[0]
    return found


def test_words_of_other_regions_are_left_out_with_their_articles(host: Host) -> None:
    one, two = (Region(filled(host), 1.0, WHOLE, words) for words in (("zok cat",), ("<Cup>",)))
    assert prompts_of("A zok cat, the <cup> and a ZOK cat's hat", [one, two]) == [
        ",  and 's hat", "A zok cat,  and a ZOK cat's hat", ", the <cup> and 's hat"]


@pytest.mark.parametrize("words", [(), ("zok cat",)])
def test_each_side_is_predicted_as_if_the_whole_picture_were_so(host: Host, words: tuple[str, ...]) -> None:
    adapter = filled(host, UNET)
    adapter.inject(host, "a")
    region = Region(adapter, 0.7, LEFT, words)
    half = predictions(host, [region])
    adapter.set_strength(0.7)
    with_it = predictions(host, [])
    adapter.set_strength(0.0)
    without = predictions(host, [Region(adapter, 0.0, Image.new("L", (32, 32)), words)])
    torch.testing.assert_close(half[..., :4], with_it[..., :4], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(half[..., 4:], without[..., 4:], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(half[..., 4:], with_it[..., 4:], atol=1e-3)


def test_a_white_region_is_plain_painting(host: Host, record: AdapterRecord) -> None:
    plain = paint(host, [Chosen(filled(host), record, 0.8)])
    assert np.array_equal(paint(host, [Chosen(filled(host), record, 0.8, region=WHOLE)]), plain)


def test_two_regions_keep_apart_and_the_base_is_clean_afterwards(host: Host, record: AdapterRecord) -> None:
    base, tree = output(host), repr(host.components)
    other = record.model_copy(update={"name": "sea", "trigger": "the", "class_noun": "sea"})
    both = paint(host, [Chosen(filled(host), record, region=LEFT), Chosen(filled(host, seed=1), other, region=RIGHT)])
    everywhere = paint(host, [Chosen(filled(host), record), Chosen(filled(host, seed=1), other)])
    assert not np.array_equal(both, everywhere)
    assert torch.equal(output(host), base) and repr(host.components) == tree and "forward" not in vars(host.unet)


def test_overlapping_regions_share(host: Host) -> None:
    adapters = [filled(host, UNET), filled(host, UNET, seed=1)]
    for n, adapter in enumerate(adapters):
        adapter.inject(host, f"a{n}")
    found = predictions(host, [Region(a, 1.0, WHOLE) for a in adapters])
    nowhere = Image.new("L", (32, 32))
    alone = [predictions(host, [Region(adapters[n], 1.0, WHOLE), Region(adapters[1 - n], 0.0, nowhere)])
             for n in range(2)]
    torch.testing.assert_close(found, (alone[0] + alone[1]) / 2, rtol=1e-4, atol=1e-5)


def test_chunks_of_a_longer_negative_prompt_do_not_matter(host: Host, record: AdapterRecord) -> None:
    assert paint(host, [Chosen(filled(host), record, region=LEFT)], negative_prompt="a BREAK b").std() > 0


def test_a_learned_word_alone_has_no_region(host: Host, record: AdapterRecord) -> None:
    adapter = filled(host)
    adapter.kind = "tokens"
    with pytest.raises(StudioError, match="'mycat' is a learned word"), Generator(host).using(
            [Chosen(adapter, record, region=LEFT)]):
        pass
