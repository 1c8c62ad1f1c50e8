"""The one exception that people see."""

from __future__ import annotations


class StudioError(Exception):
    """Something a person can mend. Its message is one sentence for them.

    It says what was expected, what was found and what to do. The command line prints it and exits
    with 2; the browser shows it as a message. What it quotes from a stranger's file stays on one line: characters that
    cannot be printed stand as their escapes.
    """

    def __str__(self) -> str:
        """The sentence."""
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in super().__str__())
