"""Which checkpoint of a run to use: where likeness has come, before prompts are no longer followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.record import read_record
from pipelines.lab.encoders import Encoder
from pipelines.lab.evaluate import Plan, evaluate, paint, words_of
from pipelines.lab.measures import Score
from pipelines.painter import Painter
from pipelines.references import list_folder, open_image
from pipelines.run_config import RunConfig
from pipelines.training import ADAPTER_FILE

MOST = 8
"""Checkpoints that are looked at, evenly spread, the last one among them."""


@dataclass(frozen=True)
class Checkpoint:
    """An adapter file on the way, with what it reached; `prompt` is None with an encoder that reads no words."""

    step: int
    path: Path
    likeness: Score
    prompt: Score | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON and for the page."""
        return {"step": self.step, "file": self.path.name, "likeness": self.likeness.as_dict(),
                "prompt": self.prompt.as_dict() if self.prompt else None}


def files(folder: Path, most: int = MOST) -> list[tuple[int, Path]]:
    """(step, adapter file) of a run's checkpoints, at most `most`. Raises StudioError when there are none."""
    found = [(int(p.stem.rpartition("step")[2]), p) for p in sorted((folder / "checkpoints").glob("*.safetensors"))]
    steps = RunConfig.load(folder).training.steps
    if (folder / ADAPTER_FILE).exists() and steps not in dict(found):
        found.append((steps, folder / ADAPTER_FILE))
    if not found:
        raise StudioError("The run should have checkpoints to choose from, but it has none yet; let it train on.")
    if len(found) <= most:
        return found
    # The first ones have learned least; the last is always looked at.
    return [found[round((n + 1) * len(found) / most) - 1] for n in range(most)]


def look(folder: Path, encoder: Encoder, plan: Plan, painter: Painter,
         say: Callable[[str], None] = print) -> list[Checkpoint]:
    """Every checkpoint painted with the same prompts and seeds and held against the run's own references."""
    config = RunConfig.load(folder)
    references = [open_image(p) for p in list_folder(folder / "references")]
    seen = []
    for step, path in files(folder):
        phrase, noun = words_of(read_record(path))
        painted = paint(painter, config.base, [(path, 1.0, {})], phrase, noun, plan, offline=config.offline)
        found = evaluate(painted, references, encoder, seeds=plan.seeds)
        seen.append(Checkpoint(step, path, found.identity, found.prompt))
        say(f"step {step}: likeness {found.identity}" + (f", prompt {found.prompt}" if found.prompt else ""))
    return seen


def overlap(one: Score, other: Score) -> bool:
    """Whether their intervals have values in common; without intervals they have none."""
    halves = (one.half, other.half)
    return None not in halves and abs(one.mean - other.mean) <= sum(h or 0.0 for h in halves)


def choose(seen: Sequence[Checkpoint]) -> tuple[Checkpoint, str]:
    """The checkpoint to use and why.

    Of those whose likeness cannot be told from the best one's (it lies within half of that one's 95% interval), the
    one that follows prompts best, the earlier of two alike: more likeness there would be chance, and a later
    checkpoint has forgotten more. The rule is that of one standard error (Breiman et al., 1984), with the interval.
    """
    best = max(seen, key=lambda c: c.likeness.mean)
    alike = [c for c in seen if c.likeness.mean >= best.likeness.mean - (best.likeness.half or 0.0)]
    chosen = max(alike, key=lambda c: (round(c.prompt.mean, 3) if c.prompt else 0.0, -c.step))
    near = [str(c.step) for c in seen if c is not best and overlap(c.likeness, best.likeness)]
    if chosen is best:
        ahead = f"Step {chosen.step} has the most likeness, {chosen.likeness}"
        if near:
            ahead = (f"Step {chosen.step} is ahead in likeness, {chosen.likeness}, perhaps by chance, for the "
                     f"intervals of step {', '.join(near)} overlap with its own")
        return chosen, ahead + ("." if len(alike) == 1 or not chosen.prompt else
                                ", and no other that is as like follows prompts better.")
    told = (f"Step {chosen.step} has a likeness of {chosen.likeness.mean:.3f}, which cannot be told from the best one "
            f"({best.likeness}, step {best.step})")
    if not (chosen.prompt and best.prompt):
        return chosen, f"{told}, and it came first."
    return chosen, f"{told}, and follows prompts better: {chosen.prompt.mean:.3f} against {best.prompt.mean:.3f}."
