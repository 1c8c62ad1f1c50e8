"""Write the trained starter as it ships: fp16 pipeline folder with the pair, word list, evaluation set."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import torch

from pipelines.starter import pair
from pipelines.starter.config import StarterConfig
from pipelines.starter.diffusion import assemble
from pipelines.starter.evaluation import pack
from pipelines.starter.tokenizer import caption_words

_PHOTOS = ("<!-- photos -->\n", "<!-- /photos -->")


def export(config: StarterConfig, work: Path, out: Path) -> None:
    """Replace `out/pipeline`, `out/words.json` and `out/evaluation`; name the photo subjects in the card."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        folder = Path(scratch) / "pipeline"
        assemble(config, work).to(torch.float16).save_pretrained(folder, safe_serialization=True)
        if (work / "pair.pt").exists():
            pair.export(config, work, folder)
        target = out / "pipeline"
        if target.exists():
            os.replace(target, Path(scratch) / "old")
        os.replace(folder, target)
    (out / "words.json").write_text(json.dumps(caption_words()) + "\n", "utf-8")
    pack(config.size, config.seed, out / "evaluation")
    list_photos(work / "photos.json", out / "README.md")
    size = sum(f.stat().st_size for f in (out / "pipeline").rglob("*") if f.is_file())
    print(f"{out / 'pipeline'}: {size / 1e6:.1f} MB")


def list_photos(told: Path, card: Path) -> None:
    """Say in the model card, between its marks, which photo subjects the autoencoder was trained on."""
    if not told.exists() or not card.exists():
        return
    subjects = json.loads(told.read_text("utf-8"))
    lines = "".join(f"* {what}: {', '.join(subjects[key]) or 'none'}\n"
                    for key, what in (("trained", "Trained on"), ("kept_out", "Kept out, for `photo_db`")))
    before, mark, rest = card.read_text("utf-8").partition(_PHOTOS[0])
    if mark:
        card.write_text(before + mark + lines + _PHOTOS[1] + rest.partition(_PHOTOS[1])[2], "utf-8")
