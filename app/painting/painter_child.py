"""The warm process that paints: JSON lines in on stdin, JSON lines out on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from pydantic import ValidationError

from adapters.errors import StudioError
from adapters.files import write_atomic
from app.child import telling_a_full_disk
from app.faults import print_traceback, sentence_of
from app.painting.painter import Cancelled, Watch
from pipelines.methods.common import settings_error
from pipelines.request import Request

if TYPE_CHECKING:
    from pipelines.painter import Painter

ADVICE = "try a smaller size or fewer pictures"


def main() -> None:
    """Answer jobs until stdin closes. Whatever a library prints goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    from pipelines.painter import Painter

    painter = Painter()
    answer({"ready": True})
    for line in sys.stdin:
        try:
            answer({"settings": _paint(painter, json.loads(line), answer)})
        except Cancelled:
            answer({"cancelled": True})
        except StudioError as error:
            answer({"error": str(error)})
        except ValidationError as error:
            answer({"error": str(settings_error(error))})
        except Exception as error:  # noqa: BLE001 - what fails for one job must not end the process for the next
            print_traceback()
            answer({"error": sentence_of(error, "The painting", ADVICE)})


def _paint(painter: Painter, job: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    watch = Watch(cancel=Path(job["cancel"]) if job["cancel"] else None)

    def progress(done: int, total: int) -> None:
        answer({"progress": [done, total]})
        watch.check()

    def preview(image: Image.Image) -> None:
        write_atomic(Path(job["preview"]), lambda p: image.save(p, "PNG"))

    if job["preview"] and painter.checked(job["base"], job["offline"]):
        answer({"unseen": True})
    picture, mask = (Path(p) if p else None for p in job["edit"] or (None, None))
    return painter.paint_files(
        job["base"], [(Path(p), float(s), d) for p, s, d in job["adapters"]], Request.model_validate(job["request"]),
        [Path(f) for f in job["files"]], offline=job["offline"], edit=(picture, mask) if picture else None,
        progress=progress, preview=preview if job["preview"] else None,
        regions={Path(adapter): Path(mask) for adapter, mask in job["regions"].items()})


if __name__ == "__main__":
    with telling_a_full_disk():
        main()
