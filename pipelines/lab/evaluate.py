"""How well one adapter has learned: likeness, prompt following, copying, diversity, what it did to its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from adapters.errors import StudioError
from adapters.record import AdapterRecord
from pipelines.generator import Request
from pipelines.image_file import UsedAdapter
from pipelines.lab import measures
from pipelines.lab.encoders import Encoder, TextEncoder
from pipelines.lab.measures import Score, score
from pipelines.lab.prompts import fill
from pipelines.painter import Painter, Use

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What is painted: every prompt with every seed, and the class alone under the first prompts."""

    prompts: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    class_images: int = 8


@dataclass(frozen=True)
class Pictures:
    """What was painted. `said` are the prompts with the class word, which encoders know, in the phrase's place.

    `settings` are those of every picture, the class's last, and `adapters` those of all, for the pictures' files; both
    are empty where the pictures were read from such files.
    """

    images: list[Image.Image]
    prompts: list[str]
    said: list[str]
    of_class: list[Image.Image]
    settings: list[dict[str, Any]] = field(default_factory=list)
    adapters: list[UsedAdapter] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluation:
    """Figures of one encoder; intervals are 95% over prompts, since seeds of one prompt are not independent.

    `halves` are half widths of the figures that are no Score; that of `prior_collapse` is over pictures of the class.
    """

    encoder: str
    images: int
    identity: Score
    prompt: Score | None
    nearest: Score
    copied: float | None
    diversity: float | None
    prior_collapse: float | None
    retrieval: float | None
    look_alikes: int
    seeds: tuple[int, ...] = field(default=())
    halves: dict[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, rounded; `interval` holds half widths."""
        def r(value: float | None) -> float | None:
            return None if value is None else round(value, 4)

        return {
            "encoder": self.encoder, "images": self.images, "seeds": list(self.seeds),
            "identity": r(self.identity.mean), "prompt": r(self.prompt.mean) if self.prompt else None,
            "interval": {"identity": r(self.identity.half), "prompt": r(self.prompt.half) if self.prompt else None,
                         "nearest_reference": r(self.nearest.half), **{k: r(v) for k, v in self.halves.items()}},
            "nearest_reference": r(self.nearest.mean), "copied": r(self.copied), "diversity": r(self.diversity),
            "prior_collapse": r(self.prior_collapse), "retrieval": r(self.retrieval), "look_alikes": self.look_alikes,
        }


def paint(painter: Painter, base: str, use: Sequence[Use], phrase: str, noun: str, plan: Plan, *,
          offline: bool = False, progress: Progress | None = None) -> Pictures:
    """Everything that `plan` asks for; `progress(done, total)` counts pictures and may raise to cancel."""
    asked = [(fill(p, phrase), fill(p, noun), s) for p in plan.prompts for s in plan.seeds]
    of_class = [(fill(p, noun), 1000 + n) for n, p in enumerate(
        (plan.prompts * plan.class_images)[:plan.class_images])]
    total, images, settings = len(asked) + len(of_class), list[Image.Image](), list[dict[str, Any]]()
    for n, (text, seed) in enumerate([(t, s) for t, _, s in asked] + of_class):
        painted = painter.paint(base, use, Request(prompt=text, seed=seed), offline=offline)
        images += painted.images
        settings += painter.told(base, painted, offline=offline)
        if progress:
            progress(n + 1, total)
    return Pictures(images[:len(asked)], [t for t, _, _ in asked], [t for _, t, _ in asked], images[len(asked):],
                    settings, painter.made_with(use))


def evaluate(pictures: Pictures, references: Sequence[Image.Image], encoder: Encoder, *,
             look_alikes: Mapping[str, Sequence[Image.Image]] | None = None,
             seeds: Sequence[int] = ()) -> Evaluation:
    """What `encoder` makes of painted pictures.

    `look_alikes` are pictures of other individuals by name: `retrieval` is the share of pictures that are
    nearer to the references' mean than to any of theirs.
    """
    if not references or not pictures.images:
        raise StudioError("An evaluation needs references and painted pictures, but there are none; give a folder "
                          "of references.")
    shown, known = encoder.images(pictures.images), encoder.images(references)
    said = None
    if isinstance(encoder, TextEncoder):
        said = score(_by(pictures.prompts, measures.prompt_following(shown, encoder.texts(pictures.said))))
    found, halves, of_class = None, dict[str, float | None](), None
    if look_alikes:
        others = torch.stack([torch.nn.functional.normalize(encoder.images(v).mean(0), dim=-1)
                              for v in look_alikes.values()])
        own = torch.nn.functional.normalize(known.mean(0), dim=-1)
        ranks = measures.ranks(shown, own, others)
        found = sum(r == 0 for r in ranks) / len(ranks)
        halves["retrieval"] = score(_by(pictures.prompts, [float(r == 0) for r in ranks])).half
    if pictures.of_class:
        of_class = encoder.images(pictures.of_class)
        halves["prior_collapse"] = score(measures.identity(of_class, known)).half
    of_prompt = [shown[[n for n, p in enumerate(pictures.prompts) if p == prompt]]
                 for prompt in dict.fromkeys(pictures.prompts)]
    for figure, each in (("copied", [measures.copied(rows, known) for rows in of_prompt]),
                         ("diversity", [measures.diversity(rows, [0] * len(rows)) for rows in of_prompt])):
        if there := [v for v in each if v is not None]:
            halves[figure] = score(there).half
    return Evaluation(
        encoder.name, len(shown), score(_by(pictures.prompts, measures.identity(shown, known))), said,
        score(_by(pictures.prompts, measures.nearest_reference(shown, known))), measures.copied(shown, known),
        measures.diversity(shown, pictures.prompts),
        None if of_class is None else measures.prior_collapse(of_class, known),
        found, len(look_alikes or ()), tuple(seeds), halves)


def _by(groups: Sequence[str], values: Sequence[float]) -> list[float]:
    """The mean of each group, in order of appearance."""
    found: dict[str, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        found.setdefault(group, []).append(value)
    return [sum(v) / len(v) for v in found.values()]


def words_of(record: AdapterRecord) -> tuple[str, str]:
    """(phrase, class noun) of an adapter's first concept. Raises StudioError when it has no word at all."""
    if not record.phrase:
        raise StudioError(f"'{record.name}' does not say its trigger word; import it with one, or give it on the "
                          "command line (--phrase).")
    return record.phrase, record.class_noun or "thing"


def pictures_in(folder: Path) -> dict[str, list[Image.Image]]:
    """Pictures by the name of the subfolder that they are in: look-alikes."""
    from pipelines.references import list_folder, open_image

    if not folder.is_dir():
        raise StudioError(f"'{folder}' is not a folder; give one with a subfolder of pictures for each look-alike.")
    found = {p.name: [open_image(f) for f in list_folder(p)] for p in sorted(folder.iterdir()) if p.is_dir()}
    return {k: v for k, v in found.items() if v}
