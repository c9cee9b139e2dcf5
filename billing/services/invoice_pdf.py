"""An issued invoice as a PDF: made anew from its own row each time, the same each time."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import typst

from billing.models import Invoice, InvoiceKind
from billing.money import Money
from common.errors import Conflict

TEMPLATE = Path(__file__).resolve().parents[1] / "documents" / "invoice.typ"
_SELLER_LINES = ("name", "address", "email", "tax_id")


def render(invoice: Invoice) -> bytes:
    """The PDF of an issued invoice. Raises Conflict for a draft, which has no number yet."""
    if invoice.issued_at is None:
        raise Conflict("This invoice is being written. Please try again in a moment.")
    return typst.compile(
        TEMPLATE.read_bytes(),
        sys_inputs={"data": json.dumps(_content(invoice))},
        ignore_system_fonts=True,
        timestamp=int(invoice.issued_at.timestamp()),
    )


def _content(invoice: Invoice) -> dict[str, Any]:
    zone = ZoneInfo(invoice.buyer.get("time_zone") or "UTC")
    return {
        "title": str(InvoiceKind(invoice.kind).label),
        "name": invoice.name,
        "seller": {
            "lines": [line for one in _SELLER_LINES for line in _lines_of(invoice.seller, one)],
            "footer": invoice.seller.get("name", ""),
        },
        "buyer": _buyer(invoice),
        "labels": {"buyer": "For", "item": "Item", "amount": "Amount"},
        "facts": _facts(invoice, zone),
        "lines": [_line(invoice, line, zone) for line in invoice.lines],
        "sums": _sums(invoice),
        "total": _total(invoice),
        "notes": _notes(invoice),
    }


def _lines_of(details: dict[str, str], name: str) -> list[str]:
    return [line.strip() for line in details.get(name, "").splitlines() if line.strip()]


def _buyer(invoice: Invoice) -> list[str]:
    names = ("name", "address", "email", "country", "tax_id")
    return [line for name in names for line in _lines_of(invoice.buyer, name)]


def _facts(invoice: Invoice, zone: ZoneInfo) -> list[tuple[str, str]]:
    issued_at = invoice.issued_at or invoice.created_at
    facts = [("Issued", _day(issued_at, zone))]
    if invoice.corrects is not None:
        return [*facts, ("Corrects", invoice.corrects.name)]
    return [*facts, ("Paid", _day(invoice.supplied_at, zone))]


def _line(invoice: Invoice, line: dict[str, Any], zone: ZoneInfo) -> dict[str, str]:
    time = ""
    if "from" in line:
        days = (_day(datetime.fromisoformat(line[name]), zone) for name in ("from", "until"))
        time = " to ".join(days)
    amount = Money(line["amount_minor"], invoice.unit)
    return {"name": line["name"], "time": time, "amount": str(amount)}


def _sums(invoice: Invoice) -> list[tuple[str, str]]:
    sums = [("Subtotal", str(invoice.subtotal))]
    if invoice.discount:
        sums.append(("Discount", str(-invoice.discount)))
    return [*sums, ("Tax", str(invoice.tax))]


def _total(invoice: Invoice) -> tuple[str, str]:
    is_invoice = invoice.kind == InvoiceKind.INVOICE
    return ("Total, paid" if is_invoice else "Total given back", str(invoice.total))


def _notes(invoice: Invoice) -> list[str]:
    note = invoice.seller.get("note", "")
    return [note] if note else []


def _day(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%d %B %Y}".lstrip("0")
