"""Charges: one attempt to move money, and what came of it."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import balance_transactions, events, ids, lists
from sandbox.stripe.context import Context, copied
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import EXPAND, PAGING, clearable, email, merged, metadata, not_here, text
from sandbox.stripe.routes import Route

COPIED_FROM_INTENT = (
    "amount",
    "currency",
    "customer",
    "description",
    "metadata",
    "receipt_email",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
)


UNSET = (
    "application",
    "application_fee",
    "application_fee_amount",
    "balance_transaction",
    "failure_balance_transaction",
    "failure_code",
    "failure_message",
    "on_behalf_of",
    "receipt_number",
    "review",
    "source",
    "source_transfer",
    "transfer_data",
)


def attempt(context: Context, intent: Json, method: Json, *, status: str) -> Json:
    """A charge of the intent's whole amount (succeeded, pending or failed); not told yet."""
    paid = status == "succeeded"
    id = ids.new("ch" if method["type"] == "card" else "py")
    charge: Json = {
        "id": id,
        "object": "charge",
        **dict.fromkeys(UNSET),
        **{name: copied(intent)[name] for name in COPIED_FROM_INTENT},
        "amount_captured": intent["amount"] if paid else 0,
        "amount_refunded": 0,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "SANDBOX",
        "captured": paid,
        "created": context.now,
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "outcome": OUTCOMES[status],
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _details(method, intent["amount"]),
        "radar_options": {},
        "receipt_url": f"{context.config.public_url}/receipts/{id}" if paid else None,
        "refunded": False,
        "status": status,
    }
    context.tx.insert(charge)
    return charge


def _outcome(type: str, network_status: str, message: str) -> Json:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": network_status,
        "reason": None,
        "risk_level": "normal",
        "risk_score": 5,
        "seller_message": message,
        "type": type,
    }


OUTCOMES = {
    "succeeded": _outcome("authorized", "approved_by_network", "Payment complete."),
    "pending": _outcome("authorized", "approved_by_network", "Payment pending."),
    "failed": _outcome(
        "issuer_declined", "declined_by_network", "The bank did not return further details."
    ),
}


def _details(method: Json, amount: int) -> Json:
    if method["type"] != "card":
        bank = method["us_bank_account"]
        shown = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4")
        details = {name: bank[name] for name in shown}
        details |= {"payment_reference": None, "routing_number": bank["routing_number"]}
        return {"type": "us_bank_account", "us_bank_account": details}
    card = method["card"]
    kept = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding")
    return {
        "type": "card",
        "card": {
            **{name: card[name] for name in kept},
            "amount_authorized": amount,
            "authorization_code": ids.token(6).upper(),
            "extended_authorization": {"status": "disabled"},
            "incremental_authorization": {"status": "unavailable"},
            "installments": None,
            "last4": card["last4"],
            "mandate": None,
            "multicapture": {"status": "unavailable"},
            "network": card["brand"],
            "network_token": {"used": False},
            "network_transaction_id": ids.token(15),
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "regulated_status": "unregulated",
            "three_d_secure": None,
            "transaction_link_id": None,
            "wallet": None,
        },
    }


def mark_authenticated(charge: Json, *, authenticated: bool) -> None:
    """Note how the 3-D Secure challenge went."""
    charge["payment_method_details"]["card"]["three_d_secure"] = {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05" if authenticated else None,
        "exemption_indicator": None,
        "result": "authenticated" if authenticated else "failed",
        "result_reason": None if authenticated else "rejected",
        "transaction_id": ids.token(20),
        "version": "2.2.0",
    }


def fail(context: Context, charge: Json, decline: tuple[str, str, str]) -> None:
    """The charge did not go through, for the reason of ``decline``."""
    code, decline_code, message = decline
    charge.update(
        {
            "status": "failed",
            "paid": False,
            "captured": False,
            "amount_captured": 0,
            "failure_code": code,
            "failure_message": message,
            "outcome": {**OUTCOMES["failed"], "reason": decline_code},
        }
    )
    context.tx.save(charge)
    events.emit(context, "charge.failed", charge)


def succeed(context: Context, charge: Json) -> None:
    """The money came in; the balance transaction follows at once or later, as set."""
    charge.update(
        {
            "status": "succeeded",
            "paid": True,
            "captured": True,
            "amount_captured": charge["amount"],
            "outcome": OUTCOMES["succeeded"],
            "receipt_url": f"{context.config.public_url}/receipts/{charge['id']}",
        }
    )
    delay_seconds = float(context.setting("balance_delay_seconds"))
    if delay_seconds == 0:
        _fill(context, charge)
    elif delay_seconds > 0:
        private = {"balance_due_at": context.now + delay_seconds}
        context.tx.save_private("charge", charge["id"], private)
    context.tx.save(charge)
    events.emit(context, "charge.succeeded", charge)


def _fill(context: Context, charge: Json) -> None:
    booked = balance_transactions.record(
        context, charge, charge, what="charge", amount=charge["amount"]
    )
    charge["balance_transaction"] = booked["id"]


def settle_balance(context: Context, charge: Json) -> None:
    """Give the charge the balance transaction it still lacks, and tell."""
    if charge["balance_transaction"] is not None or charge["status"] != "succeeded":
        return
    _fill(context, charge)
    context.tx.save_private("charge", charge["id"], {})
    context.tx.save(charge)
    events.emit(context, "charge.updated", charge, {"balance_transaction": None})


def due_for_balance(context: Context) -> list[Json]:
    """Charges whose balance transaction's time has come."""
    due = "json_extract(private, '$.balance_due_at') <= ?"
    return context.tx.find("charge", due, (context.now,))


def update(context: Context, params: Json, id: str) -> Json:
    """Change description, metadata or receipt address."""
    charge = context.need("charge", id)
    before = copied(charge)
    for name in ("description", "receipt_email"):
        if name in params:
            charge[name] = params[name]
    charge["metadata"] = merged(charge["metadata"], params.get("metadata"))
    return events.save_and_tell(context, "charge.updated", charge, before)


def _refunds(context: Context, charge: Json, value: object) -> Json:
    of_charge = "json_extract(data, '$.charge') = ?"
    found = context.tx.find("refund", of_charge, (charge["id"],))
    found.reverse()
    url = f"/v1/charges/{charge['id']}/refunds"
    return lists.envelope(found[:10], url, has_more=len(found) > 10)


EXPANDABLE["charge"] = {
    "application": lambda context, charge, value: value,
    "balance_transaction": ref("balance_transaction"),
    "customer": ref("customer"),
    "payment_intent": ref("payment_intent"),
    "refunds": _refunds,
    "review": lambda context, charge, value: value,
    "source_transfer": lambda context, charge, value: value,
}

ROUTES = [
    Route(
        "GET",
        "/v1/charges",
        lists.lister("charge", "/v1/charges", "customer", "payment_intent", "transfer_group"),
        {**PAGING, "customer": text(), "payment_intent": text(), "transfer_group": text()},
    ),
    Route("GET", "/v1/charges/:id", lists.retriever("charge")),
    Route(
        "POST",
        "/v1/charges/:id",
        update,
        {
            **EXPAND,
            **not_here("customer fraud_details shipping transfer_group"),
            "description": clearable(text()),
            "metadata": metadata,
            "receipt_email": clearable(email),
        },
    ),
]
