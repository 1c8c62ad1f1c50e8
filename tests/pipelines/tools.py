"""Short runs of any method on the tiny base."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image

from adapters.host import Host
from adapters.record import Concept
from pipelines.lesson import Lesson, Picture
from pipelines.methods import recipe_builder
from pipelines.recipe import Recipe
from pipelines.trainer import Hook, Trainer
from tests.adapters.tools import twin


@dataclass
class Watch:
    """Report and control in one: keeps the events, stops before step `stop`."""

    stop: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def stop_requested(self) -> bool:
        return self.stop is not None and len(self.of("step")) >= self.stop

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["type"] == kind]


def run(made: Trainer, stop: int | None = None, hooks: Sequence[Hook] = ()) -> Watch:
    watch = Watch(stop)
    made.run(report=watch, control=watch, hooks=hooks)
    return watch


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def image(seed: int = 0, side: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def mask(box: tuple[int, int, int, int], side: int = 32) -> Image.Image:
    """White in `box` (left, top, right, bottom)."""
    made = Image.new("L", (side, side))
    made.paste(255, box)
    return made


LEFT, RIGHT, WHOLE = mask((0, 0, 16, 32)), mask((16, 0, 32, 32)), mask((0, 0, 32, 32))


def class_images(_noun: str, count: int) -> list[Image.Image]:
    return [image(100 + n) for n in range(count)]


def lesson(*names: str, masks: Sequence[Image.Image] = (),
           painted: Callable[[str, int], list[Image.Image]] = class_images) -> Lesson:
    """One picture; a learned word for each name, of the nouns 'cat', 'dog' and 'bird'."""
    concepts = tuple(Concept(name=n, noun=noun, trigger=f"<{n}>", learned=True)
                     for n, noun in zip(names, ("cat", "dog", "bird"), strict=False))
    return Lesson((Picture(image(), tuple(masks)),), concepts, class_images=painted)


def begin(host: Host, config: Any, taught: Lesson, *, seed: int = 0, recipe: Recipe | None = None,
          data: Any = None) -> Trainer:
    """A trainer before its first step; `seed` is that of the adapter's own random start."""
    torch.manual_seed(seed)
    recipe = recipe or recipe_builder(config.method)(host, config, taught)
    recipe.adapter.inject(host, "training")
    samples = data or recipe.samples()
    return Trainer(host, recipe, samples, config, Accelerator(cpu=True, mixed_precision="no"))


def unbroken_and_resumed(host: Host, config: Any, taught: Lesson, stop: int) -> tuple[Trainer, Trainer]:
    """The same run in one piece, and stopped, written down and taken up again in another process's place."""
    whole, first = begin(twin(host), config, taught), begin(twin(host), config, taught)
    losses = [e["loss"] for e in run(whole).of("step")]
    watch, saved = run(first, stop=stop), io.BytesIO()
    torch.save(first.state_dict(), saved)
    saved.seek(0)
    second = begin(twin(host), config, taught, seed=99)
    second.load_state_dict(torch.load(saved, weights_only=True))
    assert second.step == stop
    rest = run(second)
    assert [e["loss"] for e in watch.of("step") + rest.of("step")] == losses
    return whole, second


def states_with_and_without_checkpointing(host: Host,
                                          start: Callable[[Host], Trainer]) -> tuple[dict[str, torch.Tensor], ...]:
    """What a run learns on a plain copy of the host, and on one that recomputes its activations."""
    plain, thrifty = twin(host), twin(host)
    thrifty.unet.enable_gradient_checkpointing()
    made = [start(plain), start(thrifty)]
    for each in made:
        run(each)
    return tuple(each.recipe.adapter.state() for each in made)
