"""From a picture and with weights on every family, as the stock pipelines do it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline

from adapters.host import Host
from pipelines.encode import encode_images
from pipelines.generator import Generator, Request
from tests.pipelines.test_families_in_use import FAMILIES, folders, hosts, photo

__all__ = ["folders", "hosts"]

REQUEST = Request(prompt="a photo of a cat", seed=7, steps=4, guidance=5.0, width=128, height=64, strength=0.5)


@pytest.mark.parametrize("family", FAMILIES)
def test_from_a_picture_it_is_the_stock_pipelines(folders: dict[str, Path], hosts: dict[str, Host],
                                                  family: str) -> None:
    one = hosts[family]
    kind = StableDiffusionXLImg2ImgPipeline if family == "sdxl" else StableDiffusionImg2ImgPipeline
    stock = kind.from_pretrained(folders[family], local_files_only=True, vae=one.vae, **one.components)
    theirs = stock("a photo of a cat", image=encode_images(one, [photo(128, 64)]), strength=0.5,
                   num_inference_steps=4, guidance_scale=5.0, generator=torch.Generator().manual_seed(7)).images[0]
    ours = Generator(one).paint(REQUEST, start=photo(128, 64)).images[0]
    assert np.array_equal(np.array(ours), np.array(theirs)) and np.array(ours).std() > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_chunks_and_a_second_pass_go_together(hosts: dict[str, Host], family: str) -> None:
    request = REQUEST.model_copy(update={"prompt": "a (photo:1.4) BREAK of a cat", "strength": None, "upscale": 2.0})
    painter = Generator(hosts[family])
    found = painter.paint(request).images[0]
    assert found.size == (256, 128) and np.array(found).std() > 1
    plain = painter.paint(request.model_copy(update={"prompt": "a photo BREAK of a cat"})).images[0]
    assert not np.array_equal(np.array(found), np.array(plain))


def test_sdxls_autoencoder_stays_in_full_precision(hosts: dict[str, Host]) -> None:
    one = hosts["sdxl"]
    vae = copy.deepcopy(one.vae)
    vae.register_to_config(force_upcast=True)
    host = Host(one.identity, copy.deepcopy(one.components), one.tokenizer, vae, one.scheduler, one.tokenizer_2)
    host.to("cpu", torch.bfloat16)
    Generator(host).paint(REQUEST, start=photo(128, 64))
    assert vae.dtype == torch.float32 and host.unet.dtype == torch.bfloat16
