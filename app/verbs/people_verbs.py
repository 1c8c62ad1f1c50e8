"""The verbs of people in pictures: consent, and erasing for good."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.files import sha256
from app.studio import Studio
from app.verbs.lab_verbs import speaker
from pipelines.ingredients import pixels_of
from pipelines.references import list_folder

Verb = Callable[[str, Callable[[argparse.Namespace], dict[str, Any]], str], argparse.ArgumentParser]


def add(verb: Verb, open_studio: Callable[[argparse.Namespace], Studio]) -> None:
    """Register them on the command line."""
    consent = verb("consent", lambda o: _consent(o, open_studio(o)), "record, list or revoke consent to learn a person")
    consent.add_argument("what", choices=("give", "list", "revoke"))
    consent.add_argument("id", nargs="?", help="of the statement to revoke")
    consent.add_argument("--images", type=Path, help="folder of the pictures that it is about")
    for name, about in (("who", "the person in the pictures"), ("scope", "what the person agreed to"),
                        ("by", "who makes this statement"), ("date", "when the person agreed, such as 2026-05-01")):
        consent.add_argument(f"--{name}", default="", help=about)
    erase = verb("erase", lambda o: _erase(o, open_studio(o)), "erase everything about a concept, for good")
    erase.add_argument("name")
    erase.add_argument("--yes", action="store_true", help="do it; without, nothing is erased")


def _consent(options: argparse.Namespace, studio: Studio) -> dict[str, Any]:
    say = speaker(options)
    if options.what == "list":
        found = [s.model_dump(mode="json") for s in studio.consents.all()]
        for s in found:
            say(f"{s['id']}  {s['date']}  {s['who']}: {s['scope']} ({len(s['images'])} pictures)"
                f"{', revoked' if s['revoked'] else ''}")
        return {"consents": found}
    if options.what == "revoke":
        closed = studio.revoke(options.id or "")
        say("\n".join(closed.removed) or "nothing had been made under it")
        return closed.model_dump(mode="json")
    if options.images is None:
        raise StudioError("A statement of consent is about pictures; give their folder with --images.")
    pictures = list_folder(options.images)
    made = studio.consents.give(who=options.who, scope=options.scope, by=options.by, date=options.date,
                                images=[sha256(p) for p in pictures], pixels=[pixels_of(p) for p in pictures])
    say(f"recorded as {made.id}, for {len(made.images)} pictures")
    return made.model_dump(mode="json")


def _erase(options: argparse.Namespace, studio: Studio) -> dict[str, Any]:
    if not options.yes:
        raise StudioError(f"'erase' removes everything about '{options.name}' for good, the trash too; add --yes to do "
                          "it.")
    removed = studio.erase(options.name)
    speaker(options)("\n".join(removed))
    return {"removed": removed}
