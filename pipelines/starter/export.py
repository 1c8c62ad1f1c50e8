"""Write the trained starter as it ships: fp16 pipeline folder, word list, judges' place."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pipelines.starter.captions import EXTRA_WORDS
from pipelines.starter.config import StarterConfig
from pipelines.starter.diffusion import assemble
from pipelines.starter.glyphs import COLOURS, Catalogue
from pipelines.starter.scenes import SCENES
from pipelines.starter.world import World, draw

_EVALUATION_SEED = 50_000


def caption_words(edition: int) -> list[str]:
    """The words with a meaning in this edition's captions."""
    catalogue = Catalogue(edition)
    words = {w for noun in catalogue.nouns for w in noun.split()} | set(COLOURS)
    words |= {i.kind for i in catalogue.trainable()}
    words |= {w for s in SCENES.values() for p in s.phrases for w in p.split()}
    spoken = {"a", "an", "the", "of", "and", "to", "photo", "picture", "image", "drawing"}
    return sorted(words | (spoken & set(EXTRA_WORDS)))


def pack_evaluation(config: StarterConfig, path: Path) -> None:
    """64 scenes that no stage was trained on, as one lossless atlas: measuring needs no font."""
    rng = np.random.default_rng(config.seed + _EVALUATION_SEED)
    catalogue = Catalogue(config.edition)
    world = World(catalogue, catalogue.trainable())
    side = config.size
    atlas = Image.new("RGB", (8 * side, 8 * side))
    for n in range(64):
        atlas.paste(draw(rng, world.spec(rng), side).image, (n % 8 * side, n // 8 * side))
    path.parent.mkdir(parents=True, exist_ok=True)
    atlas.save(path, optimize=True)


def export(config: StarterConfig, work: Path, out: Path) -> None:
    """Replace `out/pipeline`, `out/words.json` and `out/evaluation`."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        folder = Path(scratch) / "pipeline"
        assemble(config, work).to(torch.float16).save_pretrained(folder, safe_serialization=True)
        target = out / "pipeline"
        if target.exists():
            os.replace(target, Path(scratch) / "old")
        os.replace(folder, target)
    (out / "words.json").write_text(json.dumps(caption_words(config.edition)) + "\n", "utf-8")
    pack_evaluation(config, out / "evaluation" / "scenes.png")
    size = sum(f.stat().st_size for f in (out / "pipeline").rglob("*") if f.is_file())
    print(f"{out / 'pipeline'}: {size / 1e6:.1f} MB")
