"""The books' part on subscriptions: invoices, what they collected, the periods they billed."""

from __future__ import annotations

from sandbox.store import Json, Tx
from sandbox.stripe import invoice_lines, invoices

ENDED = ("draft", "void")


def invoices_shown(tx: Tx) -> list[Json]:
    """All invoices with their lines, amounts as they are in the end."""
    intents = {}
    for payment in tx.find("invoice_payment"):
        intents[payment["invoice"]] = payment["payment"]["payment_intent"]
    return [_invoice(one, intents.get(one["id"])) for one in tx.find(invoices.KIND)]


def _invoice(invoice: Json, intent: str | None) -> Json:
    kept = (
        *("id", "customer", "status", "billing_reason", "currency", "subtotal", "total"),
        *("amount_due", "amount_paid", "starting_balance", "ending_balance", "created"),
    )
    return {
        **{name: invoice[name] for name in kept},
        "discount": sum(one["amount"] for one in invoice["total_discount_amounts"]),
        "lines": [_line(one) for one in invoice["lines"]["data"]],
        "payment_intent": intent,
        "subscription": invoices.subscription_of(invoice),
        "tax": sum(one["amount"] for one in invoice["total_taxes"]),
    }


def _line(one: Json) -> Json:
    return {
        **one["pricing"]["price_details"],
        "period": one["period"],
        "amount": one["amount"],
        "discount": sum(taken["amount"] for taken in one["discount_amounts"]),
        "tax": invoice_lines.tax_of(one),
        "proration": invoice_lines.is_proration(one),
        "quantity": one["quantity"],
    }


def subscriptions_shown(tx: Tx, shown: list[Json]) -> list[Json]:
    """All subscriptions, each with the whole periods that were billed for it, oldest first."""
    periods: dict[str, list[Json]] = {}
    for invoice in shown:
        if invoice["status"] in ENDED or invoice["subscription"] is None:
            continue
        periods.setdefault(invoice["subscription"], []).extend(
            {
                "invoice": invoice["id"],
                "status": invoice["status"],
                "price": line["price"],
                "start": line["period"]["start"],
                "end": line["period"]["end"],
                "amount": line["amount"] - line["discount"],
            }
            for line in invoice["lines"]
            if not line["proration"]
        )
    return [_subscription(one, periods.get(one["id"], [])) for one in tx.find("subscription")]


def _subscription(subscription: Json, periods: list[Json]) -> Json:
    first = subscription["items"]["data"][0]
    return {
        **{name: subscription[name] for name in ("id", "customer", "status", "metadata")},
        "price": first["price"]["id"],
        "product": first["price"]["product"],
        "current_period_start": first["current_period_start"],
        "current_period_end": first["current_period_end"],
        "periods": periods,
    }


def agree(tx: Tx, shown: list[Json]) -> bool:
    """Whether every invoice adds up and what was paid on it is what its payment brought."""
    return all(_adds_up(one) and _was_paid(tx, one) for one in shown)


def _adds_up(invoice: Json) -> bool:
    lines = invoice["lines"]
    subtotal = sum(line["amount"] for line in lines)
    total = subtotal - invoice["discount"] + invoice["tax"]
    parts = sum(line["amount"] - line["discount"] + line["tax"] for line in lines)
    sums_agree = (subtotal, total, parts) == (invoice["subtotal"], invoice["total"], total)
    if invoice["ending_balance"] is None:
        return sums_agree
    settled = invoice["total"] + invoice["starting_balance"] - invoice["ending_balance"]
    return sums_agree and bool(settled == invoice["amount_due"])


def _was_paid(tx: Tx, invoice: Json) -> bool:
    intent = tx.get("payment_intent", invoice["payment_intent"] or "")
    brought = intent["amount_received"] if intent else 0
    return bool(brought == invoice["amount_paid"])
