"""What stands in an adapter's header: enough to rebuild, to use and to trace it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.errors import StudioError
from adapters.files import read_header
from adapters.identity import BaseIdentity

HEADER_KEY = "semblance"
FORMAT_VERSION = 1
ConceptKind = Literal["object", "animal", "style", "place", "person"]
KINDS: tuple[ConceptKind, ...] = get_args(ConceptKind)


class Concept(BaseModel):
    """One thing that an adapter knows, and the words that call it up."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    noun: str = ""
    trigger: str
    """A rare word of the base, or a learned word such as '<mycat>'."""
    learned: bool = False
    """Whether the trigger's vectors are in the adapter: such a word stands alone, without the noun."""
    kind: ConceptKind | Literal[""] = ""
    """What it is, where that was said; a person is protected."""

    @property
    def phrase(self) -> str:
        """What to write in a prompt."""
        return self.trigger if self.learned else f"{self.trigger} {self.noun}".strip()


class AdapterRecord(BaseModel):
    """The studio's JSON in an adapter file's metadata, under `semblance`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format_version: int = FORMAT_VERSION
    kind: str
    """Adapter kind, such as 'lora': which class rebuilds it."""
    method: str
    """How it was learned, such as 'lora'; 'imported' for a foreign file."""
    name: str
    base: BaseIdentity
    trigger: str = ""
    """The word to put before the noun in a prompt."""
    class_noun: str = ""
    concepts: tuple[Concept, ...] = ()
    """All of its concepts; the first is the one that `trigger` and `class_noun` name."""
    spec: dict[str, Any] = Field(default_factory=dict)
    """What the adapter kind needs to rebuild itself besides the tensors."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Resolved configuration, seed, versions, hashes of the images, date."""

    @property
    def shows_a_person(self) -> bool:
        """Whether one of its concepts is a person."""
        return any(c.kind == "person" for c in self.concepts)

    @property
    def concept_kind(self) -> ConceptKind | Literal[""]:
        """What it counts as: a person where one of its concepts is, else what the first one is."""
        if self.shows_a_person:
            return "person"
        return self.concepts[0].kind if self.concepts else ""

    @property
    def phrase(self) -> str:
        """The words that call the first concept up."""
        if self.concepts:
            return self.concepts[0].phrase
        return f"{self.trigger} {self.class_noun}".strip()

    def renamed(self, name: str) -> AdapterRecord:
        """The same under another name; its only concept goes along where it had the adapter's name."""
        alone = len(self.concepts) == 1 and self.concepts[0].name == self.name
        concepts = (self.concepts[0].model_copy(update={"name": name}),) if alone else self.concepts
        return self.model_copy(update={"name": name, "concepts": concepts})

    def to_metadata(self) -> dict[str, str]:
        """As safetensors metadata (strings only)."""
        return {HEADER_KEY: self.model_dump_json()}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], file: str) -> AdapterRecord | None:
        """The record in `metadata`, None when there is none; StudioError when it is damaged."""
        if HEADER_KEY not in metadata:
            return None
        try:
            raw = json.loads(metadata[HEADER_KEY])
            if isinstance(raw, dict) and raw.get("format_version", 0) > FORMAT_VERSION:
                raise StudioError(
                    f"'{file}' has adapter format {raw['format_version']}, this studio reads up to "
                    f"{FORMAT_VERSION}; update the studio."
                )
            return cls.model_validate(raw)
        except (ValueError, TypeError, RecursionError, ValidationError) as error:
            raise StudioError(f"The header of '{file}' is damaged; take a fresh copy.") from error


def read_record(path: Path) -> AdapterRecord:
    """The record of a studio file, read from its header alone."""
    record = AdapterRecord.from_metadata(read_header(path).metadata, path.name)
    if record is None:
        raise StudioError(f"'{path.name}' was not made by this studio; import it first.")
    return record
