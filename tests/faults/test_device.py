"""One device: two workers that want it, and memory that runs out in the middle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.jobs.store import JobStore
from app.studio import Studio
from pipelines.memory import lower
from pipelines.run_config import RunConfig
from tests.faults import children
from tests.faults.conftest import FULL, Note

pytestmark = pytest.mark.slow  # processes are started and killed

WAITS = "Waiting for the device"
ROUNDS = 10 if FULL else 1


def stages(folder: Path) -> list[str]:
    return [e["text"] for e in children.read_events(folder) if e["type"] == "stage"]


def test_two_workers_never_have_the_device_together_and_kill_9_gives_it_back(studio: Studio, tiny_base: Path,
                                                                             note: Note) -> None:
    for n in range(ROUNDS):
        first, second = (studio.home.runs / children.queue_training(studio, tiny_base, f"bear{n}{x}", steps=4)
                         for x in "ab")
        one = children.start(first)
        children.until(lambda first=first: "Training" in stages(first))
        two = children.start(second)
        children.until(lambda second=second: any(s.startswith(WAITS) for s in stages(second)))
        assert len(stages(second)) == 2  # it began, and waits
        assert children.end(one) != 0
        two.join(children.PATIENCE)
        assert two.exitcode == 0 and children.outcome(second)["state"] == "finished"
    note(10, "two workers on one device, the first killed with -9", ROUNDS,
         "the second waited, got the device when the first was gone, and finished")


def test_one_job_is_claimed_by_one_of_many_and_never_beside_another(tmp_path: Path, note: Note) -> None:
    jobs, takers = (200, 8) if FULL else (20, 4)
    store = JobStore(tmp_path / "a.db")
    for n in range(jobs):
        store.add(f"j-{n}", f"j{n}")

    def drain(_: int) -> list[str]:
        mine = []
        while any(j.state in ("queued", "running") for j in store.all()):
            if job := store.claim():
                assert [j.id for j in store.all() if j.state == "running"] == [job.id]
                mine.append(job.id)
                store.end(job.id, "finished")
        return mine

    with ThreadPoolExecutor(takers) as pool:
        claimed = [id for part in pool.map(drain, range(takers)) for id in part]
    assert sorted(claimed) == sorted(f"j-{n}" for n in range(jobs))
    note(10, f"jobs of one queue claimed by {takers} at once", jobs, "each once, never two at a time")


def test_memory_that_runs_out_is_retried_once_lower_then_fails_and_the_next_job_runs(
        studio: Studio, tiny_base: Path, note: Note) -> None:
    spared, hopeless, next_one = (
        studio.home.runs / children.queue_training(studio, tiny_base, name, steps=4, batch=2)
        for name in ("spared", "hopeless", "next"))
    for folder, fault in ((spared, "memory"), (hopeless, "memory always")):
        (folder / "fault").write_text(fault)
    server = children.start_studio(studio.home.root)
    try:
        children.until(lambda: studio.job(next_one.name).state == "finished", 3 * children.PATIENCE)
    finally:
        server.terminate()
        server.join(children.PATIENCE)
    assert studio.job(spared.name).state == "finished"
    training = RunConfig.load(spared).training
    assert (training.batch, training.accumulate) == (1, 2)
    said = [w for w in children.warnings_in(spared) if "not enough at step 3" in w]
    assert len(said) == 1 and "batches of 1 instead of 2" in said[0]
    assert [e["step"] for e in children.read_events(spared) if e["type"] == "resumed"] == [2]
    failed = studio.job(hopeless.name)
    assert failed.state == "failed" and "at step 3, with batches of 1 instead of 2" in failed.message
    assert failed.message.endswith(".") and "\n" not in failed.message
    assert len([w for w in children.warnings_in(hopeless) if "not enough" in w]) == 1  # one retry
    note(11, "torch's allocator refuses in the third step", 2,
         "one went on with half the batch, twice accumulated; one that still had too little failed in a sentence after "
         "one retry; the next job ran")


@pytest.mark.parametrize(("before", "after"), [
    ((4, 1, False), (2, 2, False)), ((3, 2, False), (2, 4, False)), ((1, 8, False), (1, 8, True)),
    ((2, 64, False), (2, 64, True)), ((1, 1, True), None)])
def test_lower_settings_see_as_many_pictures(before: tuple[int, int, bool], after: tuple[int, int, bool] | None,
                                             tmp_path: Path) -> None:
    from pipelines.methods.lora.config import Config

    batch, accumulate, checkpointing = before
    less, how = lower(Config(steps=1, learning_rate=0.1, batch=batch, accumulate=accumulate,
                             gradient_checkpointing=checkpointing))
    assert how
    assert (less and (less.batch, less.accumulate, less.gradient_checkpointing)) == after
