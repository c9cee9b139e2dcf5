"""Subscription items: one price on a subscription. They are changed through the subscription."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import lists, subscription_docs, subscription_params, subscription_updates
from sandbox.stripe.context import Context
from sandbox.stripe.errors import missing
from sandbox.stripe.params import EXPAND, PAGING, integer, metadata, not_here, text
from sandbox.stripe.routes import Route

KIND = subscription_docs.ITEM
URL = "/v1/subscription_items"


def listing(context: Context, params: Json) -> Json:
    """The items of one subscription."""
    subscription = context.need("subscription", params["subscription"], param="subscription")
    items = subscription_docs.items_of(subscription_docs.refreshed(context, subscription))
    return lists.page_of(items, params, f"{URL}?subscription={subscription['id']}")


def retrieve(context: Context, params: Json, id: str) -> Json:
    """One item, as it is on its subscription."""
    subscription = context.need("subscription", context.need(KIND, id)["subscription"])
    for item in subscription_docs.items_of(subscription_docs.refreshed(context, subscription)):
        if item["id"] == id:
            return item
    raise missing(KIND, id)


def update(context: Context, params: Json, id: str) -> Json:
    """Change the item's price, quantity or metadata, with prorations as asked for."""
    item = retrieve(context, {}, id)
    own = ("metadata", "plan", "price", "quantity")
    changed = {"id": id, **{name: params[name] for name in own if name in params}}
    rest = {name: value for name, value in params.items() if name not in own}
    subscription_updates.update(context, {"items": [changed], **rest}, item["subscription"])
    return retrieve(context, {}, id)


ROUTES = [
    Route("GET", URL, listing, {**PAGING, "subscription": text()}, ("subscription",)),
    Route("GET", f"{URL}/:id", retrieve),
    Route(
        "POST",
        f"{URL}/:id",
        update,
        {
            **EXPAND,
            **not_here("billing_thresholds discounts off_session price_data tax_rates"),
            "metadata": metadata,
            "payment_behavior": text(one_of=("allow_incomplete", "error_if_incomplete")),
            "plan": text(),
            "price": text(),
            "proration_behavior": text(one_of=subscription_params.PRORATIONS),
            "proration_date": integer(1),
            "quantity": integer(0, 999_999),
        },
    ),
]
