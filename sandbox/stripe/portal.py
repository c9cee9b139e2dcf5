"""What a customer does on the portal page: the same acts as the API's, for one customer only."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import (
    collection,
    customers,
    payment_methods,
    portal_configurations,
    setup_intents,
    subscription_docs,
    subscription_schedules,
    subscription_updates,
    subscriptions,
)
from sandbox.stripe.cards import Card
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError


def feature(context: Context, session: Json, name: str) -> Json:
    """What the session's configuration says of a feature."""
    configuration = context.need(portal_configurations.KIND, session["configuration"])
    found: Json = configuration["features"][name]
    return found


def offered(context: Context, session: Json, name: str) -> Json:
    """The feature. Raises StripeError unless it is enabled."""
    found = feature(context, session, name)
    if not found["enabled"]:
        raise StripeError("This portal does not offer that.")
    return found


def live_subscriptions(context: Context, session: Json) -> list[Json]:
    """The customer's subscriptions that have not ended, newest first."""
    mine = "json_extract(data, '$.customer') = ?"
    found = context.tx.find(subscription_docs.KIND, mine, (session["customer"],))
    return [one for one in reversed(found) if one["status"] not in subscription_docs.ENDED]


def subscription_of(context: Context, session: Json, id: str) -> Json:
    """A live subscription of the session's customer. Raises StripeError for any other."""
    for subscription in live_subscriptions(context, session):
        if subscription["id"] == id:
            return subscription
    raise StripeError("There is no such plan.", status=404)


def cancel(context: Context, session: Json, id: str, *, feedback: str | None = None) -> None:
    """Cancel a plan, at the end of its period or at once, as the configuration has it."""
    rules = offered(context, session, "subscription_cancel")
    subscription = subscription_of(context, session, id)
    details = {"cancellation_details": {"feedback": feedback}} if feedback else {}
    if rules["mode"] == "immediately":
        subscriptions.cancel(context, details, id)
        return
    if subscription["schedule"]:
        subscription_schedules.release(context, {}, subscription["schedule"])
    subscription_updates.update(context, {"cancel_at_period_end": True, **details}, id)


def resume(context: Context, session: Json, id: str) -> None:
    """Do not cancel after all."""
    offered(context, session, "subscription_cancel")
    subscription_of(context, session, id)
    subscription_updates.update(context, {"cancel_at_period_end": False}, id)


def default_method(context: Context, session: Json) -> str | None:
    """What the customer pays with: the plan's own card, else the usual one."""
    customer = context.need("customer", session["customer"])
    usual: str | None = customer["invoice_settings"]["default_payment_method"]
    own = [one["default_payment_method"] for one in live_subscriptions(context, session)]
    return next((method for method in own if method), usual)


def method_of(context: Context, session: Json, id: str) -> Json:
    """A saved card of the session's customer. Raises StripeError for any other."""
    method = context.tx.get(payment_methods.KIND, id)
    if method is None or method["customer"] != session["customer"]:
        raise StripeError("There is no such payment method.", status=404)
    return method


def set_default(context: Context, session: Json, id: str) -> None:
    """Pay with this card from now on: the customer's invoices and every plan."""
    offered(context, session, "payment_method_update")
    method_of(context, session, id)
    customers.set_default(context, session["customer"], id)
    collection.pay_all_with(context, session["customer"], id)


def remove(context: Context, session: Json, id: str) -> None:
    """Forget a card; not the one that a plan is paid with."""
    offered(context, session, "payment_method_update")
    method = method_of(context, session, id)
    if live_subscriptions(context, session) and default_method(context, session) == id:
        raise StripeError("Your plan is paid with this card. Make another one the default first.")
    payment_methods.detach(context, method)


def add_card(context: Context, session: Json, card: Card, expiry: tuple[int, int]) -> Json:
    """Save a card: the SetupIntent, succeeded, refused or waiting for the card's bank."""
    offered(context, session, "payment_method_update")
    customer = context.need("customer", session["customer"])
    intent = setup_intents.build(context, customer=customer["id"], data={})
    method = payment_methods.create_card(
        context, card, expiry=expiry, email=customer["email"], name=customer["name"]
    )
    if setup_intents.attempt(context, intent, method) == "succeeded":
        set_default(context, session, method["id"])
    return intent


def waiting_setup(context: Context, session: Json, id: str) -> Json:
    """A SetupIntent of the customer that waits for the card's bank. Raises StripeError else."""
    intent = context.tx.get(setup_intents.KIND, id)
    waits = intent is not None and intent["status"] == "requires_action"
    if intent is None or not waits or intent["customer"] != session["customer"]:
        raise StripeError("There is nothing to authenticate.", status=404)
    return intent


def answer_setup(context: Context, session: Json, id: str, *, authorised: bool) -> Json:
    """End the challenge of a card that is being added."""
    intent = waiting_setup(context, session, id)
    if setup_intents.authenticate(context, intent, authorised=authorised) == "succeeded":
        set_default(context, session, intent["payment_method"])
    return intent


def change_details(context: Context, session: Json, sent: Json) -> None:
    """Change name, e-mail, phone or address, as far as the configuration allows it."""
    allowed = offered(context, session, "customer_update")["allowed_updates"]
    known = {name: value for name, value in sent.items() if name in allowed}
    customers.update(context, known, session["customer"])
