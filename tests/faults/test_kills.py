"""kill -9 of trainings that run: what is kept, what is lost, and that nothing shows of it in the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from adapters.studio_file import intact
from adapters.tensors import read_tensors
from app.home import Home
from app.jobs.runs import read_events
from app.studio import Studio
from pipelines.references import open_image
from pipelines.training import RESUME_FILE
from tests.faults import children
from tests.faults.conftest import FULL, Note

pytestmark = pytest.mark.slow  # processes are started and killed

KILLS = 100 if FULL else 3
STEPS, EVERY = 8, 2


@pytest.fixture(scope="module")
def unbroken(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """What the training ends in when nobody disturbs it."""
    studio = Studio(Home.open(str(tmp_path_factory.mktemp("unbroken"))))
    folder = queued(studio, tiny_base)
    children.start(folder).join(children.PATIENCE)
    return read_tensors(folder / "adapter.safetensors")[1]


def queued(studio: Studio, base: Path) -> Path:
    run = children.queue_training(studio, base, "mybear", steps=STEPS, checkpoint_every=EVERY)
    return studio.home.runs / run


def at_any_time(folder: Path, chance: random.Random) -> Callable[[], bool]:
    """True from a random moment on, at first while it is set up, most often while it trains."""
    if chance.random() < 0.1:
        moment = time.monotonic() + chance.uniform(0, 1)
        return lambda: time.monotonic() > moment
    begun, wanted = children.steps_in(folder), chance.randrange(2 * EVERY)
    wait, since = chance.uniform(0, 0.2), [0.0]

    def now() -> bool:
        if not since[0] and children.steps_in(folder) > begun + wanted - EVERY:
            since[0] = time.monotonic()
        return bool(since[0]) and time.monotonic() > since[0] + wait

    return now


def in_a_write(folder: Path, chance: random.Random) -> Callable[[], bool]:
    """True at a random moment while a checkpoint, or what resumes from it, is written: a matter of milliseconds."""
    wait, old = chance.uniform(0, 0.003), unfinished(folder)

    def now() -> bool:
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            if unfinished(folder) - old:
                time.sleep(wait)
                return True
        return False

    return now


def unfinished(folder: Path) -> set[Path]:
    """Files of writes that are under way, or were cut off."""
    return {p for place in (folder, folder / "checkpoints") for p in place.glob(".*.tmp")}


def check_what_is_seen(folder: Path) -> None:
    """Whatever has its name is whole."""
    for path in (*folder.rglob("*.safetensors"), *folder.rglob("*.png"), *folder.glob(RESUME_FILE)):
        if path.suffix == ".safetensors":
            assert intact(path), path
        elif path.suffix == ".png":
            open_image(path)
        else:
            state = torch.load(path, weights_only=True)
            assert state["step"] % EVERY == 0, state["step"]
    assert not list(folder.glob("*.new")) and not list(folder.glob("tmp*"))


def kept_step(folder: Path) -> int:
    path = folder / RESUME_FILE
    return int(torch.load(path, weights_only=True)["step"]) if path.exists() else 0


def kill_again_and_again(folder: Path, kills: int, chance: random.Random) -> dict[str, int]:
    """Start, kill, look; then let it end. How many kills there were, how many in a write, and the most steps lost."""
    told = {"kills": 0, "in a write": 0, "most steps lost": 0}
    while told["kills"] < kills and kept_step(folder) < STEPS - EVERY:
        before, old = len(read_events(folder)), unfinished(folder)
        writing = told["kills"] % 2 == 0
        child = children.start(folder)
        now = (in_a_write if writing else at_any_time)(folder, chance)
        children.until(lambda child=child, now=now: not child.is_alive() or now())
        if children.end(child) == 0:
            break  # it was faster
        told["kills"] += 1
        told["in a write"] += bool(unfinished(folder) - old)
        check_what_is_seen(folder)
        lost = max((e["step"] for e in read_events(folder)[before:] if e["type"] == "step"), default=0) - (
            kept_step(folder))
        told["most steps lost"] = max(told["most steps lost"], lost)
        assert lost <= EVERY, read_events(folder)[before:]
    child = children.start(folder)
    child.join(children.PATIENCE)
    assert child.exitcode == 0 and children.outcome(folder)["state"] == "finished"
    check_what_is_seen(folder)
    assert not unfinished(folder)
    return told


def test_a_training_that_is_killed_again_and_again_ends_as_one_that_was_not(
        tmp_path: Path, tiny_base: Path, unbroken: dict[str, torch.Tensor], note: Note) -> None:
    chance, told, runs = random.Random(5), {"kills": 0, "in a write": 0, "most steps lost": 0}, 0
    while told["kills"] < KILLS:
        runs += 1
        assert runs <= 3 * KILLS, told
        folder = queued(Studio(Home.open(str(tmp_path / str(runs)))), tiny_base)
        more = kill_again_and_again(folder, KILLS - told["kills"], chance)
        told = {**{k: told[k] + more[k] for k in ("kills", "in a write")},
                "most steps lost": max(told["most steps lost"], more["most steps lost"])}
        learned = read_tensors(folder / "adapter.safetensors")[1]
        assert learned.keys() == unbroken.keys()
        assert all(torch.equal(learned[k], unbroken[k]) for k in learned)
    assert told["in a write"] > 0
    note(1, "kill -9 of a training, in the middle of checkpoint writes too", told["kills"],
         f"{runs} trainings all resumed and ended; {told['in a write']} kills in a write, no partial file visible, at "
         f"most {told['most steps lost']} steps lost of {EVERY} between checkpoints")
    note(2, "a killed and resumed training against an unbroken one, fp32 on the CPU", runs,
         f"all {len(unbroken)} tensors equal to the last bit")
