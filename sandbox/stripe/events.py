"""Events: every effect writes one, with its deliveries, in the effect's own transaction."""

from __future__ import annotations

from typing import Any

from sandbox.store import Json
from sandbox.stripe import API_VERSION, ids, lists, outbox
from sandbox.stripe.context import Context, copied
from sandbox.stripe.params import PAGING, array, boolean, text
from sandbox.stripe.routes import Route


def emit(context: Context, type: str, obj: Json, previous: Json | None = None) -> Json:
    """Record that ``type`` happened to ``obj`` (as it is now) and queue it for the endpoints."""
    data: Json = {"object": copied(obj)}
    if previous is not None:
        data["previous_attributes"] = previous
    event: Json = {
        "id": ids.new("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": context.now,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": context.request_id, "idempotency_key": context.idempotency_key},
        "type": type,
    }
    endpoints = outbox.wanting(context.tx, type)
    event["pending_webhooks"] = len(endpoints)
    context.tx.insert(event)
    outbox.enqueue(context.tx, event, endpoints)
    return event


def save_and_tell(context: Context, type: str, obj: Json, before: Json) -> Json:
    """Save a changed object and emit ``type`` with what changed; nothing if nothing did."""
    previous = changes(before, obj)
    if previous:
        context.tx.save(obj)
        emit(context, type, obj, previous)
    return obj


def changes(before: Json, after: Json) -> Json:
    """The old values of the fields that differ; added keys show as None."""
    found: dict[str, Any] = {}
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found[key] = changes(old, new)
        else:
            found[key] = old
    return found


def listing(context: Context, params: Json) -> Json:
    """Events, newest first, by ``type`` (one, or a prefix with ``*``), ``types`` or delivery."""
    filters = lists.Filter()
    wanted = params.get("type")
    if wanted and wanted.endswith("*"):
        filters.where(
            "json_extract(data, '$.type') GLOB ?", wanted.replace("[", "").replace("?", "")
        )
    else:
        filters.field("type", wanted)
    filters.among("type", params.get("types"))
    if params.get("delivery_success") is not None:
        undelivered = (
            "id IN (SELECT event FROM deliveries WHERE status NOT IN ('delivered', 'dropped'))"
        )
        filters.where(f"NOT {undelivered}" if params["delivery_success"] else undelivered)
    page = lists.page(context, "event", params, "/v1/events", filters=filters)
    page["data"] = [_with_pending(context, event) for event in page["data"]]
    return page


def retrieve(context: Context, params: Json, id: str) -> Json:
    """One event, with the number of deliveries still under way."""
    return _with_pending(context, context.need("event", id))


def _with_pending(context: Context, event: Json) -> Json:
    event["pending_webhooks"] = outbox.under_way(context.tx, event["id"])
    return event


ROUTES = [
    Route(
        "GET",
        "/v1/events",
        listing,
        {
            **PAGING,
            "type": text(100),
            "types": array(text(100), maximum=20),
            "delivery_success": boolean,
        },
    ),
    Route("GET", "/v1/events/:id", retrieve),
]
