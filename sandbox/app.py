"""The application: every provider's routes behind one guard, their loops running beside them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.config import Config
from sandbox.store import Store
from sandbox.stripe.mount import Stripe
from sandbox.web import Guard

STYLE = (Path(__file__).parent / "style.css").read_text()


def build(config: Config) -> ASGIApp:
    """The sandbox over the state file that ``config`` names."""
    store = Store(config.db)
    stripe = Stripe(store, config)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.create_task(stripe.run())
        try:
            yield
        finally:
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop
            store.close()

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def style(request: Request) -> Response:
        return Response(STYLE, media_type="text/css")

    routes = [
        Route("/_sandbox/health", health),
        Route("/_sandbox/style.css", style),
        *stripe.routes(),
    ]
    return Guard(Starlette(routes=routes, lifespan=lifespan))
