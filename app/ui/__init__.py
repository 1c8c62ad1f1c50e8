"""The browser: rooms in the order a person needs them. No torch here."""

from app.ui.page import HEAD, build

__all__ = ["HEAD", "build"]
