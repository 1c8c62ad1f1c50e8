"""Samplers by name: all paint, all keep what the base was trained to, the default is untouched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler
from pydantic import ValidationError

from adapters.errors import StudioError
from adapters.host import Host
from pipelines.generator import Generator, Request
from pipelines.samplers import SAMPLERS, SCHEDULES, build_sampler, sampler_name

VELOCITY = {"prediction_type": "v_prediction", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
            "beta_end": 0.012, "steps_offset": 1, "clip_sample": False}
PLAIN = DDIMScheduler(**VELOCITY)
ZERO = DDIMScheduler(**VELOCITY, rescale_betas_zero_snr=True, timestep_spacing="trailing")
ABLE = {"DDIM", "Euler", "Euler a", "DPM++ 2M", "DPM++ 2M SDE", "UniPC"}


def paint(host: Host, **changes: object) -> np.ndarray[Any, Any]:
    request = Request(prompt="a cat", seed=3, steps=4, guidance=2.0).model_copy(update=changes)
    return np.array(Generator(host).paint(request).images[0])


def test_the_default_is_the_bases_own_scheduler_whole() -> None:
    for own in (PLAIN, ZERO, PNDMScheduler(skip_prk_steps=True), EulerDiscreteScheduler()):
        assert build_sampler(own) is own and build_sampler(own, sampler_name(own)) is own


@pytest.mark.parametrize("name", SAMPLERS)
def test_each_is_built_with_the_bases_noise_and_prediction_and_says_its_name(name: str) -> None:
    made = build_sampler(PLAIN, name)
    assert sampler_name(made) == name
    assert made.config.prediction_type == "v_prediction" and made.config.steps_offset == 1
    assert torch.equal(made.betas, PLAIN.betas)
    assert made.config.get("clip_sample", False) is False


@pytest.mark.parametrize("name", sorted(ABLE))
def test_zero_terminal_snr_is_kept(name: str) -> None:
    made = build_sampler(ZERO, name)
    assert made.config.rescale_betas_zero_snr and made.config.timestep_spacing == "trailing"
    assert float(made.alphas_cumprod[-1]) < 1e-6


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - ABLE))
def test_what_cannot_begin_at_pure_noise_is_refused(name: str) -> None:
    with pytest.raises(StudioError, match=r"zero terminal SNR.*choose DDIM"):
        build_sampler(ZERO, name)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_moves_the_levels_and_nothing_else(schedule: str) -> None:
    plain, moved = build_sampler(PLAIN, "Euler"), build_sampler(PLAIN, "Euler", schedule)
    for scheduler in (plain, moved):
        scheduler.set_timesteps(8)
    assert not torch.allclose(plain.sigmas, moved.sigmas) and moved.config.prediction_type == "v_prediction"


def test_a_schedule_that_a_sampler_has_not_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(StudioError, match="'Euler a' has no 'Karras' schedule; choose SGM Uniform or Automatic"):
        build_sampler(PLAIN, "Euler a", "Karras")


@pytest.mark.parametrize("field", ["sampler", "schedule"])
def test_a_name_that_is_none_is_refused_with_the_list(field: str) -> None:
    with pytest.raises(ValidationError, match="choose one of"):
        Request.model_validate({"prompt": "x", field: "Magic"})


@pytest.mark.parametrize("name", SAMPLERS)
def test_each_paints_the_same_twice_and_something_of_its_own(host: Host, name: str) -> None:
    own, first = paint(host), paint(host, sampler=name)
    assert np.array_equal(first, paint(host, sampler=name)) and first.std() > 0
    assert np.array_equal(own, first) == (name == "DDIM")


def test_the_next_picture_has_the_bases_own_sampler_again(host: Host) -> None:
    generator, request = Generator(host), Request(prompt="a cat", seed=3, steps=4, guidance=2.0)
    before = np.array(generator.paint(request).images[0])
    settings = generator.paint(request.model_copy(update={"sampler": "Euler", "schedule": "Karras"})).settings
    assert (settings["sampler"], settings["schedule"]) == ("Euler", "Karras")
    assert np.array_equal(np.array(generator.paint(request).images[0]), before)


@pytest.mark.parametrize("name", ["Heun", "PLMS", "DPM++ 2M"])
def test_progress_ends_at_its_total_whatever_the_sampler_calls_a_step(host: Host, name: str) -> None:
    seen: list[tuple[int, int]] = []
    request = Request(prompt="a cat", steps=4, guidance=2.0, sampler=name, images=2)
    Generator(host).paint(request, lambda *at: seen.append(at))
    assert [d for d, _ in seen] == list(range(1, seen[0][1] + 1)) and len({t for _, t in seen}) == 1
