"""Accounts by command."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from app.accounts.people import Register
from app.home import Home
from app.jobs.runs import StopFile
from app.jobs.store import JobStore
from app.verbs.cli import main
from tests.app.people import PASSWORD, made_quick


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    made_quick(monkeypatch)


class Shell:
    """The verb `user` on one data folder, a line for its stdin."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self._monkeypatch, self._capsys = home, monkeypatch, capsys

    def __call__(self, *words: str, line: str = PASSWORD) -> tuple[int, dict[str, Any]]:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(f"{line}\n"))
        code = main(["user", *words, "--home", str(self.home), "--json"])
        told: dict[str, Any] = json.loads(self._capsys.readouterr().out.splitlines()[-1])
        return code, told


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def test_accounts_come_and_go_and_their_folders_stay(user: Shell, tmp_path: Path) -> None:
    assert user("list") == (0, {"accounts": []})
    code, alice = user("add", "alice", "--role", "admin")
    assert code == 0 and Path(alice["folder"]).parent == tmp_path / "people" and Path(alice["folder"]).is_dir()
    assert user("add", "bob")[0] == 0
    told = user("list")[1]["accounts"]
    assert [(a["name"], a["role"], a["disk_gb"], a["queue"]) for a in told] == [
        ("alice", "admin", 20.0, 20), ("bob", "user", 20.0, 20)]
    assert "password" not in json.dumps(told)
    code, said = user("add", "Bob")
    assert code == 2 and "already" in said["error"]
    code, gone = user("remove", "bob")
    assert code == 0 and Path(gone["folder"]).is_dir() and [a["name"] for a in user("list")[1]["accounts"]] == ["alice"]


def test_a_removed_accounts_jobs_end(user: Shell, tmp_path: Path) -> None:
    folder = Path(user("add", "bob")[1]["folder"])
    store = JobStore(folder / "studio.db")
    for id in ("runs-1", "waits-1"):
        store.add(id, id)
        (folder / "runs" / id).mkdir()
    assert store.claim()
    user("remove", "bob")
    assert {j.id: j.state for j in store.all()} == {"runs-1": "running", "waits-1": "stopped"}
    assert StopFile(folder / "runs" / "runs-1").stop_requested()


@pytest.mark.parametrize(("words", "line", "said"), [
    (("add", "bob"), "short", "10 to 1000 letters"), (("add", "bob"), "", "10 to 1000"),
    (("add",), PASSWORD, "needs a"), (("add", "../bob"), PASSWORD, "cannot be a name"),
    (("list", "bob"), PASSWORD, "takes no"), (("password", "ghost"), PASSWORD, "no account 'ghost'"),
    (("token", "ghost"), "", "no account"), (("quota", "ghost", "--disk", "1"), "", "no account"),
    (("remove", "ghost"), "", "no account")])
def test_what_makes_no_sense_is_a_sentence(user: Shell, words: tuple[str, ...], line: str, said: str) -> None:
    code, told = user(*words, line=line)
    assert code == 2 and said in told["error"] and user("list")[1] == {"accounts": []}


def test_a_password_is_no_argument(user: Shell) -> None:
    with pytest.raises(SystemExit):
        user("add", "bob", PASSWORD)


def test_quotas_tokens_and_passwords(user: Shell, tmp_path: Path) -> None:
    user("add", "bob")
    assert user("quota", "bob", "--disk", "1.5")[1] == {"name": "bob", "disk_gb": 1.5, "queue": 20}
    assert user("quota", "bob", "--queue", "3")[1] == {"name": "bob", "disk_gb": 1.5, "queue": 3}
    assert user("quota", "bob", "--queue", "-1")[0] == 2 and user("token", "bob", "--days", "0")[0] == 2
    sessions = Register(Home.open(str(tmp_path))).sessions
    token = user("token", "bob", "--days", "2")[1]["token"]
    found = sessions.find(token, "token")
    assert found and found.account.name == "bob" and 1.9 < (found.expires - found.account.created) / 86400 < 2.1
    assert user("end-tokens", "bob")[1] == {"ended": 1} and sessions.find(token, "token") is None
    assert sessions.log_in("bob", PASSWORD, "")
    assert user("password", "bob", line="another long one")[0] == 0
    with pytest.raises(Exception, match="do not belong"):
        sessions.log_in("bob", PASSWORD, "")
    assert sessions.log_in("bob", "another long one", "")
