"""Reports of errors to Sentry, when SENTRY_DSN is set; nothing is loaded when it is not.

No personal data, no bodies, no local variables; what is left goes through the redaction of logs.
"""

from __future__ import annotations

from typing import Any

from billing_project import env, redaction


def configure(*, sandbox: bool) -> None:
    """Read what the environment says of it, and start if it says so."""
    dsn = env.dsn("SENTRY_DSN")
    environment = env.text("SENTRY_ENVIRONMENT", "sandbox" if sandbox else "production")
    if sandbox and dsn:
        env.require_loopback("SENTRY_DSN", [env.host_of(dsn)])
    if dsn:
        start(dsn, environment=environment)


def start(dsn: str, *, environment: str) -> None:
    """Report from now on."""
    import sentry_sdk
    import structlog
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration

    def before_send(event: Any, _hint: Any) -> Any:
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if request_id:
            event.setdefault("tags", {})["request_id"] = request_id
        return clean(event)

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        max_breadcrumbs=30,
        before_send=before_send,
        before_breadcrumb=lambda crumb, _hint: _crumb(crumb),
        default_integrations=True,
        auto_enabling_integrations=False,
        integrations=[
            DjangoIntegration(middleware_spans=False),
            CeleryIntegration(propagate_traces=False),
            LoggingIntegration(),
        ],
    )


def clean(event: dict[str, Any]) -> dict[str, Any]:
    """An event without secrets, and without what says who made the request."""
    event.pop("user", None)
    request = event.get("request")
    if isinstance(request, dict):
        for part in ("cookies", "data", "env", "query_string"):
            request.pop(part, None)
    return {name: _redacted(name, part) for name, part in event.items()}


def _crumb(crumb: dict[str, Any]) -> dict[str, Any]:
    """What led to an error, without secrets; its time stays a time."""
    redacted: dict[str, Any] = redaction.value(crumb)
    return redacted | {"timestamp": crumb.get("timestamp")}


# Sentry's own words, which are nested deep and hold nothing of ours.
_AS_IT_IS = frozenset({"sdk", "modules", "event_id", "timestamp", "platform", "level"})


def _redacted(name: str, part: Any) -> Any:
    # Frames lie seven levels below the event; counting starts anew at each of its parts.
    return part if name in _AS_IT_IS else redaction.value(part, depth=-4)
