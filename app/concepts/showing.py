"""Whether what is called an object, an animal or a style seems to show a person: asked before it is learned."""

from __future__ import annotations

from collections.abc import Sequence

from app.concepts.draft import Draft
from app.errors import ShowsFace
from pipelines.dataset_folders.model import Sample
from pipelines.faces import faces
from pipelines.references import open_image


def check_faces(draft: Draft, samples: Sequence[Sample]) -> None:
    """Raise ShowsFace where a draft shows no person, as it says, and one of its `samples` seems to show a face.

    Where one of its things is a person nothing is asked: that has the consent for all pictures. Where no face detector
    is at hand (see `pipelines.faces`), nothing is found.
    """
    if any(thing.kind == "person" for thing in draft.things):
        return
    names = {shot.sha256: shot.name for shot in draft.shots}
    for sample in samples:  # one that came a moment ago is not among the draft's yet
        if faces(open_image(sample.picture)):
            name = names.get(sample.sha256, "a picture")[:60]
            raise ShowsFace(f"This is to be no person, and '{name}' seems to show a face; say under Concepts "
                            "that it is a person, with their consent, or confirm that it is none (no_face).")
