"""Loading a located base into a Host, offline where its files are here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError
from diffusers.quantizers import PipelineQuantizationConfig
from diffusers.quantizers.quantization_config import BitsAndBytesConfig
from safetensors import SafetensorError

from adapters.errors import StudioError
from adapters.files import read_header
from adapters.host import TEXT_ENCODERS, Host
from adapters.identity import FAMILIES, FAMILY_TITLES, BaseIdentity, Family
from pipelines.base_models.families import find_family
from pipelines.base_models.hub import PATTERNS, VARIANTS, fetch
from pipelines.base_models.locate import BaseLocation, fingerprint, locate
from pipelines.base_models.quantize import check_quantize, quantization
from pipelines.base_models.safety import SafetyChecker, safety_checker
from pipelines.base_models.single_file import open_single_file
from pipelines.methods.common import Quantize


def load_base(spec: str, *, offline: bool = False, dtype: torch.dtype = torch.float32, quantize: Quantize = "none",
              tell: Callable[[str], None] | None = None) -> Host:
    """Load `--base` on the CPU; `tell` hears how far a download is.

    With `quantize` the denoiser is loaded on the graphics card, its linear layers in 8 or 4 bits. Raises StudioError
    when it is no base of a known family, and when it cannot be quantized here.
    """
    if quantize != "none":
        check_quantize(quantize)
    fewer_bits = None if quantize == "none" else quantization(quantize, dtype)
    location = locate(spec)
    family = find_family(location, offline=offline)
    try:
        pipeline, weights, safety = _open(location, family, offline, dtype, fewer_bits, tell)
        networks = {n: m for n, m in pipeline.components.items() if isinstance(m, torch.nn.Module)}
        if any(p.is_meta for m in networks.values() for p in m.parameters()):
            raise ValueError("some of its weights are not there")
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError,
            SafetensorError, SingleFileComponentError) as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise StudioError(
            f"The base '{location.name}' could not be loaded ({first}); check that it is a whole "
            f"{FAMILY_TITLES[family]} model."
        ) from error
    host = _host(pipeline, family, location.name, fingerprint(weights) if weights else "")
    host.safety = safety
    if not host.full_autoencoder and host.vae.dtype != dtype:
        host.vae.to(dtype)
    return host


def _host(pipeline: Any, family: Family, name: str, digest: str) -> Host:
    """The pipeline's parts. Raises StudioError when its noise schedule is of another kind."""
    prediction = pipeline.scheduler.config.get("prediction_type", "epsilon")
    if prediction not in ("epsilon", "v_prediction") or not hasattr(pipeline.scheduler, "alphas_cumprod"):
        raise StudioError(f"'{name}' is trained with a noise schedule that the studio does not know "
                          f"({type(pipeline.scheduler).__name__}, {prediction}); choose one that predicts noise or v.")
    parts = {part: network for part in ("unet", *TEXT_ENCODERS)
             if (network := getattr(pipeline, part, None)) is not None}
    host = Host(BaseIdentity(family=family, name=name, hash=digest, prediction=prediction), parts, pipeline.tokenizer,
                pipeline.vae, pipeline.scheduler, getattr(pipeline, "tokenizer_2", None))
    host.text.zero_empty = bool(pipeline.config.get("force_zeros_for_empty_prompt", False))
    return host


def _open(location: BaseLocation, family: Family, offline: bool, dtype: torch.dtype,
          fewer_bits: BitsAndBytesConfig | None,
          tell: Callable[[str], None] | None) -> tuple[Any, Path | None, SafetyChecker | None]:
    """The pipeline, the file that tells its base from others, and its safety checker."""
    if location.form == "file" and location.path:
        pipeline = open_single_file(location.path, read_header(location.path), family, dtype, fewer_bits)
        return pipeline, location.path, None
    folder = location.path or fetch(location.name, offline, PATTERNS, tell)
    safety = safety_checker(folder, location.name)
    options: dict[str, Any] = {"use_safetensors": True, "local_files_only": True, "feature_extractor": None,
                               "image_encoder": None}
    if fewer_bits:
        options["quantization_config"] = PipelineQuantizationConfig(quant_mapping={"unet": fewer_bits})
    if FAMILIES[family].large:
        parts = {"default": dtype, "vae": torch.float32}
        pipeline = StableDiffusionXLPipeline.from_pretrained(folder, dtype=parts, add_watermarker=False, **options)
    else:
        pipeline = StableDiffusionPipeline.from_pretrained(
            folder, dtype=dtype, safety_checker=None, requires_safety_checker=False, **options)
    files = sorted(f for f in (folder / "unet").glob("*.safetensors") if not any(f.match(v) for v in VARIANTS))
    # diffusers only warns about weights that are not there, and fills them with chance.
    held = {name for file in files for name in read_header(file).tensors}
    if missing := sorted({name for name, _ in pipeline.unet.named_parameters()} - held):
        raise ValueError(f"the denoiser's '{missing[0]}' is not in its files")
    return pipeline, next(iter(files), None), safety
