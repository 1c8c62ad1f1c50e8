"""Bases with the text widths and the layout of the real ones, and few channels; what they are in original files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from pipelines.base_models.families import CONFIGS
from tests.pipelines.base_models import ldm_names

_SCHEDULERS = {c.__name__: c for c in (DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler)}
_UNETS: dict[str, dict[str, Any]] = {
    "sd2": {"sample_size": 16, "block_out_channels": [8, 16, 16, 16], "attention_head_dim": [2, 2, 2, 2]},
    "sdxl": {"sample_size": 64, "block_out_channels": [8, 16, 16], "attention_head_dim": [2, 2, 2],
             "transformer_layers_per_block": [1, 1, 2]},
}
_OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
              "self_attn.out_proj": "attn.out_proj"}


def tokenizer(padding: str) -> CLIPTokenizer:
    """Every letter is a token."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*symbols, *(s + "</w>" for s in symbols), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={t: n for n, t in enumerate(tokens)}, merges=[], unk_token="<|endoftext|>",
                         bos_token="<|startoftext|>", eos_token="<|endoftext|>", pad_token=padding,
                         model_max_length=77)


def configurations(folder: Path, family: str, source: Path | None = None) -> Path:
    """A copy of the studio's own configurations with small numbers."""
    source = source or CONFIGS[family]
    for path in source.rglob("*.json"):
        found = json.loads(path.read_text())
        if path.parent.name == "unet":
            found |= {**_UNETS[family], "norm_num_groups": 4}
        elif path.parent.name.startswith("text_encoder"):
            found |= {"vocab_size": 514, "intermediate_size": 32, "num_hidden_layers": 2, "bos_token_id": 512,
                      "eos_token_id": 513}
        elif path.parent.name == "vae":
            found |= {"block_out_channels": [8] * 4, "norm_num_groups": 4, "sample_size": 64}
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(found))
    return folder


def pipeline(family: str, configured: Path) -> Any:
    """Random weights, other ones at every name."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(configured / "unet"))
        vae = AutoencoderKL.from_config(AutoencoderKL.load_config(configured / "vae"))
        parts: dict[str, Any] = {
            "unet": unet, "vae": vae,
            "text_encoder": CLIPTextModel(CLIPTextConfig.from_pretrained(configured / "text_encoder"))}
        if family == "sdxl":
            parts["text_encoder_2"] = CLIPTextModelWithProjection(
                CLIPTextConfig.from_pretrained(configured / "text_encoder_2"))
        for part in parts.values():
            for p in part.parameters():
                p.data += 0.02 * torch.randn_like(p)
    kind = json.loads((configured / "model_index.json").read_text())["scheduler"][1]
    parts["scheduler"] = _SCHEDULERS[kind].from_pretrained(configured / "scheduler")
    if family == "sdxl":
        return StableDiffusionXLPipeline(**parts, tokenizer=tokenizer("<|endoftext|>"), tokenizer_2=tokenizer("!"),
                                         add_watermarker=False)
    return StableDiffusionPipeline(**parts, tokenizer=tokenizer("!"), safety_checker=None, feature_extractor=None,
                                   requires_safety_checker=False)


def original(family: str, made: Any) -> dict[str, torch.Tensor]:
    """The tensors of a pipeline under the names and in the forms of the original checkpoints."""
    large = family == "sdxl"
    found = {ldm_names.unet(n, large=large): t for n, t in made.unet.state_dict().items()}
    for name, tensor in made.vae.state_dict().items():
        linear = ".attentions." in name and tensor.ndim == 2
        found[ldm_names.vae(name)] = tensor[..., None, None] if linear else tensor
    if large:
        found |= {f"conditioner.embedders.0.transformer.text_model.{n}": t
                  for n, t in made.text_encoder.state_dict().items()}
        found |= open_clip(made.text_encoder_2.state_dict(), "conditioner.embedders.1.model.")
    else:
        found |= open_clip(made.text_encoder.state_dict(), "cond_stage_model.model.")
        # The last layer, which nobody reads.
        last = {k.replace("resblocks.1.", "resblocks.2."): t for k, t in found.items() if ".resblocks.1." in k}
        found |= last | {"cond_stage_model.model.text_projection": torch.eye(1024)}
    return {k: t.clone().contiguous() for k, t in found.items() if "position_ids" not in k}


def open_clip(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """transformers' text encoder in open_clip's layout: queries, keys and values in one matrix."""
    state = {n.removeprefix("text_model."): t for n, t in state.items()}
    found = {"token_embedding.weight": state["embeddings.token_embedding.weight"],
             "positional_embedding": state["embeddings.position_embedding.weight"],
             "ln_final.weight": state["final_layer_norm.weight"], "ln_final.bias": state["final_layer_norm.bias"]}
    if "text_projection.weight" in state:
        found["text_projection"] = state["text_projection.weight"].T
    for name, tensor in state.items():
        layer = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
        if layer and layer[2] in _OPEN_CLIP:
            found[f"transformer.resblocks.{layer[1]}.{_OPEN_CLIP[layer[2]]}.{layer[3]}"] = tensor
        elif layer and layer[2] == "self_attn.q_proj":
            three = [state[name.replace("q_proj", f"{x}_proj")] for x in "qkv"]
            found[f"transformer.resblocks.{layer[1]}.attn.in_proj_{layer[3]}"] = torch.cat(three)
    return {prefix + n: t for n, t in found.items()}
