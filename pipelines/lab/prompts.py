"""Prompt lists for evaluation: `{}` stands for the subject with its article."""

from __future__ import annotations

from pathlib import Path

from adapters.errors import StudioError

STARTER = ("a photo of {} on the beach", "a photo of {} in the snow", "a photo of {} in the city",
           "a photo of {} in the forest", "a photo of {} in the desert", "pixel art of {} on the beach",
           "a watercolor painting of {} in the forest", "a pencil drawing of {} in the city")

# Ruiz et al., arXiv 2208.12242, supplementary material: objects, then live subjects.
DREAMBENCH_OBJECTS = (
    "{} in the jungle", "{} in the snow", "{} on the beach", "{} on a cobblestone street", "{} on top of pink fabric",
    "{} on top of a wooden floor", "{} with a city in the background", "{} with a mountain in the background",
    "{} with a blue house in the background", "{} on top of a purple rug in a forest",
    "{} with a wheat field in the background", "{} with a tree and autumn leaves in the background",
    "{} with the Eiffel Tower in the background", "{} floating on top of water",
    "{} floating in an ocean of milk", "{} on top of green grass with sunflowers around it",
    "{} on top of a mirror", "{} on top of the sidewalk in a crowded street", "{} on top of a dirt road",
    "{} on top of a white rug", "a red {noun}", "a purple {noun}", "a shiny {noun}", "a wet {noun}",
    "a cube shaped {noun}")
DREAMBENCH_LIVE = (
    "{} in the jungle", "{} in the snow", "{} on the beach", "{} on a cobblestone street", "{} on top of pink fabric",
    "{} on top of a wooden floor", "{} with a city in the background", "{} with a mountain in the background",
    "{} with a blue house in the background", "{} on top of a purple rug in a forest", "{} wearing a red hat",
    "{} wearing a santa hat", "{} wearing a rainbow scarf", "{} wearing a black top hat and a monocle",
    "{} in a chef outfit", "{} in a firefighter outfit", "{} in a police outfit", "{} wearing pink glasses",
    "{} wearing a yellow shirt", "{} in a purple wizard outfit", "a red {noun}", "a purple {noun}", "a shiny {noun}",
    "a wet {noun}", "a cube shaped {noun}")


def fill(prompt: str, phrase: str) -> str:
    """The prompt about `phrase`, which gets its article; `{noun}` takes it bare."""
    from pipelines.wording import with_article

    return prompt.replace("{noun}", phrase).replace("{}", with_article(phrase))


def read_prompts(path: Path) -> list[str]:
    """One prompt a line. Raises StudioError when there is none, or one that does not name the subject."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise StudioError(f"'{path}' should be a text file of prompts, but it could not be read; check it.") from error
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise StudioError(f"'{path}' has no prompts; write one a line, with {{}} where the subject stands.")
    if wrong := [p for p in found if "{}" not in p and "{noun}" not in p]:
        raise StudioError(f"'{wrong[0][:60]}' does not say where the subject stands; put {{}} there.")
    return found
