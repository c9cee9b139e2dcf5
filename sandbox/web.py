"""The guard in front of every provider: loopback only, same origin, bounded bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.config import LOOPBACK

BODY_LIMIT_BYTES = 1_000_000
CUT = "sandbox.cut"


class TooLarge(Exception):
    """The request body is over the limit."""


class Guard:
    """Refuses other hosts (DNS rebinding), other origins (forged forms) and malformed host headers.

    It also hands the connection's ``abort`` to those who must break it off (``cut``), and answers a
    failure of our own with a plain 500 that tells nothing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
        refusal = _refusal(scope["method"], headers)
        if refusal is not None:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
            return
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        scope[CUT] = getattr(transport, "abort", None)
        await self.app(scope, receive, send)


def _refusal(method: str, headers: dict[bytes, str]) -> str | None:
    host = headers.get(b"host", "")
    if _hostname("//" + host) not in LOOPBACK:
        return "The sandbox answers to loopback names only.\n"
    origin = headers.get(b"origin")
    if method in {"GET", "HEAD"} or origin is None:
        return None
    if urlsplit_netloc(origin) != host.lower():
        return "The sandbox takes forms from its own pages only.\n"
    return None


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def urlsplit_netloc(url: str) -> str:
    """Host and port of ``url`` in lower case, or nothing if it is no URL."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


async def read_body(request: Request) -> bytes:
    """The whole body. Raises TooLarge beyond the limit, without reading on."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            raise TooLarge
    return bytes(body)


class Cut(Response):
    """Breaks the connection off instead of answering."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        abort: Callable[[], Any] | None = scope.get(CUT)
        if abort is None:
            await PlainTextResponse("cut", status_code=502)(scope, receive, send)
            return
        abort()
        await asyncio.sleep(0.02)  # lets the server notice, so that it does not answer 500
