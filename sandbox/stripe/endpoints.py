"""Webhook endpoints: made by the API, and the one the environment names."""

from __future__ import annotations

from sandbox.config import Config, is_loopback
from sandbox.store import Json, Tx
from sandbox.stripe import ids, lists
from sandbox.stripe.context import Context
from sandbox.stripe.errors import bad_param
from sandbox.stripe.params import (
    EXPAND,
    PAGING,
    Fields,
    array,
    boolean,
    clearable,
    merged,
    metadata,
    not_here,
    text,
    url,
)
from sandbox.stripe.routes import Route

FROM_ENVIRONMENT = "we_1SandboxEnvironment00"

UPDATE: Fields = {
    **EXPAND,
    "description": clearable(text()),
    "disabled": boolean,
    "enabled_events": array(text(100), maximum=300),
    "metadata": metadata,
    "url": url,
}
CREATE: Fields = {
    **{name: reader for name, reader in UPDATE.items() if name != "disabled"},
    **not_here("connect"),
    "api_version": text(50),
}


def create(context: Context, params: Json) -> Json:
    """A new endpoint; the only answer that shows its signing secret."""
    secret = f"whsec_{ids.token(32)}"
    endpoint: Json = {
        "id": ids.new("we"),
        "object": "webhook_endpoint",
        "api_version": params.get("api_version"),
        "application": None,
        "created": context.now,
        "description": params.get("description"),
        "enabled_events": params["enabled_events"],
        "livemode": False,
        "metadata": merged({}, params.get("metadata")),
        "status": "enabled",
        "url": _local(params["url"]),
    }
    context.tx.insert(endpoint, {"secret": secret})
    return {**endpoint, "secret": secret}


def _local(address: str) -> str:
    if not is_loopback(address):
        message = "The sandbox delivers webhooks to this machine only (loopback addresses)."
        raise bad_param(message, "url", "url_invalid")
    return address


def update(context: Context, params: Json, id: str) -> Json:
    """Change what was sent."""
    endpoint = context.need("webhook_endpoint", id)
    for name in ("description", "enabled_events", "url"):
        if name in params:
            endpoint[name] = params[name]
    _local(endpoint["url"])
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    endpoint["metadata"] = merged(endpoint["metadata"], params.get("metadata"))
    context.tx.save(endpoint)
    return endpoint


def delete(context: Context, params: Json, id: str) -> Json:
    """Remove the endpoint; what it was still owed is dropped."""
    context.need("webhook_endpoint", id)
    context.tx.delete("webhook_endpoint", id)
    context.tx.run(
        "UPDATE deliveries SET status = 'dropped' "
        "WHERE endpoint = ? AND status IN ('pending', 'held')",
        (id,),
    )
    return {"id": id, "object": "webhook_endpoint", "deleted": True}


def follow_environment(tx: Tx, config: Config, now: int) -> None:
    """Keep one endpoint in step with ``SANDBOX_WEBHOOK_URL``; disabled while that is unset."""
    endpoint = tx.get("webhook_endpoint", FROM_ENVIRONMENT)
    if endpoint is None and config.webhook_url is None:
        return
    changed: Json = {
        "id": FROM_ENVIRONMENT,
        "object": "webhook_endpoint",
        "api_version": None,
        "application": None,
        "created": endpoint["created"] if endpoint else now,
        "description": "SANDBOX_WEBHOOK_URL",
        "enabled_events": ["*"],
        "livemode": False,
        "metadata": {},
        "status": "enabled" if config.webhook_url else "disabled",
        "url": config.webhook_url or (endpoint or {}).get("url"),
    }
    if endpoint is None:
        tx.insert(changed)
    tx.save(changed)
    tx.save_private("webhook_endpoint", FROM_ENVIRONMENT, {"secret": config.webhook_secret})


ROUTES = [
    Route("POST", "/v1/webhook_endpoints", create, CREATE, ("enabled_events", "url")),
    Route(
        "GET",
        "/v1/webhook_endpoints",
        lists.lister("webhook_endpoint", "/v1/webhook_endpoints"),
        PAGING,
    ),
    Route("GET", "/v1/webhook_endpoints/:id", lists.retriever("webhook_endpoint")),
    Route("POST", "/v1/webhook_endpoints/:id", update, UPDATE),
    Route("DELETE", "/v1/webhook_endpoints/:id", delete),
]
