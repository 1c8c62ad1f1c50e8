"""The web server: a FastAPI parent that owns files and headers, with the Gradio page mounted in it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from adapters.errors import StudioError
from app.http import (
    draft_routes,
    image_routes,
    lab_routes,
    library_routes,
    look_routes,
    method_routes,
    people_routes,
    queue_routes,
    run_routes,
    system_routes,
)
from app.studio import Studio
from app.ui import HEAD, build, concepts
from app.ui.theme import CSS, THEME

MAX_UPLOAD = "200mb"
_PREVIEW = re.compile(r"step\d{8}-\d+\.png")
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: "
    "blob:; worker-src 'self' blob:; object-src 'none'; frame-ancestors 'self'; base-uri 'self'"
)


def create_app(studio: Studio, hosts: list[str]) -> FastAPI:
    """The application; `hosts` are the Host headers that it answers to."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        studio.supervisor.start()
        yield
        studio.close()

    app = FastAPI(title="Semblance", docs_url=None, redoc_url=None, openapi_url="/studio/openapi.json",
                  lifespan=lifespan)
    _add_files(app, studio)
    for part in (draft_routes, look_routes, method_routes, run_routes, queue_routes, lab_routes, image_routes,
                 library_routes, system_routes, people_routes):
        app.include_router(part.routes(studio))
    # Compressed here alone: pictures are so already, and a run's events must not be held back.
    app.mount("/studio/static", GZipMiddleware(StaticFiles(directory=concepts.STATIC), minimum_size=500))

    @app.exception_handler(StudioError)
    async def _explain(_: Request, error: StudioError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)

    @app.middleware("http")
    async def _guard(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        origin = request.headers.get("origin")
        own = f"{request.url.scheme}://{request.headers.get('host', '')}"
        if request.method not in ("GET", "HEAD", "OPTIONS") and origin not in (None, own):
            return JSONResponse({"error": "This request came from another site and is refused."}, 403)
        if "/file=http" in request.url.path:
            return JSONResponse({"error": "Addresses are not fetched here."}, 403)
        response = await call(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    # Without its own rule, Gradio would answer any origin with credentials.
    app.add_middleware(CORSMiddleware, allow_origins=[])
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    return gr.mount_gradio_app(
        app, build(studio), path="/", theme=THEME, css=CSS, head=HEAD, allowed_paths=[], max_file_size=MAX_UPLOAD,
        show_error=True, ssr_mode=False, enable_monitoring=False, footer_links=[],
    )


def _add_files(app: FastAPI, studio: Studio) -> None:
    """Routes for the studio's own files; every name is checked against what there is."""

    def send(path: Path, **options: object) -> FileResponse:
        if not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, **options)  # type: ignore[arg-type]

    @app.get("/studio/runs/{run}/previews/{file}")
    def preview(run: str, file: str) -> FileResponse:
        if studio.store.get(run) is None or not _PREVIEW.fullmatch(file):
            raise HTTPException(404)
        return send(studio.home.runs / run / "previews" / file)



def serve(studio: Studio, host: str, port: int) -> None:
    """Serve until interrupted. Raises StudioError beyond loopback or when the port is taken."""
    if not _is_loopback(host):
        raise StudioError(
            f"'{host}' would open the studio to other machines, and there is no login yet; use "
            "127.0.0.1 and, from elsewhere, an SSH tunnel."
        )
    config = uvicorn.Config(create_app(studio, ["127.0.0.1", "localhost", "[::1]", "::1"]), host=host,
                            port=port, log_level="warning", timeout_graceful_shutdown=3)
    try:
        socket = config.bind_socket()
    except SystemExit as error:
        raise StudioError(f"Port {port} is taken or not allowed; give another with --port.") from error
    print(f"Semblance is at http://{host}:{port}  (data in {studio.home.root})", flush=True)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after shutting down
        uvicorn.Server(config).run(sockets=[socket])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
