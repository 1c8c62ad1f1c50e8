"""The process that looks at pictures: JSON lines in on stdin, JSON lines out on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.files import write_atomic
from app.child import telling_a_full_disk
from app.faults import print_traceback, sentence_of

ADVICE = "try a smaller picture"


class Looker:
    """Answers questions; what it has opened stays open."""

    def __init__(self) -> None:
        self._hosts: dict[str, Any] = {}
        self._finders: dict[str, Any] = {}
        self._captioners: dict[str, Any] = {}

    def mask(self, *, picture: str, pointed: dict[str, Any], base: str, offline: bool, out: str) -> dict[str, Any]:
        """Write the mask of what is pointed at to `out`; say what found it."""
        from pipelines.pointing import Finder, Pointed
        from pipelines.references import open_image

        if base not in self._finders:
            self._finders = {base: Finder(lambda: self._host(base, offline))}
        mask, how = self._finders[base].find(open_image(Path(picture)), Pointed.of(pointed))
        write_atomic(Path(out), lambda p: mask.save(p, "PNG"))
        return {"found_by": how}

    def captions(self, *, pictures: list[str], model: str) -> dict[str, Any]:
        """A line for each picture, and who wrote it."""
        from pipelines.captioner import Captioner
        from pipelines.references import open_image

        if model not in self._captioners:
            self._captioners = {model: Captioner(model)}
        captioner = self._captioners[model]
        return {"captions": captioner.captions([open_image(Path(p)) for p in pictures]), "written_by": captioner.name}

    def seen(self, *, picture: str, masks: list[str], nouns: list[str], method: str, preset: str, memory: str,
             settings: dict[str, Any], base: str, offline: bool, out: str) -> dict[str, Any]:
        """Write what the loss of a training sees of a picture to `out`; say in numbers what that is."""
        from PIL import Image

        from pipelines.methods.common import resolve
        from pipelines.references import open_image
        from pipelines.seen import seen

        host, opened = self._host(base, offline), [Image.open(p).convert("L") for p in masks]
        config = resolve(method, host.identity.family, preset, memory or None, **settings)
        shown, told = seen(host, open_image(Path(picture)), opened, config, nouns)
        write_atomic(Path(out), lambda p: shown.save(p, "PNG"))
        return told

    def _host(self, base: str, offline: bool) -> Any:
        from pipelines.base_models.load import load_base

        if base not in self._hosts:
            self._hosts = {base: load_base(base, offline=offline)}
        return self._hosts[base]


def main() -> None:
    """Answer until stdin closes. Whatever a library prints goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr
    looker = Looker()
    verbs: dict[str, Callable[..., dict[str, Any]]] = {
        "mask": looker.mask, "captions": looker.captions, "seen": looker.seen}
    for line in sys.stdin:
        told = json.loads(line)
        try:
            answer = verbs[told.pop("verb")](**told)
        except StudioError as error:
            answer = {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - what fails for one question must not end the process for the next
            print_traceback()
            answer = {"error": sentence_of(error, "The look at the picture", ADVICE)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    with telling_a_full_disk():
        main()
