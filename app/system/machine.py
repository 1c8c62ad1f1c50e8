"""What can be said of this machine at once, without torch: memory, disk, versions."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from app.home import Home
from pipelines.free_memory import main_memory

PACKAGES = ("torch", "diffusers", "transformers", "peft", "accelerate", "gradio", "safetensors", "pillow")


def versions() -> dict[str, str]:
    """Of Python and of every package that is here."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def missing_packages() -> list[str]:
    """A sentence for each package that is not here."""
    have = versions()
    return [f"the package '{p}' (pip install -r requirements.txt)" for p in PACKAGES if p not in have]


def facts(home: Home) -> dict[str, Any]:
    """System, cores, memory and disk in bytes, the data folder and its parts, versions, what is missing."""
    disk, ram = shutil.disk_usage(home.root), main_memory()
    return {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(),
            "memory": {"total": ram[0], "free": ram[1]} if ram else None,
            "disk": {"total": disk.total, "free": disk.free}, "home": str(home.root), "parts": parts(home),
            "versions": versions(), "missing": missing_packages()}


def parts(home: Home) -> list[dict[str, Any]]:
    """The data folder's parts with their bytes."""
    folders = {"adapters": home.adapters, "runs": home.runs, "drafts": home.drafts, "images": home.images,
               "bases": home.bases, "cache": home.cache, "trash": home.trash, "temporary": home.temporary}
    return [{"name": name, "bytes": folder_bytes(folder)} for name, folder in folders.items()]


def folder_bytes(folder: Path) -> int:
    """Of all files in it; 0 when it is not there."""
    total = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for item in found:
                    if item.is_dir(follow_symlinks=False):
                        waiting.append(Path(item.path))
                    else:
                        total += item.stat(follow_symlinks=False).st_size
        except OSError:
            continue  # taken away while we look
    return total
