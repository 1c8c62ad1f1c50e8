"""The one training loop. It knows a recipe, and of the outside only `report` and `control`."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from accelerate import Accelerator

from adapters.errors import StudioError
from adapters.host import Host
from adapters.text import Conditioning, Tokens
from pipelines.methods.common import TrainingConfig
from pipelines.optimizers import build_optimizer, effective_rates
from pipelines.parallel import agreed, mean_gradients
from pipelines.recipe import Batch, Phase, Prediction, Recipe, Samples
from pipelines.weight_average import WeightAverage

Report = Callable[[dict[str, Any]], None]


class Control(Protocol):
    """How a run is told to stop."""

    def stop_requested(self) -> bool:
        """Asked before every step."""
        ...


class Uninterrupted:
    """The control of a run that nobody stops."""

    def stop_requested(self) -> bool:
        """Never."""
        return False


class Stopped(Exception):
    """A run was asked to stop while it prepared something, where there is no step to stop after."""


def heeding(report: Report, control: Control) -> Report:
    """`report`, which raises Stopped once the run is asked to stop: for work that says what it does, piece by piece."""
    def told(event: dict[str, Any]) -> None:
        report(event)
        if control.stop_requested():
            raise Stopped

    return told


def never() -> bool:
    """For hooks that nobody asks for in between."""
    return False


@dataclass(frozen=True)
class Hook:
    """Something done every `every` steps and at the end of the run, such as a checkpoint.

    It is also done after a step before which it was `asked` for; with `every` 0 only then.
    """

    every: int
    run: Callable[[int], None]
    asked: Callable[[], bool] = never


class Trainer:
    """Runs a recipe whose adapter is injected; its state can be saved and restored exactly."""

    def __init__(self, host: Host, recipe: Recipe, samples: Samples, config: TrainingConfig,
                 accelerator: Accelerator) -> None:
        self.host, self.recipe, self.samples = host, recipe, samples
        self.config, self.accelerator = config, accelerator
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.alphas = host.scheduler.alphas_cumprod.to(host.device, torch.float32)
        self.groups = recipe.adapter.groups()
        for p in (p for group in self.groups.values() for p in group):
            p.data = p.data.float()  # what is learned is in fp32, whatever the base is in
        self.probe = recipe.probe() if recipe.probe else None
        if accelerator.num_processes > 1:
            self.generator.manual_seed(config.seed + 1_000_003 * accelerator.process_index)
        self._phase: Phase | None = None
        self._samples: Samples = samples
        self.optimizer: torch.optim.Optimizer
        self.average: WeightAverage | None = None

    @property
    def total(self) -> int:
        """Steps over all phases."""
        return sum(p.steps for p in self.recipe.phases)

    def _enter(self, phase: Phase) -> None:
        """Unfreeze the phase's groups; its optimizer and its average of their weights begin anew.

        What another phase has learned stays as it was left, which is what this one learns beside.
        """
        for parameters in self.groups.values():
            for p in parameters:
                p.requires_grad_(False)
        groups = []
        for name, rate in phase.rates.items():
            for p in self.groups[name]:
                p.requires_grad_(True)
            groups.append({"params": self.groups[name], "lr": rate, "peak": rate})
        self.optimizer = build_optimizer(self.config.optimizer, groups, weight_decay=self.config.weight_decay,
                                         device=self.host.device)
        trained = [p for name in phase.rates for p in self.groups[name]]
        self.average = WeightAverage(trained, self.config.ema) if self.config.ema else None
        self._phase = phase
        self._samples = phase.samples() if phase.samples else self.samples

    def _phase_at(self, step: int) -> tuple[Phase, int]:
        """The phase of a step (counted from 0) and the step inside it."""
        for phase in self.recipe.phases:
            if step < phase.steps:
                return phase, step
            step -= phase.steps
        last = self.recipe.phases[-1]
        return last, last.steps

    def run(self, *, report: Report, control: Control, hooks: Sequence[Hook] = ()) -> bool:
        """Train to the end or until told to stop; True when it reached the end.

        Hooks run after the steps that they divide and after the last one, whether the run ended there
        or was stopped. Raises StudioError when the loss is no number; the last checkpoint stays.
        """
        stopped = False
        while self.step < self.total and not (stopped := agreed(self.accelerator, control.stop_requested())):
            phase, inside = self._phase_at(self.step)
            if phase is not self._phase:
                self._enter(phase)
                report({"type": "phase", "name": phase.name, "step": self.step})
            started = time.perf_counter()
            losses = self._optimize(phase, inside)
            self.step += 1
            report({"type": "step", "step": self.step, "total": self.total,
                    "seconds": time.perf_counter() - started, **losses})
            if self.step < self.total:
                for hook in hooks:
                    if hook.asked() or (hook.every and self.step % hook.every == 0):
                        hook.run(self.step)
        for hook in hooks:
            if hook.every and not (stopped and self.step % hook.every == 0):  # that one has run
                hook.run(self.step)
        return not stopped

    def rehearse(self) -> dict[str, float]:
        """Seconds that a real step of each phase takes, by the phase's name. What has moved is not to be used after.

        Each makes two steps: the first also builds what all later ones find there.
        """
        found = {}
        for phase in (p for p in self.recipe.phases if p.steps):
            self._enter(phase)
            for _ in range(2):
                started = time.perf_counter()
                self._optimize(phase, 0)
                if self.host.device.type == "cuda":
                    torch.cuda.synchronize()
                found[phase.name] = time.perf_counter() - started
        return found

    def _optimize(self, phase: Phase, inside: int) -> dict[str, float]:
        """One corrected step: gradients of `accumulate` batches, clipped, descended."""
        factor = rate_factor(self.config, inside, phase.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        sums: dict[str, torch.Tensor] = {}
        for _ in range(self.config.accumulate):
            with self.accelerator.autocast():
                losses = self.losses(self._samples.sample(self.generator, self.config.batch))
                total = torch.stack(list(losses.values())).sum() / self.config.accumulate
                self.accelerator.backward(total)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach() / self.config.accumulate
        numbers = {name: float(value) for name, value in sums.items()}
        self._check_finite(numbers.values())
        parameters = [p for g in self.optimizer.param_groups for p in g["params"]]
        mean_gradients(self.accelerator, parameters)
        if scaler := self.accelerator.scaler:  # fp16: it skips steps whose gradients overflow
            scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(parameters, self.config.max_grad_norm)
            scaler.step(self.optimizer)
            scaler.update()
        else:
            norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.max_grad_norm)
            self._check_finite([float(norm)])
            self.optimizer.step()
        self.optimizer.zero_grad()
        if self.recipe.stepped:
            self.recipe.stepped()
        if self.average:
            self.average.update()
        return {"loss": sum(numbers.values()), "rate": factor, **numbers}

    def _check_finite(self, numbers: Iterable[float]) -> None:
        if not all(map(math.isfinite, numbers)):
            raise StudioError(
                f"Training broke down at step {self.step + 1}: the loss is not a number; start again "
                "with a lower learning rate, the last checkpoint is kept."
            )

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Noise a batch once, predict, and ask the objective."""
        latents = batch.latents.float()
        size = len(latents)
        timesteps = torch.randint(len(self.alphas), (size,), generator=self.generator)
        noise = torch.randn(latents.shape, generator=self.generator)
        objective = (self._phase.objective if self._phase else None) or self.recipe.objective
        return dict(objective(
            self.predict(batch, timesteps.to(latents.device), noise.to(latents.device)), batch))

    def predict(self, batch: Batch, timesteps: torch.Tensor, noise: torch.Tensor) -> Prediction:
        """The denoiser's answer to `batch` at given timesteps [B] and noise [B, C, h, w]."""
        latents = batch.latents.float()
        alpha = self.alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        target = noise
        if self.host.scheduler.config.prediction_type == "v_prediction":
            target = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        with self.probe.watching() if self.probe else contextlib.nullcontext():
            predicted = self.host.denoise(noisy, timesteps, self._encode(batch.text), batch.sizes)
        seen = self.probe.read(batch.text) if self.probe and isinstance(batch.text, Tokens) else None
        snr = (alpha / (1 - alpha)).flatten()
        return Prediction(predicted.float(), target, snr, seen)

    def _encode(self, text: Conditioning | Tokens) -> Conditioning:
        """Text states: as they came, or fresh where what makes them is learned."""
        if isinstance(text, Conditioning):
            return text
        states = self.host.text.encode(text)
        if self.recipe.encoded:
            self.recipe.encoded(states, text)
        return states

    def averaged(self) -> AbstractContextManager[None]:
        """While the block runs, the adapter has the running average of its weights, where one is kept."""
        return self.average.in_place() if self.average else contextlib.nullcontext()

    def rates(self) -> dict[str, float]:
        """How far the last step went, by group; only once a phase has begun."""
        return effective_rates(self.optimizer, tuple(self._phase.rates) if self._phase else ())

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "step": self.step, "generator": self.generator.get_state(),
            "adapter": self.recipe.adapter.state(), "phase": self._phase.name if self._phase else "",
            "optimizer": self.optimizer.state_dict() if self._phase else {},
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else {},
            "average": self.average.state_dict() if self.average else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken."""
        self.step = int(state["step"])
        if self.accelerator.is_main_process:  # the others' state is not kept; theirs begins anew
            self.generator.set_state(state["generator"])
        else:
            self.generator.manual_seed(self.config.seed + 1_000_003 * self.accelerator.process_index + self.step)
        if self.accelerator.scaler and state.get("scaler"):
            self.accelerator.scaler.load_state_dict(state["scaler"])
        for phase in self.recipe.phases:
            if phase.name == state["phase"]:
                self._enter(phase)
                self.optimizer.load_state_dict(state["optimizer"])
        # Last, so that what a phase prepares with the base is made by the base, as when it began.
        self.recipe.adapter.load_state(state["adapter"])
        if self.average:
            self.average.load_state_dict(state["average"])


def rate_factor(config: TrainingConfig, step: int, steps: int) -> float:
    """Learning rate factor at a step (from 0) of a phase of `steps`.

    First (step + 1) / (warmup + 1) up to 1; then, with x the part of the rest that is done, in 0-1:
    constant 1; linear 1 - x; cosine (1 + cos(pi x)) / 2; cosine_with_restarts (1 + cos(pi (cycles x mod 1))) / 2, as
    in diffusers and sd-scripts (after Loshchilov and Hutter, arXiv 1608.03983).
    """
    if step < config.warmup:
        return (step + 1) / (config.warmup + 1)
    done = (step - config.warmup) / max(steps - config.warmup, 1)
    if config.schedule == "cosine_with_restarts" and done < 1:
        done = config.cycles * done % 1
    if config.schedule in ("cosine", "cosine_with_restarts"):
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if config.schedule == "linear" else 1.0
