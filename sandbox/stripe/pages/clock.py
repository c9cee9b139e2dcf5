"""Moving the clock from the control page: an answer at once, or a page that waits for it."""

from __future__ import annotations

import asyncio
import time

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.config import Config
from sandbox.html import el
from sandbox.store import Store
from sandbox.stripe import clock, steps
from sandbox.stripe.pages.common import Base, form_of, shown
from sandbox.web import TooLarge


class Pages(Base):
    """``/clock``: the buttons post here; while time moves, one move at a time, it says so."""

    def __init__(self, store: Store, config: Config, *, patience_seconds: float = 2) -> None:
        super().__init__(store, config)
        self.patience_seconds = patience_seconds
        self.move: asyncio.Task[None] | None = None
        self.began = 0.0

    def routes(self) -> list[Route]:
        """Its address."""
        return [
            Route("/clock", self.show, methods=["GET"]),
            Route("/clock", self.submit, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Whether time still moves; when it has, back to the control page."""
        return await self._answer()

    async def submit(self, request: Request) -> Response:
        """Start a move unless one is under way."""
        try:
            form = await form_of(request)
        except TooLarge:
            return shown("Too large", "The form is too large.", status=413)
        step = form.get("step", "")
        if step not in steps.STEPS:
            return _failed("There is no such step.", 422)
        if self.move is None:
            self.began = time.monotonic()
            self.move = asyncio.create_task(run_in_threadpool(self._advance, step))
        return await self._answer()

    def _advance(self, step: str) -> None:
        with self.context() as context:
            target = steps.target(context, step)
            if target is not None:
                clock.advance(context.tx, self.config, target - context.now)

    async def _answer(self) -> Response:
        """Wait a moment for the move; its end leads back, its failure is told once."""
        move = self.move
        if move is None:
            return RedirectResponse("/#clock", status_code=303)
        done, _ = await asyncio.wait({move}, timeout=self.patience_seconds)
        if not done:
            return _moving(time.monotonic() - self.began)
        self.move = None
        problem = move.exception()
        if problem is not None:
            return _failed(f"The clock was not moved: {problem}", 500)
        return RedirectResponse("/#clock", status_code=303)


def _moving(seconds: float) -> Response:
    """The page that looks again by itself."""
    body = el(
        "main",
        el("h1", "Time is moving …"),
        el(
            "p",
            f"Renewals, retries and ends happen one after another, for {seconds:.0f} seconds now.",
            id="clock-moving",
        ),
        el("p", el("a", "Look again", href="/clock")),
        class_="narrow",
    )
    answer = shown("Clock – SANDBOX", body)
    answer.headers["Refresh"] = "1; url=/clock"
    return answer


def _failed(message: str, status: int) -> Response:
    back = el("p", el("a", "Back", href="/"))
    body = el("main", el("h1", "Clock"), el("p", message, role="alert"), back, class_="narrow")
    return shown("Clock – SANDBOX", body, status=status)
