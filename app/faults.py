"""What stopped a piece of work where no StudioError says it, in one sentence: for the last handler of a process."""

from __future__ import annotations

import sys
import traceback

from adapters.errors import StudioError
from adapters.files import is_full
from pipelines.memory import ran_out

PRINTED = "what the studio printed"
LOGGED = "'worker.log' in the job's folder"
SMALLER_BATCH = "choose a smaller batch and resume"
"""For a job whose memory was not enough."""
_LONGEST = 160  # characters of a library's own words


def sentence_of(error: BaseException, what: str, advice: str, where: str = PRINTED) -> str:
    """Why `what` failed; `advice` is for too little memory, `where` the traceback is for everything unforeseen."""
    if isinstance(error, StudioError):
        return str(error)
    if isinstance(error, OSError) and is_full(error):
        return "The disk is full; free some space and try again."
    if ran_out(error):
        return f"The memory was not enough; {advice}."
    # The system's own words alone: with them an OSError tells paths of this machine.
    said = (isinstance(error, OSError) and error.strerror) or str(error)
    first = next(iter(said.strip().splitlines()), "no reason given")[:_LONGEST]
    return (f"{what} failed by a fault of the studio or of a library ({type(error).__name__}: {first}); its traceback "
            f"is in {where}, report it with that.")


def print_traceback() -> None:
    """Print that of the exception being handled to stderr, unless that is a file on a full disk."""
    try:
        traceback.print_exc()
    except OSError:  # Python would try again at exit and change the exit code
        sys.stderr = None  # type: ignore[assignment]
