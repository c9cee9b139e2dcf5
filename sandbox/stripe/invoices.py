"""Invoices as documents: their shape, their totals, how the API shows them."""

from __future__ import annotations

from typing import Any

from sandbox.store import Json
from sandbox.stripe import ACCOUNT_ID, ids, invoice_lines, lists, pricing
from sandbox.stripe.context import Context, copied
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import PAGING, not_here, text
from sandbox.stripe.routes import Route

KIND = "invoice"
STATUSES = ("draft", "open", "paid", "uncollectible", "void")

# Empty for good: see "What is not modelled" in the README.
UNSET = (
    "account_tax_ids",
    "application",
    "custom_fields",
    "customer_account",
    "default_payment_method",
    "default_source",
    "description",
    "due_date",
    "footer",
    "from_invoice",
    "last_finalization_error",
    "latest_revision",
    "on_behalf_of",
    "receipt_number",
    "rendering",
    "shipping_cost",
    "shipping_details",
    "statement_descriptor",
    "test_clock",
)


_AT_FIRST: Json = {
    **dict.fromkeys(UNSET),
    "account_country": "US",
    "account_name": "Sandbox",
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_shipping": 0,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": True,
    "automatically_finalizes_at": None,
    "collection_method": "charge_automatically",
    "default_tax_rates": [],
    "effective_at": None,
    "ending_balance": None,
    "hosted_invoice_url": None,
    "invoice_pdf": None,
    "issuer": {"type": "self"},
    "livemode": False,
    "metadata": {},
    "next_payment_attempt": None,
    "number": None,
    "payment_settings": {
        "default_mandate": None,
        "payment_method_options": None,
        "payment_method_types": None,
    },
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "status": "draft",
    "status_transitions": dict.fromkeys(
        ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")
    ),
    "webhooks_delivered_at": None,
}


def build(
    context: Context,
    subscription: Json,
    lines: list[Json],
    *,
    reason: str,
    period: tuple[int, int],
    discount_ids: list[str],
    tax_minor: int | None = None,
) -> Json:
    """A draft over the lines, not stored yet; discounts and tax are taken from the subscription."""
    taxed = subscription["automatic_tax"]["enabled"]
    invoice_lines.reprice(context, lines, discount_ids, taxed=taxed, tax_minor=tax_minor)
    customer = context.tx.get("customer", subscription["customer"]) or {}
    invoice: Json = {
        **copied(_AT_FIRST),
        "id": ids.new("in"),
        "object": KIND,
        "automatic_tax": _automatic_tax(taxed=taxed),
        "billing_reason": reason,
        "created": context.now,
        "currency": subscription["currency"],
        **_customer_shown(subscription["customer"], customer),
        "discounts": list(discount_ids),
        "parent": _parent(subscription),
        "period_end": period[1],
        "period_start": period[0],
        "starting_balance": int(customer.get("balance", 0)),
    }
    _set_lines(invoice, lines)
    _total(invoice, lines)
    return invoice


def _parent(subscription: Json) -> Json:
    return {
        "billing_schedule_details": None,
        "quote_details": None,
        "subscription_details": {
            "metadata": subscription["metadata"],
            "subscription": subscription["id"],
        },
        "type": "subscription_details",
    }


def _automatic_tax(*, taxed: bool) -> Json:
    return {
        "disabled_reason": None,
        "enabled": taxed,
        "liability": {"type": "self"} if taxed else None,
        "provider": "stripe" if taxed else None,
        "status": "complete" if taxed else None,
    }


def _customer_shown(id: str, customer: Json) -> Json:
    shown = {f"customer_{name}": customer.get(name) for name in ("address", "email", "name")}
    return {
        **shown,
        "customer": id,
        "customer_phone": customer.get("phone"),
        "customer_shipping": customer.get("shipping"),
        "customer_tax_exempt": customer.get("tax_exempt", "none"),
        "customer_tax_ids": [],
    }


def _set_lines(invoice: Json, lines: list[Json]) -> None:
    for one in lines:
        one["invoice"] = invoice["id"]
    invoice["lines"] = {
        "object": "list",
        "data": lines,
        "has_more": False,
        "total_count": len(lines),
        "url": f"/v1/invoices/{invoice['id']}/lines",
    }


def _total(invoice: Json, lines: list[Json]) -> None:
    """Add the lines up; what a credit balance covers is settled when the invoice is finalised."""
    subtotal = sum(one["amount"] for one in lines)
    taken: dict[str, int] = {}
    for one in lines:
        for part in one["discount_amounts"]:
            taken[part["discount"]] = taken.get(part["discount"], 0) + part["amount"]
    tax = sum(invoice_lines.tax_of(one) for one in lines)
    net = subtotal - sum(taken.values())
    discounts: list[Json] = [{"amount": sum, "discount": id} for id, sum in taken.items()]
    taxable = sum(invoice_lines.net(one) for one in lines if one["taxes"])
    invoice |= {
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": net + tax,
        "total_discount_amounts": discounts,
        "total_excluding_tax": net,
        "total_pretax_credit_amounts": [{**one, "type": "discount"} for one in discounts],
        "total_taxes": invoice_lines.taxes_shown(tax, taxable) if tax else [],
    }
    owe(invoice, settled_with(invoice, invoice["starting_balance"])[0])


def settled_with(invoice: Json, balance: int) -> tuple[int, int]:
    """What is due, and the customer's balance after it; below 0 the balance is a credit.

    An amount too small for a card is put on the balance and waits for the next invoice.
    """
    whole = int(invoice["total"]) + balance
    if whole < pricing.MINIMUM.get(invoice["currency"], 1):
        return 0, whole
    return whole, 0


def owe(invoice: Json, amount: int) -> None:
    """Set what is still asked for."""
    invoice["amount_due"] = amount
    invoice["amount_remaining"] = amount - invoice["amount_paid"]


def subscription_of(invoice: Json) -> str | None:
    """The subscription that the invoice is of."""
    parent = invoice["parent"] or {}
    details = parent.get("subscription_details")
    return details and str(details["subscription"])


def insert(context: Context, invoice: Json) -> None:
    """Store a new invoice."""
    context.tx.insert(invoice)
    save(context, invoice)


def save(context: Context, invoice: Json) -> None:
    """Store a changed invoice and when something falls due with it."""
    due_at = None
    if invoice["auto_advance"] and invoice["status"] == "draft":
        due_at = invoice["automatically_finalizes_at"]
    elif invoice["auto_advance"] and invoice["status"] == "open":
        due_at = invoice["next_payment_attempt"]
    context.tx.save(invoice)
    private = context.tx.private(KIND, invoice["id"])
    context.tx.save_private(KIND, invoice["id"], {**private, "due_at": due_at})


def of_subscription(context: Context, subscription: str) -> list[Json]:
    """The subscription's invoices, oldest first."""
    same = "json_extract(data, '$.parent.subscription_details.subscription') = ?"
    return context.tx.find(KIND, same, (subscription,))


def pages_of(context: Context, id: str) -> Json:
    """Where people see the invoice."""
    base = f"{context.config.public_url}/i/{ACCOUNT_ID}/{id}"
    return {"hosted_invoice_url": base, "invoice_pdf": f"{base}/pdf"}


def listing(context: Context, params: Json) -> Json:
    """Invoices, newest first."""
    filters = lists.Filter()
    for name in ("customer", "status", "collection_method"):
        filters.field(name, params.get(name))
    filters.field("parent.subscription_details.subscription", params.get("subscription"))
    return lists.page(context, KIND, params, "/v1/invoices", filters=filters)


def list_lines(context: Context, params: Json, id: str) -> Json:
    """The invoice's lines."""
    lines = context.need(KIND, id)["lines"]["data"]
    return lists.page_of(lines, params, f"/v1/invoices/{id}/lines")


def payments_of(context: Context, invoice: str) -> list[Json]:
    """The invoice's payments, newest first."""
    same = "json_extract(data, '$.invoice') = ?"
    return context.tx.find("invoice_payment", same, (invoice,))[::-1]


def _payments(context: Context, invoice: Json, value: Any) -> Json:
    return lists.envelope(payments_of(context, invoice["id"]), "/v1/invoices/payments")


def _secret(context: Context, invoice: Json, value: Any) -> Json | None:
    """What a browser would pay the invoice with; only while a payment can be made."""
    for payment in payments_of(context, invoice["id"]):
        intent = context.need("payment_intent", payment["payment"]["payment_intent"])
        return {"client_secret": intent["client_secret"], "type": "payment_intent"}
    return None


def _discounts(context: Context, obj: Json, value: Any) -> list[Any]:
    return [context.tx.get("discount", id) if isinstance(id, str) else id for id in value]


EXPANDABLE[KIND] = {
    "confirmation_secret": _secret,
    "customer": ref("customer"),
    "default_payment_method": ref("payment_method"),
    "discounts": _discounts,
    "parent.subscription_details.subscription": ref("subscription"),
    "payments": _payments,
    "total_discount_amounts.discount": ref("discount"),
}
EXPANDABLE["line_item"] = {
    "discounts": _discounts,
    "discount_amounts.discount": ref("discount"),
    "pricing.price_details.price": ref("price"),
    "subscription": ref("subscription"),
}
EXPANDABLE["invoice_payment"] = {
    "invoice": ref("invoice"),
    "payment.payment_intent": ref("payment_intent"),
}

ROUTES = [
    Route(
        "GET",
        "/v1/invoices",
        listing,
        {
            **PAGING,
            **not_here("customer_account due_date"),
            "collection_method": text(one_of=("charge_automatically", "send_invoice")),
            "customer": text(),
            "status": text(one_of=STATUSES),
            "subscription": text(),
        },
    ),
    Route("GET", "/v1/invoices/:id", lists.retriever(KIND)),
    Route("GET", "/v1/invoices/:id/lines", list_lines, PAGING),
]
