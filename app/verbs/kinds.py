"""What a concept is, asked on the command line as the browser asks it beside a concept's name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from adapters.errors import StudioError
from adapters.files import sha256
from adapters.record import KINDS
from app.studio import Studio
from pipelines.faces import faces
from pipelines.references import open_image


def add_kind(parser: argparse.ArgumentParser) -> None:
    """Register the options of a verb that teaches pictures."""
    parser.add_argument("--kind", choices=KINDS, default="object",
                        help="what it is; a person needs consent (verb 'consent')")
    parser.add_argument("--no-face", action="store_true",
                        help="go on where a face seems to be seen: the pictures show no person")


def check_faces(pictures: Sequence[Path], options: argparse.Namespace) -> None:
    """Raise StudioError for a picture that seems to show a face, unless it is said to be of a person or of none.

    Where no face detector is at hand (see `pipelines.faces`), nothing is found.
    """
    if options.kind == "person" or options.no_face:
        return
    if (shown := next((p for p in pictures if faces(open_image(p))), None)) is not None:
        raise StudioError(f"This is to be no person, and '{shown.name}' seems to show a face; give --kind person with "
                          f"their consent (verb 'consent'), or --kind {options.kind} --no-face if it is none.")


def consent_for(studio: Studio, pictures: Sequence[Path], options: argparse.Namespace) -> str:
    """The id of the statement of consent for pictures of a person, '' for all else; StudioError without one."""
    return studio.consents.for_images([sha256(p) for p in pictures]).id if options.kind == "person" else ""
