"""Packages that only some settings need: looked for before a run starts. Imports none of them, and no torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from adapters.errors import StudioError


def require(package: str, wanted: str) -> None:
    """Raise StudioError when `package` cannot be imported; `wanted` is what needs it, as a person asked for it."""
    if find_spec(package) is None:
        raise StudioError(f"{wanted} needs the package '{package}', which is not installed; install it with: "
                          f"pip install {package}")


def require_all(packages: Mapping[str, str]) -> None:
    """`require` each package, named with what wants it."""
    for package, wanted in packages.items():
        require(package, wanted)
