"""The studio's verbs for `gradio_client`, as on the command line; each asks the address that a program would ask.

Only where there are no accounts: Gradio's own queue and uploads are everybody's at once (see `gate.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import gradio as gr
import httpx
from fastapi import FastAPI
from gradio.utils import get_upload_folder

Answer = dict[str, Any]


class _Studio:
    """The application's own addresses, asked without a network."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def ask(self, method: str, *path: str, **options: Any) -> Any:
        """The answer's JSON. Raises gr.Error with the studio's sentence for what it refuses."""
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=None) as client:
            address = "/".join(["/studio", *(quote(part, safe="") for part in path)])
            answer = await client.request(method, address, **options)
        told = answer.json()
        if answer.is_error:
            _refuse(told["error"] if "error" in told else str(told.get("detail", told)))
        return told


def add_verbs(app: FastAPI) -> None:
    """Give them to the Gradio page that is being built."""
    for verb in _verbs(_Studio(app)):
        gr.api(verb, api_name=verb.__name__.strip("_"), concurrency_limit=None)


def _verbs(studio: _Studio) -> list[Any]:
    ask = studio.ask

    @asynccontextmanager
    async def drafted(pictures: list[dict], **thing: str) -> AsyncIterator[str]:
        """A draft of these pictures, which goes when what it is wanted for is refused."""
        files = [("files", _taken(p)) for p in pictures]
        draft = (await ask("POST", "drafts"))["id"]
        try:
            if thing:
                await ask("PATCH", "drafts", draft, json={"things": [thing]})
            if refused := (await ask("POST", "drafts", draft, "pictures", files=files))["refused"]:
                _refuse(refused[0])
            yield draft
        except gr.Error:
            await ask("DELETE", "drafts", draft)
            raise

    async def train(name: str, noun: str, pictures: list[dict], method: str = "lora", preset: str = "balanced",
                    base: str = "starter", kind: str = "object", settings: dict | None = None,
                    no_face: bool = False) -> dict:
        """Queue a training of a concept: `name`, what it is, pictures by `handle_file`. Answers with the run.

        What is no person and seems to show a face is learned with `no_face` alone, which says that it is none.
        """
        async with drafted(pictures, name=name, noun=noun, kind=kind) as draft:
            return await ask("POST", "runs", json={"draft": draft, "method": method, "preset": preset, "base": base,
                                                   "settings": settings or {}, "no_face": no_face})

    async def compare(name: str, noun: str, pictures: list[dict], methods: list[str], preset: str = "balanced",
                      base: str = "starter", kind: str = "object", steps: int | None = None,
                      options: dict | None = None, no_face: bool = False) -> dict:
        """Queue a comparison: the same pictures, taught with each of `methods`. `options`: seeds, prompts, force;
        /result has what came out."""
        async with drafted(pictures, name=name, noun=noun, kind=kind) as draft:
            return await ask("POST", "comparisons", json={
                "draft": draft, "methods": methods, "preset": preset, "base": base, "steps": steps, "options": options,
                "no_face": no_face})

    async def runs() -> list:
        """Every training and other job, newest first."""
        return await ask("GET", "runs")

    async def run(id: str) -> dict:
        """One of them, and how far it has come: state, step of total, loss, the words for a prompt."""
        return await ask("GET", "runs", id)

    async def stop(id: str) -> dict:
        """End it after the present step; its last checkpoint stays."""
        return await ask("POST", "runs", id, "stop")

    async def resume(id: str) -> dict:
        """Go on from the last checkpoint."""
        return await ask("POST", "runs", id, "resume")

    async def clone(id: str, name: str = "", settings: dict | None = None) -> dict:
        """Queue a training's frozen settings and pictures again, `settings` laid over them; answers with the new one.
        """
        return await ask("POST", "runs", id, "clone", json={"name": name, "settings": settings})

    async def delete_run(id: str) -> dict:
        """Put a job into the trash; a running one must be stopped first."""
        return await ask("DELETE", "runs", id)

    async def restore_run(id: str) -> dict:
        """Bring a deleted job back."""
        return await ask("POST", "runs", id, "restore")

    async def queue() -> dict:
        """What runs, what waits in which order and for what, what was deleted, and pictures that are painted beside.
        """
        return await ask("GET", "queue")

    async def pause() -> dict:
        """Start nothing new; what runs goes on. Answers with the queue."""
        return await ask("POST", "queue", "pause")

    async def go_on() -> dict:
        """Start what waits again. Answers with the queue."""
        return await ask("POST", "queue", "go-on")

    async def move(id: str, where: str) -> dict:
        """Give a waiting job another turn: up, down, first or last. Answers with the queue."""
        return await ask("POST", "runs", id, "move", json={"where": where})

    async def later(id: str, at: float | None = None) -> dict:
        """Start a waiting job no earlier than `at`, seconds since 1970; none takes that back. Answers with the queue.
        """
        return await ask("POST", "runs", id, "later", json={"at": at})

    async def generate(prompt: str, adapters: list[str] | None = None, base: str = "starter",
                       request: dict | None = None) -> list[str]:
        """Paint; `adapters` are NAME or NAME:WEIGHT, `request` has the other fields of a picture. Answers with the
        addresses of the pictures."""
        told = await ask("POST", "images", json={"request": {**(request or {}), "prompt": prompt},
                                                 "adapters": adapters or [], "base": base})
        return told["images"]

    async def settings(picture: dict) -> dict:
        """How a picture was made, by this studio or A1111."""
        return await ask("POST", "images", "settings", files={"file": _taken(picture)})

    async def list_(search: str = "") -> list:
        """The adapters of the library."""
        return (await ask("GET", "library", params={"search": search, "limit": 500}))["entries"]

    async def export(name: str, format: str, approximate: bool = False) -> dict:
        """Write an adapter as diffusers, kohya, a1111 or studio and read it back; `/studio/exports/ID` has the file."""
        return await ask("POST", "library", name, "export", format, json={"approximate": approximate})

    async def import_(file: dict) -> dict:
        """Take an adapter file in."""
        name, content = _taken(file)
        return await ask("POST", "library", params={"file": name}, content=content)

    async def evaluate(adapter: str, run: str, options: dict | None = None) -> dict:
        """Queue an evaluation of an adapter against a training's pictures; `options`: seeds, prompts, force."""
        return await ask("POST", "evaluations", json={"adapter": adapter, "run": run, "options": options})

    async def recommend(id: str) -> dict:
        """Queue the choice of a training's checkpoint."""
        return await ask("POST", "runs", id, "recommend", json={})

    async def result(id: str) -> dict:
        """What came out of an evaluation, a comparison or a choice."""
        return await ask("GET", "runs", id, "result")

    async def consent(pictures: list[dict], who: str, scope: str, by: str, date: str) -> dict:
        """Record a person's consent to exactly these pictures: who, to what, who says so, and the day (2026-05-01).

        A training or comparison of the same files as kind `person` then finds it.
        """
        async with drafted(pictures) as draft:
            given = await ask("POST", "consents", json={"draft": draft, "who": who, "scope": scope, "by": by,
                                                        "date": date})
        await ask("DELETE", "drafts", draft)
        return given

    async def consents() -> list:
        """All statements of consent, the newest first; a revoked one says what was removed."""
        return await ask("GET", "consents")

    async def revoke(id: str) -> dict:
        """Erase for good what was made under a statement, and its pictures; the statement stays."""
        return await ask("POST", "consents", id, "revoke")

    return [train, compare, runs, run, stop, resume, clone, delete_run, restore_run, queue, pause, go_on, move, later,
            generate, settings, list_, export, import_, evaluate, recommend, result, consent, consents, revoke]


def _taken(sent: Answer) -> tuple[str, bytes]:
    """Name and content of a file that Gradio took in, which keeps no copy of it.

    Raises gr.Error for any other path: a program could name one of this machine's.
    """
    path = Path(str(sent.get("path", "") if isinstance(sent, dict) else "")).resolve()
    if not (path.is_relative_to(Path(get_upload_folder()).resolve()) and path.is_file()):
        _refuse("A file is sent by gradio_client's handle_file(path), not by its path alone; send it so.")
    content = path.read_bytes()
    path.unlink()
    return path.name, content


def _refuse(sentence: str) -> NoReturn:
    raise gr.Error(sentence, print_exception=False)
