"""PaymentIntents made by the API: a saved card is charged at once, its owner not being there.

Other ways to use the call (confirming later or with the owner) are not modelled and refused.
"""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import amounts, payment_intents, payment_methods
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, bad_param, card_error, not_modelled
from sandbox.stripe.params import (
    EXPAND,
    Fields,
    boolean,
    currency,
    email,
    group,
    integer,
    metadata,
    not_here,
    text,
)
from sandbox.stripe.pricing import MINIMUM
from sandbox.stripe.routes import Route

MAX_AMOUNT = 99_999_999


def create(context: Context, params: Json) -> Json:
    """A payment that succeeds, or a 402 that names the intent and why it was declined.

    What was declined was tried all the same: the intent, its failed charge and their events stay.
    """
    for name in ("confirm", "off_session"):
        if not params.get(name):
            raise not_modelled(name)
    for name in ("customer", "payment_method"):
        if name not in params:
            raise not_modelled(name)
    _check_amount(params)
    customer = context.need("customer", params["customer"], param="customer")
    method = _saved(context, params["payment_method"], customer["id"])
    automatic = params.get("automatic_payment_methods", {"enabled": True})
    if automatic["enabled"] and automatic.get("allow_redirects", "always") == "always":
        _require_return_url(params)
    data = {**params, "metadata": params.get("metadata") or {}}
    intent = payment_intents.create(
        context, amount=params["amount"], currency=params["currency"], data=data
    )
    intent["automatic_payment_methods"] = {
        "allow_redirects": automatic.get("allow_redirects", "always"),
        "enabled": automatic["enabled"],
    }
    decline = payment_methods.off_session_decline(context, method["id"])
    if payment_intents.attempt_off_session(context, intent, method["id"]) != "succeeded":
        error = card_error(
            decline or payment_intents.UNAUTHENTICATED,
            charge=intent["latest_charge"],
            payment_intent=intent,
            payment_method=method,
        )
        error.keeps = True
        raise error
    return intent


def _check_amount(params: Json) -> None:
    least = MINIMUM.get(params["currency"], 1)
    if params["amount"] < least:
        shown = amounts.display(least, params["currency"])
        message = f"Amount must be at least {shown}."
        raise bad_param(message, "amount", "amount_too_small")


def _saved(context: Context, id: str, customer: str) -> Json:
    method = context.need(payment_methods.KIND, id, param="payment_method")
    if method["customer"] != customer:
        message = (
            f"The provided PaymentMethod ({id}) does not belong to the Customer ({customer}), or "
            "was detached from it."
        )
        raise StripeError(message, param="payment_method")
    if method["type"] != "card":
        raise not_modelled("payment_method")
    return method


def _require_return_url(params: Json) -> None:
    """Stripe wants to know where a payment method that redirects would come back to."""
    if "return_url" not in params:
        message = (
            "This PaymentIntent is configured to accept payment methods enabled in your "
            "Dashboard. Because some of these payment methods might redirect your customer off of "
            "your page, you must provide a `return_url`. If you don't want to accept "
            "redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` "
            "and `automatic_payment_methods[allow_redirects]` to `never`."
        )
        raise bad_param(message, "return_url")


CREATE: Fields = {
    **EXPAND,
    **not_here(
        "allowed_payment_method_types amount_details application_fee_amount capture_method "
        "confirmation_method confirmation_token customer_account error_on_requires_action "
        "excluded_payment_method_types hooks mandate mandate_data on_behalf_of payment_details "
        "payment_method_configuration payment_method_data payment_method_options "
        "payment_method_types radar_options secret_key_confirmation setup_future_usage shipping "
        "transfer_data use_stripe_sdk"
    ),
    "amount": integer(1, MAX_AMOUNT),
    "automatic_payment_methods": group(
        {"allow_redirects": text(one_of=("always", "never")), "enabled": boolean},
        required=("enabled",),
    ),
    "confirm": boolean,
    "currency": currency,
    "customer": text(),
    "description": text(1000),
    "metadata": metadata,
    "off_session": boolean,
    "payment_method": text(),
    "receipt_email": email,
    "return_url": text(5000),
    "statement_descriptor": text(22),
    "statement_descriptor_suffix": text(22),
    "transfer_group": text(),
}

ROUTES = [
    Route("POST", "/v1/payment_intents", create, CREATE, ("amount", "currency")),
]
