"""Where Stripe's stand-in meets HTTP: the API, the control API and the pages as routes."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.config import Config
from sandbox.store import Json, Store
from sandbox.stripe import clock, control, due, endpoints, outbox, pages
from sandbox.stripe.api import Api, Call, encoded
from sandbox.stripe.checks import Refusal, read, seconds
from sandbox.stripe.context import open_context, sandbox_now
from sandbox.stripe.errors import StripeError
from sandbox.stripe.sender import Sender
from sandbox.web import Cut, TooLarge, read_body

logger = logging.getLogger("sandbox.stripe")

Endpoint = Callable[[Request], Awaitable[Response]]


class Stripe:
    """The provider: give ``routes`` to the application and keep ``run`` running."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.config = config
        self.api = Api(store, config)
        with store.transaction() as tx:
            endpoints.follow_environment(tx, config, int(sandbox_now(tx)))
            clock.publish(tx, config)
        self.sender: Sender | None = None

    async def run(self) -> None:
        """The delivery loop, until cancelled."""
        self.sender = Sender(self.store, self.config)
        await self.sender.run()

    def routes(self) -> list[Route]:
        """Every address of the provider."""
        control_path = "/_sandbox/stripe"
        methods = ["GET", "POST", "DELETE", "PUT", "PATCH"]
        return [
            Route("/v1/{rest:path}", self.serve_api, methods=methods),
            *(Route(path, self._act(act), methods=[method]) for method, path, act in control.ACTS),
            Route(f"{control_path}/deliveries/{{id:int}}/deliver", self.deliver, methods=["POST"]),
            Route(f"{control_path}/quiet", self.quiet, methods=["GET"]),
            *pages.routes(self.store, self.config),
        ]

    async def serve_api(self, request: Request) -> Response:
        """Answer ``/v1/…``."""
        try:
            body = await read_body(request)
        except TooLarge:
            refused = StripeError("The request body is too large.", status=413)
            return JSONResponse(refused.body(), status_code=413)
        headers = {key.lower(): value for key, value in request.headers.items()}
        call = Call(request.method, request.url.path, request.url.query, body, headers)
        reply = await run_in_threadpool(self.api.serve, call)
        shown = "cut" if reply.cut else reply.status
        level = logging.DEBUG if call.method == "GET" and shown == 200 else logging.INFO
        logger.log(level, "%s %s: %s", call.method, call.path, shown)
        if reply.cut:
            return Cut()
        return Response(
            encoded(reply.body),
            status_code=reply.status,
            headers=reply.headers,
            media_type="application/json",
        )

    def _act(self, act: control.Act) -> Endpoint:
        """A control act as an endpoint: JSON in and out, or a form of the control page."""

        async def endpoint(request: Request) -> Response:
            try:
                body = await _control_body(request)
                answer = await run_in_threadpool(self._in_transaction, act, request, body)
            except TooLarge:
                return _refused("The request body is too large.", 413)
            except Refusal as refusal:
                return _refused(str(refusal), 400)
            except StripeError as refusal:
                return _refused(refusal.message, 404 if refusal.status == 404 else 400)
            if _is_form(request):
                return RedirectResponse("/", status_code=303)
            return JSONResponse(answer)

        return endpoint

    def _in_transaction(self, act: control.Act, request: Request, body: Json) -> Json:
        with self.store.transaction() as tx:
            if request.method != "GET" and act is not control.reset:
                # What is due comes first, not up to a tick later.
                due.run(tx, self.config, sandbox_now(tx))
            context = open_context(tx, self.config)
            return act(context, body, **request.path_params)

    async def deliver(self, request: Request) -> Response:
        """Post one delivery now."""
        done = self.sender and await self.sender.deliver(request.path_params["id"])
        if not done:
            return _refused("There is no such delivery, or its endpoint is gone.", 404)
        if _is_form(request):
            return RedirectResponse("/", status_code=303)
        return JSONResponse(done)

    async def quiet(self, request: Request) -> Response:
        """Wait until nothing is under way any more."""
        try:
            sent = read(dict(request.query_params), {"timeout_seconds": seconds})
        except Refusal as refusal:
            return _refused(str(refusal), 400)
        deadline = time.monotonic() + min(float(sent.get("timeout_seconds", 10)), 300)
        while not await run_in_threadpool(self._is_quiet):
            if time.monotonic() > deadline:
                return JSONResponse({"quiet": False})
            await asyncio.sleep(0.02)
        return JSONResponse({"quiet": True})

    def _is_quiet(self) -> bool:
        with self.store.transaction() as tx:
            waiting = "json_extract(private, '$.balance_due_at') IS NOT NULL"
            nothing_due = outbox.next_due_at(tx) is None and not tx.find("charge", waiting)
        return nothing_due and not (self.sender and self.sender.busy)


async def _control_body(request: Request) -> Json:
    if request.method == "GET":
        return dict(request.query_params)
    raw = await read_body(request)
    if _is_form(request):
        return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refusal("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal("the body must be a JSON object")
    return body


def _is_form(request: Request) -> bool:
    type = request.headers.get("content-type", "")
    return type.startswith("application/x-www-form-urlencoded")


def _refused(message: str, status: int) -> Response:
    return JSONResponse({"error": {"message": message}}, status_code=status)
