"""Small pieces of HTML. Everything that a person typed goes through `escape`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from adapters.formats import formats_of, title
from app.library import Entry


def empty(text: str) -> str:
    """A place where nothing is yet, saying what to do."""
    return f'<div class="s-empty">{escape(text)}</div>'


def library_cards(entries: Sequence[Entry], thumbnails: Sequence[bool]) -> str:
    """The library as cards with download links."""
    if not entries:
        return empty("Nothing here yet. Teach a concept, or import a file below.")
    return ('<div class="s-grid" id="cards">'
            + "".join(_card(e, t) for e, t in zip(entries, thumbnails, strict=True)) + "</div>")


def _card(entry: Entry, thumbnail: bool) -> str:
    name, record = entry.name, entry.record
    picture = (f'<img class="s-thumb" loading="lazy" alt="Preview of {escape(name)}" '
               f'src="/studio/library/{quote(name)}/preview">' if thumbnail
               else '<div class="s-thumb"></div>')
    size = entry.path.stat().st_size / 1e6
    links = "".join(f'<a href="/studio/library/{quote(name)}/export/{f}" download>{escape(title(record, f))}</a>'
                    for f in formats_of(record))
    trigger = " ".join(f"<code>{escape(t)}</code>" for t in entry.phrases) or "no trigger known"
    return (f'<div class="s-card">{picture}<b>{escape(name)}</b><div>{trigger}</div>'
            f"<small>{escape(record.method)} for {escape(record.base.name or record.base.family)}, "
            f"{size:.1f} MB</small><div class='s-links'>{links}</div></div>")
