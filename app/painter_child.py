"""The warm process that paints: JSON lines in on stdin, JSON lines out on stdout."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.errors import StudioError


def main() -> None:
    """Answer jobs until stdin closes. Whatever a library prints goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    from pipelines.generator import Request
    from pipelines.painter import Painter

    painter = Painter()
    answer({"ready": True})
    for line in sys.stdin:
        job = json.loads(line)
        try:
            settings = painter.paint_files(
                job["base"], [(Path(p), float(s), d) for p, s, d in job["adapters"]],
                Request.model_validate(job["request"]), [Path(f) for f in job["files"]],
                offline=job["offline"], edit=(Path(job["edit"][0]), Path(job["edit"][1])) if job["edit"] else None,
                progress=lambda done, total: answer({"progress": [done, total]}),
            )
            answer({"settings": settings})
        except StudioError as error:
            answer({"error": str(error)})
        except ValidationError as error:
            first = error.errors()[0]
            answer({"error": f"'{first['loc'][-1]}' cannot be {str(first['input'])[:40]}: "
                             f"{first['msg'].lower()}; choose another value."})
        except (MemoryError, RuntimeError) as error:
            answer({"error": f"Painting failed ({str(error)[:150]}); try a smaller size or fewer "
                             "pictures."})


if __name__ == "__main__":
    main()
