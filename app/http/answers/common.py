"""What all of them share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Nothing that is answered gets lost for not being named here."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)


class Refusal(Answer):
    """What is answered to what cannot be done."""

    error: str
    """One sentence: what was expected, what was found, what to do."""


class Deleted(Answer):
    """What was put away."""

    deleted: str
    """Its id, name or file."""
