"""The verbs of the library: list, rename, tag, delete, bring back, verify."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.library.verifying import verify
from app.verbs.lab_verbs import Verb, open_studio, speaker


def add(verb: Verb) -> None:
    """Register them on the command line."""
    listed = verb("list", _list, "the adapters in the library")
    listed.add_argument("--search", default="", metavar="WORDS", help="in name, trigger, noun, method, base and tags")
    rename = verb("rename", _rename, "give an adapter another name; its trigger stays")
    rename.add_argument("name")
    rename.add_argument("new")
    tag = verb("tag", _tag, "set an adapter's tags; without any, take them away")
    tag.add_argument("name")
    tag.add_argument("tags", nargs="*")
    delete = verb("delete", _delete, "move an adapter into the trash")
    delete.add_argument("name")
    verb("trash", _trash, "the adapters in the trash")
    check = verb("verify", _verify, "say whether a picture or an adapter is as the studio wrote it, and of what")
    check.add_argument("file", type=Path)
    restore = verb("restore", _restore, "bring an adapter back from the trash")
    restore.add_argument("id", help="as 'delete' and 'trash' say it")


def _list(options: argparse.Namespace) -> dict[str, Any]:
    say, library = speaker(options), open_studio(options).library
    found = [e.as_dict() for e in library.search(options.search)]
    for e in found:
        words = ", ".join(f"'{t}'" for t in e["triggers"].values())
        tags = f"  tags {', '.join(e['tags'])}" if e["tags"] else ""
        say(f"{e['name']:24} {e['kind']:10} {e['method']:18} {e['base']:12} trigger {words or 'not known'}{tags}")
    if not found:
        say("Nothing matches; search for less." if options.search
            else "The library is empty; train a concept or import a file.")
    return {"adapters": found}


def _verify(options: argparse.Namespace) -> dict[str, Any]:
    found = verify(options.file)
    say = speaker(options)
    say(found["says"])
    if signed := found.get("credentials"):
        say(f"It carries content credentials, signed by '{signed['signer']}'; "
            f"{'they hold' if signed['valid'] else 'they do not hold any more'}.")
    return found


def _rename(options: argparse.Namespace) -> dict[str, Any]:
    entry = open_studio(options).library.rename(options.name, options.new)
    speaker(options)(f"'{options.name}' is '{entry.name}' now")
    return entry.as_dict()


def _tag(options: argparse.Namespace) -> dict[str, Any]:
    entry = open_studio(options).library.remark(options.name, tags=options.tags)
    speaker(options)(f"'{entry.name}' has the tags {', '.join(entry.remarks.tags) or '(none)'}")
    return entry.as_dict()


def _delete(options: argparse.Namespace) -> dict[str, Any]:
    grave = open_studio(options).library.delete(options.name)
    speaker(options)(f"'{options.name}' is in the trash; 'restore {grave.name}' brings it back")
    return {"deleted": options.name, "id": grave.name}


def _trash(options: argparse.Namespace) -> dict[str, Any]:
    found = [asdict(d) for d in open_studio(options).library.deleted()]
    for d in found:
        speaker(options)(f"{d['id']:48} {d['name']:24} {d['when']}")
    if not found:
        speaker(options)("The trash is empty.")
    return {"deleted": found}


def _restore(options: argparse.Namespace) -> dict[str, Any]:
    entry = open_studio(options).library.restore(options.id)
    speaker(options)(f"'{entry.name}' is in the library again")
    return entry.as_dict()
