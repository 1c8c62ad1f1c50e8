"""Names of the denoiser's layers in the original (SGM) layout, which SDXL's kohya files use.

`input_blocks.i.j` is down block (i-1)//3, layer (i-1)%3, with j = 0 for its resnet and 1 for its attention;
`middle_block.0/1/2` are resnet, attention, resnet; `output_blocks.i.j` is up block i//3, layer i%3, where the
upsampler comes last. Source: sgm's `openaimodel.py` and sd-scripts' `sdxl_original_unet.py`.
"""

from __future__ import annotations

import re

_RESNET = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1",
           "conv_shortcut": "skip_connection", "norm1": "in_layers.0", "norm2": "out_layers.0"}
_ENDS = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
         "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
         "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
_PLACE = re.compile(r"(down|mid|up)_block(?:s\.(\d+))?\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")


def original_name(path: str) -> str:
    """'down_blocks.1.attentions.0.proj_in' to 'input_blocks.4.1.proj_in'. ValueError when it has no such name."""
    if path in _ENDS:
        return _ENDS[path]
    found = _PLACE.fullmatch(path)
    if found is None:
        raise ValueError(f"'{path}' is no layer of a Stable Diffusion denoiser.")
    place, block, layer, kind, rest = found[1], int(found[2] or 0), int(found[4]), found[3], found[5]
    if kind == "resnets":
        rest = _RESNET[rest]
    if place == "mid":
        return f"middle_block.{1 if kind == 'attentions' else 2 * layer}.{rest}"
    if kind == "downsamplers":
        return f"input_blocks.{3 * block + 3}.0.op"
    if kind == "upsamplers":  # behind resnet and attention, which SDXL's blocks with an upsampler have
        return f"output_blocks.{3 * block + 2}.2.{rest}"
    first = f"input_blocks.{3 * block + layer + 1}" if place == "down" else f"output_blocks.{3 * block + layer}"
    return f"{first}.{1 if kind == 'attentions' else 0}.{rest}"
