"""Logging in and out in a browser: a plain form that needs no script."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from adapters.errors import StudioError
from app.accounts.people import People
from app.accounts.sessions import LASTS, WINDOW, Session, TooMany
from app.http.gate import COOKIE
from app.http.login_page import language_of, login_page

_OWN = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")  # a place in this studio, never another site
_LONGEST = 8192  # bytes of a filled-in form


def routes(people: People) -> APIRouter:
    """/login and /logout."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    def show(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> HTMLResponse:
        return _page(request, next, "")

    @router.post("/login")
    async def enter(request: Request) -> Response:
        size = request.headers.get("content-length", "")
        if not size.isdecimal() or int(size) > _LONGEST:
            return JSONResponse({"error": "This is no filled-in login form; open /login."}, 413)
        form = await request.form(max_files=0, max_fields=8)
        name, password, next = (str(form.get(k, "")) for k in ("name", "password", "next"))
        address = request.client.host if request.client else ""
        try:
            secret = await run_in_threadpool(people.register.sessions.log_in, name.strip(), password, address)
        except TooMany:
            return _page(request, next, "login.too_many", 429, {"Retry-After": str(int(WINDOW))}, name)
        except StudioError:
            return _page(request, next, "login.wrong", 401, {}, name)
        answer = RedirectResponse(next if _OWN.fullmatch(next) else "/", 303)
        answer.set_cookie(COOKIE, secret, max_age=int(LASTS), path="/", httponly=True, samesite="lax",
                          secure=request.url.scheme == "https")
        return answer

    @router.post("/logout")
    def leave(request: Request) -> Response:
        session: Session = request.state.session
        if session.kind == "browser":
            people.register.sessions.end(session.hash)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
        return answer

    return router


def _page(request: Request, next: str, problem: str, status: int = 200, headers: dict[str, str] | None = None,
          name: str = "") -> HTMLResponse:
    words = language_of(request.query_params.get("language", ""), request.headers.get("accept-language", ""))
    # A form is sent with its Origin only under a policy that allows it, and the Origin is checked.
    return HTMLResponse(login_page(words, next if _OWN.fullmatch(next) else "/", problem, name[:64]), status,
                        {"Referrer-Policy": "same-origin", "Cache-Control": "no-store", **(headers or {})})
