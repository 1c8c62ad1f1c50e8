"""Base models: the starter, diffusers folders, single checkpoints and hub ids, as a Host."""

from pipelines.base_models.load import load_base
from pipelines.base_models.locate import STARTER_PATH, BaseLocation, locate

__all__ = ["STARTER_PATH", "BaseLocation", "load_base", "locate"]
