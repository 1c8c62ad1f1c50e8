"""Write the trained starter as it ships: fp16 pipeline with the pair, judges, evaluation set, words, model card."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from adapters.errors import StudioError
from pipelines.starter import pair
from pipelines.starter.config import StarterConfig
from pipelines.starter.diffusion import assemble
from pipelines.starter.evaluation import pack
from pipelines.starter.tokenizer import caption_words

CARD = Path(__file__).with_name("card.md")
JUDGES = ("embedder.safetensors", "gallery.safetensors", "scene_judge.safetensors")
_PHOTOS = ("<!-- photos -->\n", "<!-- /photos -->")


def export(config: StarterConfig, work: Path, out: Path) -> None:
    """Replace `out/pipeline`, `out/judges`, `out/evaluation`, `out/words.json` and the model card.

    Nothing is replaced before all of it is written. Where `work` has a pair and no denoiser, the pair was tuned to
    the text tower that `out` has, and only it is replaced. Raises StudioError when a judge is missing.
    """
    if (work / "pair.pt").exists() and not (work / "diffusion.pt").exists():
        export_pair(config, work, out)
        return
    if missing := [name for name in JUDGES if not (work / "judges" / name).exists()]:
        raise StudioError(f"The judges should be in '{work / 'judges'}', but {', '.join(missing)} is not there; "
                          "run the stage 'judges' first.")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        new = Path(scratch)
        assemble(config, work).to(torch.float16).save_pretrained(new / "pipeline", safe_serialization=True)
        if (work / "pair.pt").exists():
            pair.export(config, work, new / "pipeline")
        forget_paths(new / "pipeline")
        shutil.copytree(work / "judges", new / "judges")
        pack(config.size, config.seed, new / "evaluation")
        (new / "words.json").write_text(json.dumps(caption_words()) + "\n", "utf-8")
        (new / "README.md").write_text(card(work / "photos.json"), "utf-8")
        replace(new, out)
    size = sum(f.stat().st_size for f in (out / "pipeline").rglob("*") if f.is_file())
    print(f"{out / 'pipeline'}: {size / 1e6:.1f} MB")


def export_pair(config: StarterConfig, work: Path, out: Path) -> None:
    """Replace the pair in `out/pipeline`, and nothing else there."""
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        new = Path(scratch)
        shutil.copytree(out / "pipeline", new / "pipeline", ignore=shutil.ignore_patterns(pair.FOLDER))
        pair.export(config, work, new / "pipeline")
        forget_paths(new / "pipeline")
        replace(new, out)


def forget_paths(pipeline: Path) -> None:
    """Take out of every configuration from where on this machine its part was loaded."""
    def without(told: Any) -> Any:
        return {k: without(v) for k, v in told.items() if k != "_name_or_path"} if isinstance(told, dict) else told

    for path in pipeline.rglob("config.json"):
        kept = without(json.loads(path.read_text("utf-8")))
        path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", "utf-8")


def replace(new: Path, out: Path) -> None:
    """Move all that is in `new`, a folder inside `out`, over what `out` has under the same names."""
    parts = sorted(new.iterdir())
    old = new / "old"
    old.mkdir()
    for part in parts:
        if (out / part.name).exists():
            os.replace(out / part.name, old / part.name)
        os.replace(part, out / part.name)


def card(told: Path) -> str:
    """The model card, with the photo subjects that the autoencoder was trained on between its marks."""
    text = CARD.read_text("utf-8")
    if not told.exists():
        return text
    subjects = json.loads(told.read_text("utf-8"))
    lines = "".join(f"* {what}: {', '.join(subjects[key]) or 'none'}\n"
                    for key, what in (("trained", "Trained on"), ("kept_out", "Kept out, for `photo_db`")))
    before, mark, rest = text.partition(_PHOTOS[0])
    return before + mark + lines + _PHOTOS[1] + rest.partition(_PHOTOS[1])[2]
