"""Models on the hub: found in the cache, or fetched. Imports no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from pipelines.helpers import HELPERS

VARIANTS = ("*.fp16*", "*.non_ema*")  # second copies of the weights, which are not read
_PARTS = ("unet", "vae", "text_encoder", "text_encoder_2", "safety_checker")
PATTERNS = ("*.json", "*.txt", *(f"{part}/*.safetensors" for part in _PARTS))
"""The files of a diffusers model that a base needs."""


@dataclass(frozen=True)
class HubModel:
    """What the hub says of a model: its licence as the model card names it ('' when it names none), bytes to fetch."""

    id: str
    licence: str
    licence_link: str
    gated: bool
    """Its owner wants to be asked first."""
    bytes: int
    files: tuple[str, ...] = ()
    """What is fetched."""


def describe(hub_id: str, offline: bool) -> HubModel:
    """Ask the hub about a base, or about one of HELPERS.

    Raises StudioError when it cannot be asked, does not know it, or has no weights that are read here.
    """
    info, files = _asked(hub_id, offline)
    if helper := HELPERS.get(hub_id):
        wanted = helper.wanted(files)
        if not wanted:
            raise StudioError(f"The hub has no {helper.weights[-1]} of '{hub_id}'; try it another time, or name a "
                              "folder that has it.")
    else:
        wanted = [f for f in files
                  if any(fnmatch(f, p) for p in PATTERNS) and not any(fnmatch(f, v) for v in VARIANTS)]
        if "model_index.json" not in files or not any(f.endswith(".safetensors") for f in wanted):
            raise StudioError(f"'{hub_id}' is no diffusers model with .safetensors weights; choose one that is, such "
                              "as 'stable-diffusion-v1-5/stable-diffusion-v1-5'.")
    card: Any = info.card_data or {}
    licence = card.get("license_name") or card.get("license") or ""
    return HubModel(hub_id, str(licence)[:100], str(card.get("license_link") or "")[:300], bool(info.gated),
                    sum(files[f] for f in wanted), tuple(wanted))


def _asked(hub_id: str, offline: bool) -> tuple[Any, dict[str, int]]:
    """What the hub says of a model, and the bytes of its files."""
    if offline:
        raise StudioError(f"The hub cannot be asked about '{hub_id}' while offline mode is on; go online, or give a "
                          "folder or a file.")
    from httpx import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        info = HfApi().model_info(hub_id, files_metadata=True, timeout=20)
    except HfHubHTTPError as error:
        raise _refused(hub_id, error) from error
    except (HTTPError, OfflineModeIsEnabled, OSError) as error:
        raise StudioError(f"The hub could not be asked about '{hub_id}' ({type(error).__name__}); check the network, "
                          "or give a folder or a file.") from error
    return info, {f.rfilename: f.size or 0 for f in info.siblings or ()}


def counting(count: Callable[[int, int], None]) -> Any:
    """A progress bar class that calls `count(done, total)` in bytes, once a second at most."""
    from huggingface_hub.utils.tqdm import tqdm

    class Counting(tqdm):
        said = 0.0

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"disable": False})  # else it counts nothing without a terminal

        def update(self, n: float | None = 1) -> bool | None:
            done: bool | None = super().update(n)
            if self.unit == "B" and self.total and time.monotonic() - Counting.said > 1:
                Counting.said = time.monotonic()
                count(int(self.n), int(self.total))
            return done

    return Counting


def telling(hub_id: str, tell: Callable[[str], None]) -> Any:
    """`counting` in a sentence."""
    return counting(lambda done, total: tell(f"Downloading '{hub_id}', {done / 1e6:.0f} of {total / 1e6:.0f} MB"))


def fetch(hub_id: str, offline: bool, patterns: Sequence[str], tell: Callable[[str], None] | None = None) -> Path:
    """A folder with the model's files of these names.

    Of a model that is here nothing is asked of the hub; what is missing is downloaded, but not `offline`. Raises
    StudioError when it is not here and may not or cannot be fetched.
    """
    from huggingface_hub import constants

    if found := _here(hub_id, patterns):
        return found
    if offline or constants.HF_HUB_OFFLINE:
        raise StudioError(f"The base '{hub_id}' is not here, and nothing is fetched unasked; add it under System first "
                          "(on the command line, leave out --offline), or give a folder.")
    return download(hub_id, patterns, telling(hub_id, tell) if tell else None)


def download(hub_id: str, patterns: Sequence[str], bar: Any = None) -> Path:
    """The model's files of these names as the hub has them now; `bar` is a progress bar class, see `counting`.

    Raises StudioError when they cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(patterns), ignore_patterns=list(VARIANTS),
                                      **({"tqdm_class": bar} if bar else {})))
    except LocalEntryNotFoundError as error:
        raise StudioError(f"'{hub_id}' is not here: the hub could not be reached; check the network or give a "
                          "folder.") from error
    except HfHubHTTPError as error:
        raise _refused(hub_id, error) from error


def _here(hub_id: str, patterns: Sequence[str]) -> Path | None:
    """The folder in the cache that has all of the model's files of these names; the hub is not asked."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=list(patterns), ignore_patterns=list(VARIANTS),
                                        local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    # Older caches have no list of what belongs to a model; there its configurations may lie alone.
    needed = [p for p in patterns if p.startswith(("model_index", "unet/"))]
    return folder if all(any(folder.glob(p)) for p in needed) else None


def _refused(hub_id: str, error: Any) -> StudioError:
    return StudioError(f"The hub refused '{hub_id}' (HTTP {error.response.status_code}); check the id, and log in with "
                       "'hf auth login' if the model asks for it.")
