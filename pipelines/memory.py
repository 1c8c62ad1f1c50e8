"""What happens when the memory runs out in the middle of a training: one more attempt at settings that need less."""

from __future__ import annotations

import gc

from pipelines.methods.common import TrainingConfig

MORE_MEMORY = "close other programs and resume, or train anew on a smaller base"
_MOST_BATCHES = 64  # the limit of 'accumulate'
_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "_status_alloc_failed")


class OutOfMemory(Exception):
    """A training's memory was not enough at `step`."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


def ran_out(error: BaseException) -> bool:
    """Whether the memory was what an exception of Python or torch is about, told without torch."""
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or any(w in str(error).lower() for w in _WORDS)


def let_go() -> None:
    """Give back what nobody holds any more."""
    import torch  # here alone: who asks `ran_out` may be without it

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def lower(settings: TrainingConfig) -> tuple[TrainingConfig | None, str]:
    """The next settings that need less memory, and what they are in words; None where nothing lower is left.

    Half the batch, accumulated twice as often, so that a step sees as many pictures (one more where the batch was odd);
    with a batch of 1, gradient checkpointing.
    """
    batch, accumulate = settings.batch, settings.accumulate
    if batch > 1 and 2 * accumulate <= _MOST_BATCHES:
        half = (batch + 1) // 2
        less = settings.model_copy(update={"batch": half, "accumulate": 2 * accumulate})
        return less, f"batches of {half} instead of {batch}, {2 * accumulate} of them a step instead of {accumulate}"
    if not settings.gradient_checkpointing:
        return settings.model_copy(update={"gradient_checkpointing": True}), "gradient checkpointing"
    return None, f"with a batch of {batch} and gradient checkpointing"
