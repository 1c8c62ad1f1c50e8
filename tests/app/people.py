"""Two people on one studio, each with a client of their own, for the tests of logins."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.accounts import passwords
from app.accounts.people import People
from app.home import Home
from app.http.server import create_shared_app
from pipelines.base_models import listed

PASSWORD = "correct horse battery"
HOST = "http://studio.test"


def made_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 with little memory: what it keeps from guessing is not tested here, and it is asked often."""
    quick = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", quick)
    monkeypatch.setattr(passwords, "_NOBODY", quick.hash("nobody"))


def two_people(home: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    """Alice, an admin, and Bob."""
    made_quick(monkeypatch)
    people = People(Home.open(str(home)))
    monkeypatch.setenv(listed.VARIABLE, str(people.home.base_list))
    people.register.accounts.add("alice", PASSWORD, "admin")
    people.register.accounts.add("bob", PASSWORD)
    return people


def shared_app(people: People) -> FastAPI:
    """Their server's application."""
    return create_shared_app(people, ["studio.test"])


def visitor(app: FastAPI) -> TestClient:
    """Somebody whom the studio does not know. A server error is an answer, so that its absence can be tested."""
    return TestClient(app, base_url=HOST, raise_server_exceptions=False, follow_redirects=False)


def logged_in(app: FastAPI, name: str, password: str = PASSWORD) -> TestClient:
    """Somebody's browser."""
    client = visitor(app)
    answer = client.post("/login", data={"name": name, "password": password})
    assert answer.status_code == 303, answer.text
    return client


def with_token(app: FastAPI, people: People, name: str) -> TestClient:
    """Somebody's program."""
    client = visitor(app)
    client.headers["Authorization"] = f"Bearer {people.register.sessions.token(name)}"
    return client
