"""A tiny random base, made once and copied for every test."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from adapters.host import Host
from adapters.identity import BaseIdentity
from adapters.record import AdapterRecord
from pipelines.base_models.clip_vocabulary import clip_tokenizer

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What learns comes first: it takes longest, and at the end one core would wait for the other."""
    items.sort(key=lambda item: item.path.parent.name != "learning")


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """accelerate keeps the first precision that a process asks for; each test may ask for its own."""
    yield
    AcceleratorState._reset_state()


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return clip_tokenizer()


@pytest.fixture(scope="session")
def tiny(tokenizer: Any) -> Host:
    """Never to be changed; take `host`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=24, attention_head_dim=8,
        )
        text = CLIPTextModel(CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=24, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=2, bos_token_id=49406, eos_token_id=49407, pad_token_id=49407,
        ))
        vae = AutoencoderKL(
            block_out_channels=(8, 16, 16), norm_num_groups=4, sample_size=32,
            down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        )
    return Host(BaseIdentity(family="starter", name="tiny", hash="0" * 16),
                {"unet": unet, "text_encoder": text}, tokenizer, vae,
                DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"))


@pytest.fixture
def host(tiny: Host) -> Host:
    return Host(tiny.identity, copy.deepcopy(tiny.components), tiny.tokenizer, tiny.vae, tiny.scheduler)


@pytest.fixture
def record(tiny: Host) -> AdapterRecord:
    return AdapterRecord(kind="lora", method="lora", name="mycat", base=tiny.identity, trigger="zok",
                         class_noun="cat")
