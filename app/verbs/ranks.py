"""Which of several processes this is, when a training was started by `accelerate launch`."""

from __future__ import annotations

import os
from collections.abc import Callable

from adapters.errors import StudioError


def is_one_of_several() -> bool:
    """Whether a launcher started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_main() -> bool:
    """Whether this is the process that reports, saves and decides."""
    return os.environ.get("RANK", "0") == "0"


def from_main(make: Callable[[], str]) -> str:
    """`make()` in the main process alone; its answer, or its StudioError, in all of them."""
    if not is_one_of_several():
        return make()
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState(cpu=not torch.cuda.is_available())
    answer: list[str | None] = [None, None]
    if is_main():
        try:
            answer[0] = make()
        except StudioError as error:
            answer[1] = str(error)
    broadcast_object_list(answer)
    if answer[1] is not None:
        raise StudioError(answer[1])
    return str(answer[0])
