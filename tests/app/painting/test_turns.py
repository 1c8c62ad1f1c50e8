"""Pictures in the one queue: beside what has the device, in an order that can be changed, each to be taken out."""

from __future__ import annotations

import time
from typing import Any

from fastapi.testclient import TestClient

from tests.app.tools import FakePainter, begin, until


def beside(client: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/studio/queue").json()["beside"]
    return found


def three(client: TestClient, painter: FakePainter) -> list[str]:
    """Three paintings, of which the first is being painted for as long as `painter` holds it."""
    painter.hold = True
    ids = [begin(client, prompt) for prompt in ("one", "two", "three")]
    until(client, ids[0], "painting")
    return ids


def test_what_is_painted_and_what_waits_stands_in_the_queue(client: TestClient, painter: FakePainter) -> None:
    first, *_ = three(client, painter)
    seen = beside(client)
    assert [(p["name"], p["state"]) for p in seen] == [("one", "painting"), ("two", "waiting"), ("three", "waiting")]
    assert (seen[0]["id"], seen[0]["done"], seen[0]["total"]) == (first, 0, 1)
    assert client.post("/studio/queue/pause").json()["beside"] == seen  # light work does not wait for trainings
    painter.hold = False
    until(client, begin(client, "four"), "done")
    assert beside(client) == []


def test_a_waiting_painting_gets_another_turn_and_is_painted_in_it(client: TestClient, painter: FakePainter) -> None:
    _, second, third = three(client, painter)
    assert client.post(f"/studio/images/paintings/{third}/move", json={"where": "first"}).status_code == 200
    assert [p["id"] for p in beside(client)[1:]] == [third, second]
    painter.hold = False
    until(client, second, "done")
    assert [a["request"]["prompt"] for a in painter.asked] == ["one", "three", "two"]


def test_a_waiting_painting_is_taken_out_at_once_and_never_painted(client: TestClient, painter: FakePainter) -> None:
    _, second, third = three(client, painter)
    assert client.delete(f"/studio/images/paintings/{second}").json()["state"] == "cancelled"
    assert second not in [p["id"] for p in beside(client)]
    painter.hold = False
    until(client, third, "done")
    time.sleep(0.05)
    assert [a["request"]["prompt"] for a in painter.asked] == ["one", "three"]


def test_what_does_not_wait_has_no_turn(client: TestClient, painter: FakePainter) -> None:
    first, second, _ = three(client, painter)
    answer = client.post(f"/studio/images/paintings/{first}/move", json={"where": "first"})
    assert (answer.status_code, "does not wait" in answer.json()["error"]) == (400, True)
    answer = client.post(f"/studio/images/paintings/{second}/move", json={"where": "sideways"})
    assert (answer.status_code, "'sideways'" in answer.json()["error"]) == (400, True)
    painter.hold = False
