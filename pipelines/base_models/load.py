"""Loading a located base into a Host, offline where its files are here."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError
from safetensors import SafetensorError

from adapters.errors import StudioError
from adapters.files import read_header
from adapters.host import Host
from adapters.identity import BaseIdentity, Family
from pipelines.base_models.locate import ASSETS, BaseLocation, fingerprint, locate

SD1_CONFIG = ASSETS / "sd1"
_SD1_BLOCKS = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
_SD1_MARKER = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


def load_base(spec: str, *, offline: bool = False, dtype: torch.dtype = torch.float32) -> Host:
    """Load `--base` on the CPU. Raises StudioError when it is no base of a known family."""
    location = locate(spec)
    try:
        pipeline, weights = _open(location, offline, dtype)
        if any(p.is_meta for m in (pipeline.unet, pipeline.text_encoder, pipeline.vae)
               for p in m.parameters()):
            raise ValueError("some of its weights are not there")
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError,
            SafetensorError, SingleFileComponentError) as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise StudioError(
            f"The base '{location.name}' could not be loaded ({first}); check that it is a whole "
            "Stable Diffusion 1.x model."
        ) from error
    family: Family = "starter" if location.form == "starter" else _family(pipeline, location.name)
    return Host(
        BaseIdentity(family=family, name=location.name, hash=fingerprint(weights) if weights else ""),
        {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder},
        pipeline.tokenizer, pipeline.vae, pipeline.scheduler,
    )


def _open(location: BaseLocation, offline: bool, dtype: torch.dtype) -> tuple[Any, Path | None]:
    if location.form == "file" and location.path:
        return _open_file(location.path, dtype), location.path
    folder = location.path or _download(location.name, offline)
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, local_files_only=True,
        safety_checker=None, feature_extractor=None, image_encoder=None, requires_safety_checker=False,
    )
    files = sorted((folder / "unet").glob("*.safetensors"))
    # diffusers only warns about weights that are not there, and fills them with chance.
    held = {name for file in files for name in read_header(file).tensors}
    if missing := sorted(set(pipeline.unet.state_dict()) - held):
        raise ValueError(f"the denoiser's '{missing[0]}' is not in its files")
    return pipeline, next(iter(files), None)


def _open_file(path: Path, dtype: torch.dtype) -> Any:
    """A single checkpoint with our own SD 1.x configuration and CLIP vocabulary: no hub needed."""
    header = read_header(path)
    marker = header.tensors.get(_SD1_MARKER)
    if marker is None or marker.shape[-1] != 768:
        found = "is no Stable Diffusion checkpoint" if marker is None else (
            f"has text features of width {marker.shape[-1]}, not 768")
        raise StudioError(f"'{path.name}' {found}; choose a Stable Diffusion 1.x checkpoint.")
    from pipelines.base_models.clip_vocabulary import clip_tokenizer

    with tempfile.TemporaryDirectory() as scratch:
        # from_single_file wants the tokenizer inside the configuration folder.
        config = Path(scratch) / "sd1"
        shutil.copytree(SD1_CONFIG, config)
        clip_tokenizer().save_pretrained(config / "tokenizer")
        return StableDiffusionPipeline.from_single_file(
            str(path), config=str(config), dtype=dtype, local_files_only=True,
            safety_checker=None, feature_extractor=None,
        )


def _download(hub_id: str, offline: bool) -> Path:
    """Fetch a model from the hub (progress on stderr) or find it in the cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = ["*.json", "*.txt", "unet/*.safetensors", "vae/*.safetensors",
                "text_encoder/*.safetensors"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns, local_files_only=offline))
    except LocalEntryNotFoundError as error:
        what = ("it is not in the local cache and offline mode is on; go online or give a folder"
                if offline else "the hub could not be reached; check the network or give a folder")
        raise StudioError(f"The base '{hub_id}' is not here: {what}.") from error
    except HfHubHTTPError as error:
        raise StudioError(
            f"The hub refused '{hub_id}' (HTTP {error.response.status_code}); check the id, and "
            "log in with 'hf auth login' if the model asks for it."
        ) from error


def _family(pipeline: Any, name: str) -> Family:
    unet = pipeline.unet.config
    if tuple(unet.down_block_types) == _SD1_BLOCKS and unet.cross_attention_dim == 768:
        return "sd1"
    raise StudioError(
        f"'{name}' is of an unknown family (text features of width {unet.cross_attention_dim}); "
        "this studio opens Stable Diffusion 1.x models, choose one of these."
    )
