"""What this machine has, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from typing import Any

from adapters.errors import StudioError
from app.home import Home
from app.system.machine import missing_packages, versions
from app.system.repair import damage, data_folders
from pipelines.base_models.locate import STARTER_PATH
from pipelines.free_memory import main_memory


def examine(home: str | None) -> dict[str, Any]:
    """Versions, device, memory, disk, folders, and `missing`: a list of sentences."""
    missing, have = missing_packages(), versions()
    found: dict[str, Any] = {"versions": have, "system": f"{platform.system()} {platform.machine()}",
                             "cores": os.cpu_count(), "memory": _memory()}
    if "torch" in have:
        from pipelines.painter import pick_device
        from pipelines.precision import pick_precision

        found["device"] = pick_device()
        found |= _graphics_card()
        precision = pick_precision("auto")
        found["precision"] = "fp32" if precision == "no" else precision
    try:
        opened = Home.open(home)
        found["home"] = str(opened.root)
        missing += dict.fromkeys(wrong for one in data_folders(opened) if (wrong := damage(one)))
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
    known = main_memory()
    return f"{known[0] / 1e9:.1f} GB, {known[1] / 1e9:.1f} GB free" if known else "unknown"


def _graphics_card() -> dict[str, Any]:
    """Name and bytes of memory of the first graphics card, where there is one."""
    import torch

    if not torch.cuda.is_available():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {"card": torch.cuda.get_device_name(), "card_memory": total, "card_free": free}
