"""SetupIntents: saving a card to be charged later, without paying now."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import events, ids, lists, payment_methods
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError, card_error
from sandbox.stripe.expand import EXPANDABLE, ref
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
from sandbox.stripe.payment_intents import UNAUTHENTICATED
from sandbox.stripe.routes import Route

KIND = "setup_intent"
REFUSED = ("setup_intent_authentication_failure", UNAUTHENTICATED[1], UNAUTHENTICATED[2])
UNSET = (
    "allowed_payment_method_types",
    "application",
    "automatic_payment_methods",
    "cancellation_reason",
    "customer_account",
    "excluded_payment_method_types",
    "flow_directions",
    "last_setup_error",
    "latest_attempt",
    "mandate",
    "next_action",
    "on_behalf_of",
    "payment_method",
    "payment_method_configuration_details",
    "single_use_mandate",
)


def build(context: Context, *, customer: str | None, data: Json, by_page: bool = True) -> Json:
    """A SetupIntent that waits for a card; told as ``setup_intent.created``.

    One that a hosted page makes is that page's: the API can read it, but not act on it.
    """
    id = ids.new("seti")
    intent: Json = {
        "id": id,
        "object": KIND,
        **dict.fromkeys(UNSET),
        "client_secret": f"{id}_secret_{ids.token(25)}",
        "created": context.now,
        "customer": customer,
        "description": data.get("description"),
        "livemode": False,
        "metadata": merged({}, data.get("metadata")),
        "payment_method_options": {
            "card": {
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": data.get("usage", "off_session"),
    }
    context.tx.insert(intent, {"by_page": by_page})
    events.emit(context, "setup_intent.created", intent)
    return intent


def create(context: Context, params: Json) -> Json:
    """A new SetupIntent, confirmed at once if that was asked for."""
    customer = params.get("customer")
    if customer is not None:
        context.need("customer", customer, param="customer")
    intent = build(context, customer=customer, data=params, by_page=False)
    automatic = params.get("automatic_payment_methods")
    if automatic is not None:
        intent["automatic_payment_methods"] = {
            "allow_redirects": automatic.get("allow_redirects", "always"),
            "enabled": automatic["enabled"],
        }
    _take_method(context, intent, params)
    context.tx.save(intent)
    return confirm(context, {}, intent["id"]) if params.get("confirm") else intent


def _take_method(context: Context, intent: Json, params: Json) -> None:
    if "payment_method" not in params:
        return
    method = payment_methods.resolve(context, params["payment_method"])
    if method["customer"] not in (None, intent["customer"]):
        message = "The payment method belongs to another customer."
        raise StripeError(message, param="payment_method")
    intent["payment_method"] = method["id"]
    intent["status"] = "requires_confirmation"


def update(context: Context, params: Json, id: str) -> Json:
    """Change an intent that is not through yet; Stripe tells nobody of it."""
    intent = _open(context, id, "updated")
    if "customer" in params:
        context.need("customer", params["customer"], param="customer")
        intent["customer"] = params["customer"]
    if "description" in params:
        intent["description"] = params["description"]
    intent["metadata"] = merged(intent["metadata"], params.get("metadata"))
    _take_method(context, intent, params)
    context.tx.save(intent)
    return intent


def confirm(context: Context, params: Json, id: str) -> Json:
    """Try the card that the intent has or was sent. Raises StripeError when it is refused."""
    intent = _open(context, id, "confirmed")
    _take_method(context, intent, params)
    if intent["payment_method"] is None:
        message = (
            "You cannot confirm this SetupIntent because it's missing a payment method. Update "
            "the SetupIntent with a payment method and then try again."
        )
        raise StripeError(message, code="setup_intent_unexpected_state")
    method = context.need(payment_methods.KIND, intent["payment_method"])
    refusal = payment_methods.card_of(context, method["id"]).why_not_saved
    if attempt(context, intent, method) == "requires_payment_method" and refusal is not None:
        error = card_error(refusal, setup_intent=intent)
        error.keeps = True
        raise error
    return intent


def _open(context: Context, id: str, what: str) -> Json:
    intent = context.need(KIND, id)
    if intent["status"] in ("succeeded", "canceled"):
        message = (
            f"You cannot {what.removesuffix('ed')} this SetupIntent because it has a status of "
            f"{intent['status']}."
        )
        raise StripeError(message, code="setup_intent_unexpected_state")
    if context.tx.private(KIND, id)["by_page"]:
        message = f"This SetupIntent was made by a hosted page and cannot be {what} by the API."
        raise StripeError(message, code="setup_intent_unexpected_state")
    return intent


def attempt(context: Context, intent: Json, method: Json) -> str:
    """Ask the card's bank: the intent's status after it."""
    card = payment_methods.card_of(context, method["id"])
    if card.challenge:
        intent["payment_method"] = method["id"]
        intent["status"] = "requires_action"
        intent["last_setup_error"] = None
        intent["next_action"] = {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect"},
        }
        context.tx.save(intent)
        events.emit(context, "setup_intent.requires_action", intent)
        return "requires_action"
    return _end(context, intent, method, card.why_not_saved)


def authenticate(context: Context, intent: Json, *, authorised: bool) -> str:
    """End the 3-D Secure challenge: the intent's status after it."""
    method = context.need(payment_methods.KIND, intent["payment_method"])
    card = payment_methods.card_of(context, method["id"])
    if not authorised:
        return _end(context, intent, method, REFUSED)
    payment_methods.mark_set_up(context, method["id"])
    return _end(context, intent, method, card.why_not_saved)


def _end(context: Context, intent: Json, method: Json, refusal: tuple[str, str, str] | None) -> str:
    intent["next_action"] = None
    if refusal is not None:
        code, decline_code, message = refusal
        intent["last_setup_error"] = {
            "code": code,
            "decline_code": decline_code,
            "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
            "message": message,
            "payment_method": copied(method),
            "type": "card_error",
        }
        intent["payment_method"] = None
        intent["status"] = "requires_payment_method"
        context.tx.save(intent)
        events.emit(context, "setup_intent.setup_failed", intent)
        return "requires_payment_method"
    intent["last_setup_error"] = None
    intent["payment_method"] = method["id"]
    intent["status"] = "succeeded"
    context.tx.save(intent)
    if intent["customer"] is not None:
        payment_methods.attach(context, method, intent["customer"])
    events.emit(context, "setup_intent.succeeded", intent)
    return "succeeded"


def cancel(context: Context, params: Json, id: str) -> Json:
    """Nothing more will be tried."""
    intent = _open(context, id, "canceled")
    end(context, intent, reason=params.get("cancellation_reason"))
    return intent


def end(context: Context, intent: Json, *, reason: str | None = None) -> None:
    """Call it off."""
    intent["cancellation_reason"] = reason
    intent["next_action"] = None
    intent["status"] = "canceled"
    context.tx.save(intent)
    events.emit(context, "setup_intent.canceled", intent)


def _same(context: Context, intent: Json, value: object) -> object:
    return value


EXPANDABLE[KIND] = {
    "application": _same,
    "customer": ref("customer"),
    "latest_attempt": _same,
    "mandate": _same,
    "on_behalf_of": _same,
    "payment_method": ref("payment_method"),
    "single_use_mandate": _same,
}

BASE = "/v1/setup_intents"
UPDATE: Fields = {
    **EXPAND,
    **not_here(
        "allowed_payment_method_types attach_to_self customer_account excluded_payment_method_types"
    ),
    **not_here("flow_directions payment_method_configuration payment_method_data"),
    **not_here("payment_method_options"),
    "customer": text(),
    "description": clearable(text(1000)),
    "metadata": metadata,
    "payment_method": text(),
    "payment_method_types": array(text(one_of=("card",)), maximum=1),
}
CREATE: Fields = {
    **UPDATE,
    **not_here("confirmation_token mandate_data on_behalf_of single_use"),
    "automatic_payment_methods": group(
        {"allow_redirects": text(one_of=("always", "never")), "enabled": boolean},
        required=("enabled",),
    ),
    "confirm": boolean,
    "return_url": url,
    "usage": text(one_of=("off_session", "on_session")),
    "use_stripe_sdk": boolean,
}
CONFIRM: Fields = {
    **EXPAND,
    **not_here("allowed_payment_method_types confirmation_token mandate_data payment_method_data"),
    **not_here("payment_method_options"),
    "payment_method": text(),
    "return_url": url,
    "use_stripe_sdk": boolean,
}
REASONS = ("abandoned", "duplicate", "requested_by_customer")

ROUTES = [
    Route("POST", BASE, create, CREATE),
    Route(
        "GET",
        BASE,
        lists.lister(KIND, BASE, "customer", "payment_method"),
        {
            **PAGING,
            **not_here("attach_to_self customer_account"),
            "customer": text(),
            "payment_method": text(),
        },
    ),
    Route("GET", f"{BASE}/:id", lists.retriever(KIND), {**EXPAND, "client_secret": text()}),
    Route("POST", f"{BASE}/:id", update, UPDATE),
    Route("POST", f"{BASE}/:id/confirm", confirm, CONFIRM),
    Route(
        "POST",
        f"{BASE}/:id/cancel",
        cancel,
        {**EXPAND, "cancellation_reason": text(one_of=REASONS)},
    ),
]
