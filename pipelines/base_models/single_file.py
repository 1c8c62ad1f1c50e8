"""Single checkpoints in the original layout, opened with our own configurations: no hub needed."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.quantizers.quantization_config import BitsAndBytesConfig
from safetensors import safe_open

from adapters.files import Header
from adapters.identity import FAMILIES, Family, Prediction
from pipelines.base_models.clip_vocabulary import clip_tokenizer
from pipelines.base_models.families import CONFIGS
from pipelines.shipped import ASSETS

VELOCITY = ASSETS / "sd2-v"
_TELLTALE = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
_SPREAD = 0.09


def open_single_file(path: Path, header: Header, family: Family, dtype: torch.dtype,
                     fewer_bits: BitsAndBytesConfig | None = None) -> Any:
    """diffusers' pipeline with the file's weights.

    diffusers converts the layout, OpenCLIP's text encoders too; an autoencoder that overflows in half precision
    is read in fp32. `fewer_bits` is how the denoiser is to be quantized; that takes as much disk as it has weights, in
    the temporary folder, for as long as it loads.
    """
    velocity = prediction_of(path, header, family) == "v_prediction"
    with tempfile.TemporaryDirectory() as scratch:
        config = configuration(Path(scratch) / "base", family, velocity=velocity, zero_snr="ztsnr" in header.tensors)
        parts: dict[str, Any] = {}
        if fewer_bits:
            # From a single file diffusers takes the weights for quantized already (0.42), so through a folder.
            UNet2DConditionModel.from_single_file(
                str(path), config=str(config), subfolder="unet", dtype=dtype, local_files_only=True,
            ).save_pretrained(Path(scratch) / "unet")
            parts["unet"] = UNet2DConditionModel.from_pretrained(
                Path(scratch) / "unet", dtype=dtype, quantization_config=fewer_bits)
        if not FAMILIES[family].large:
            return StableDiffusionPipeline.from_single_file(
                str(path), config=str(config), dtype=dtype, local_files_only=True, safety_checker=None,
                feature_extractor=None, **parts)
        vae = AutoencoderKL.from_single_file(str(path), config=str(config), subfolder="vae", dtype=torch.float32,
                                             local_files_only=True)
        return StableDiffusionXLPipeline.from_single_file(
            str(path), config=str(config), dtype=dtype, local_files_only=True, vae=vae, feature_extractor=None,
            image_encoder=None, add_watermarker=False, **parts)


def prediction_of(path: Path, header: Header, family: Family) -> Prediction:
    """What the denoiser in a checkpoint was trained to say, as the file or its numbers tell.

    First the marker tensor `v_pred` (NoobAI XL's convention, which ComfyUI and sd-scripts' users follow), then
    ModelSpec's metadata. Stable Diffusion 2's own files say nothing: there the spread of one bias is looked at, more
    than 0.09 where v is predicted (ComfyUI's rule, `supported_models.SD20.model_type`).
    """
    if "v_pred" in header.tensors:
        return "v_prediction"
    stated = header.metadata.get("modelspec.prediction_type", "")
    architecture = header.metadata.get("modelspec.architecture", "").partition("/")[0]
    if stated in ("v", "v_prediction") or architecture == FAMILIES["sd2"].architectures["v_prediction"]:
        return "v_prediction"
    silent = not stated and architecture != FAMILIES["sd2"].architectures["epsilon"]
    if silent and FAMILIES[family].v2 and _TELLTALE in header.tensors:
        with safe_open(path, "pt") as file:
            spread = float(file.get_tensor(_TELLTALE).float().std(correction=0))
        return "v_prediction" if spread > _SPREAD else "epsilon"
    return "epsilon"


def configuration(folder: Path, family: Family, *, velocity: bool = False, zero_snr: bool = False) -> Path:
    """Write what diffusers wants to know of a family into a new `folder`: our configurations and CLIP's tokenizers.

    `zero_snr` brings the last noise level to no signal (Lin et al., arXiv 2305.08891), as a file asks for with a
    tensor named `ztsnr`.
    """
    large, v2 = FAMILIES[family].large, FAMILIES[family].v2
    shutil.copytree(VELOCITY if velocity and v2 else CONFIGS[family], folder)
    # Stable Diffusion 2 and SDXL's second encoder are padded with '!', as OpenCLIP is.
    clip_tokenizer(padding="!" if v2 else "<|endoftext|>").save_pretrained(folder / "tokenizer")
    if large:
        clip_tokenizer(padding="!").save_pretrained(folder / "tokenizer_2")
    if velocity and not v2:
        _edit(folder / "scheduler" / "scheduler_config.json", prediction_type="v_prediction")
    if zero_snr:
        if not large:  # PNDM cannot
            shutil.copy(VELOCITY / "scheduler" / "scheduler_config.json", folder / "scheduler")
            _edit(folder / "model_index.json", scheduler=["diffusers", "DDIMScheduler"])
        _edit(folder / "scheduler" / "scheduler_config.json", rescale_betas_zero_snr=True, timestep_spacing="trailing",
              prediction_type="v_prediction" if velocity else "epsilon")
    return folder


def _edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values, indent=2), "utf-8")
