"""People in the pictures, over HTTP: statements of consent, revoking them, erasing a concept for good."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from app.concepts.consent import Statement
from app.http.answers import drafts as answers
from app.http.described import tells, text
from app.studio import Studio
from pipelines.ingredients import pixels_of

_Draft = text("The id of the draft whose pictures it is about.")
_Who = text("The person in the pictures.", "Ada")
_Scope = text("What the person agreed to.", "training a private model")
_By = text("Who says so: the person, or who has their consent.", "Ada")
_Date = text("The day when the person agreed.", "2026-05-01")


def told(statement: Statement) -> dict[str, Any]:
    """A statement for the page."""
    return statement.model_dump(mode="json")


def routes(studio: Studio) -> APIRouter:
    """Routes under /studio/consents, and the one that erases."""
    router = APIRouter(prefix="/studio", tags=["people"])

    @router.get("/consents", **tells(list[Statement]))
    def every() -> list[dict[str, Any]]:
        """All statements, the newest first; a revoked one says what was removed."""
        return [told(s) for s in studio.consents.all()]

    @router.post("/consents", **tells(Statement))
    def give(draft: _Draft, who: _Who, scope: _Scope, by: _By, date: _Date) -> dict[str, Any]:
        """Record who agreed to what, for the pictures that a draft has now."""
        shots = studio.drafts.get(draft).shots
        return told(studio.consents.give(who=who, scope=scope, by=by, date=date, images=[s.sha256 for s in shots],
                                         pixels=[pixels_of(studio.drafts.picture(draft, s.id)) for s in shots]))

    @router.post("/consents/{id}/revoke", **tells(Statement))
    def revoke(id: str) -> dict[str, Any]:
        """Erase what was made under it, and its pictures, for good; the statement stays."""
        return told(studio.revoke(id))

    @router.get("/drafts/{id}/consent", **tells(answers.Covered))
    def consent(id: str) -> dict[str, Any]:
        """The statement that covers all pictures of a draft, or none with what is missing."""
        draft = studio.drafts.get(id)
        found, missing = studio.consents.look([s.sha256 for s in draft.shots])
        return {"statement": told(found) if found else None, "missing": missing, "pictures": len(draft.shots)}

    @router.post("/concepts/{name}/erase", **tells(answers.Erased))
    def erase(name: str) -> dict[str, list[str]]:
        """Erase a concept for good: adapter, trainings, evaluations, drafts, pictures made from it; no trash."""
        return {"removed": studio.erase(name)}

    return router
