"""What this machine has, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from adapters.errors import StudioError
from app.home import Home
from pipelines.base_models.locate import STARTER_PATH

_PACKAGES = ("torch", "diffusers", "transformers", "peft", "accelerate", "gradio", "safetensors",
             "pillow")


def examine(home: str | None) -> dict[str, Any]:
    """Versions, device, memory, disk, folders, and `missing`: a list of sentences."""
    missing: list[str] = []
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            missing.append(f"the package '{package}' (pip install -r requirements.txt)")
    found: dict[str, Any] = {"versions": versions, "system": f"{platform.system()} {platform.machine()}",
                             "cores": os.cpu_count(), "memory": _memory()}
    if "torch" in versions:
        from pipelines.painter import pick_device
        from pipelines.training import pick_precision

        found["device"] = pick_device()
        precision = pick_precision("auto")
        found["precision"] = "fp32" if precision == "no" else precision
    try:
        opened = Home.open(home)
        found["home"] = str(opened.root)
        found["disk_free_gb"] = round(shutil.disk_usage(opened.root).free / 1e9, 1)
    except StudioError as error:
        missing.append(str(error))
    if not (STARTER_PATH / "model_index.json").exists():
        missing.append("the starter base under assets/starter (take a whole clone)")
    if shutil.which("chromium") is None:
        found["browser_tests"] = "need chromium (apt-get install chromium)"
    found["missing"] = missing
    return found


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return "unknown"
    return f"{total / 1e9:.1f} GB, {free / 1e9:.1f} GB free"
