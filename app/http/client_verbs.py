"""The studio's verbs for `gradio_client`, as on the command line; each asks the address that a program would ask.

Only where there are no accounts: Gradio's own queue and uploads are everybody's at once (see `gate.py`).
"""

from __future__ import annotations

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

    async def train(name: str, noun: str, pictures: list[dict], method: str = "lora", preset: str = "balanced",
                    base: str = "starter", kind: str = "object", settings: dict | None = None,
                    no_face: bool = False) -> dict:
        """Queue a training of a concept: `name`, what it is, pictures by `handle_file`. Answers with the run.

        What is no person and seems to show a face is learned with `no_face` alone, which says that it is none.
        """
        files = [("files", _taken(p)) for p in pictures]
        draft = (await ask("POST", "drafts"))["id"]
        try:
            await ask("PATCH", "drafts", draft, json={"things": [{"name": name, "noun": noun, "kind": kind}]})
            if refused := (await ask("POST", "drafts", draft, "pictures", files=files))["refused"]:
                _refuse(refused[0])
            return await ask("POST", "runs", json={"draft": draft, "method": method, "preset": preset, "base": base,
                                                   "settings": settings or {}, "no_face": no_face})
        except gr.Error:
            await ask("DELETE", "drafts", draft)
            raise

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

    return [train, runs, run, stop, resume, generate, settings, list_, export, import_, evaluate, recommend, result]


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
