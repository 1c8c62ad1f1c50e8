"""Keeps libraries from telling a person what changes nothing for them: these notices, and none beside them."""

from __future__ import annotations

import logging
from functools import partial

_NOTICES = {
    # bitsandbytes then takes its own code; its kernels for the processor are nothing that we use.
    "bitsandbytes.backends.cpu.ops": "Failed to load CPU gemm_4bit_forward",
    # diffusers imports the name; what we make ourselves is the one that it falls back to.
    "transformers.utils.import_utils": "requires torchvision",
}


def hush() -> None:
    """Drop the notices in this process; to be called before the libraries are imported, since they come with that."""
    for name, words in _NOTICES.items():
        logging.getLogger(name).addFilter(partial(_is_other, words))


def _is_other(words: str, record: logging.LogRecord) -> bool:
    return words not in record.getMessage()
