"""Words of prompts. Imports no torch."""

from __future__ import annotations

from adapters.errors import StudioError


def with_article(phrase: str) -> str:
    """`phrase` with 'a' or 'an'."""
    return f"{'an' if phrase[:1].lower() in tuple('aeiou') else 'a'} {phrase}"


def parse_concepts(text: str) -> list[tuple[str, str]]:
    """'toy:teddy bear,cup:mug' as pairs of name and noun."""
    pairs = [part.partition(":") for part in text.split(",") if part.strip()]
    if any(not noun.strip() for _, _, noun in pairs):
        raise StudioError(f"'{text[:60]}' does not name concepts; write NAME:NOUN for each, such as bear:toy,cup:mug.")
    return [(name.strip(), noun.strip()) for name, _, noun in pairs]
