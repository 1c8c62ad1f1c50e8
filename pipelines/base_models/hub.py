"""Models on the hub: found in the cache, or fetched. Imports no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adapters.errors import StudioError

VARIANTS = ("*.fp16*", "*.non_ema*")  # second copies of the weights, which are not read


def telling(hub_id: str, tell: Callable[[str], None]) -> Any:
    """A progress bar class that also says how far it is, once a second at most."""
    from huggingface_hub.utils.tqdm import tqdm

    class Telling(tqdm):
        said = 0.0

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"disable": False})  # else it counts nothing without a terminal

        def update(self, n: float | None = 1) -> bool | None:
            done: bool | None = super().update(n)
            if self.unit == "B" and self.total and time.monotonic() - Telling.said > 1:
                Telling.said = time.monotonic()
                tell(f"Downloading '{hub_id}', {self.n / 1e6:.0f} of {self.total / 1e6:.0f} MB")
            return done

    return Telling


def fetch(hub_id: str, offline: bool, patterns: Sequence[str], tell: Callable[[str], None] | None = None) -> Path:
    """A folder with the model's files of these names (progress on stderr, and to `tell`).

    Raises StudioError when it is not here and cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(patterns), ignore_patterns=list(VARIANTS),
                                      local_files_only=offline,
                                      **({"tqdm_class": telling(hub_id, tell)} if tell else {})))
    except LocalEntryNotFoundError as error:
        what = ("it is not in the local cache and offline mode is on; go online or give a folder"
                if offline else "the hub could not be reached; check the network or give a folder")
        raise StudioError(f"The base '{hub_id}' is not here: {what}.") from error
    except HfHubHTTPError as error:
        raise StudioError(
            f"The hub refused '{hub_id}' (HTTP {error.response.status_code}); check the id, and "
            "log in with 'hf auth login' if the model asks for it."
        ) from error
