"""What is copied, kept, renamed or brought back while a consent is revoked comes before that or not at all."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from adapters.errors import StudioError
from adapters.record import AdapterRecord
from app.concepts.consent import Consents
from app.errors import Revoked
from app.jobs import worker
from app.jobs.allowed import allowed
from app.jobs.runs import EventLog
from app.studio import Studio
from tests.app.concepts.test_erasing import consent, put, revoke
from tests.app.http.test_people import draft_of, start

LATE = {
    "clone": lambda studio, run: studio.queue.clone(run),
    "resume": lambda studio, run: studio.resume(run),
    "keep": lambda studio, run: studio.keep(run),
    "rename": lambda studio, run: studio.library.rename("ada", "ida"),
    "restore a training": lambda studio, run: studio.queue.restore(run),
    "restore an adapter": lambda studio, run: studio.library.restore(studio.library.deleted()[0].id),
}


def learned(client: TestClient, studio: Studio, record: AdapterRecord) -> tuple[str, str]:
    """A statement, and a stopped training under it that has a checkpoint and an adapter in the library."""
    statement = consent(client, 0)
    run: str = start(client, draft_of(client, 0)).json()["id"]
    studio.store.cancel(run)
    made = put(studio, record, "ada", consent=statement, run=run)
    (studio.home.runs / run / "checkpoints").mkdir()
    shutil.copyfile(made, studio.home.runs / run / "checkpoints" / "ada-step00000004.safetensors")
    return statement, run


@pytest.mark.parametrize("verb", LATE)
def test_it_waits_until_the_consent_is_revoked_and_finds_nothing(
        client: TestClient, studio: Studio, record: AdapterRecord, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    statement, run = learned(client, studio, record)
    if verb == "restore a training":
        studio.queue.delete(run)
    if verb == "restore an adapter":
        studio.library.delete("ada")
    refused = list[StudioError]()

    def late() -> None:
        try:
            LATE[verb](studio, run)
        except StudioError as error:
            refused.append(error)

    other = threading.Thread(target=late)

    def slowly(concerned: Any) -> None:
        other.start()
        other.join(0.5)  # in which it would be done, if it did not wait
        assert other.is_alive()

    monkeypatch.setattr(studio.paintings, "call_off", slowly)
    revoke(client, statement)
    other.join(10)
    assert len(refused) == 1 and not other.is_alive()
    assert studio.jobs() == [] and studio.library.entries() == [] and not list(studio.home.runs.iterdir())
    assert not list(studio.home.adapters.glob("*.safetensors")) and not list(studio.home.trash.rglob("*.safetensors"))


@pytest.mark.parametrize("verb", ["clone", "resume", "keep"])
def test_nothing_is_made_of_a_training_whose_consent_was_revoked(
        client: TestClient, studio: Studio, record: AdapterRecord, verb: str) -> None:
    statement, run = learned(client, studio, record)
    studio.library.delete("ada")
    studio.consents.close(statement, [])
    with pytest.raises(Revoked, match="nothing is learned or kept under it"):
        LATE[verb](studio, run)
    assert [j.state for j in studio.jobs()] == ["stopped"] and studio.library.entries() == []


def test_a_job_that_comes_while_a_picture_is_waited_for_is_stopped_first(
        client: TestClient, studio: Studio, record: AdapterRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    statement, run = learned(client, studio, record)
    monkeypatch.setattr(studio.paintings, "call_off", lambda concerned: studio.store.requeue(run))
    answer = client.post(f"/studio/consents/{statement}/revoke")
    assert answer.status_code == 400 and "(training) is queued; stop it first" in answer.json()["error"]
    assert studio.library.has("ada") and studio.consents.stands(statement)


def test_an_adapter_and_a_training_that_come_while_all_is_erased_are_found(
        client: TestClient, studio: Studio, record: AdapterRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    statement, _ = learned(client, studio, record)
    erase, late_already = studio.eraser._erase_copies, list[bool]()

    def late(found: Any) -> Any:
        if not late_already:
            late_already.append(True)
            put(studio, record, "ida", consent=statement)
            (studio.home.runs / "ida-run").mkdir()
            (studio.home.runs / "ida-run" / "config.json").write_text(json.dumps({"name": "ida", "consent": statement}))
        return erase(found)

    monkeypatch.setattr(studio.eraser, "_erase_copies", late)
    removed = revoke(client, statement)
    assert "training ida-run" in removed and any(r.startswith("adapter ida") for r in removed)
    assert studio.library.entries() == [] and not list(studio.home.runs.iterdir())


def doing(work: Callable[[Path], None]) -> Callable[[Path, EventLog], bool]:
    def done(folder: Path, log: EventLog) -> bool:
        work(folder)
        (folder / "adapter.safetensors").touch()
        return True
    return done


def test_a_training_that_is_under_way_when_its_consent_is_revoked_leaves_nothing(
        client: TestClient, studio: Studio, record: AdapterRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    statement, run = learned(client, studio, record)
    folder = studio.home.runs / run
    monkeypatch.setitem(worker._WORK, "train", doing(lambda _: studio.consents.close(statement, []) and None))
    with pytest.raises(Revoked):
        worker._in_turn(folder, "train", EventLog(folder))
    assert {p.name for p in folder.iterdir()} <= {"config.json", "events.jsonl", "job.json"}


def test_a_training_whose_consent_was_revoked_does_not_begin(client: TestClient, studio: Studio, record: AdapterRecord
                                                             ) -> None:
    statement, run = learned(client, studio, record)
    studio.consents.close(statement, [])
    with pytest.raises(Revoked), allowed(studio.home.runs / run):
        raise AssertionError("it begins")
    assert not (studio.home.runs / run / "references").exists()


def test_what_was_learned_under_a_revoked_consent_is_not_published(client: TestClient, studio: Studio,
                                                                   record: AdapterRecord) -> None:
    statement, run = learned(client, studio, record)
    studio.library.delete("ada")
    folder = studio.home.runs / run
    shutil.move(folder / "checkpoints" / "ada-step00000004.safetensors", folder / "adapter.safetensors")
    log = EventLog(folder)
    for event in ({"type": "stage", "text": "Starting"}, {"type": "outcome", "state": "finished", "message": ""}):
        log(event)
    studio.store.take(run, 1)
    studio.consents.close(statement, [])
    studio.supervisor._settle(studio.job(run), 0)
    job = studio.job(run)
    assert job.state == "failed" and job.message.startswith(f"The statement of consent '{statement}' was revoked")
    assert studio.library.entries() == [] and not (folder / "adapter.safetensors").exists()


def test_a_thread_that_holds_the_consents_may_hold_them_again(studio: Studio) -> None:
    held = threading.Event()

    def twice() -> None:
        with studio.consents.held(), Consents(studio.home.consents).held():
            held.set()

    threading.Thread(target=twice, daemon=True).start()
    assert held.wait(5)
