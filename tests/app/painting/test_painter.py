"""The painting process itself, on the starter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
