"""The sandbox's own books: what the portal's ledger must agree with."""

from __future__ import annotations

from collections import defaultdict

from sandbox.store import Json, Tx
from sandbox.stripe import books_billing

DISPUTE_COUNTERS = ("disputed", "withdrawn", "reinstated", "dispute_fees", "dispute_count")
COUNTERS = (
    *("gross", "refunded", "fees", *DISPUTE_COUNTERS, "net"),
    *("pending", "charge_count", "refund_count"),
)
WITHDRAWN = ("needs_response", "under_review", "won", "lost")


def compute(tx: Tx) -> Json:
    """Totals per currency, customer and order, and whether they agree with the balance."""
    invoices = books_billing.invoices_shown(tx)
    by_intent = {one["payment_intent"]: one for one in invoices if one["payment_intent"]}
    charges = [_charge(tx, charge, by_intent) for charge in tx.find("charge")]
    refunds = tx.find("refund")
    by_charge = {charge["id"]: charge for charge in charges}
    for refund in refunds:
        if refund["status"] not in ("failed", "canceled"):
            by_charge[refund["charge"]]["refunded"] += refund["amount"]
            by_charge[refund["charge"]]["refund_count"] += 1
    disputes = [_dispute(dispute) for dispute in tx.find("dispute")]
    for dispute in disputes:
        for name in DISPUTE_COUNTERS:
            by_charge[dispute["charge"]][name] += dispute[name]
    for charge in charges:
        charge["net"] = charge["gross"] - charge["refunded"] - charge["fee"]
        charge["net"] -= charge["withdrawn"] - charge["reinstated"] + charge["dispute_fees"]
    currencies = _totals(charges, "currency")
    return {
        "agrees": _agrees(tx, currencies, refunds) and books_billing.agree(tx, invoices),
        "currencies": {name: sums[name] for name, sums in currencies.items()},
        "customers": _totals([one for one in charges if one["customer"]], "customer"),
        "orders": _totals([one for one in charges if one["order_id"]], "order_id"),
        "charges": charges,
        "refunds": [_refund(refund) for refund in refunds],
        "disputes": disputes,
        "invoices": invoices,
        "subscriptions": books_billing.subscriptions_shown(tx, invoices),
    }


def _charge(tx: Tx, charge: Json, by_intent: Json) -> Json:
    intent = tx.get("payment_intent", charge["payment_intent"] or "") or {"metadata": {}}
    session = _session(tx, charge["payment_intent"])
    invoice = by_intent.get(charge["payment_intent"])
    sums = invoice or _sums(session)
    succeeded = charge["status"] == "succeeded"
    booked = tx.get("balance_transaction", charge["balance_transaction"] or "")
    order_id = intent["metadata"].get("order_id") or _first_order(tx, invoice)
    return {
        "id": charge["id"],
        "payment_intent": charge["payment_intent"],
        "session": session and session["id"],
        "customer": charge["customer"],
        "order_id": order_id or (session or {"metadata": {}})["metadata"].get("order_id"),
        "amount": charge["amount"],
        "gross": charge["amount"] if succeeded else 0,
        "pending": charge["amount"] if charge["status"] == "pending" else 0,
        "invoice": invoice and invoice["id"],
        "subscription": invoice and invoice["subscription"],
        **{name: sums[name] for name in ("subtotal", "discount", "tax")},
        "refunded": 0,
        "refund_count": 0,
        "charge_count": int(succeeded),
        **dict.fromkeys(DISPUTE_COUNTERS, 0),
        "fee": booked["fee"] if booked else 0,
        "currency": charge["currency"],
        "status": charge["status"],
    }


def _sums(session: Json | None) -> Json:
    """What a session came to."""
    details = (session or {}).get("total_details") or {}
    return {
        "subtotal": session and session["amount_subtotal"],
        "discount": details.get("amount_discount", 0),
        "tax": details.get("amount_tax", 0),
    }


def _first_order(tx: Tx, invoice: Json | None) -> str | None:
    """The order that a subscription's first invoice is for; later invoices are for none."""
    if invoice is None or invoice["billing_reason"] != "subscription_create":
        return None
    subscription = tx.get("subscription", invoice["subscription"]) or {"metadata": {}}
    order_id: str | None = subscription["metadata"].get("order_id")
    return order_id


def _session(tx: Tx, intent: str | None) -> Json | None:
    if intent is None:
        return None
    found = tx.find("checkout.session", "json_extract(data, '$.payment_intent') = ?", (intent,))
    return found[0] if found else None


def _refund(refund: Json) -> Json:
    kept = ("id", "charge", "payment_intent", "amount", "currency", "status", "metadata")
    return {name: refund[name] for name in kept}


def _dispute(dispute: Json) -> Json:
    """What a dispute moved by its status; only its fee is read from the balance transactions."""
    kept = ("id", "charge", "payment_intent", "amount", "currency", "status", "reason", "metadata")
    amount, status = dispute["amount"], dispute["status"]
    return {
        **{name: dispute[name] for name in kept},
        "disputed": amount,
        "withdrawn": amount if status in WITHDRAWN else 0,
        "reinstated": amount if status == "won" else 0,
        "dispute_fees": sum(booked["fee"] for booked in dispute["balance_transactions"]),
        "dispute_count": 1,
    }


def _totals(charges: list[Json], key: str) -> Json:
    """Sums by ``key`` and currency."""
    sums: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for charge in charges:
        counters = sums[charge[key]].setdefault(charge["currency"], dict.fromkeys(COUNTERS, 0))
        for name in COUNTERS:
            counters[name] += charge["fee" if name == "fees" else name]
    return dict(sums)


def _agrees(tx: Tx, currencies: Json, refunds: list[Json]) -> bool:
    """Whether balance transactions say the same, but for what they do not hold yet."""
    expected = {name: sums[name]["net"] for name, sums in currencies.items()}
    for charge in tx.find("charge", "json_extract(data, '$.status') = 'succeeded'"):
        if charge["balance_transaction"] is None:
            expected[charge["currency"]] -= charge["amount"]
    for refund in refunds:
        if refund["status"] == "requires_action":
            expected[refund["currency"]] += refund["amount"]
    booked: dict[str, int] = defaultdict(int)
    for transaction in tx.find("balance_transaction"):
        booked[transaction["currency"]] += transaction["net"]
    return all(booked[name] == net for name, net in expected.items())
