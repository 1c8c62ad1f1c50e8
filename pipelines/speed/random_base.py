"""A base of full shape with random weights: `python -m pipelines.speed.random_base DIR [--family sd1]`.

What a step costs does not depend on what the weights say, so the speed lab can measure on it where no weights are.
A diffusers folder in half precision; SD 1.x takes 2.1 GB.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from adapters.errors import StudioError
from adapters.identity import Family
from pipelines.base_models.clip_vocabulary import clip_tokenizer
from pipelines.base_models.families import CONFIGS

SHAPES: tuple[Family, ...] = ("sd1", "sd2")


def random_base(family: Family, folder: Path, seed: int = 0) -> None:
    """Write a whole pipeline of `family`, one of SHAPES, into the new `folder`."""
    if folder.exists():
        raise StudioError(f"'{folder}' is there already; name a folder that is not.")
    shapes = CONFIGS[family]
    torch.manual_seed(seed)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_config(AutoencoderKL.load_config(shapes / "vae")),
        text_encoder=CLIPTextModel(CLIPTextConfig.from_pretrained(shapes / "text_encoder")),
        tokenizer=clip_tokenizer(),
        unet=UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(shapes / "unet")),
        scheduler=DDIMScheduler.from_pretrained(shapes / "scheduler"),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipeline.to(torch.float16).save_pretrained(folder)


def main() -> int:
    """Exit code 2 where the folder is taken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", choices=SHAPES, default="sd1")
    options = parser.parse_args()
    try:
        random_base(options.family, options.folder)
    except StudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
