"""The web server: a FastAPI parent that owns files and headers, with the Gradio page mounted in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from adapters.errors import StudioError
from app.accounts.people import People
from app.http import login_routes
from app.http.body_limit import BodyLimit
from app.http.client_verbs import add_verbs
from app.http.explaining import REFUSED, explain_errors
from app.http.fence import Fence, is_foreign
from app.http.gate import Gate
from app.http.hosts import LOOPBACK, is_loopback, names_of
from app.http.studio_routes import OPENAPI, UPLOADS, add_studio
from app.http.uploads import FORM, MAX_FILE, spool_in
from app.studio import Studio
from app.ui import ACCOUNT, HEAD, build, concepts
from app.ui.theme import CSS, THEME
from pipelines.base_models import listed

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: "
    "blob:; worker-src 'self' blob:; object-src 'none'; frame-ancestors 'self'; base-uri 'self'; form-action 'self'"
)
_FOREIGN = "This request came from a page of another site and is refused; open the studio itself, at /."
_Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(studio: Studio, hosts: list[str]) -> FastAPI:
    """The application of the only studio on this machine; `hosts` are the Host headers that it answers to."""
    app = create_api(studio, hosts)
    return _with_page(app, HEAD, partial(add_verbs, app))


def create_api(studio: Studio, hosts: list[str]) -> FastAPI:
    """The same without the page: all that programs and the rooms' scripts ask, and what stands before it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        studio.supervisor.start()
        yield
        studio.close()

    app = _parent(lifespan, OPENAPI)
    add_studio(app, studio)
    explain_errors(app, missing=400)
    app.add_middleware(Fence)
    return _guarded(app, hosts)


def create_shared_app(people: People, hosts: list[str]) -> FastAPI:
    """The application of all who have an account: without a session nothing is answered but the login page."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        people.start()
        yield
        people.close()

    app = _parent(lifespan, None)
    app.include_router(login_routes.routes(people))
    explain_errors(app, missing=404)
    app.add_middleware(Gate, people=people)
    return _with_page(_guarded(app, hosts), HEAD + ACCOUNT)


def _parent(lifespan: _Lifespan, openapi: str | None) -> FastAPI:
    return FastAPI(title="Semblance", docs_url=None, redoc_url=None, openapi_url=openapi, lifespan=lifespan,
                   responses=REFUSED)


def _guarded(app: FastAPI, hosts: list[str]) -> FastAPI:
    """In front of everything the checks of Host and of who asks, and the security headers."""
    # Compressed here alone: pictures are so already, and a run's events must not be held back.
    app.mount("/studio/static", GZipMiddleware(StaticFiles(directory=concepts.STATIC), minimum_size=500))

    app.add_middleware(BodyLimit, uploads={**UPLOADS, "POST /gradio_api/upload": FORM})

    @app.middleware("http")
    async def _guard(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        foreign = is_foreign(request)
        response = JSONResponse({"error": _FOREIGN}, 403) if foreign else await call(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        return response

    # Without its own rule, Gradio would answer any origin with credentials.
    app.add_middleware(CORSMiddleware, allow_origins=[])
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    return app


def _with_page(app: FastAPI, head: str, verbs: Callable[[], None] | None = None) -> FastAPI:
    """Gradio's page at /."""
    page = build(verbs)
    app = gr.mount_gradio_app(
        app, page, path="/", theme=THEME, css=CSS, head=head, allowed_paths=[], max_file_size=MAX_FILE,
        show_error=True, ssr_mode=False, enable_monitoring=False, footer_links=[],
    )
    # A page that is mounted counts as not launched, and of such a one Gradio takes any file of this machine that a
    # program names for one that was uploaded.
    page.has_launched = True
    return app


def serve(studio: Studio, host: str, port: int, names: list[str]) -> None:
    """Serve one person until interrupted. Raises StudioError beyond loopback or when the port is taken."""
    if not is_loopback(host) or names:
        raise StudioError(
            f"'{(names or [host])[0]}' would open the studio to other machines, and nobody has an account yet; make "
            "one with 'python -m app user add NAME --role admin', or use 127.0.0.1 and, from elsewhere, an SSH tunnel."
        )
    spool_in(studio.home)
    _run(create_app(studio, LOOPBACK), host, port, str(studio.home.root))


def serve_people(people: People, host: str, port: int, names: list[str]) -> None:
    """Serve all who have an account until interrupted. Raises StudioError when the port is taken."""
    spool_in(people.home)
    os.environ[listed.VARIABLE] = str(people.home.base_list)
    _run(create_shared_app(people, names_of(host, names)), host, port, f"{people.home.root}, with logins")


def _run(app: FastAPI, host: str, port: int, where: str) -> None:
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=3)
    try:
        socket = config.bind_socket()
    except SystemExit as error:
        raise StudioError(f"Port {port} is taken or not allowed; give another with --port.") from error
    print(f"Semblance is at http://{host}:{port}  (data in {where})", flush=True)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after shutting down
        uvicorn.Server(config).run(sockets=[socket])
