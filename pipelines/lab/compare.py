"""Methods side by side: same pictures, seeds and prompts; time, memory, size, likeness, prompt following."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from adapters.errors import StudioError
from adapters.files import sha256, write_text
from adapters.record import Concept, read_record
from pipelines.base_models.families import find_family
from pipelines.base_models.locate import locate
from pipelines.image_file import save_png
from pipelines.lab.apart import train_apart
from pipelines.lab.encoders import Encoder
from pipelines.lab.evaluate import Pictures, Plan, evaluate, paint, words_of
from pipelines.masks import find_masks, take_in_masks
from pipelines.methods import config_class
from pipelines.methods.common import TrainingConfig, resolve
from pipelines.painter import Painter
from pipelines.references import list_folder, open_image, take_in
from pipelines.run_config import RunConfig

BIASES = (0.35, 0.55, 0.75, 0.95)
"""At which a Perfusion concept is painted, for its curve."""

LOWERED = {"batch", "accumulate", "gradient_checkpointing"}
"""What a training whose memory runs out changes in its own settings."""


@dataclass(frozen=True)
class Row:
    """A point in the comparison: a method, at a dial's value where it has a curve."""

    method: str
    label: str
    figures: dict[str, Any]
    seconds: float
    peak_bytes: int
    file_bytes: int
    pictures: list[str] = field(default_factory=list)


@dataclass
class Comparison:
    """Compares into a folder; what is there already is not done again, and has to be of the same pictures and settings.

    `methods` are trained with `preset` on the pictures in `references`. With `alone` the first row is `base` without
    an adapter, with `curve` Perfusion is painted at several biases.
    """

    folder: Path
    base: str
    noun: str
    references: Path
    methods: Sequence[str]
    preset: str = "balanced"
    steps: int | None = None
    plan: Plan = field(default_factory=lambda: Plan(("a photo of {}",)))
    offline: bool = True
    painter: Painter = field(default_factory=Painter)
    alone: bool = True
    curve: bool = True
    consent: str = ""
    """The statement of consent, where the pictures show a person; what is taught then says so."""

    def run(self, encoder: Encoder, say: Any = print) -> list[Row]:
        """All rows; `result.json` keeps them."""
        references = [open_image(p) for p in list_folder(self.references)]
        for method in self.methods:  # what cannot be is said before anything is trained
            self._prepare(method, self.folder / method)
        rows = [self._row("none", "base alone", [], {}, encoder, references, 0.0, 0)] if self.alone else []
        for method in self.methods:
            say(f"training with {method}")
            cost = self._train(method)
            for dials in [{"bias": b} for b in BIASES] if method == "perfusion" and self.curve else [{}]:
                told = f"{method} (bias {dials['bias']})" if dials else method
                say(f"painting with {told}")
                rows.append(self._row(method, told, [cost["adapter"]], dials, encoder, references,
                                      cost["seconds"], cost["peak_bytes"]))
        write_text(self.folder / "result.json", json.dumps([vars(r) for r in rows], indent=1) + "\n")
        return rows

    def _train(self, method: str) -> dict[str, Any]:
        folder = self.folder / method
        kept = folder / "cost.json"
        if kept.exists():
            found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
            return found
        cost = train_apart(folder, self.folder / "cache")
        told = {"adapter": str(cost.adapter), "seconds": cost.seconds, "peak_bytes": cost.peak_bytes}
        write_text(kept, json.dumps(told) + "\n")
        return told

    def _prepare(self, method: str, folder: Path) -> None:
        sources = list_folder(self.references)
        masks = find_masks(sources)
        found = "auto" if config_class(method).needs_masks and not all(masks) else None
        config = resolve(method, find_family(locate(self.base), offline=self.offline), self.preset,
                         preview_every=0, steps=self.steps, masks=found)
        if (folder / "config.json").exists():
            self._check_same(RunConfig.load(folder), config, sources)
            return
        taken = take_in(sources, folder / "references")
        if any(masks):
            take_in_masks(sources, masks, 1, [r.path for r in taken], folder / "masks")
        run = RunConfig(
            name="compared", class_noun=self.noun, base=self.base, offline=self.offline,
            concepts=(Concept(name="compared", noun=self.noun, trigger="", kind="person" if self.consent else ""),),
            consent=self.consent, image_hashes=tuple(r.sha256 for r in taken), training=config)
        run.check_packages()
        run.save(folder)

    def _check_same(self, kept: RunConfig, config: TrainingConfig, sources: Sequence[Path]) -> None:
        """Raise StudioError when what was prepared here before is something else."""
        settings, wanted = (c.model_dump(exclude=LOWERED) for c in (kept.training, config))
        if ((kept.base, kept.class_noun, settings) != (self.base, self.noun, wanted)
                or sorted(kept.image_hashes) != sorted(map(sha256, sources))):
            folder, method = self.folder, config.method
            raise StudioError(f"'{folder}' should hold what is compared now, but its '{method}' was begun with other "
                              "pictures, another base or other settings; choose another folder, or delete it.")

    def _row(self, method: str, label: str, adapters: Sequence[str], dials: Mapping[str, float], encoder: Encoder,
             references: Sequence[Image.Image], seconds: float, peak: int) -> Row:
        """Paint (or find what was painted) and evaluate."""
        phrase, noun = self.noun, self.noun
        if adapters:
            phrase, noun = words_of(read_record(Path(adapters[0])))
        place = self.folder / "pictures" / hashlib.sha256(f"{label}{self.plan}{phrase}".encode()).hexdigest()[:12]
        pictures = _kept(place)
        if pictures is None:
            pictures = paint(self.painter, self.base, [(Path(a), 1.0, dict(dials)) for a in adapters], phrase, noun,
                             self.plan, offline=self.offline)
            # Their files are all called alike; in a picture each goes by its method.
            named = [replace(a, name=f"compared-{method}") for a in pictures.adapters]
            keep(place, replace(pictures, adapters=named))
        found = evaluate(pictures, references, encoder, seeds=self.plan.seeds)
        size = sum(Path(a).stat().st_size for a in adapters)
        shown = [str(place / f"{n:04}.png") for n in range(0, len(pictures.images), len(self.plan.seeds))]
        return Row(method, label, found.as_dict(), seconds, peak, size, shown)


def keep(place: Path, pictures: Pictures) -> None:
    """Write painted pictures, each with what made it, and their prompts into a folder."""
    shown = [*pictures.images, *pictures.of_class]
    for n, (image, settings) in enumerate(zip(shown, pictures.settings, strict=True)):
        save_png(image, place / f"{n:04}.png", settings, pictures.adapters)
    write_text(place / "prompts.json", json.dumps({"prompts": pictures.prompts, "said": pictures.said}))


def _kept(place: Path) -> Pictures | None:
    """Pictures of an earlier run, None when they are not all there."""
    if not (place / "prompts.json").exists():  # written last
        return None
    told = json.loads((place / "prompts.json").read_text("utf-8"))
    images = [open_image(p) for p in list_folder(place)]
    count = len(told["prompts"])
    return Pictures(images[:count], told["prompts"], told["said"], images[count:])
