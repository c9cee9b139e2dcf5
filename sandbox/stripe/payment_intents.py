"""PaymentIntents: one payment across its attempts; the API makes them in ``direct_payments``."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import charges, disputes, events, ids, lists, payment_methods
from sandbox.stripe.cards import Card
from sandbox.stripe.context import Context, copied
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import EXPAND, PAGING, clearable, email, merged, metadata, not_here, text
from sandbox.stripe.routes import Route

UNAUTHENTICATED = (
    "payment_intent_authentication_failure",
    "authentication_required",
    "We are unable to authenticate your payment method. Please choose a different one.",
)
BANK_REFUSED = (
    "payment_method_provider_decline",
    "generic_decline",
    "The customer's bank returned the debit.",
)


# Empty until something happens, or for good: see "What is not modelled" in the README.
UNSET = (
    "allowed_payment_method_types",
    "application",
    "application_fee_amount",
    "automatic_payment_methods",
    "canceled_at",
    "cancellation_reason",
    "customer_account",
    "excluded_payment_method_types",
    "last_payment_error",
    "latest_charge",
    "next_action",
    "on_behalf_of",
    "payment_method",
    "payment_method_configuration_details",
    "processing",
    "review",
    "shipping",
    "source",
    "transfer_data",
)


def create(context: Context, *, amount: int, currency: str, data: Json) -> Json:
    """A PaymentIntent that waits for a payment method; ``data`` as in ``payment_intent_data``."""
    id = ids.new("pi")
    intent: Json = {
        "id": id,
        "object": "payment_intent",
        **dict.fromkeys(UNSET),
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": f"{id}_secret_{ids.token(25)}",
        "confirmation_method": "automatic",
        "created": context.now,
        "currency": currency,
        "customer": data.get("customer"),
        "description": data.get("description"),
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": data.get("metadata", {}),
        "payment_method_options": {"card": _card_options(), "us_bank_account": {}},
        "payment_method_types": ["card", "us_bank_account"],
        "receipt_email": data.get("receipt_email"),
        "setup_future_usage": data.get("setup_future_usage"),
        "statement_descriptor": data.get("statement_descriptor"),
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_group": data.get("transfer_group"),
    }
    context.tx.insert(intent)
    events.emit(context, "payment_intent.created", intent)
    return intent


def _card_options() -> Json:
    return {
        "installments": None,
        "mandate_options": None,
        "network": None,
        "request_three_d_secure": "automatic",
    }


def pay_by_card(context: Context, intent: Json, method: Json, card: Card) -> str:
    """Try the card: the intent's status after it (``succeeded``, ``requires_action``, …)."""
    if card.challenge:
        intent["payment_method"] = method["id"]
        intent["status"] = "requires_action"
        intent["last_payment_error"] = None
        intent["next_action"] = {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect"},
        }
        context.tx.save(intent)
        events.emit(context, "payment_intent.requires_action", intent)
        return "requires_action"
    _charge(context, intent, method, card, decline=card.decline)
    return str(intent["status"])


def attempt_off_session(context: Context, intent: Json, method_id: str) -> str:
    """Try a saved card without its owner: the intent's status after it."""
    method = context.need("payment_method", method_id)
    decline = payment_methods.off_session_decline(context, method_id)
    _charge(context, intent, method, payment_methods.card_of(context, method_id), decline=decline)
    return str(intent["status"])


def authenticate(context: Context, intent: Json, card: Card, *, authorised: bool) -> str:
    """End the 3-D Secure challenge: the intent's status after it."""
    method = context.need("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if authorised:
        _charge(context, intent, method, card, decline=card.decline, challenged=True)
    else:
        _refuse(context, intent, method, UNAUTHENTICATED, charge=None)
    return str(intent["status"])


def _charge(
    context: Context,
    intent: Json,
    method: Json,
    card: Card,
    *,
    decline: tuple[str, str, str] | None,
    challenged: bool = False,
) -> None:
    charge = charges.attempt(context, intent, method, status="failed" if decline else "succeeded")
    if challenged:
        charges.mark_authenticated(charge, authenticated=True)
    intent["latest_charge"] = charge["id"]
    intent["payment_method"] = method["id"]
    if decline is None:
        _succeed(context, intent, charge, card)
    else:
        charges.fail(context, charge, decline)
        _refuse(context, intent, method, decline, charge=charge)


def _succeed(context: Context, intent: Json, charge: Json, card: Card | None = None) -> None:
    charges.succeed(context, charge)
    if card is not None and card.dispute is not None:
        disputes.create(context, charge, reason=card.dispute, inquiry=card.inquiry)
    intent.update(
        {
            "amount_received": intent["amount"],
            "last_payment_error": None,
            "next_action": None,
            "processing": None,
            "status": "succeeded",
        }
    )
    context.tx.save(intent)
    events.emit(context, "payment_intent.succeeded", intent)


def _refuse(
    context: Context,
    intent: Json,
    method: Json,
    decline: tuple[str, str, str],
    *,
    charge: Json | None,
) -> None:
    code, decline_code, message = decline
    error: Json = {
        "code": code,
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
        "message": message,
        "payment_method": copied(method),
        "type": "card_error" if method["type"] == "card" else "invalid_request_error",
    }
    if charge is not None:
        error |= {"charge": charge["id"], "decline_code": decline_code}
    intent.update(
        {
            "last_payment_error": error,
            "next_action": None,
            "payment_method": None,
            "processing": None,
            "status": "requires_payment_method",
        }
    )
    context.tx.save(intent)
    events.emit(context, "payment_intent.payment_failed", intent)


def debit_bank(context: Context, intent: Json, method: Json) -> None:
    """Start a bank debit: it stays ``processing`` until it is settled."""
    charge = charges.attempt(context, intent, method, status="pending")
    intent.update(
        {
            "last_payment_error": None,
            "latest_charge": charge["id"],
            "payment_method": method["id"],
            "status": "processing",
        }
    )
    context.tx.save(intent)
    events.emit(context, "payment_intent.processing", intent)
    events.emit(context, "charge.pending", charge)


def describe(context: Context, intent: Json, description: str) -> None:
    """Say what a payment was for, if nobody has."""
    intent["description"] = intent["description"] or description
    context.tx.save(intent)


def settle_debit(context: Context, intent: Json, *, succeeded: bool) -> None:
    """The bank's answer to a debit under way."""
    charge = context.need("charge", intent["latest_charge"])
    if succeeded:
        _succeed(context, intent, charge)
        return
    method = context.need("payment_method", intent["payment_method"])
    charges.fail(context, charge, BANK_REFUSED)
    _refuse(context, intent, method, BANK_REFUSED, charge=charge)


def cancel(context: Context, intent: Json, *, reason: str) -> None:
    """Nothing more will be tried."""
    intent.update(
        {
            "canceled_at": context.now,
            "cancellation_reason": reason,
            "next_action": None,
            "status": "canceled",
        }
    )
    context.tx.save(intent)
    events.emit(context, "payment_intent.canceled", intent)


def update(context: Context, params: Json, id: str) -> Json:
    """Change description, metadata or receipt address; Stripe tells nobody of it."""
    intent = context.need("payment_intent", id)
    for name in ("description", "receipt_email"):
        if name in params:
            intent[name] = params[name]
    intent["metadata"] = merged(intent["metadata"], params.get("metadata"))
    context.tx.save(intent)
    return intent


EXPANDABLE["payment_intent"] = {
    "application": lambda context, intent, value: value,
    "customer": ref("customer"),
    "latest_charge": ref("charge"),
    "on_behalf_of": lambda context, intent, value: value,
    "payment_method": ref("payment_method"),
    "review": lambda context, intent, value: value,
}

ROUTES = [
    Route(
        "GET",
        "/v1/payment_intents",
        lists.lister("payment_intent", "/v1/payment_intents", "customer"),
        {**PAGING, **not_here("customer_account"), "customer": text()},
    ),
    Route(
        "GET",
        "/v1/payment_intents/:id",
        lists.retriever("payment_intent"),
        {**EXPAND, "client_secret": text()},
    ),
    Route(
        "POST",
        "/v1/payment_intents/:id",
        update,
        {
            **EXPAND,
            **not_here("amount currency customer payment_method shipping setup_future_usage"),
            "description": clearable(text()),
            "metadata": metadata,
            "receipt_email": clearable(email),
        },
    ),
]
