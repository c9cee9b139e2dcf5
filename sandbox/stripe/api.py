"""``/v1``: keys, faults, idempotency, routing, expansion. One transaction per call."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.config import Config
from sandbox.store import Json, Store
from sandbox.stripe import (
    ACCOUNT_ID,
    API_VERSION,
    accounts,
    balance_transactions,
    charges,
    coupons,
    customers,
    direct_payments,
    discounts,
    disputes,
    due,
    endpoints,
    events,
    expand,
    faults,
    idempotency,
    ids,
    invoice_acts,
    invoice_payments,
    invoice_previews,
    invoices,
    params,
    payment_intents,
    payment_methods,
    portal_configurations,
    portal_sessions,
    prices,
    products,
    refunds,
    sessions,
    setup_intents,
    subscription_items,
    subscription_schedules,
    subscription_updates,
    subscriptions,
)
from sandbox.stripe.context import Context, open_context, sandbox_now
from sandbox.stripe.errors import StripeError
from sandbox.stripe.routes import Route

NOUNS = (
    accounts,
    balance_transactions,
    charges,
    coupons,
    customers,
    direct_payments,
    discounts,
    disputes,
    endpoints,
    events,
    invoice_previews,  # before the acts, one of whose addresses its own would match
    invoice_acts,
    invoice_payments,
    invoices,
    payment_intents,
    payment_methods,
    portal_configurations,
    portal_sessions,
    prices,
    products,
    refunds,
    sessions,
    setup_intents,
    subscription_items,
    subscription_schedules,
    subscription_updates,
    subscriptions,
)
ROUTES = [(route.pattern, route) for noun in NOUNS for route in noun.ROUTES]
TEST_KEY = re.compile(r"(sk|rk)_test_[A-Za-z0-9_]{8,}")


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request, as the API sees it. Header names are in lower case."""

    method: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(slots=True)
class Reply:
    """An answer; ``cut`` means: break the connection off instead."""

    status: int = 200
    body: Json = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


class Api:
    """The API over one store. ``serve`` may be called from many threads."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.config = config
        self.in_flight = idempotency.InFlight()

    def serve(self, call: Call) -> Reply:
        """Answer one request; never raises for anything a caller sent."""
        request_id = ids.new("req", 14)
        try:
            reply = self._guarded(call, request_id)
        except StripeError as error:
            reply = Reply(error.status, error.body())
        reply.headers.setdefault("Request-Id", request_id)
        reply.headers["Stripe-Version"] = API_VERSION
        return reply

    def _guarded(self, call: Call, request_id: str) -> Reply:
        """Switches and faults first, as they hit any caller; then the work."""
        with self.store.transaction() as tx:
            switch = tx.setting("api") or "up"
            fault = None if switch != "up" else faults.api_fault(tx, call.method, call.path)
        if switch == "cut":
            return Reply(cut=True)
        if switch == "down":
            return _broken(503)
        _authenticate(call.headers)
        reply = self._keyed(call, request_id, fault)
        reply.cut = reply.cut or (fault is not None and fault["answer"] == "cut")
        return reply

    def _keyed(self, call: Call, request_id: str, fault: Json | None) -> Reply:
        """The work, or what its idempotency key remembers of it."""
        key = _key(call)
        sent = params.decode(_form(call))
        request = idempotency.fingerprint(call.method, call.path, sent)
        with self.in_flight.claim(key):
            time.sleep(fault["delay_seconds"] if fault else 0)
            with self.store.transaction() as tx:
                if call.method != "GET":  # what is due comes first, not up to a tick later
                    due.run(tx, self.config, sandbox_now(tx))
                context = open_context(tx, self.config, request_id=request_id, key=key)
                first = idempotency.remembered(tx, key, request, context.now) if key else None
                if first is not None:
                    return _replayed(*first)
                reply, saved = _act(context, call, sent, fault)
                if key and saved:
                    idempotency.remember(context, request, reply.status, reply.body)
        return reply


def _replayed(status: int, body: Json, request_id: str) -> Reply:
    headers = {"Idempotent-Replayed": "true", "Original-Request": request_id}
    return Reply(status, body, headers)


def _act(context: Context, call: Call, sent: Json, fault: Json | None) -> tuple[Reply, bool]:
    """The answer, and whether its idempotency key keeps it."""
    answer = fault["answer"] if fault else "ok"
    if fault is not None and fault["when"] == "before" and answer != "ok":
        reply = Reply(cut=True) if answer == "cut" else _broken(int(answer))
        return reply, answer == "500"
    context.tx.run("SAVEPOINT work")
    try:
        reply, saved = Reply(200, _dispatch(context, call, sent)), True
        context.tx.run("RELEASE work")
    except StripeError as error:
        if not error.keeps:
            context.tx.run("ROLLBACK TO work")  # a refusal half-way leaves nothing half done
        reply, saved = Reply(error.status, error.body()), error.saved
    if answer not in ("ok", "cut"):
        return _broken(int(answer)), saved
    return reply, saved


def _dispatch(context: Context, call: Call, sent: Json) -> Json:
    for pattern, route in ROUTES:
        matched = pattern.fullmatch(call.path)
        if matched and route.method == call.method:
            return _run(context, route, sent, list(matched.groups()))
    raise StripeError(
        f"Unrecognized request URL ({call.method}: {call.path[:200]}). The sandbox models a part "
        "of Stripe's API; see sandbox/README.md.",
        status=404,
        saved=False,
    )


def _run(context: Context, route: Route, sent: Json, ids: list[str]) -> Json:
    values = params.read(sent, route.fields)
    params.require(values, route.required)
    paths = values.pop("expand", [])
    return expand.expanded(context, route.handler(context, values, *ids), paths)


def _authenticate(headers: Mapping[str, str]) -> None:
    key = _secret(headers.get("authorization", ""))
    if not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization "
            "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
        raise StripeError(message, status=401, saved=False)
    if key.startswith(("sk_live_", "rk_live_")):
        message = "The sandbox refuses live keys. Revoke this one if it is real: it left its place."
        raise StripeError(message, status=401, code="api_key_expired", saved=False)
    if not TEST_KEY.fullmatch(key):
        shown = f"{key[:8]}****"
        raise StripeError(f"Invalid API Key provided: {shown}", status=401, saved=False)
    account = headers.get("stripe-account") or ACCOUNT_ID
    if account != ACCOUNT_ID:
        message = f"The provided key does not have access to account '{account[:50]}'."
        raise StripeError(message, status=403, code="account_invalid", saved=False)
    version = headers.get("stripe-version") or API_VERSION
    if version != API_VERSION:
        message = f"The sandbox speaks API version {API_VERSION} only, not {version[:50]}."
        raise StripeError(message, saved=False)


def _secret(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("ascii").partition(":")[0]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""
    return ""


def _key(call: Call) -> str | None:
    key = call.headers.get("idempotency-key")
    if not key or call.method != "POST":
        return None
    if len(key) > idempotency.MAX_LENGTH:
        message = f"Idempotency keys can have up to {idempotency.MAX_LENGTH} characters."
        raise StripeError(message, type="idempotency_error", saved=False)
    return key


def _form(call: Call) -> str:
    """The parameters' text: of the query, and of the body where there is one."""
    if call.method != "POST":
        return call.query
    type = call.headers.get("content-type", "application/x-www-form-urlencoded")
    if call.body and not type.startswith("application/x-www-form-urlencoded"):
        message = "Invalid request: the body must be application/x-www-form-urlencoded."
        raise StripeError(message, saved=False)
    try:
        body = call.body.decode("utf-8")
    except UnicodeDecodeError:
        raise StripeError("Invalid request: the body is not UTF-8.", saved=False) from None
    return "&".join(part for part in (call.query, body) if part)


BROKEN = {
    429: ("Too many requests hit the API too quickly.", "invalid_request_error", "rate_limit"),
    503: ("The sandbox's API is switched off.", "api_error", None),
}


def _broken(status: int) -> Reply:
    """A failure on the provider's side."""
    message, type, code = BROKEN.get(status, ("An unknown error occurred", "api_error", None))
    return Reply(status, StripeError(message, status=status, type=type, code=code).body())


def encoded(body: Json) -> bytes:
    """JSON as Stripe prints it."""
    return json.dumps(body, indent=2).encode()
