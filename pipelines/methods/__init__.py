"""Ways to learn a concept. Each is a folder with a torch-free `config` and a `recipe`.

To add one: write the folder, and add its name to METHODS (docs/ARCHITECTURE.md has what else goes with it).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from adapters.errors import StudioError

if TYPE_CHECKING:
    from pipelines.methods.common import TrainingConfig

METHODS: dict[str, str] = {
    "lora": "pipelines.methods.lora",
    "textual-inversion": "pipelines.methods.textual_inversion",
    "perfusion": "pipelines.methods.perfusion",
    "break-a-scene": "pipelines.methods.break_a_scene",
}


def _module(method: str, part: str) -> Any:
    if method not in METHODS:
        raise StudioError(f"There is no method '{method}'; choose one of: {', '.join(METHODS)}.")
    return importlib.import_module(f"{METHODS[method]}.{part}")


def config_class(method: str) -> type[TrainingConfig]:
    """The method's pydantic settings; imports no torch."""
    found: type[TrainingConfig] = _module(method, "config").Config
    return found


def recipe_builder(method: str) -> Any:
    """`build(host, config, lesson) -> Recipe` of the method; imports torch."""
    return _module(method, "recipe").build
