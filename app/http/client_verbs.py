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

    @asynccontextmanager
    async def drafted(self, pictures: list[dict], **thing: str) -> AsyncIterator[str]:
        """A draft of these pictures, which goes when what it is wanted for is refused."""
        files = [("files", _taken(p)) for p in pictures]
        draft = (await self.ask("POST", "drafts"))["id"]
        try:
            if thing:
                await self.ask("PATCH", "drafts", draft, json={"things": [thing]})
            if refused := (await self.ask("POST", "drafts", draft, "pictures", files=files))["refused"]:
                _refuse(refused[0])
            yield draft
        except gr.Error:
            await self.ask("DELETE", "drafts", draft)
            raise


def add_verbs(app: FastAPI) -> None:
    """Give them to the Gradio page that is being built."""
    studio = _Studio(app)
    for verb in [*_teaching(studio), *_jobs(studio), *_painting(studio), *_library(studio), *_people(studio)]:
        gr.api(verb, api_name=verb.__name__.strip("_"), concurrency_limit=None)


def _teaching(studio: _Studio) -> list[Any]:
    ask, drafted = studio.ask, studio.drafted

    async def train(name: str, noun: str, pictures: list[dict], method: str = "lora", preset: str = "balanced",
                    base: str = "starter", kind: str = "object", settings: dict | None = None,
                    no_face: bool = False) -> dict:
        """Queue a training of a concept: `name`, what it is, pictures by `handle_file`. Answers with the run.

        What is no person and seems to show a face is learned with `no_face` alone, which says that it is none.
        """
        async with drafted(pictures, name=name, noun=noun, kind=kind) as draft:
            return await ask("POST", "runs", json={"draft": draft, "method": method, "preset": preset, "base": base,
                                                   "settings": settings or {}, "no_face": no_face})

    async def preflight(name: str, noun: str, pictures: list[dict], method: str = "lora", preset: str = "balanced",
                        base: str = "starter", kind: str = "object", settings: dict | None = None,
                        no_face: bool = False) -> dict:
        """Queue one real step of what `train` would do, before all that waits; /result says what it will take."""
        async with drafted(pictures, name=name, noun=noun, kind=kind) as draft:
            return await ask("POST", "runs", "preflight", json={
                "draft": draft, "method": method, "preset": preset, "base": base, "settings": settings or {},
                "no_face": no_face})

    async def estimate(method: str = "lora", preset: str = "balanced", base: str = "starter",
                       settings: dict | None = None) -> dict:
        """Reckon what a training of these settings would take: seconds, bytes, and all of it in a sentence."""
        draft = (await ask("POST", "drafts"))["id"]
        try:
            return await ask("POST", "runs", "estimate", json={"draft": draft, "method": method, "preset": preset,
                                                               "base": base, "settings": settings or {}})
        finally:
            await ask("DELETE", "drafts", draft)

    async def estimate_of(id: str) -> dict:
        """The same for a training that is there, of its frozen settings."""
        return await ask("GET", "runs", id, "estimate")

    async def compare(name: str, noun: str, pictures: list[dict], methods: list[str], preset: str = "balanced",
                      base: str = "starter", kind: str = "object", steps: int | None = None,
                      options: dict | None = None, no_face: bool = False) -> dict:
        """Queue a comparison: the same pictures, taught with each of `methods`. `options`: seeds, prompts, force;
        /result has what came out."""
        async with drafted(pictures, name=name, noun=noun, kind=kind) as draft:
            return await ask("POST", "comparisons", json={
                "draft": draft, "methods": methods, "preset": preset, "base": base, "steps": steps, "options": options,
                "no_face": no_face})

    async def evaluate(adapter: str, run: str, options: dict | None = None) -> dict:
        """Queue an evaluation of an adapter against a training's pictures; `options`: seeds, prompts, force."""
        return await ask("POST", "evaluations", json={"adapter": adapter, "run": run, "options": options})

    async def recommend(id: str) -> dict:
        """Queue the choice of a training's checkpoint."""
        return await ask("POST", "runs", id, "recommend", json={})

    async def result(id: str) -> dict:
        """What came out of an evaluation, a comparison, a choice or a pre-flight."""
        return await ask("GET", "runs", id, "result")

    return [train, preflight, estimate, estimate_of, compare, evaluate, recommend, result]


def _jobs(studio: _Studio) -> list[Any]:
    ask = studio.ask

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

    async def save_now(id: str) -> dict:
        """Have a running training keep a checkpoint after its present step."""
        return await ask("POST", "runs", id, "save-now")

    async def sample_now(id: str) -> dict:
        """Have a running training paint its previews after its present step."""
        return await ask("POST", "runs", id, "sample-now")

    async def keep(id: str, step: int | None = None) -> dict:
        """Put a training's last checkpoint, or that of `step`, into the library; `adapter` is its name there."""
        return await ask("POST", "runs", id, "keep", json={"step": step})

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

    return [runs, run, stop, resume, save_now, sample_now, keep, clone, delete_run, restore_run, queue, pause, go_on,
            move, later]


def _painting(studio: _Studio) -> list[Any]:
    ask = studio.ask

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

    return [generate, settings]


def _library(studio: _Studio) -> list[Any]:
    ask = studio.ask

    async def list_(search: str = "") -> list:
        """The adapters of the library."""
        found = await ask("GET", "library", params={"search": search, "limit": 500})
        return [_adapter(a) for a in found["entries"]]

    async def export(name: str, format: str, approximate: bool = False) -> dict:
        """Write an adapter as diffusers, kohya, a1111 or studio and read it back; `/studio/exports/ID` has the file."""
        return await ask("POST", "library", name, "export", format, json={"approximate": approximate})

    async def import_(file: dict) -> dict:
        """Take an adapter file in."""
        name, content = _taken(file)
        return _adapter(await ask("POST", "library", params={"file": name}, content=content))

    async def rename(name: str, new: str) -> dict:
        """Give an adapter another name; its trigger stays."""
        return _adapter(await ask("PATCH", "library", name, json={"name": new}))

    async def tag(name: str, tags: list[str]) -> dict:
        """Set an adapter's tags; an empty list takes them away."""
        return _adapter(await ask("PATCH", "library", name, json={"tags": tags}))

    async def delete(name: str) -> dict:
        """Move an adapter into the trash; `id` brings it back."""
        return await ask("DELETE", "library", name)

    async def trash() -> list:
        """The adapters in the trash."""
        return await ask("GET", "trash")

    async def restore(id: str) -> dict:
        """Bring an adapter back from the trash."""
        return _adapter(await ask("POST", "library", id, "restore"))

    async def verify(file: dict) -> dict:
        """Say whether a picture or an adapter is as the studio wrote it, and of what."""
        name, content = _taken(file)
        return await ask("POST", "verify", params={"file": name}, content=content)

    return [list_, export, import_, rename, tag, delete, trash, restore, verify]


def _people(studio: _Studio) -> list[Any]:
    ask, drafted = studio.ask, studio.drafted

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

    async def erase(name: str) -> dict:
        """Erase everything about a concept, for good: adapter, trainings, drafts, pictures made from it; no trash."""
        return await ask("POST", "concepts", name, "erase")

    return [consent, consents, revoke, erase]


def _adapter(told: Answer) -> Answer:
    """An adapter without the path of its file: gradio_client takes what has one for a file to download."""
    return {name: value for name, value in told.items() if name != "path"}


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
