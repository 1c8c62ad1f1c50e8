"""One trial: a method taught one sample, painted 24 times, and judged. What was found is kept.

Trained adapters lie in a work folder that may be thrown away; the figures are one JSON line each in a
file that is part of the repository, so that a long series can run over several sittings, and in several processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from PIL import Image

from adapters.errors import StudioError
from adapters.files import write_text
from adapters.record import Concept, read_record
from pipelines.generator import Request
from pipelines.lab import asked
from pipelines.lab.asked import Ask
from pipelines.lab.sheets import trial_sheet
from pipelines.masks import find_masks, take_in_masks
from pipelines.methods.common import TrainingConfig, resolve
from pipelines.painter import Painter
from pipelines.references import list_folder, take_in
from pipelines.run_config import RunConfig
from pipelines.shipped import REPORT, SAMPLES
from pipelines.starter.judge import load_scene_judge
from pipelines.starter.likeness import Gallery
from pipelines.starter.reading import read
from pipelines.trainer import Uninterrupted
from pipelines.training import ADAPTER_FILE, train_run

KEPT = REPORT / "trials.jsonl"
WORK = Path(".lab")
PROTOCOL = 2  # raised when prompts or figures change, so that older lines are not taken for the same
SEVERAL_PROTOCOL = 3  # the same for trials of several concepts, which are asked for and judged in their own way
BASELINE = "none"
_SECONDS = "seconds.txt"


@dataclass(frozen=True)
class Sample:
    """A folder of `assets/samples`: one individual, or a scene of several with masks."""

    name: str

    @cached_property
    def about(self) -> dict[str, Any]:
        """What `sample.json` says."""
        found: dict[str, Any] = json.loads((SAMPLES / self.name / "sample.json").read_text("utf-8"))
        return found

    @property
    def nouns(self) -> list[str]:
        """The class of each individual."""
        return list(self.about["nouns"]) if "nouns" in self.about else [str(self.about["noun"])]

    @property
    def glyphs(self) -> list[str]:
        """Who each individual is, for the judges."""
        return list(self.about["glyphs"]) if "glyphs" in self.about else [str(self.about["glyph"])]

    @property
    def pictures(self) -> list[Path]:
        """The pictures to learn from."""
        return list_folder(SAMPLES / self.name)


@dataclass(frozen=True)
class Trial:
    """What is tried. Several `samples` are trained each alone and painted together.

    `method` 'none' is the base without an adapter. `orthogonal` False adds Perfusion's edits up as they
    are, which is the paper's method taken apart (ablation).
    """

    samples: tuple[str, ...]
    method: str
    seed: int = 0
    preset: str = "balanced"
    settings: tuple[tuple[str, Any], ...] = ()
    dials: tuple[tuple[str, float | str], ...] = ()
    orthogonal: bool = True

    @property
    def config(self) -> TrainingConfig | None:
        """The settings as trained, None without an adapter."""
        if self.method == BASELINE:
            return None
        return resolve(self.method, "starter", self.preset,
                       **{"seed": self.seed, "preview_every": 0, **dict(self.settings)})

    @property
    def of_several(self) -> bool:
        """Whether there is more than one concept in it."""
        return sum(len(Sample(s).nouns) for s in self.samples) > 1

    def training_key(self, sample: str, base: str) -> str:
        """What the adapter of one sample depends on, hashed."""
        pictures = [hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((SAMPLES / sample).glob("*.png"))]
        return _hash(base, pictures, self.config.model_dump() if self.config else None)

    def key(self, base: str) -> str:
        """What the trial's figures depend on, hashed."""
        protocol = SEVERAL_PROTOCOL if self.of_several else PROTOCOL
        return _hash(protocol, [self.training_key(s, base) for s in self.samples], self.dials, self.orthogonal)


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


@dataclass
class Lab:
    """Runs trials, one after the other, with the judges and the base in memory."""

    kept: Path = KEPT
    work: Path = WORK
    painter: Painter = field(default_factory=Painter)
    timed: bool = True
    """Whether this machine does nothing else, so that the seconds of a training say something."""

    def __post_init__(self) -> None:
        self._version: tuple[int, int, int] | None = None
        self._lines: dict[str, dict[str, Any]] = {}

    @cached_property
    def base(self) -> str:
        """The starter's hash: figures of other weights are other figures."""
        from pipelines.base_models.load import load_base

        return str(load_base("starter").identity.hash)

    @cached_property
    def gallery(self) -> Gallery:
        """Look-alikes among which the right individual must be found."""
        return Gallery()

    @property
    def lines(self) -> dict[str, dict[str, Any]]:
        """What is kept, by key, whichever process kept it."""
        try:
            stat = self.kept.stat()
        except FileNotFoundError:
            return {}
        version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if version != self._version:
            told = map(json.loads, self.kept.read_text("utf-8").splitlines())
            self._version, self._lines = version, {line["key"]: line for line in told}
        return self._lines

    def find(self, trial: Trial) -> dict[str, Any] | None:
        """The figures of a trial that was run on this base before."""
        return self.lines.get(trial.key(self.base))

    def run(self, trial: Trial, sheet: Path | None = None) -> dict[str, Any] | None:
        """The trial's figures: kept ones, or new ones, which are kept before this returns.

        None where another process is at this very trial.
        """
        try:
            with self._lock(trial.key(self.base), wait=False):
                return self.find(trial) or self._run(trial, sheet)
        except Timeout:
            return None

    def _run(self, trial: Trial, sheet: Path | None) -> dict[str, Any]:
        adapters = [] if trial.method == BASELINE else [self.adapter(trial, s) for s in trial.samples]
        judged = self.measure(trial, adapters, sheet)
        key = trial.key(self.base)
        line: dict[str, Any] = {
            "key": key, "base": self.base, "samples": list(trial.samples), "method": trial.method,
            "seed": trial.seed, "preset": trial.preset, "settings": dict(trial.settings), "dials": dict(trial.dials),
            "orthogonal": trial.orthogonal, "train_seconds": round(sum(map(_seconds, adapters)), 1),
            "bytes": sum(a.stat().st_size for a in adapters), "images": judged,
        }
        with self._lock("kept"):
            lines = {**self.lines, key: line}
            write_text(self.kept, "".join(json.dumps(v, ensure_ascii=False) + "\n" for v in lines.values()))
        return line

    def _lock(self, name: str, wait: bool = True) -> FileLock:
        """Held by one process at a time, and free again when that dies; Timeout where it is held and not waited for."""
        folder = self.work / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock", blocking=wait)

    def measure(self, trial: Trial, adapters: Sequence[Path], sheet: Path | None = None) -> list[dict[str, Any]]:
        """Paint with adapter files and judge (see `judge`); all that was judged goes on a sheet when one is named."""
        images, asks = self.paint(trial, adapters)
        if sheet:
            trial_sheet([p for s in trial.samples for p in Sample(s).pictures], images, asks, sheet)
        return self.judge(trial, images, asks)

    def adapter(self, trial: Trial, name: str) -> Path:
        """The adapter of one sample, trained now unless it lies in the work folder."""
        key = trial.training_key(name, self.base)
        path = self.work / "runs" / key / ADAPTER_FILE
        with self._lock(f"training-{key}"):
            if not path.exists():
                self._train(path.parent, name, trial)
        return path

    def _train(self, folder: Path, name: str, trial: Trial) -> None:
        if not (folder / "config.json").exists():
            _prepare(folder, Sample(name), trial)
        whole, started = not (folder / "checkpoints").exists(), time.monotonic()
        if train_run(folder, report=_quiet, control=Uninterrupted(), cache=self.work / "cache") is None:
            raise StudioError(f"The training of '{name}' ended early; run the same command again.")
        if whole and self.timed:
            write_text(folder / _SECONDS, f"{time.monotonic() - started:.1f}")

    def asks(self, trial: Trial, adapters: Sequence[Path]) -> list[Ask]:
        """What the pictures of a trial are to show, in the words of its adapters."""
        nouns = [n for s in trial.samples for n in Sample(s).nouns]
        phrases = [c.phrase for a in adapters for c in read_record(a).concepts] or nouns
        return asked.several(phrases, _learned_in(trial)) if trial.of_several else asked.single(phrases[0], nouns[0])

    def paint(self, trial: Trial, adapters: Sequence[Path]) -> tuple[list[Image.Image], list[Ask]]:
        """All pictures of a trial and what each was asked to show."""
        asks, use = self.asks(trial, adapters), [(a, 1.0, dict(trial.dials)) for a in adapters]
        with self._as_ablated(trial):
            return [self.painter.paint("starter", use, Request(prompt=a.text, seed=a.seed)).images[0]
                    for a in asks], asks

    @contextlib.contextmanager
    def _as_ablated(self, trial: Trial) -> Any:
        from adapters.perfusion.edit import Editor

        before, Editor.orthogonal = Editor.orthogonal, trial.orthogonal
        try:
            yield
        finally:
            Editor.orthogonal = before

    def judge(self, trial: Trial, images: Sequence[Image.Image], asks: Sequence[Ask]) -> list[dict[str, Any]]:
        """Per picture: its group; per concept that it should show the cosine and the rank in the gallery, per concept
        that it should not the cosine; and of a "free" one whether it is in the scene that was learned.

        A concept out of several has its place and size in the picture, so it counts where it is clearest.
        """
        glyphs = [g for s in trial.samples for g in Sample(s).glyphs]
        said = read(load_scene_judge(), list(images))
        rows = []
        for image, ask, reading in zip(images, asks, said, strict=True):
            crops = crops_of(image) if trial.of_several or ask.companion else [image]
            shown = ask.shows or range(len(glyphs))
            found = [self.gallery.retrieve(crops, glyphs[c]) for c in shown]
            best = [max(range(len(crops)), key=f.cosines.__getitem__) for f in found]
            row: dict[str, Any] = {"group": ask.group, "shows": list(ask.shows), "right": ask.verdict(reading),
                   "margin": ask.margins(reading),
                   "cosine": [round(f.cosines[b], 4) for f, b in zip(found, best, strict=True)],
                   "rank": [f.ranks[b] for f, b in zip(found, best, strict=True)]}
            if trial.of_several:
                row["others"] = [round(max(self.gallery.retrieve(crops, glyphs[c]).cosines), 4)
                                 for c in range(len(glyphs)) if c not in shown]
            if ask.group == "free" and (learned := _learned_in(trial)):
                row["learned_scene"] = reading.scene == learned
            rows.append(row)
        return rows


def _learned_in(trial: Trial) -> str:
    """The scene of the one picture that several concepts were learned from, '' where there is none."""
    return str(Sample(trial.samples[0]).about.get("scene", "")) if len(trial.samples) == 1 else ""


def crops_of(image: Image.Image) -> list[Image.Image]:
    """Squares of a picture in which one of several things may stand alone: halves, quarters, thirds, the whole."""
    w, h = image.size
    boxes = [(0, 0, w, h)]
    for part in (0.6, 0.45):
        s = round(w * part)
        boxes += [(x, y, x + s, y + s) for x in (0, (w - s) // 2, w - s) for y in (h - s, (h - s) // 2)]
    return [image.crop(b) for b in boxes]


def _prepare(folder: Path, sample: Sample, trial: Trial) -> None:
    config = trial.config
    if config is None:
        raise ValueError("The base alone trains nothing.")
    concepts = tuple(Concept(name=f"{sample.name.split('/')[-1]}{n or ''}", noun=noun, trigger="")
                     for n, noun in enumerate(sample.nouns))
    references = take_in(sample.pictures, folder / "references")
    if len(concepts) > 1 or config.needs_masks:
        take_in_masks(sample.pictures, find_masks(sample.pictures), len(concepts), [r.path for r in references],
                      folder / "masks")
    RunConfig(name=concepts[0].name, class_noun=concepts[0].noun, base="starter", concepts=concepts,
              image_hashes=tuple(r.sha256 for r in references), training=config).save(folder)


def _seconds(adapter: Path) -> float:
    """How long the training of an adapter took; 0 where it was broken off and gone on with, or not timed."""
    file = adapter.with_name(_SECONDS)
    return float(file.read_text("utf-8")) if file.exists() else 0.0


def _quiet(event: Mapping[str, object]) -> None:
    if event["type"] == "step" and int(str(event["step"])) % 100 == 0 and os.environ.get("LAB_LOUD"):
        print(f"  step {event['step']}/{event['total']} loss {event['loss']:.4f}", flush=True)
