"""Models on the hub: found in the cache, or fetched. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.errors import StudioError

VARIANTS = ("*.fp16*", "*.non_ema*")  # second copies of the weights, which are not read


def fetch(hub_id: str, offline: bool, patterns: Sequence[str]) -> Path:
    """A folder with the model's files of these names (progress on stderr).

    Raises StudioError when it is not here and cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(patterns), ignore_patterns=list(VARIANTS),
                                      local_files_only=offline))
    except LocalEntryNotFoundError as error:
        what = ("it is not in the local cache and offline mode is on; go online or give a folder"
                if offline else "the hub could not be reached; check the network or give a folder")
        raise StudioError(f"The base '{hub_id}' is not here: {what}.") from error
    except HfHubHTTPError as error:
        raise StudioError(
            f"The hub refused '{hub_id}' (HTTP {error.response.status_code}); check the id, and "
            "log in with 'hf auth login' if the model asks for it."
        ) from error
