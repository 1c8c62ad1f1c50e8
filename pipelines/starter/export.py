"""Write the trained starter as it ships: fp16 pipeline folder, word list, judges' place."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import torch

from pipelines.starter.captions import EXTRA_WORDS
from pipelines.starter.config import StarterConfig
from pipelines.starter.diffusion import assemble
from pipelines.starter.glyphs import COLOURS, Catalogue
from pipelines.starter.scenes import SCENES


def caption_words(edition: int) -> list[str]:
    """The words with a meaning in this edition's captions."""
    catalogue = Catalogue(edition)
    words = {w for noun in catalogue.nouns for w in noun.split()} | set(COLOURS)
    words |= {i.kind for i in catalogue.trainable()}
    words |= {w for s in SCENES.values() for p in s.phrases for w in p.split()}
    spoken = {"a", "an", "the", "of", "and", "to", "photo", "picture", "image", "drawing"}
    return sorted(words | (spoken & set(EXTRA_WORDS)))


def export(config: StarterConfig, work: Path, out: Path) -> None:
    """Replace `out/pipeline` and `out/words.json`."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        folder = Path(scratch) / "pipeline"
        assemble(config, work).to(torch.float16).save_pretrained(folder, safe_serialization=True)
        target = out / "pipeline"
        if target.exists():
            os.replace(target, Path(scratch) / "old")
        os.replace(folder, target)
    (out / "words.json").write_text(json.dumps(caption_words(config.edition)) + "\n", "utf-8")
    size = sum(f.stat().st_size for f in (out / "pipeline").rglob("*") if f.is_file())
    print(f"{out / 'pipeline'}: {size / 1e6:.1f} MB")
