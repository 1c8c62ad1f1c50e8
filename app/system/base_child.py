"""Downloads a base, or a helper's FILES: `python -m app.system.base_child OWNER/NAME [FILE ...]`, JSON lines out.

It ends by itself when nobody reads these any more; what is here already is not fetched again.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from httpx import HTTPError

from adapters.errors import StudioError
from app.faults import print_traceback, sentence_of
from pipelines.base_models.families import find_family
from pipelines.base_models.hub import PATTERNS, counting, download
from pipelines.base_models.locate import locate


def main() -> None:
    """Look at the small files first: a model of another kind is not downloaded."""
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        location = locate(sys.argv[1], any_place=True)
        if location.form != "hub":
            raise StudioError(f"'{sys.argv[1][:100]}' is no hub id; write it as 'owner/name'.")
        files = sys.argv[2:]
        family = "" if files else find_family(location)
        download(location.name, files or PATTERNS, counting(lambda done, total: answer({"done": done})))
        answer({"family": family})
    except StudioError as error:
        answer({"error": str(error)})
    except HTTPError as error:
        answer({"error": f"The connection to the hub broke off ({type(error).__name__}); start the download again, "
                         "what is here already is kept."})
    except OSError as error:
        answer({"error": f"The download was refused by the system ({error.strerror or error}); free some space and try "
                         "again, what is here already is kept."})
    except Exception as error:  # noqa: BLE001 - the process's last word, which the list of downloads shows
        print_traceback()
        answer({"error": sentence_of(error, "The download", "close other programs and try again")})


if __name__ == "__main__":
    main()
