"""Statements of consent: kept, bound to pictures, revoked."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from adapters.errors import StudioError
from app.concepts.consent import Consents

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
TOLD = {"who": "Ada", "scope": "pictures for her birthday card", "by": "Ada", "date": "2026-05-01", "images": [A, B]}


@pytest.fixture
def consents(tmp_path: Path) -> Consents:
    return Consents(tmp_path / "consents")


def test_a_statement_counts_for_its_own_pictures_and_parts_of_them_alone(consents: Consents) -> None:
    made = consents.give(**TOLD)
    assert consents.for_images([A, B]) == consents.for_images([B]) == consents.get(made.id) == made
    with pytest.raises(StudioError, match="1 of 3 pictures have no statement"):
        consents.for_images([A, B, C])


def test_two_statements_do_not_add_up(consents: Consents) -> None:
    for images in ([A], [B]):
        consents.give(**{**TOLD, "images": images})
    with pytest.raises(StudioError, match="1 of 2 pictures"):
        consents.for_images([A, B])


def test_a_revoked_statement_counts_no_more_and_says_what_went(consents: Consents) -> None:
    made = consents.give(**TOLD)
    closed = consents.close(made.id, ["adapter ada"])
    assert closed.revoked and closed.removed == ("adapter ada",)
    assert Consents(consents.folder).get(made.id) == closed
    with pytest.raises(StudioError, match="2 of 2 pictures have no statement"):
        consents.for_images([A, B])
    again = consents.close(made.id, ["picture 1"])
    assert again.revoked == closed.revoked and again.removed == ("adapter ada", "picture 1")


@pytest.mark.parametrize(("field", "value"), [("who", ""), ("scope", " "), ("by", None), ("date", "some day"),
                                              ("images", []), ("images", ["x"]), ("who", "x" * 400),
                                              ("date", str(date.today() + timedelta(days=2)))])
def test_what_is_missing_is_named(consents: Consents, field: str, value: object) -> None:
    with pytest.raises(StudioError, match=f"but '{field}"):
        consents.give(**{**TOLD, field: value})
    assert consents.all() == []


def test_a_damaged_statement_stops_everything_until_it_is_put_right(consents: Consents) -> None:
    made = consents.give(**TOLD)
    (consents.folder / f"{made.id}.json").write_text("{")
    with pytest.raises(StudioError, match="cannot be read"):
        consents.for_images([A])


@pytest.mark.parametrize("id", ["../../../etc", "", "0" * 12, "x" * 13])
def test_there_is_no_statement_of_another_name(consents: Consents, id: str) -> None:
    with pytest.raises(StudioError, match="There is no statement"):
        consents.get(id)
