"""DreamBench as published: 30 subjects x 25 prompts x 4 pictures (Ruiz et al., arXiv 2208.12242, section 4.1).

For people with real weights. Each subject is a comparison of one method in a folder of its own, so what was trained,
painted and judged is not done again, and the mean can be taken over the subjects that are there so far.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.files import write_text
from pipelines.lab.compare import Comparison
from pipelines.lab.encoders import Encoder
from pipelines.lab.evaluate import Plan
from pipelines.lab.measures import score
from pipelines.lab.prompts import DREAMBENCH_LIVE, DREAMBENCH_OBJECTS
from pipelines.painter import Painter

SUBJECTS = {
    "backpack": "backpack", "backpack_dog": "backpack", "bear_plushie": "stuffed animal", "berry_bowl": "bowl",
    "can": "can", "candle": "candle", "cat": "cat", "cat2": "cat", "clock": "clock", "colorful_sneaker": "sneaker",
    "dog": "dog", "dog2": "dog", "dog3": "dog", "dog5": "dog", "dog6": "dog", "dog7": "dog", "dog8": "dog",
    "duck_toy": "toy", "fancy_boot": "boot", "grey_sloth_plushie": "stuffed animal", "monster_toy": "toy",
    "pink_sunglasses": "glasses", "poop_emoji": "toy", "rc_car": "toy", "red_cartoon": "cartoon", "robot_toy": "toy",
    "shiny_sneaker": "sneaker", "teapot": "teapot", "vase": "vase", "wolf_plushie": "stuffed animal",
}
"""Folder of a subject to its class word, as the dataset's own list has them."""
LIVE = frozenset({"cat", "dog"})
"""Classes that take the second list of prompts."""
REAL_IMAGES = {"facebook/dino-vits16": 0.774, "openai/clip-vit-base-patch32": 0.885}
"""What the subjects' own photos score against each other, by encoder (table 1 there): the most that likeness can be."""


def prompts_of(noun: str) -> tuple[str, ...]:
    """The 25 prompts for a class word."""
    return DREAMBENCH_LIVE if noun in LIVE else DREAMBENCH_OBJECTS


def subjects_in(data: Path, wanted: Sequence[str] = ()) -> dict[str, str]:
    """The benchmark's subjects that `data` has a folder of, or those `wanted` of them, each with its class word.

    Raises StudioError when there is none, or when one that is wanted is not there.
    """
    here = {name: noun for name, noun in SUBJECTS.items() if (data / name).is_dir()}
    if missing := [name for name in wanted if name not in here]:
        raise StudioError(f"'{data}' should have a folder '{missing[0][:60]}' with pictures of a DreamBench subject, "
                          f"but it has {', '.join(here) or 'none of them'}; choose from these.")
    if not here:
        raise StudioError(f"'{data}' should have a folder for each DreamBench subject ({', '.join(list(SUBJECTS)[:3])} "
                          "...), but it has none of them; download the dataset and give its folder 'dataset'.")
    return {name: here[name] for name in wanted} if wanted else here


@dataclass
class DreamBench:
    """One method over the subjects in `data`, `seeds` pictures of each prompt, everything kept in `folder`.

    `prompts` is how many of the 25 are painted; fewer is a quick look and no DreamBench.
    """

    data: Path
    folder: Path
    base: str
    method: str
    preset: str = "balanced"
    steps: int | None = None
    subjects: Sequence[str] = ()
    seeds: int = 4
    prompts: int = 25
    offline: bool = True
    consent: str = ""
    """The statement of consent for all pictures, where they show a person."""
    painter: Painter = field(default_factory=Painter)

    def run(self, encoders: Sequence[Encoder], say: Callable[[str], None] = print) -> dict[str, Any]:
        """Figures by encoder; `dreambench.json` is written after every subject."""
        asked, rows = subjects_in(self.data, self.subjects), list[dict[str, Any]]()
        found: dict[str, Any] = {}
        for number, (name, noun) in enumerate(asked.items(), 1):
            rows += self._subject(name, noun, encoders, say)
            found = self.summary(rows)
            write_text(self.folder / "dreambench.json", json.dumps(found, indent=1) + "\n")
            say(f"{number}/{len(asked)} {name}: " + "; ".join(
                f"{r['encoder']} {r['identity']:.3f}" for r in rows if r["subject"] == name))
        return found

    def _subject(self, name: str, noun: str, encoders: Sequence[Encoder], say: Any) -> list[dict[str, Any]]:
        plan = Plan(prompts_of(noun)[:self.prompts], tuple(range(self.seeds)))
        compared = Comparison(self.folder / name, self.base, noun, self.data / name, (self.method,), self.preset,
                              self.steps, plan, self.offline, self.painter, alone=False, curve=False,
                              consent=self.consent)
        return [{"subject": name, **row.figures, "seconds": row.seconds}
                for encoder in encoders for row in compared.run(encoder, say)]

    def summary(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Means over subjects by encoder, with 95% intervals, beside every subject's own figures."""
        by: dict[str, dict[str, Any]] = {}
        for encoder in dict.fromkeys(r["encoder"] for r in rows):
            mine = [r for r in rows if r["encoder"] == encoder]
            by[encoder] = {
                figure: score([r[figure] for r in mine]).as_dict()
                for figure in ("identity", "prompt", "diversity", "prior_collapse")
                if all(r[figure] is not None for r in mine)}
            by[encoder] |= {"images": sum(r["images"] for r in mine), "real_images": REAL_IMAGES.get(encoder)}
        return {"method": self.method, "preset": self.preset, "base": self.base, "seeds": self.seeds,
                "subjects": len({r["subject"] for r in rows}), "of": len(SUBJECTS), "prompts": self.prompts,
                "encoders": by, "rows": list(rows)}
