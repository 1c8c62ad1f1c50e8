from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from adapters.record import AdapterRecord, Concept
from pipelines.denoising import NotFinite
from pipelines.generator import Chosen, Generator, Request
from tests.adapters.lora.tools import QUERY, filled, output

REQUEST = Request(prompt="a photo of a cat", seed=3, steps=2, guidance=2.0, width=64, height=64)


def paint(host: Host, **changes: object) -> list[Image.Image]:
    return Generator(host).paint(REQUEST.model_copy(update=changes)).images


def same(a: Image.Image, b: Image.Image) -> bool:
    return np.array_equal(np.array(a), np.array(b))


def test_the_same_seed_paints_the_same_and_another_seed_another(host: Host) -> None:
    one, two, other = paint(host)[0], paint(host)[0], paint(host, seed=4)[0]
    assert same(one, two) and not same(one, other)


def test_picture_n_of_a_batch_has_seed_plus_n(host: Host) -> None:
    painted = Generator(host).paint(REQUEST.model_copy(update={"images": 2}))
    assert painted.seeds == [3, 4]
    assert same(painted.images[1], paint(host, seed=4)[0])


def test_a_picture_is_that_of_the_stock_pipeline_at_the_same_seed(host: Host) -> None:
    generator = Generator(host)
    stock = generator.pipeline("a photo of a cat", num_inference_steps=2, guidance_scale=2.0, width=64,
                               height=64, generator=torch.Generator("cpu").manual_seed(3)).images[0]
    assert same(paint(host)[0], stock)


def test_settings_state_every_default(host: Host) -> None:
    host.unet.register_to_config(sample_size=16)
    settings = Generator(host).paint(Request(prompt="x")).settings
    assert settings == {"prompt": "x", "negative_prompt": "", "seed": 0, "steps": 20, "guidance": 4.0,
                        "sampler": "DDIM", "width": 64, "height": 64}


def test_progress_counts_every_step_of_every_picture(host: Host) -> None:
    seen: list[tuple[int, int]] = []
    Generator(host).paint(REQUEST.model_copy(update={"images": 2}), lambda *at: seen.append(at))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_adapter_is_in_for_the_block_and_out_after_it(host: Host, record: AdapterRecord) -> None:
    base, generator = output(host), Generator(host)
    with generator.using([Chosen(filled(host), record, 0.5), Chosen(filled(host, seed=1), record)]):
        assert not torch.equal(output(host), base)
    assert torch.equal(output(host), base)


def test_strength_in_the_block_is_the_asked_one(host: Host, record: AdapterRecord) -> None:
    base, generator = output(host), Generator(host)
    with generator.using([Chosen(filled(host), record, 0.0)]):
        assert torch.equal(output(host), base)


@pytest.mark.parametrize("late", [False, True])
def test_the_base_is_clean_after_a_failure_in_or_before_the_block(host: Host, record: AdapterRecord,
                                                                  late: bool) -> None:
    base, tree, generator = output(host), repr(host.components), Generator(host)
    adapters = [Chosen(filled(host), record)]
    if not late:
        misfit = filled(host, {QUERY: (2, 2.0)})
        misfit._stored.modules["unet.nowhere"] = misfit._stored.modules.pop(QUERY)
        adapters.append(Chosen(misfit, record))
    with pytest.raises(KeyboardInterrupt if late else StudioError), generator.using(adapters):
        raise KeyboardInterrupt
    assert torch.equal(output(host), base) and repr(host.components) == tree


def test_an_adapter_of_another_family_is_refused(host: Host, record: AdapterRecord) -> None:
    sd1 = record.model_copy(update={"base": record.base.model_copy(update={"family": "sd1"})})
    with (pytest.raises(StudioError, match=r"trained for Stable Diffusion 1\.x"),
          Generator(host).using([Chosen(filled(host), sd1)])):
        pass


def test_a_weight_in_the_prompt_changes_the_picture_and_brackets_without_effect_do_not(host: Host) -> None:
    plain = paint(host)[0]
    assert not same(paint(host, prompt="a photo of a (cat:1.6)")[0], plain)
    assert same(paint(host, prompt="a photo of a (cat:1)")[0], plain)


def test_a_prompt_of_several_chunks_is_painted_beside_a_shorter_negative_one(host: Host) -> None:
    found = paint(host, prompt="a photo BREAK of a cat", negative_prompt="a dog")[0]
    assert not same(found, paint(host, prompt="a photo of a cat", negative_prompt="a dog")[0])


def test_an_adapter_that_shows_a_person_is_refused_with_a_prompt_that_the_filter_flags(host: Host,
                                                                                       record: AdapterRecord) -> None:
    person = record.model_copy(update={"concepts": (Concept(name="ada", noun="cat", trigger="zok", kind="person"),)})
    generator, asked = Generator(host), REQUEST.model_copy(update={"prompt": "zok cat, nude"})
    with generator.using([Chosen(filled(host), person)]):
        with pytest.raises(StudioError, match="shows a person, and 'nude' in the prompt is refused"):
            generator.paint(asked)
        with pytest.raises(StudioError, match="and 'dress' in the negative prompt is refused"):
            generator.paint(REQUEST.model_copy(update={"negative_prompt": "blurry, dress"}))
        assert generator.paint(REQUEST.model_copy(update={"negative_prompt": "nude"})).images
    with generator.using([Chosen(filled(host), record)]):
        assert generator.paint(asked).images  # no person
    assert generator.paint(asked).images


def test_a_denoiser_that_breaks_down_gives_a_sentence_and_no_black_picture(host: Host) -> None:
    host.unet.conv_out.bias.data.fill_(float("nan"))
    with pytest.raises(NotFinite, match="would be black; lower the strength of its adapters"):
        paint(host)


def test_an_autoencoder_that_makes_no_numbers_gives_a_sentence(host: Host) -> None:
    host.vae = copy.deepcopy(host.vae)
    host.vae.decoder.conv_out.bias.data.fill_(float("inf"))
    with pytest.raises(NotFinite, match="autoencoder made values that are not finite"):
        paint(host)


def test_an_autoencoder_that_overflows_in_half_precision_decodes_in_full(host: Host) -> None:
    wanted = paint(host)[0]
    host.vae = copy.deepcopy(host.vae).to(torch.bfloat16)
    decode = host.vae.decode

    def overflowing(latents: torch.Tensor, **options: Any) -> Any:
        found = decode(latents, **options)
        return found if latents.dtype == torch.float32 else tuple(f * float("inf") for f in found)

    host.vae.decode = overflowing
    off = np.abs(np.array(paint(host)[0]).astype(int) - np.array(wanted))
    assert host.vae.dtype == torch.float32 and off.max() <= 4  # its weights went through half precision
