"""The gate before everything, where several people share a studio: who is not known gets in nowhere.

Who is known gets an application of their own for everything under /studio, and of Gradio only what draws the page: its
file, upload and queue routes are everybody's at once, so they are nobody's.
"""

from __future__ import annotations

import re
import threading
import time
from urllib.parse import quote

from fastapi.responses import JSONResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.accounts.accounts import Role
from app.accounts.people import People, Person
from app.accounts.sessions import Session
from app.errors import DiskQuota
from app.http.explaining import explained
from app.http.fence import PAGE, nothing_here
from app.http.studio_routes import of_person

COOKIE = "semblance_session"
LOOK = 5.0
"""Seconds after which an answer that goes on and on is looked at again: who logged out hears no more."""
_OPEN = "/login"
_LEAVE = "/logout"
_MAKES_ROOM = re.compile(r".*/(stop|erase|revoke|move|later|pause|go-on|cancel|share|unshare|restore)")


class _LoggedOut(Exception):
    """The session of an answer that is under way has ended."""


class Gate:
    """Lets requests through to whom they belong."""

    def __init__(self, app: ASGIApp, people: People) -> None:
        self._app, self._people = app, people
        self._studios: dict[tuple[str, Role], ASGIApp] = {}
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":  # the page opens no socket
            return await send({"type": "websocket.close", "code": 1008})
        request = Request(scope)
        if scope["path"] == _OPEN:
            return await self._app(scope, receive, send)
        session = session_of(request, self._people)
        if session is None:
            return await _ask_to_log_in(request)(scope, receive, send)
        scope.setdefault("state", {})["session"] = session
        try:
            await self._pass(request, session, receive, self._watched(send, session))
        except _LoggedOut:
            return

    async def _pass(self, request: Request, session: Session, receive: Receive, send: Send) -> None:
        path = request.scope["path"]
        if path == _LEAVE or PAGE.fullmatch(path):
            await self._app(request.scope, receive, send)
        elif path.startswith("/studio/"):
            person = await run_in_threadpool(self._people.person, session.account)
            await self._counted(request, person, await run_in_threadpool(self._studio, session), receive, send)
        else:
            await nothing_here()(request.scope, receive, send)

    def _studio(self, session: Session) -> ASGIApp:
        key = session.account.id, session.account.role
        with self._lock:
            if key not in self._studios:
                self._studios[key] = of_person(self._people, session.account)
            return self._studios[key]

    async def _counted(self, request: Request, person: Person, studio: ASGIApp, receive: Receive, send: Send) -> None:
        """Within the person's share of the disk."""
        if request.method not in ("POST", "PUT") or _MAKES_ROOM.fullmatch(request.scope["path"]):
            await studio(request.scope, receive, send)
            if request.method not in ("GET", "HEAD"):
                person.meter.forget()
            return
        size = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers or not size.isdecimal():
            return await JSONResponse({"error": "The request does not say how long it is; send it with a "
                                                "Content-Length."}, 411)(request.scope, receive, send)
        held = person.meter.admit(int(size))
        try:
            await run_in_threadpool(held.__enter__)
        except DiskQuota as error:
            await _read_off(receive)
            return await explained(error, 413)(request.scope, receive, send)
        try:
            await studio(request.scope, receive, send)
        finally:
            held.__exit__(None, None, None)

    def _watched(self, send: Send, session: Session) -> Send:
        looked = time.monotonic()

        async def watched(message: Message) -> None:
            nonlocal looked
            if time.monotonic() - looked > LOOK and message["type"] == "http.response.body":
                looked = time.monotonic()
                if self._people.register.sessions.still(session.hash, session.kind) is None:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    raise _LoggedOut
            await send(message)

        return watched


async def _read_off(receive: Receive) -> None:
    """Read a request's body and drop it: a browser that is cut off while it sends shows no answer."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
        pass


def session_of(request: Request, people: People) -> Session | None:
    """Whose request it is: by the token of a program, else by the cookie of a browser."""
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return people.register.sessions.find(secret.strip(), "token")
    cookie = request.cookies.get(COOKIE, "")
    return people.register.sessions.find(cookie, "browser") if cookie else None


def _ask_to_log_in(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"{_OPEN}?next={quote(request.url.path)}", 303)
    return JSONResponse({"error": "Log in first, at /login, or send a token as 'Authorization: Bearer ...'."}, 401,
                        {"WWW-Authenticate": "Bearer"})
