"""Logins: who gets in, for how long, and what each may do."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.accounts import passwords, sessions
from app.accounts.people import People
from app.http import gate
from app.http.gate import COOKIE
from tests.app.people import PASSWORD, logged_in, shared_app, two_people, visitor, with_token


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    return two_people(tmp_path / "home", monkeypatch)


@pytest.fixture
def app(people: People) -> FastAPI:
    return shared_app(people)


@pytest.fixture
def bob(app: FastAPI) -> TestClient:
    return logged_in(app, "bob")


@pytest.fixture
def alice(app: FastAPI) -> TestClient:
    return logged_in(app, "alice")


EVERYWHERE = ["/", "/config", "/gradio_api/info", "/gradio_api/heartbeat/a", "/gradio_api/file=/etc/passwd",
              "/gradio_api/queue/data", "/studio/drafts", "/studio/runs", "/studio/images", "/studio/openapi.json",
              "/studio/library", "/studio/static/dom.js", "/studio/nothing", "/nothing", "/assets/index.js", "/logout",
              "/openapi.json", "/monitoring", "//studio/drafts", "/login/", "/login/../studio/drafts"]


@pytest.mark.parametrize("path", EVERYWHERE)
def test_without_a_session_nothing_is_answered(app: FastAPI, path: str) -> None:
    for secret in ({}, {"Authorization": "Bearer guess"}, {"Cookie": f"{COOKIE}=guess"}):
        answer = visitor(app).get(path, headers=secret)
        assert answer.status_code == 401 and "Log in first" in answer.json()["error"]
    shown = visitor(app).get(path, headers={"accept": "text/html"})
    assert shown.status_code == 303 and shown.headers["location"].startswith("/login?next=")


def test_what_changes_something_is_not_answered_either(app: FastAPI, people: People) -> None:
    for path in ("/studio/drafts", "/gradio_api/upload", "/gradio_api/queue/join", "/logout", "/studio/runs"):
        assert visitor(app).post(path, json={}).status_code == 401, path
    assert not list(people.home.people.iterdir())


def test_a_browser_logs_in_and_out(app: FastAPI) -> None:
    client = visitor(app)
    answer = client.post("/login", data={"name": "Bob", "password": PASSWORD, "next": "/config"})
    assert answer.status_code == 303 and answer.headers["location"] == "/config"
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; ")) and "Max-Age=86400" in cookie
    assert "Secure" not in cookie
    page = client.get("/")
    assert page.status_code == 200 and "account.js" in page.text
    assert client.get("/studio/account").json()["name"] == "bob"
    kept = client.cookies[COOKIE]
    assert client.post("/logout").status_code == 303
    again = visitor(app).get("/studio/account", headers={"Cookie": f"{COOKIE}={kept}"})
    assert again.status_code == 401  # ended in the studio, not only forgotten by the browser


def test_behind_https_the_cookie_is_secure(app: FastAPI) -> None:
    client = TestClient(app, base_url="https://studio.test", follow_redirects=False)
    cookie = client.post("/login", data={"name": "bob", "password": PASSWORD}).headers["set-cookie"]
    assert "Secure" in cookie.split("; ")


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "",
                                   "/a\r\nSet-Cookie: x"])
def test_a_login_leads_to_this_studio_alone(app: FastAPI, place: str) -> None:
    answer = visitor(app).post("/login", data={"name": "bob", "password": PASSWORD, "next": place})
    assert answer.headers["location"] == "/"


def test_secrets_are_kept_as_hashes(app: FastAPI, people: People, bob: TestClient) -> None:
    token = people.register.sessions.token("bob")
    kept = b"".join(p.read_bytes() for p in people.home.root.glob("accounts.db*"))
    for secret in (bob.cookies[COOKIE], token, PASSWORD):
        assert secret.encode() not in kept
    assert b"$argon2id$" in kept and oct(people.home.accounts.stat().st_mode & 0o777) == "0o600"


def test_sessions_and_tokens_end(app: FastAPI, people: People, bob: TestClient,
                                 monkeypatch: pytest.MonkeyPatch) -> None:
    program = with_token(app, people, "bob")
    assert bob.get("/studio/drafts").status_code == program.get("/studio/drafts").status_code == 200
    now = time.time()
    monkeypatch.setattr(sessions.time, "time", lambda: now + 25 * 3600)
    assert bob.get("/studio/drafts").status_code == 401 and program.get("/studio/drafts").status_code == 200
    monkeypatch.setattr(sessions.time, "time", lambda: now + 31 * 86400)
    assert program.get("/studio/drafts").status_code == 401


def test_a_cookie_is_no_token_and_a_token_no_cookie(app: FastAPI, people: People, bob: TestClient) -> None:
    token = people.register.sessions.token("bob")
    assert visitor(app).get("/studio/drafts", headers={"Cookie": f"{COOKIE}={token}"}).status_code == 401
    stolen = {"Authorization": f"Bearer {bob.cookies[COOKIE]}"}
    assert visitor(app).get("/studio/drafts", headers=stolen).status_code == 401


def test_a_new_password_and_a_removal_end_everything(app: FastAPI, people: People, bob: TestClient) -> None:
    program = with_token(app, people, "bob")
    people.register.accounts.set_password("bob", "another long one")
    assert bob.get("/studio/drafts").status_code == program.get("/studio/drafts").status_code == 401
    back = logged_in(app, "bob", "another long one")
    folder = people.register.home_of(people.register.accounts.get("bob").id).root
    made = back.post("/studio/drafts").json()["id"]
    people.register.remove("bob")
    assert back.get("/studio/drafts").status_code == 401
    assert (folder / "drafts" / made / "draft.json").is_file()  # nothing is lost
    people.register.accounts.add("bob", PASSWORD)  # somebody else of that name inherits nothing
    assert logged_in(app, "bob").get("/studio/drafts").json() == []


def test_failed_logins_are_limited_for_a_name_that_is_there_and_for_one_that_is_not(app: FastAPI) -> None:
    client, said = visitor(app), {}
    for name in ("bob", "nobody"):
        answers = [client.post("/login", data={"name": name, "password": "wrong wrong"}) for _ in range(12)]
        assert [a.status_code for a in answers] == [401] * 10 + [429] * 2
        assert answers[-1].headers["retry-after"] == "900"
        said[name] = [re.sub(name, "NAME", a.text) for a in answers]
    assert said["bob"] == said["nobody"] and "do not belong together" in said["bob"][0]
    assert client.post("/login", data={"name": "bob", "password": PASSWORD}).status_code == 429
    assert client.post("/login", data={"name": "alice", "password": PASSWORD}).status_code == 303


def test_failed_logins_are_limited_for_an_address(app: FastAPI) -> None:
    client = visitor(app)
    codes = [client.post("/login", data={"name": f"n{n}", "password": "wrong wrong"}).status_code for n in range(52)]
    assert codes == [401] * 50 + [429] * 2


def test_a_login_that_succeeds_counts_as_no_failure(app: FastAPI) -> None:
    client = visitor(app)
    for _ in range(12):
        assert client.post("/login", data={"name": "bob", "password": PASSWORD}).status_code == 303


def test_an_unknown_name_costs_as_much_work(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = passwords._HASHER

    class Counting:
        def verify(self, kept: str, given: str) -> bool:
            asked.append(kept)
            return real.verify(kept, given)

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    for name in ("bob", "nobody"):
        with pytest.raises(Exception, match="do not belong together"):
            people.register.sessions.log_in(name, "wrong wrong", "1.2.3.4")
    assert len(asked) == 2 and len({a.split("$")[3] for a in asked}) == 1  # of the same cost


def test_an_answer_that_goes_on_ends_with_the_session(app: FastAPI, people: People, bob: TestClient,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    studio = people.person(people.register.accounts.get("bob")).studio
    studio.store.add("a-1", "a")
    (studio.home.runs / "a-1").mkdir()
    from app.jobs.runs import EventLog

    log = EventLog(studio.home.runs / "a-1")
    log({"type": "stage", "text": "before"})
    monkeypatch.setattr(gate, "LOOK", 0.0)
    heard: list[str] = []
    real = people.register.sessions.still

    def still(hash: str, kind: str) -> Any:
        if heard:
            return None
        heard.append("once")
        return real(hash, kind)

    monkeypatch.setattr(people.register.sessions, "still", still)  # also how a request is let in: the first look
    log({"type": "stage", "text": "after"})
    answer = bob.get("/studio/runs/a-1/events")
    assert answer.status_code == 200 and answer.text == ""


def test_an_admin_sees_accounts_and_sets_quotas_and_a_user_does_not(alice: TestClient, bob: TestClient) -> None:
    assert {a["name"] for a in alice.get("/studio/accounts").json()} == {"alice", "bob"}
    told = alice.patch("/studio/accounts/bob", json={"disk_gb": 0.5, "queue": 3}).json()
    assert (told["disk"]["quota"], told["queue"]["quota"]) == (500_000_000, 3)
    assert bob.get("/studio/account").json()["queue"]["quota"] == 3
    for method, path in (("GET", "/studio/accounts"), ("PATCH", "/studio/accounts/bob"), ("POST", "/studio/bases"),
                         ("POST", "/studio/downloads"), ("DELETE", "/studio/bases/abc"), ("POST", "/studio/hub"),
                         ("POST", "/studio/bases/upload?file=a.safetensors")):
        answer = bob.request(method, path, json={"spec": "x", "id": "x"})
        assert answer.status_code == 403 and "admins alone" in answer.json()["error"], path
    assert bob.get("/studio/bases").status_code == 200


def test_a_base_is_named_by_the_list_alone(alice: TestClient, bob: TestClient, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"x" * 20)
    for client in (alice, bob):
        answer = client.get("/studio/methods/lora/settings", params={"base": str(path)})
        assert answer.status_code == 400 and "not in the list of bases" in answer.json()["error"]
    assert bob.get("/studio/methods/lora/settings").status_code == 200


def test_over_the_disk_quota_nothing_comes_in_and_nothing_is_lost(people: People, bob: TestClient) -> None:
    draft = bob.post("/studio/drafts").json()["id"]
    people.register.accounts.set_quota("bob", disk_gb=0.001)
    answer = bob.post("/studio/library?file=a.safetensors", content=b"x" * 2_000_000)
    assert answer.status_code == 413 and answer.json()["error"].startswith("Your 0.001 GB are used up")
    assert bob.patch(f"/studio/drafts/{draft}", json={"title": "still mine"}).status_code == 200
    assert bob.get(f"/studio/drafts/{draft}").json()["title"] == "still mine"
    home = people.register.home_of(people.register.accounts.get("bob").id)
    (home.images / "big.bin").write_bytes(b"x" * 1_100_000)
    assert bob.delete(f"/studio/drafts/{draft}").status_code == 200
    assert bob.post("/studio/drafts").status_code == 413
    assert bob.post(f"/studio/drafts/{draft}/restore").status_code == 200
    (home.images / "big.bin").unlink()
    assert bob.delete("/studio/trash").status_code == 200
    assert bob.post("/studio/drafts").status_code == 200


def test_a_request_that_does_not_say_how_long_it_is_is_refused(bob: TestClient) -> None:
    answer = bob.post("/studio/library?file=a.safetensors", content=iter([b"x" * 10]))
    assert answer.status_code == 411


def test_over_the_queue_quota_nothing_is_queued_and_a_repeat_is_still_answered(people: People) -> None:
    people.register.accounts.set_quota("bob", queue=2)
    store = people.person(people.register.accounts.get("bob")).studio.store
    assert [store.add(n, n, asked=n) for n in "ab"] == ["a", "b"]
    with pytest.raises(Exception, match="holds 2 jobs and has 2"):
        store.add("c", "c", asked="c")
    assert store.add("other", "other", asked="a") == "a"
    store.cancel("a")
    with pytest.raises(Exception, match="holds 2 jobs"):
        [store.add("d", "d"), store.requeue("a")]
    assert {j.id for j in store.all()} == {"a", "b", "d"}


def test_the_queue_quota_is_429_over_http(people: People, bob: TestClient) -> None:
    people.register.accounts.set_quota("bob", queue=0)
    answer = bob.post("/studio/images/paintings", json={"request": {"prompt": "a"}})
    assert answer.status_code == 429 and "may wait at a time" in answer.json()["error"]
    assert bob.post("/studio/images", json={"request": {"prompt": "a"}}).status_code == 429


def test_the_login_page_speaks_two_languages_and_needs_no_script(app: FastAPI) -> None:
    english = visitor(app).get("/login").text
    german = visitor(app).get("/login", headers={"accept-language": "fr, de-CH;q=0.8, en"}).text
    assert "Password" in english and "Passwort" in german and '<html lang="de">' in german
    for page in (english, german):
        assert "<script" not in page
        for label in ("name", "password"):
            assert f'<label for="{label}">' in page and f'id="{label}" name="{label}"' in page
    odd = visitor(app).post("/login", data={"name": '"><script>', "password": "x" * 12}).text
    assert "<script" not in odd and 'role="alert"' in odd


def test_another_site_cannot_log_anybody_in(app: FastAPI) -> None:
    answer = visitor(app).post("/login", data={"name": "bob", "password": PASSWORD},
                               headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
