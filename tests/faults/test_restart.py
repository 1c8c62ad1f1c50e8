"""A studio that dies while a job runs, and the one that is started after it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.record import AdapterRecord
from adapters.studio_file import save
from app.jobs.runs import EventLog
from app.studio import Studio
from tests.faults import children
from tests.faults.conftest import FULL, Note

pytestmark = pytest.mark.slow  # processes are started and killed

WITHIN = 30.0  # seconds
ROUNDS = 5 if FULL else 1
GONE = 2**22 + 1  # a process id beyond any


def test_a_job_that_ran_when_the_studio_died_can_be_resumed_within_30_seconds(studio: Studio, tiny_base: Path,
                                                                              note: Note) -> None:
    run = children.queue_training(studio, tiny_base, "mybear", steps=400, checkpoint_every=2)
    folder, slowest, states = studio.home.runs / run, 0.0, list[str]()
    for n in range(2 * ROUNDS):
        server = children.start_studio(studio.home.root, really=FULL)
        if n:  # the time that counts: from the start of the next studio until the job can be gone on with
            begun = time.monotonic()
            children.until(lambda: studio.job(run).state != "running")
            slowest = max(slowest, time.monotonic() - begun)
            states.append(studio.job(run).state)
            assert states[-1] in ("interrupted", "stopped"), studio.job(run)
            studio.resume(run)
        had = children.checkpoints_in(folder)
        children.until(lambda had=had: children.checkpoints_in(folder) > had)
        if n % 2 == 0:  # the machine goes off, both at once; else the training notices that it is alone
            children.hold(server.pid)
            children.kill(studio.job(run).pid)
        children.end(server)
    server = children.start_studio(studio.home.root, really=FULL)
    children.until(lambda: studio.job(run).state != "running")
    studio.queue.delete(run)
    server.terminate()
    server.join(children.PATIENCE)
    assert slowest < WITHIN and "interrupted" in states
    note(12, "kill -9 of the studio, every other time of its training too", 2 * ROUNDS,
         f"noted as {' or '.join(sorted(set(states)))} and resumed from its checkpoint each time, after "
         f"{slowest:.1f} s at most")


def test_a_studio_that_died_between_taking_in_and_noting_gives_one_adapter(
        client: TestClient, studio: Studio, host: Host, record: AdapterRecord) -> None:
    folder = studio.home.runs / "mycat-1"
    folder.mkdir()
    studio.store.add("mycat-1", "mycat")
    assert studio.store.claim()
    studio.store.set_pid("mycat-1", GONE)
    log = EventLog(folder)
    log({"type": "stage", "text": "Starting"})
    log({"type": "outcome", "state": "finished", "message": ""})
    made = LoraAdapter.for_training(host, rank=2, alpha=2, targets=("to_q",))
    made.inject(host, "training")
    save(folder / "adapter.safetensors", made, record.model_copy(update={"provenance": {"run": "mycat-1"}}))
    assert studio.store.seize("mycat-1", GONE)
    shutil.copyfile(folder / "adapter.safetensors", studio.home.adapters / "mycat.safetensors")
    studio.store.set_pid("mycat-1", GONE)  # the one that took it in is gone too
    studio.supervisor.settle_dead()
    assert studio.job("mycat-1").state == "finished"
    assert [e.name for e in studio.library.entries()] == ["mycat"]


def test_an_end_that_the_disk_did_not_take_is_noted_later(studio: Studio) -> None:
    from adapters.errors import StudioError

    (studio.home.runs / "a-1").mkdir()
    studio.store.add("a-1", "a")
    assert studio.store.claim()
    studio.store.set_pid("a-1", GONE)
    end, told = studio.store.end, []

    def refused(*given: str) -> None:
        told.append(given)
        if len(told) == 1:
            raise StudioError("The disk is full.")
        end(*given)  # type: ignore[arg-type]

    studio.store.end = refused  # type: ignore[method-assign,assignment]
    for _ in range(2):
        try:
            studio.supervisor.settle_dead()
        except StudioError:
            assert studio.job("a-1").state == "running"
    assert len(told) == 2 and studio.job("a-1").state == "interrupted"
