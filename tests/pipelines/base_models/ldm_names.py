"""The names that the original Stable Diffusion checkpoints give to diffusers' layers."""

from __future__ import annotations

import re

_RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0",
           "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}
_ENDS = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
         "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
         "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def _block(place: str, block: int, layer: int, kind: str, large: bool) -> str:
    """Where layer `layer` of a block is in the original; without `large` the first up block has no attention."""
    number = {"resnets": 0, "attentions": 1}.get(kind)
    if place == "down":
        return (f"input_blocks.{3 * block + layer + 1}.{number}" if number is not None
                else f"input_blocks.{3 * block + 3}.0.op")
    if place == "up":
        return (f"output_blocks.{3 * block + layer}.{number}" if number is not None
                else f"output_blocks.{3 * block + 2}.{1 if block == 0 and not large else 2}.conv")
    return f"middle_block.{1 if kind == 'attentions' else 2 * layer}"


def unet(name: str, *, large: bool = False) -> str:
    stem, _, leaf = name.rpartition(".")
    if stem in _ENDS:
        return f"model.diffusion_model.{_ENDS[stem]}.{leaf}"
    found = re.fullmatch(r"(down|up|mid)_block(?:s\.(\d))?\.(\w+)\.(\d)\.(.+)", stem)
    assert found, name
    place, block, kind, layer, rest = found.groups()
    home = _block(place, int(block or 0), int(layer), kind, large)
    tail = {"resnets": f".{_RESNET.get(rest)}", "attentions": f".{rest}"}.get(kind, "")
    return f"model.diffusion_model.{home}{tail}.{leaf}"


_VAE = (
    (r"(\w+)\.conv_norm_out", lambda m: f"{m[1]}.norm_out"),
    (r"(\w+)\.mid_block\.resnets\.(\d)\.(.+)", lambda m: f"{m[1]}.mid.block_{int(m[2]) + 1}.{m[3]}"),
    (r"(\w+)\.mid_block\.attentions\.0\.(.+)", lambda m: f"{m[1]}.mid.attn_1.{_VAE_ATTENTION[m[2]]}"),
    (r"encoder\.down_blocks\.(\d)\.resnets\.(.+)", lambda m: f"encoder.down.{m[1]}.block.{m[2]}"),
    (r"encoder\.down_blocks\.(\d)\.downsamplers\.0(.+)",
     lambda m: f"encoder.down.{m[1]}.downsample{m[2]}"),
    (r"decoder\.up_blocks\.(\d)\.resnets\.(.+)", lambda m: f"decoder.up.{3 - int(m[1])}.block.{m[2]}"),
    (r"decoder\.up_blocks\.(\d)\.upsamplers\.0(.+)",
     lambda m: f"decoder.up.{3 - int(m[1])}.upsample{m[2]}"),
)


def vae(name: str) -> str:
    stem, _, leaf = name.rpartition(".")
    for pattern, original in _VAE:
        if found := re.fullmatch(pattern, stem):
            stem = original(found)
            break
    return f"first_stage_model.{stem}.{leaf}".replace("conv_shortcut", "nin_shortcut")


def text_encoder(name: str) -> str:
    return f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"
