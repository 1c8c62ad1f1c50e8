"""Weights of other models, from a folder or the hub's cache, never fetched."""

from __future__ import annotations

from typing import Any

from safetensors import SafetensorError

from adapters.errors import StudioError
from pipelines.base_models.listed import check_listed


def open_weights(kind: Any, named: str, default: str) -> Any:
    """A frozen transformers model of class `kind` from the folder or hub id `named`, or `default` when it is empty.

    Only safetensors are read. Raises StudioError when it is not here, damaged, or another model's.
    """
    title, place = kind.__name__, named or default
    if place != default:
        check_listed(place)
    try:
        model, loaded = kind.from_pretrained(place, local_files_only=True, use_safetensors=True,
                                             output_loading_info=True)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        raise StudioError(f"The weights of {title} are not at '{place}'; fetch '{default}' from the hub (under "
                          "System, or by 'hf download'), or name a folder with its config.json and "
                          "model.safetensors.") from error
    if absent := sorted(loaded["missing_keys"]):
        raise StudioError(f"'{place}' is no {title}: '{absent[0]}' is not in it; fetch '{default}' from the hub "
                          "(under System, or by 'hf download'), or name a folder that has all of it.")
    return model.requires_grad_(False).eval()
