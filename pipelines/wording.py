"""Words of prompts. Imports no torch."""

from __future__ import annotations


def with_article(phrase: str) -> str:
    """`phrase` with 'a' or 'an'."""
    return f"{'an' if phrase[:1].lower() in tuple('aeiou') else 'a'} {phrase}"
