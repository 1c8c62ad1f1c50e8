"""The browser: rooms in the order a person needs them. No torch here."""

from app.ui.page import ACCOUNT, HEAD, build

__all__ = ["ACCOUNT", "HEAD", "build"]
