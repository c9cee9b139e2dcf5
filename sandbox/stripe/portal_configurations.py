"""Customer portal configurations: what people may do on the portal page."""

from __future__ import annotations

from typing import Any

from sandbox.store import Json
from sandbox.stripe import events, ids, lists
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError, not_modelled
from sandbox.stripe.expand import EXPANDABLE
from sandbox.stripe.params import (
    EXPAND,
    PAGING,
    Fields,
    array,
    boolean,
    clearable,
    group,
    merged,
    metadata,
    not_here,
    text,
    url,
)
from sandbox.stripe.routes import Route

KIND = "billing_portal.configuration"
UPDATES = ("address", "email", "name", "phone", "shipping", "tax_id")
REASONS = (
    *("customer_service", "low_quality", "missing_features", "other", "switched_service"),
    *("too_complex", "too_expensive", "unused"),
)
OFF: Json = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "feedback_options": None, "options": []},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "products": None,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}
DEFAULT_FEATURES: Json = {
    "customer_update": {"allowed_updates": ["email", "name", "address", "phone"], "enabled": True},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
}


def create(context: Context, params: Json) -> Json:
    """A new configuration."""
    if not params["features"]:
        raise StripeError("You must enable at least one feature.", param="features")
    return _insert(context, params, is_default=False)


def default(context: Context) -> Json:
    """The configuration that sessions have which name none; made when it is first needed."""
    is_default = "json_extract(data, '$.is_default')"
    found = context.tx.find(KIND, is_default)
    if found:
        return found[0]
    return _insert(context, {"features": DEFAULT_FEATURES}, is_default=True)


def _insert(context: Context, params: Json, *, is_default: bool) -> Json:
    configuration: Json = {
        "id": ids.new("bpc"),
        "object": KIND,
        "active": True,
        "application": None,
        "business_profile": dict.fromkeys(
            ("headline", "privacy_policy_url", "terms_of_service_url")
        ),
        "created": context.now,
        "default_return_url": None,
        "features": copied(OFF),
        "is_default": is_default,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": context.now,
    }
    _apply(configuration, params)
    context.tx.insert(configuration)
    events.emit(context, "billing_portal.configuration.created", configuration)
    return configuration


def _apply(configuration: Json, params: Json) -> None:
    for name in ("active", "default_return_url", "name"):
        if name in params:
            configuration[name] = params[name]
    configuration["business_profile"].update(params.get("business_profile", {}))
    for feature, sent in params.get("features", {}).items():
        kept = configuration["features"][feature]
        reason = sent.get("cancellation_reason")
        kept.update({name: value for name, value in sent.items() if value is not None})
        if reason is not None:
            kept["cancellation_reason"] = {**OFF[feature]["cancellation_reason"], **reason}
    configuration["metadata"] = merged(configuration["metadata"], params.get("metadata"))


def update(context: Context, params: Json, id: str) -> Json:
    """Change what was sent; the default one cannot be switched off."""
    configuration = context.need(KIND, id)
    if configuration["is_default"] and params.get("active") is False:
        message = "You cannot deactivate your default configuration."
        raise StripeError(message, param="active")
    before = copied(configuration)
    _apply(configuration, params)
    if configuration != before:
        configuration["updated"] = context.now
    return events.save_and_tell(
        context, "billing_portal.configuration.updated", configuration, before
    )


def _only(value: str) -> Any:
    """A setting of which one value is modelled."""

    def reader(raw: Any, path: str) -> str:
        if raw != value:
            raise not_modelled(path)
        return value

    return reader


def _same(context: Context, configuration: Json, value: object) -> object:
    return value


EXPANDABLE[KIND] = {"application": _same}

FEATURES: Fields = {
    "customer_update": group(
        {
            "allowed_updates": array(text(one_of=UPDATES)),
            "enabled": boolean,
        }
    ),
    "invoice_history": group({"enabled": boolean}, required=("enabled",)),
    "payment_method_update": group(
        {**not_here("payment_method_configuration"), "enabled": boolean}, required=("enabled",)
    ),
    "subscription_cancel": group(
        {
            "cancellation_reason": group(
                {
                    **not_here("feedback_options"),
                    "enabled": boolean,
                    "options": array(text(one_of=REASONS)),
                },
                required=("enabled",),
            ),
            "enabled": boolean,
            "mode": text(one_of=("at_period_end", "immediately")),
            "proration_behavior": _only("none"),
        }
    ),
    "subscription_update": group(
        {
            **not_here(
                "billing_cycle_anchor default_allowed_updates enabled products proration_behavior "
                "schedule_at_period_end trial_update_behavior"
            )
        }
    ),
}
BASE = "/v1/billing_portal/configurations"
CREATE: Fields = {
    **EXPAND,
    **not_here("login_page"),
    "business_profile": group(
        {
            "headline": clearable(text(60)),
            "privacy_policy_url": clearable(url),
            "terms_of_service_url": clearable(url),
        }
    ),
    "default_return_url": clearable(url),
    "features": group(FEATURES),
    "metadata": metadata,
    "name": clearable(text(256)),
}

ROUTES = [
    Route("POST", BASE, create, CREATE, ("features",)),
    Route(
        "GET",
        BASE,
        lists.lister(KIND, BASE, "active", "is_default"),
        {**PAGING, "active": boolean, "is_default": boolean},
    ),
    Route("GET", f"{BASE}/:id", lists.retriever(KIND)),
    Route("POST", f"{BASE}/:id", update, {**CREATE, "active": boolean}),
]
