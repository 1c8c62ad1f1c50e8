"""Where several people share a studio, a base or a model is named by what the studio lists, never by any path.

Else the files of one person could be opened as a base by another. The server says so in the environment, which every
process that it starts inherits.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from adapters.errors import StudioError

VARIABLE = "SEMBLANCE_BASES_LISTED_IN"
"""The file with the list of bases that may be named; without it anything may."""


def check_listed(spec: str) -> None:
    """Raise StudioError when there is a list and `spec` is not in it."""
    named = os.environ.get(VARIABLE, "")
    if not named:
        return
    try:
        listed = {str(base["spec"]) for base in json.loads(Path(named).read_text("utf-8"))}
    except FileNotFoundError:
        listed = set()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudioError(f"The list of bases '{named}' is damaged; an admin can mend the file or take it "
                          "away.") from error
    if spec not in listed:
        raise StudioError(f"'{spec[:100]}' is not in the list of bases; choose one that is, or ask an admin to add it.")
