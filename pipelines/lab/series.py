"""Which trials answer which question: methods side by side, the papers' ablations, settings to choose from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pipelines.lab.trials import BASELINE, Sample, Trial

SETS = ("koala", "firetruck", "pixelalien", "cupcake", "unicorn", "tyrannosaur")
SCENES = tuple(f"scenes/{name}" for name in (
    "koala-firetruck", "owl-cap", "cupcake-tyrannosaur", "unicorn-volleyball-purse", "flamingo-banjo-boot",
    "poodle-pixelalien-pagoda"))
PAIRS = (("firetruck", "unicorn"), ("koala", "cupcake"), ("cupcake", "unicorn"), ("pixelalien", "cupcake"),
         ("koala", "tyrannosaur"), ("firetruck", "cupcake"))
"""The six of the fifteen pairs of SETS whose Perfusion concepts overlap most (`reasons.overlap`, seed 0): without
overlap there is nothing to take apart. Chosen by that alone."""
DEVELOPMENT_SETS = ("development/poodle", "development/racecar")
DEVELOPMENT_SCENES = ("development/scenes/boar-hibiscus", "development/scenes/pufferfish-bubbletea-racecar")
SEEDS = (0, 1, 2)
SINGLE = ("textual-inversion", "perfusion", "lora")
SEVERAL = ("break-a-scene",)


def methods() -> Iterator[Trial]:
    """Every method on every set and scene it is made for, three seeds each; the base alone once, and what is made for
    scenes once on sets too, each a scene of one thing. These have no masks, so they are found."""
    for name in (*SETS, *SCENES):
        yield Trial((name,), BASELINE)
    for seed in SEEDS:
        for name in SETS:
            yield from (Trial((name,), m, seed) for m in SINGLE)
        for name in SCENES:
            yield from (Trial((name,), m, seed) for m in SEVERAL)
    for name in SETS:
        yield from (Trial((name,), m, settings=(("masks", "auto"),)) for m in SEVERAL)


@dataclass(frozen=True)
class Ablation:
    """A claim of a paper: `figure` (see tables.figures) is higher with `whole` than with `without`.

    With `dials` both are painted under each of these, and held against each other where their likeness is the same.
    With `as_often` the training without has fewer steps, so that each word of a scene is in as many of them as with
    union sampling (`steps_as_often`). `finding` is what is to be said of it where it does not come out on the starter.
    """

    name: str
    claim: str
    figure: str
    whole: Trial
    without: Trial
    samples: tuple[tuple[str, ...], ...]
    dials: tuple[tuple[tuple[str, float | str], ...], ...] = ()
    as_often: bool = False
    finding: str = ""

    def by_sample(self) -> Iterator[list[tuple[Trial, Trial]]]:
        """(whole, without) of each sample, once or under each of `dials`."""
        for names in self.samples:
            whole, without = (replace(t, samples=names) for t in (self.whole, self.without))
            if self.as_often:
                without = replace(without, settings=(*without.settings, ("steps", steps_as_often(whole))))
            under = [(replace(whole, dials=d), replace(without, dials=d)) for d in self.dials]
            yield under or [(whole, without)]

    def pairs(self) -> Iterator[tuple[Trial, Trial]]:
        """(whole, without) of all samples."""
        for each in self.by_sample():
            yield from each


def steps_as_often(trial: Trial) -> int:
    """Steps in which a word that is in all of them is seen as often as in the trial's, whose batches each show a
    random subset of its n concepts, of a size drawn evenly: a word is in (n + 1) / 2n of them."""
    things = sum(len(Sample(s).nouns) for s in trial.samples)
    if trial.config is None:
        raise ValueError("The base alone has no steps.")
    return round(trial.config.steps * (things + 1) / (2 * things))


def _each(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple((n,) for n in names)


def _change(method: str, **settings: Any) -> Trial:
    return Trial((), method, settings=tuple(settings.items()))


def _dialled(**dials: float | str) -> Trial:
    return Trial((), "perfusion", dials=tuple(dials.items()))


def ablations() -> list[Ablation]:
    """The claims of the Perfusion and Break-A-Scene papers, and textual inversion against LoRA."""
    sets, scenes = _each(SETS), _each(SCENES)
    closing = tuple((("bias", bias),) for bias in CLOSING)
    perfusion, scene = _change("perfusion"), _change("break-a-scene")
    return [
        Ablation("key locking", "raises prompt following", "margin", perfusion,
                 _change("perfusion", key_locking=False), sets),
        Ablation("low bias, likeness", "a lower bias at inference shows the concept more", "identity",
                 _dialled(bias=0.55), _dialled(bias=0.95), sets),
        Ablation("low bias, prompt", "and follows the prompt less", "margin",
                 _dialled(bias=0.95), _dialled(bias=0.55), sets),
        Ablation("orthogonal combination", "two concepts together are each more like themselves", "together",
                 perfusion, replace(perfusion, orthogonal=False), PAIRS),
        Ablation("masked loss", "raises prompt following", "margin", scene,
                 _change("break-a-scene", masked_loss=False), scenes,
                 finding="What is asked for is painted nearly always with it and without, so it has nothing to raise. "
                         "What it is there for, that a thing leaves the scene it was learned in, is a row of its own."),
        Ablation("masked loss, alone", "a concept comes without those beside it", "apart", scene,
                 _change("break-a-scene", masked_loss=False), scenes,
                 finding="Where it does not come out there are three things in the scene, which are hardly told from "
                         "each other with it or without."),
        Ablation("masked loss, scene", "a concept comes without the scene it was learned in", "elsewhere", scene,
                 _change("break-a-scene", masked_loss=False), scenes),
        Ablation("first phase", "raises prompt following", "margin", scene,
                 _change("break-a-scene", word_share=0.0), scenes),
        Ablation("attention loss", "concepts together are each more like themselves", "together", scene,
                 _change("break-a-scene", attention_weight=0.0), scenes),
        Ablation("union sampling", "concepts are more like themselves", "identity", scene,
                 _change("break-a-scene", union_sampling=False), scenes,
                 finding="Without it every word is in every step, with it in (n + 1) / 2n of them, n things in the "
                         "scene. Where each word is seen as often (the row below), the difference in likeness is gone "
                         "and most of that in how clearly prompts are followed: both come from each word being "
                         "learned longer."),
        Ablation("union sampling, each word as often", "concepts are more like themselves", "identity", scene,
                 _change("break-a-scene", union_sampling=False), scenes, as_often=True,
                 finding="A word that is learned in the company of the others alone comes out as like as one that is "
                         "learned alone now and then. Why was not tried further."),
        Ablation("LoRA over textual inversion", "has more likeness", "identity", _change("lora"),
                 _change("textual-inversion"), sets),
        Ablation("key locking, at the same likeness", "raises prompt following", "margin", perfusion,
                 _change("perfusion", key_locking=False), sets, closing,
                 finding="Learned keys draw the attention to the concept, on every set (where the parts act, below); "
                         "what is left is enough for the starter's scenes: a higher bias buys the same clearness "
                         "for less likeness than key locking costs. Trainings here are short; longer ones were not "
                         "tried."),
    ]


CURVE = (0.35, 0.55, 0.75, 0.95, 1.15)
"""Biases at which one trained Perfusion concept is painted."""
CLOSING = (0.75, 0.95, 1.15)
"""Those of CURVE between which the gate goes from open to shut; below, one is like the other."""


def bias_curve() -> Iterator[Trial]:
    """Perfusion's trade-off: the same adapters under other biases."""
    for bias in CURVE:
        yield from (replace(_dialled(bias=bias), samples=(name,)) for name in SETS)


GRIDS: dict[str, tuple[dict[str, Any], ...]] = {
    "textual-inversion": ({"learning_rate": 0.03, "vectors": 1}, {"learning_rate": 0.1, "vectors": 1},
                          {"learning_rate": 0.03, "vectors": 3}),
    "perfusion": ({"learning_rate": 0.03}, {"learning_rate": 0.06}),
    "lora": ({"learning_rate": 1e-3}, {"learning_rate": 2e-3}),
    "break-a-scene": ({"learning_rate": 1e-3, "attention_weight": 0.01},
                      {"learning_rate": 1e-3, "attention_weight": 0.1},
                      {"learning_rate": 1e-3, "attention_weight": 0.3},
                      {"learning_rate": 3e-4, "attention_weight": 0.1},
                      {"learning_rate": 3e-4, "attention_weight": 0.3},
                      {"learning_rate": 3e-4, "attention_weight": 0.3, "flip": True}),
}
"""What the starter's balanced presets were chosen from, on the development samples alone."""


def tuning() -> Iterator[Trial]:
    """Every setting of GRIDS on the development samples that its method is made for."""
    for method, grid in GRIDS.items():
        for name in DEVELOPMENT_SCENES if method in SEVERAL else DEVELOPMENT_SETS:
            yield from (Trial((name,), method, settings=tuple(settings.items())) for settings in grid)
