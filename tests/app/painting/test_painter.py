"""The painting process itself, on the starter."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.painting import painter_child
from app.painting.painter import Cancelled, PainterProcess, Watch


def test_cancel_ends_within_a_step_and_the_next_picture_is_painted(tmp_path: Path) -> None:
    painter, stop, seen = PainterProcess(), tmp_path / "stop", list[int]()

    def progress(done: int, _total: int) -> None:
        seen.append(done)
        if done == 2:
            stop.touch()

    request = {"prompt": "a cat", "steps": 400, "guidance": 1.0}
    try:
        watch = Watch(progress, tmp_path / "preview.png", stop)
        with pytest.raises(Cancelled):
            painter.paint("starter", [], request, [tmp_path / "a.png"], offline=True, watch=watch)
        assert seen in ([1, 2], [1, 2, 3]) and not (tmp_path / "a.png").exists()
        with pytest.raises(Cancelled):  # the file is still there: nothing is even begun
            painter.paint("starter", [], request, [tmp_path / "a.png"], offline=True, watch=watch)
        assert len(seen) <= 3
        stop.unlink()
        child = painter._child.pid
        painter.paint("starter", [], {**request, "steps": 2}, [tmp_path / "b.png"], offline=True)
        assert painter._child.pid == child and np.array(Image.open(tmp_path / "b.png")).std() > 0
    finally:
        painter.close()


def test_a_fault_is_told_and_the_same_process_paints_the_next_picture(tmp_path: Path) -> None:
    painter = PainterProcess()
    try:
        painter.warm_up()
        child = painter._child.pid
        painter._child.tell(nothing="of a job")
        said = painter._child.read()["error"]
        assert "The painting failed by a fault" in said and "(KeyError: 'cancel')" in said and "memory" not in said
        painter.paint("starter", [], {"prompt": "a cat", "steps": 2}, [tmp_path / "a.png"], offline=True)
        assert painter._child.pid == child and (tmp_path / "a.png").is_file()
    finally:
        painter.close()


@pytest.mark.parametrize(("error", "said"), [
    (ValueError("Unknown scheduler.\nmore"), "(ValueError: Unknown scheduler.)"),
    (RuntimeError("shapes differ"), "(RuntimeError: shapes differ)"),
    (RuntimeError("CUDA out of memory."), "The memory was not enough; try a smaller size or fewer pictures.")])
def test_what_a_library_raises_is_answered(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_once(_: object, job: dict[str, Any], __: object) -> dict[str, Any]:
        if job["number"] == 1:
            raise error
        return {"steps": 1}

    out = io.StringIO()
    monkeypatch.setattr(painter_child, "_paint", fails_once)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"number": 1}\n{"number": 2}\n'))
    painter_child.main()
    ready, first, second = map(json.loads, out.getvalue().splitlines())
    assert ready == {"ready": True} and said in first["error"] and second == {"settings": {"steps": 1}}


class Checked:
    """In the place of a painter: every base brings a safety checker, or none does."""

    def __init__(self, checked: bool) -> None:
        self.brings = checked

    def checked(self, base: str, offline: bool) -> bool:
        return self.brings

    def paint_files(self, *_: Any, **options: Any) -> dict[str, Any]:
        return {"steps": 1}


@pytest.mark.parametrize(("checked", "preview", "said"), [(True, "p.png", [{"unseen": True}]), (False, "p.png", []),
                                                         (True, None, [])])
def test_the_process_says_where_no_picture_is_seen_before_its_checker(checked: bool, preview: str | None,
                                                                      said: list[dict[str, Any]]) -> None:
    job = {"base": "b", "adapters": [], "request": {"prompt": "a cat"}, "files": ["a.png"], "offline": True, "edit": [],
           "preview": preview, "cancel": None, "regions": {}}
    answers: list[dict[str, Any]] = []
    assert painter_child._paint(Checked(checked), job, answers.append) == {"steps": 1}  # type: ignore[arg-type]
    assert answers == said


def test_the_studio_hears_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painter, seen = PainterProcess(), list[str]()
    messages = iter([{"unseen": True}, {"settings": {"steps": 1}}])
    monkeypatch.setattr(painter._child, "tell", lambda **_: None)
    monkeypatch.setattr(painter._child, "read", lambda: next(messages))
    painter.paint("starter", [], {"prompt": "a"}, [tmp_path / "a.png"], offline=True,
                  watch=Watch(unseen=lambda: seen.append("unseen")))
    assert seen == ["unseen"]
