"""The fence around Gradio: of its many addresses only those that the page, or its client, cannot do without.

Among the others are two that fetch any address of the internet and answer with it in the studio's own name, a proxy,
and some that write code. What the next version of Gradio adds is closed as well.
"""

from __future__ import annotations

import re

from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

PAGE = re.compile(r"/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|pwa_icon(/\d+)?|"
                  r"((studio/)?static|assets|svelte)/.+|"
                  r"gradio_api/(info|startup-events|app_id|theme\.css|heartbeat/[\w-]+))?")
"""What draws the page."""
_CLIENT = re.compile(r"/gradio_api/(upload|queue/(join|data)|call/\w+(/\w+)?|cancel|reset)")
_ENTRANCES = ("/", "/login")


class Fence:
    """What stands before the page where there are no accounts, and with them no gate (see `gate.py`)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and _is_open(scope["path"])):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await nothing_here()(scope, receive, send)
        else:  # the page opens no socket
            await send({"type": "websocket.close", "code": 1008})


def _is_open(path: str) -> bool:
    return path.startswith("/studio/") or any(known.fullmatch(path) for known in (PAGE, _CLIENT))


def nothing_here() -> JSONResponse:
    """The answer behind the fence."""
    return JSONResponse({"error": "There is nothing here; the page is at /."}, 404)


def is_foreign(request: Request) -> bool:
    """Whether a page of another site sent it; such a page may open the studio for a person, and nothing else.

    Browsers tell it by Origin where something is changed, and by Sec-Fetch-Site always. Programs say neither.
    """
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if request.method not in ("GET", "HEAD", "OPTIONS") and request.headers.get("origin") not in (None, own):
        return True
    if request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    told = [request.headers.get(f"sec-fetch-{what}") for what in ("mode", "dest")]
    return not (request.method == "GET" and request.scope["path"] in _ENTRANCES and told == ["navigate", "document"])
