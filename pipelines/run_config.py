"""A training run, frozen when it is queued. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator

from adapters.errors import StudioError
from adapters.files import write_text
from adapters.record import Concept
from pipelines.extras import require_all
from pipelines.methods import config_class
from pipelines.methods.common import TrainingConfig, settings_error

FILE = "config.json"
CLASS_IMAGES = "class-images"  # the folder of class images that the person gave
Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RunConfig(BaseModel):
    """Everything that a run depends on besides the pictures in its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    class_noun: str
    base: str
    offline: bool = False
    trigger: str = ""
    """Empty: chosen from the base's own tokens when the run starts, or made of the name where words are learned."""
    concepts: tuple[Concept, ...] = ()
    """All concepts of the run; empty: one, of the run's own name and noun. Triggers as above."""
    image_hashes: tuple[str, ...] = ()
    tensorboard: bool = False
    """Whether the run writes its numbers for TensorBoard into its folder's `logs`."""
    repeats: tuple[Share, ...] = ()
    """How often each picture is drawn beside the others; empty: all alike."""
    weights: tuple[Share, ...] = ()
    """What multiplies each picture's loss; empty: 1."""
    draft: str = ""
    """The draft that the pictures come from, if they do."""
    consent: str = ""
    """The statement of consent that it is learned under, where it shows a person."""
    training: SerializeAsAny[TrainingConfig]

    @field_validator("training", mode="before")
    @classmethod
    def _of_its_method(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return config_class(str(value.get("method"))).model_validate(value)
        return value

    def with_triggers(self, choose: Callable[[Collection[str]], str]) -> RunConfig:
        """The same with a trigger for every concept: learned words from names, others by `choose(given)`."""
        concepts = self.concepts or (Concept(name=self.name, noun=self.class_noun, trigger=self.trigger),)
        learned, done = self.training.learns_words, list[Concept]()
        for concept in concepts:
            trigger = concept.trigger
            if learned and not trigger.startswith("<"):
                trigger = f"<{(trigger or concept.name).lower()}>"
            done.append(concept.model_copy(update={
                "trigger": trigger or choose([c.trigger for c in done]), "learned": learned}))
        return self.model_copy(update={"concepts": tuple(done), "trigger": done[0].trigger,
                                       "class_noun": done[0].noun})

    def check_packages(self) -> None:
        """Raise StudioError when a package that the run asks for is not installed."""
        require_all(self.training.packages | ({"tensorboard": "The TensorBoard log"} if self.tensorboard else {}))

    def save(self, folder: Path) -> None:
        """Write `config.json` into the run's folder."""
        write_text(folder / FILE, self.model_dump_json(indent=1))

    @classmethod
    def load(cls, folder: Path) -> RunConfig:
        """Read `config.json` of a run's folder."""
        try:
            return cls.model_validate_json((folder / FILE).read_text("utf-8"))
        except ValidationError as error:
            raise settings_error(error) from error
        except (OSError, UnicodeDecodeError) as error:
            raise StudioError(f"The run in '{folder}' has no readable settings; start it "
                              "anew.") from error
