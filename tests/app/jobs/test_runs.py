"""A run's folder: events in, view out."""

from pathlib import Path

from app.jobs.runs import EventLog, EventTail, StopFile, read_events, view


def _step(n: int, loss: float = 0.5) -> dict[str, object]:
    return {"type": "step", "step": n, "total": 4, "loss": loss, "seconds": 2.0}


def test_view_folds_steps_previews_and_warnings(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log({"type": "warning", "text": "w"})
    for n in (1, 2):
        log(_step(n))
    log({"type": "preview", "step": 2, "number": 0, "file": "step00000002-0.png"})
    seen = view(tmp_path)
    assert (seen.step, seen.total, seen.warnings) == (2, 4, ["w"])
    assert seen.previews == {2: {0: "step00000002-0.png"}}
    assert seen.seconds_left == 4.0


def test_steps_repeated_after_a_resume_replace_the_lost_ones(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for n, loss in ((1, 0.1), (2, 0.2), (3, 0.3), (2, 0.9)):
        log(_step(n, loss))
    log({"type": "stage", "text": "flush"})
    assert view(tmp_path).losses == [(1, 0.1), (2, 0.9)]


def test_a_half_written_line_is_not_an_event(tmp_path: Path) -> None:
    EventLog(tmp_path)({"type": "stage", "text": "a"})
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"type": "st')
    assert [e["type"] for e in read_events(tmp_path)] == ["stage"]


def test_stop_file_is_seen_and_cleared(tmp_path: Path) -> None:
    stop = StopFile(tmp_path)
    assert not stop.stop_requested()
    stop.request()
    assert StopFile(tmp_path).stop_requested()
    stop.clear()
    assert not stop.stop_requested()


def test_the_tail_of_a_log_tells_each_event_once_and_only_whole_ones(tmp_path: Path) -> None:
    tail = EventTail(tmp_path)
    assert tail.more() == []
    log = EventLog(tmp_path)
    log({"type": "stage", "text": "a"})
    assert [e["text"] for e in tail.more()] == ["a"]
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"type": "stage", "te')
        file.flush()
        assert tail.more() == []
        file.write('xt": "b"}\n')
    assert [e["text"] for e in tail.more()] == ["b"]


def test_view_has_checkpoints_and_the_progress_of_other_jobs(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for step in (50, 100, 100):
        log({"type": "checkpoint", "step": step, "file": f"{step}"})
    log({"type": "progress", "done": 3, "total": 8})
    seen = view(tmp_path)
    assert (seen.checkpoints, seen.step, seen.total) == ([50, 100], 3, 8)
