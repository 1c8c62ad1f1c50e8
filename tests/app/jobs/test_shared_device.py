"""One device for several people: one job at a time, and everybody in turn."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from app.accounts.people import People
from app.jobs.job import Job
from app.jobs.shared_device import Device
from app.jobs.supervisor import Supervisor
from tests.app.people import two_people


def test_turns_come_in_the_order_of_asking_and_never_at_once(tmp_path: Path) -> None:
    device, order, inside = Device(tmp_path / "lock"), [], []

    def ask(who: str) -> None:
        with device.turn(who, lambda: False) as handle:
            assert handle is not None and device.holder == who
            inside.append(who)
            assert len(inside) == 1
            time.sleep(0.02)
            inside.remove(who)
            order.append(who)

    askers = [threading.Thread(target=ask, args=(str(n),)) for n in range(5)]
    with device.turn("first", lambda: False):
        for n, asker in enumerate(askers):
            asker.start()
            while len(device._tickets) < n + 2:
                time.sleep(0.001)
    for asker in askers:
        asker.join(20)
    assert order == ["0", "1", "2", "3", "4"] and device.holder == ""


def test_another_process_that_has_the_device_is_waited_for(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    one, other, given_up = Device(tmp_path / "lock"), Device(tmp_path / "lock"), threading.Event()
    with one.turn("a", lambda: False):
        threading.Timer(0.5, given_up.set).start()
        with other.turn("b", given_up.is_set) as handle:  # locked by a file of its own, as by a second process
            assert handle is None and other.holder == ""
    with other.turn("b", lambda: False) as handle:
        assert handle is not None


def test_two_peoples_jobs_never_run_at_once_and_they_take_turns(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    people: People = two_people(tmp_path / "home", monkeypatch)
    ran: list[str] = []
    running: list[str] = []
    overlaps: list[list[str]] = []

    def run(self: Supervisor, job: Job, kept_open: tuple[int, ...] = ()) -> None:
        running.append(job.name)
        time.sleep(0.3)  # long enough that another, were it let in, would be there
        overlaps.append(list(running))
        running.remove(job.name)
        ran.append(job.name)
        self.store.end(job.id, "finished")

    monkeypatch.setattr(Supervisor, "_run", run)
    alice, bob = (people.person(people.register.accounts.get(n)).studio for n in ("alice", "bob"))
    with people.common.device.turn("somebody", lambda: False):
        for n in range(4):
            alice.store.add(f"a{n}", f"a{n}")
        bob.store.add("b0", "b0")
        people.start()
        while len(people.common.device._tickets) < 3:
            time.sleep(0.01)
        assert "of another person" in bob.queue.overview()["waiting"][0]["waits"]
    for _ in range(2000):
        if len(ran) == 5:
            break
        time.sleep(0.02)
    people.close()
    assert all(len(names) == 1 for names in overlaps), "two jobs had the device"
    assert sorted(ran) == ["a0", "a1", "a2", "a3", "b0"]
    assert "b0" in ran[:2]  # not behind all of Alice's
