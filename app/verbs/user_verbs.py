"""The verbs of accounts: who may log in, what each may have, and what is shared with whom."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from adapters.errors import StudioError
from app.accounts.people import Register
from app.accounts.sessions import LONGEST_TOKEN
from app.home import Home
from app.system.machine import folder_bytes
from app.verbs.lab_verbs import Verb, speaker

_NEEDS_NAME = ("add", "remove", "password", "token", "end-tokens", "quota")


def add(verb: Verb) -> None:
    """Register `user`, `share` and `unshare`."""
    user = verb("user", _user, "accounts: with one, the studio asks everybody to log in from its next start on")
    user.add_argument("action", choices=("list", *_NEEDS_NAME))
    user.add_argument("name", nargs="?", default="")
    user.add_argument("--role", choices=("admin", "user"), default="user", help="of an account that is added")
    user.add_argument("--days", type=float, default=30, help=f"that a token lasts, {LONGEST_TOKEN} at most")
    user.add_argument("--disk", type=float, metavar="GB", help="quota: what the account may keep")
    user.add_argument("--queue", type=int, metavar="N", help="quota: jobs that may wait and run at a time")
    share = verb("share", _share, "let another account, or everyone, paint with an adapter")
    unshare = verb("unshare", _unshare, "take that back")
    for parser in (share, unshare):
        parser.add_argument("adapter")
        parser.add_argument("--owner", required=True, help="the account that has it")
        parser.add_argument("--to", default="", metavar="NAME", help="an account; everyone when not given")


def _user(options: argparse.Namespace) -> dict[str, Any]:
    if (options.action in _NEEDS_NAME) != bool(options.name):
        raise StudioError(f"'user {options.action}' {'takes no' if options.name else 'needs a'} name; "
                          + ("leave it out." if options.name else "give the one of an account."))
    actions: dict[str, Callable[[argparse.Namespace, Register], dict[str, Any]]] = {
        "list": _list, "add": _add, "remove": _remove, "password": _password, "token": _token,
        "end-tokens": _end_tokens, "quota": _quota}
    return actions[options.action](options, _register(options))


def _register(options: argparse.Namespace) -> Register:
    return Register(Home.open(getattr(options, "home", None)))


def _list(options: argparse.Namespace, register: Register) -> dict[str, Any]:
    found = []
    for account in register.accounts.all():
        disk_gb, queue = register.quotas(account.id)
        folder = register.home_of(account.id).root
        found.append({**asdict(account), "disk_gb": disk_gb, "queue": queue, "folder": str(folder),
                      "bytes": folder_bytes(folder)})
        speaker(options)(f"{account.name:24} {account.role:6} {found[-1]['bytes'] / 1e9:.2f} of {disk_gb:g} GB, "
                         f"{queue} jobs  {folder}")
    if not found:
        speaker(options)("There are no accounts: the studio is for this machine alone, without a login.")
    return {"accounts": found}


def _add(options: argparse.Namespace, register: Register) -> dict[str, Any]:
    first = not register.accounts.any()
    made = register.accounts.add(options.name, _new_password(), options.role)
    folder = Home.open(str(register.home_of(made.id).root)).root
    speaker(options)(f"'{made.name}' ({made.role}) may log in; what they make is in '{folder}'")
    if first:
        speaker(options)("From its next start on, the studio asks everybody to log in. What was made without accounts "
                         "stays where it is and belongs to nobody; 'export' and 'import' bring it over.")
    return {**asdict(made), "folder": str(folder)}


def _remove(options: argparse.Namespace, register: Register) -> dict[str, Any]:
    gone = register.remove(options.name)
    folder = register.home_of(gone.id).root
    speaker(options)(f"'{gone.name}' cannot log in any more; what they made is still in '{folder}'")
    return {"removed": gone.name, "folder": str(folder)}


def _password(options: argparse.Namespace, register: Register) -> dict[str, Any]:
    register.accounts.get(options.name)  # before anybody types
    changed = register.accounts.set_password(options.name, _new_password())
    speaker(options)(f"'{changed.name}' has a new password; sessions and tokens have ended")
    return {"changed": changed.name}


def _token(options: argparse.Namespace, register: Register) -> dict[str, Any]:
    token = register.sessions.token(options.name, options.days)
    speaker(options)(f"{token}\nSend it as 'Authorization: Bearer ...'; it is not shown again and ends in "
                     f"{options.days:g} days.")
    return {"token": token, "days": options.days}


def _end_tokens(options: argparse.Namespace, register: Register) -> dict[str, Any]:
    ended = register.sessions.end_tokens(options.name)
    speaker(options)(f"{ended} tokens of '{options.name}' have ended")
    return {"ended": ended}


def _quota(options: argparse.Namespace, register: Register) -> dict[str, Any]:
    account = register.accounts.set_quota(options.name, options.disk, options.queue)
    disk_gb, queue = register.quotas(account.id)
    speaker(options)(f"'{account.name}' may keep {disk_gb:g} GB and have {queue} jobs at a time")
    return {"name": account.name, "disk_gb": disk_gb, "queue": queue}


def _new_password() -> str:
    """Typed twice, or the first line of stdin; never an argument, which other users of the machine can see."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise StudioError("The two passwords are not the same; type them again.")
    return first


def _share(options: argparse.Namespace) -> dict[str, Any]:
    register = _register(options)
    done = register.shares.share(register.accounts.get(options.owner), options.adapter, options.to)
    speaker(options)(f"{options.to or 'everyone'} may paint with it, as '{done['called']}'")
    return done


def _unshare(options: argparse.Namespace) -> dict[str, Any]:
    register = _register(options)
    done = register.shares.unshare(register.accounts.get(options.owner), options.adapter, options.to)
    speaker(options)(f"'{done['adapter']}' is not shared with {options.to or 'everyone'} any more")
    return done
