"""How much a request may bring: a little, and more where files are taken in. It is counted as it comes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST = 1 << 20
"""Bytes of a body wherever nothing else is said: words and numbers."""


class BodyLimit:
    """Breaks off what is too long, with 413.

    `uploads` has the bytes of what takes files, by 'METHOD /path' (a pattern).
    """

    def __init__(self, app: ASGIApp, uploads: Mapping[str, int]) -> None:
        self._app = app
        self._uploads = [(re.compile(address), most) for address, most in uploads.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        most = self._most(f"{scope['method']} {scope['path']}")
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            return await _too_long(most)(scope, receive, send)
        body = _Body(receive, send, most)
        try:
            await self._app(scope, body.receive, body.send)
        except ClientDisconnect:
            if not body.over:
                raise
        if body.over and not body.answered:
            await _too_long(most)(scope, receive, send)

    def _most(self, address: str) -> int:
        return next((most for known, most in self._uploads if known.fullmatch(address)), MOST)


class _Body:
    """One request's body as it comes in, and what is answered."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self._left = receive, send, most
        self.over = self.answered = False

    async def receive(self) -> Message:
        """The next piece; once it is too much the sender is as good as gone, so that whoever reads stops."""
        if not self.over:
            message = await self._receive()
            self._left -= len(message.get("body", b""))
            self.over = self._left < 0
        return {"type": "http.disconnect"} if self.over else message

    async def send(self, message: Message) -> None:
        """Pass an answer on, but none that was made of a part of a request."""
        if self.answered or not self.over:
            self.answered = True
            await self._send(message)


def _too_long(most: int) -> JSONResponse:
    return JSONResponse({"error": f"This request brings more than the {most >> 20} MB that are taken here; send "
                                  "less."}, 413)
