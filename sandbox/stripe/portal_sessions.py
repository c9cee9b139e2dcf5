"""Customer portal sessions: a link to the portal page, for one customer and a short time."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import events, ids, portal_configurations
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, not_modelled
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import EXPAND, Fields, group, not_here, require, text, url
from sandbox.stripe.routes import Route

KIND = "billing_portal.session"
VISIT_WITHIN_SECONDS = 5 * 60
IDLE_SECONDS = 3600
MODELLED_FLOWS = ("payment_method_update", "subscription_cancel")
FLOWS = (*MODELLED_FLOWS, "customer_update", "subscription_update", "subscription_update_confirm")
ENDED = ("canceled", "incomplete_expired")


def create(context: Context, params: Json) -> Json:
    """A new session; its address is only for this customer and has to be visited soon."""
    customer = context.need("customer", params["customer"], param="customer")
    configuration = _configuration(context, params)
    token = f"test_{ids.token(40)}"
    session: Json = {
        "id": ids.new("bps"),
        "object": KIND,
        "configuration": configuration["id"],
        "created": context.now,
        "customer": customer["id"],
        "customer_account": None,
        "flow": _flow(context, params.get("flow_data"), customer, configuration),
        "livemode": False,
        "locale": params.get("locale"),
        "on_behalf_of": None,
        "return_url": params.get("return_url") or configuration["default_return_url"],
        "url": f"{context.config.public_url}/p/session/{token}",
    }
    private = {"token": token, "ends_at": context.now + VISIT_WITHIN_SECONDS}
    context.tx.insert(session, private)
    events.emit(context, "billing_portal.session.created", session)
    return session


def _configuration(context: Context, params: Json) -> Json:
    if "configuration" not in params:
        return portal_configurations.default(context)
    kind = portal_configurations.KIND
    configuration = context.need(kind, params["configuration"], param="configuration")
    if not configuration["active"]:
        message = f"The portal configuration {configuration['id']} is inactive."
        raise StripeError(message, param="configuration")
    return configuration


def _flow(context: Context, sent: Json | None, customer: Json, configuration: Json) -> Json | None:
    """What the page is to lead straight to."""
    if sent is None:
        return None
    type = sent["type"]
    if type not in MODELLED_FLOWS:
        raise not_modelled(f"flow_data[type]={type}")
    if not configuration["features"][type]["enabled"]:
        message = f"The portal configuration does not have the feature `{type}` enabled."
        raise StripeError(message, param="flow_data[type]")
    flow: Json = {
        "after_completion": _after(sent.get("after_completion")),
        "customer_update": None,
        "subscription_cancel": None,
        "subscription_update": None,
        "subscription_update_confirm": None,
        "type": type,
    }
    if type == "subscription_cancel":
        require(sent, ("subscription_cancel",), "flow_data")
        where = "flow_data[subscription_cancel][subscription]"
        id = sent["subscription_cancel"]["subscription"]
        subscription = context.need("subscription", id, param=where)
        if subscription["customer"] != customer["id"] or subscription["status"] in ENDED:
            message = "This subscription cannot be canceled by this customer."
            raise StripeError(message, param=where)
        if subscription["cancel_at_period_end"]:
            message = "This subscription is already set to be canceled at period end."
            raise StripeError(message, param=where)
        flow["subscription_cancel"] = {"retention": None, "subscription": id}
    return flow


def _after(sent: Json | None) -> Json:
    type = (sent or {}).get("type", "portal_homepage")
    redirect = (sent or {}).get("redirect")
    if type == "redirect" and redirect is None:
        require({}, ("redirect",), "flow_data[after_completion]")
    confirmed = {"custom_message": None, **(sent or {}).get("hosted_confirmation", {})}
    return {
        "hosted_confirmation": confirmed if type == "hosted_confirmation" else None,
        "redirect": redirect if type == "redirect" else None,
        "type": type,
    }


def visit(context: Context, token: str) -> Json | None:
    """The session behind an address if it is still good, which it then is for another while."""
    found = by_token(context, token)
    if found is None or not is_live(context, found):
        return None
    private = {"token": token, "ends_at": context.now + IDLE_SECONDS}
    context.tx.save_private(KIND, found["id"], private)
    return found


def by_token(context: Context, token: str) -> Json | None:
    """The session with this address, live or not."""
    found = context.tx.find(KIND, "json_extract(private, '$.token') = ?", (token,))
    return found[0] if found else None


def is_live(context: Context, session: Json) -> bool:
    """Whether its time is not over and its customer still there."""
    ends_at: int = context.tx.private(KIND, session["id"])["ends_at"]
    return context.now < ends_at and context.tx.get("customer", session["customer"]) is not None


EXPANDABLE[KIND] = {"configuration": ref(portal_configurations.KIND)}

AFTER: Fields = {
    "hosted_confirmation": group({"custom_message": text(500)}),
    "redirect": group({"return_url": url}, required=("return_url",)),
    "type": text(one_of=("hosted_confirmation", "portal_homepage", "redirect")),
}
FLOW: Fields = {
    **not_here("subscription_update subscription_update_confirm"),
    "after_completion": group(AFTER, required=("type",)),
    "subscription_cancel": group(
        {**not_here("retention"), "subscription": text()}, required=("subscription",)
    ),
    "type": text(one_of=FLOWS),
}

ROUTES = [
    Route(
        "POST",
        "/v1/billing_portal/sessions",
        create,
        {
            **EXPAND,
            **not_here("customer_account on_behalf_of"),
            "configuration": text(),
            "customer": text(),
            "flow_data": group(FLOW, required=("type",)),
            "locale": text(10),
            "return_url": url,
        },
        ("customer",),
    ),
]
