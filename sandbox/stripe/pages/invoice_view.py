"""How an invoice looks, as a page and as plain lines."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.html import Child, Markup, el
from sandbox.store import Json
from sandbox.stripe.amounts import display
from sandbox.stripe.pages.common import day
from sandbox.stripe.pages.fields import card_fields, error

STATES = {
    "open": "Open",
    "paid": "Paid",
    "void": "Void: nothing is owed",
    "uncollectible": "Given up, can still be paid",
}
WIDTH = 76


def due(invoice: Json) -> str:
    """What is still asked for."""
    return display(invoice["amount_remaining"], invoice["currency"])


def card_name(method: Json) -> str:
    """A saved card as people know it."""
    card = method["card"]
    return f"{card['brand'].capitalize()} •••• {card['last4']}"


def page(invoice: Json, payment: Child, *, receipts: list[str]) -> Markup:
    """The invoice; ``payment`` is the form that pays it."""
    is_open = payment is not None
    amount = invoice["amount_remaining"] if is_open else invoice["total"]
    lines = [
        el(
            "li",
            el("span", one["description"]),
            el("span", display(one["amount"], invoice["currency"]), class_="amount"),
        )
        for one in invoice["lines"]["data"]
    ]
    links = [el("a", "Receipt", href=href, class_="receipt") for href in receipts]
    return el(
        "main",
        el(
            "section",
            el("h1", display(amount, invoice["currency"]), id="invoice-amount", class_="total"),
            el("p", STATES[invoice["status"]], _when(invoice), id="invoice-status"),
            el("p", f"Invoice {invoice['number']}", id="invoice-number", class_="soft"),
            el("ul", lines, class_="lines"),
            el("dl", [_total(*row) for row in _totals(invoice)], class_="totals"),
            el("p", el("a", "Download PDF", href=_pdf(invoice), id="pdf"), " ", links),
            class_="summary",
            aria_label="Invoice",
        ),
        payment,
        class_="checkout" if is_open else "narrow",
    )


def _pdf(invoice: Json) -> str:
    return f"{invoice['id']}/pdf"


def _when(invoice: Json) -> str:
    paid_at = invoice["status_transitions"]["paid_at"]
    return f" on {day(paid_at)}" if paid_at else f" · {day(invoice['effective_at'])}"


def _total(label: str, amount: str, id: str) -> Child:
    return [el("dt", label), el("dd", amount, id=id)]


def _totals(invoice: Json) -> list[tuple[str, str, str]]:
    """(label, amount, id) of what it adds up to."""
    discount = sum(one["amount"] for one in invoice["total_discount_amounts"])
    tax = sum(one["amount"] for one in invoice["total_taxes"])
    rows = [("Subtotal", invoice["subtotal"], "invoice-subtotal")]
    if discount:
        rows.append(("Discount", -discount, "invoice-discount"))
    if invoice["automatic_tax"]["enabled"] or tax:
        rows.append(("Tax (sandbox rate)", tax, "invoice-tax"))
    rows.append(("Total", invoice["total"], "invoice-total"))
    if invoice["amount_due"] != invoice["total"]:
        rows.append(("Applied balance", invoice["amount_due"] - invoice["total"], "balance"))
    rows.append(("Amount due", invoice["amount_remaining"], "invoice-due"))
    return [(label, display(amount, invoice["currency"]), id) for label, amount, id in rows]


def payment(saved: Json | None, typed: Mapping[str, str], errors: Mapping[str, str]) -> Markup:
    """The form that pays: by the saved card in one press, or by another one."""
    by_saved = None
    if saved is not None:
        label = f"Pay with {card_name(saved)}"
        button = el(
            "button", label, name="action", value="pay-saved", id="pay-saved", class_="main"
        )
        refused = errors if typed.get("action") == "pay-saved" else {}
        by_saved = el("form", button, error("card_number", refused), method="post")
    mine = {} if typed.get("action") == "pay-saved" else errors
    by_new = el(
        "form",
        el("h2", "Another card" if saved else "Pay by card"),
        card_fields(typed, mine),
        el("button", "Pay", name="action", value="pay", id="pay", class_="main"),
        el("p", "Test cards only. Nothing is charged.", class_="hint"),
        method="post",
        novalidate=True,
    )
    return el("div", by_saved, by_new, class_="payment")


def as_text(invoice: Json) -> list[str]:
    """The invoice in lines of a fixed width."""

    def row(label: str, amount: str) -> str:
        return f"{label[: WIDTH - 16]:<{WIDTH - 16}}{amount:>16}"

    currency = invoice["currency"]
    return [
        "SANDBOX - no real money moved",
        "",
        f"Invoice {invoice['number']}",
        f"{STATES[invoice['status']]}{_when(invoice)}",
        f"For {invoice['customer_name'] or ''} {invoice['customer_email'] or ''}".rstrip(),
        "",
        *(row(one["description"], display(one["amount"], currency)) for one in _lines(invoice)),
        "-" * WIDTH,
        *(row(label, amount) for label, amount, _ in _totals(invoice)),
    ]


def _lines(invoice: Json) -> list[Json]:
    lines: list[Json] = invoice["lines"]["data"]
    return lines
