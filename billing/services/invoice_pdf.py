"""A document as a PDF: made anew from its own row each time, the same each time.

Its words, dates and amounts are of the language that it was issued in.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import typst
from django.conf import settings
from django.utils import dateformat, translation
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from billing.models import Invoice, InvoiceKind
from billing.money import Money
from billing.titles import line_title
from common.errors import Conflict

TEMPLATE = Path(__file__).resolve().parents[1] / "documents" / "invoice.typ"
_SELLER_LINES = ("name", "address", "email", "tax_id")
_BUYER_LINES = ("name", "address", "email", "country", "tax_id")


def render(invoice: Invoice) -> bytes:
    """The PDF of an issued document. Raises Conflict for a draft, which has no number yet."""
    if invoice.issued_at is None:
        raise Conflict(_("This invoice is being written. Please try again in a moment."))
    with translation.override(invoice.language):
        return _compiled(_content(invoice, _facts(invoice)), invoice.issued_at)


def render_preview(
    invoice: Invoice, *, due_at: datetime | None, tax_note: str, at: datetime
) -> bytes:
    """A document that is not issued and never will be, marked so; ``tax_note``: tax is unknown."""
    with translation.override(invoice.language):
        facts = [(_("Written"), _day(at, _zone(invoice)))]
        if due_at is not None:
            facts.append((_("Due"), _day(due_at, _zone(invoice))))
        content = _content(invoice, facts) | {
            "name": _("PREVIEW, not an invoice"),
            "mark": _("PREVIEW"),
            "total": (_("Total before tax") if tax_note else _("Total"), str(invoice.total)),
            "notes": [tax_note] if tax_note else [],
        }
        if tax_note:
            content["sums"] = _sums(invoice)[:-1]
        return _compiled(content, at)


def _compiled(content: dict[str, Any], at: datetime) -> bytes:
    return typst.compile(
        TEMPLATE.read_bytes(),
        sys_inputs={"data": json.dumps(content)},
        font_paths=_fonts(settings.INVOICE_FONTS),
        timestamp=int(at.timestamp()),
    )


@lru_cache
def _fonts(folder: str) -> typst.Fonts:
    """Those that come with typst, and those of the folder; never what a machine happens to have."""
    return typst.Fonts(include_system_fonts=False, font_paths=[folder] if folder else [])


def _content(invoice: Invoice, facts: list[tuple[str, str]]) -> dict[str, Any]:
    zone = _zone(invoice)
    return {
        "language": invoice.language,
        "title": str(InvoiceKind(invoice.kind).label),
        "name": invoice.name,
        "mark": "",
        "seller": {
            "lines": [line for one in _SELLER_LINES for line in _lines_of(invoice.seller, one)],
            "footer": invoice.seller.get("name", ""),
        },
        "buyer": [line for one in _BUYER_LINES for line in _lines_of(invoice.buyer, one)],
        "labels": {
            "buyer": pgettext("a buyer", "For"),
            "item": _("Item"),
            "amount": _("Amount"),
        },
        "facts": facts,
        "lines": [_line(invoice, line, zone) for line in invoice.lines],
        "sums": _sums(invoice),
        "total": _total(invoice),
        "notes": _notes(invoice),
    }


def _zone(invoice: Invoice) -> ZoneInfo:
    return ZoneInfo(invoice.buyer.get("time_zone") or "UTC")


def _lines_of(details: dict[str, str], name: str) -> list[str]:
    return [line.strip() for line in details.get(name, "").splitlines() if line.strip()]


def _facts(invoice: Invoice) -> list[tuple[str, str]]:
    zone = _zone(invoice)
    facts = [(_("Issued"), _day(invoice.issued_at or invoice.created_at, zone))]
    if invoice.corrects is not None:
        return [*facts, (_("Corrects"), invoice.corrects.name)]
    return [*facts, (_("Paid"), _day(invoice.supplied_at, zone))]


def _line(invoice: Invoice, line: dict[str, Any], zone: ZoneInfo) -> dict[str, str]:
    time = ""
    if "from" in line:
        first, last = (_day(datetime.fromisoformat(line[name]), zone) for name in ("from", "until"))
        time = _("%(first)s to %(last)s") % {"first": first, "last": last}
    amount = Money(line["amount_minor"], invoice.unit)
    return {"name": line_title(line), "time": time, "amount": str(amount)}


def _sums(invoice: Invoice) -> list[tuple[str, str]]:
    sums = [(_("Subtotal"), str(invoice.subtotal))]
    if invoice.discount:
        sums.append((_("Discount"), str(-invoice.discount)))
    return [*sums, (_("Tax"), str(invoice.tax))]


def _total(invoice: Invoice) -> tuple[str, str]:
    labels = {
        InvoiceKind.INVOICE: _("Total, paid"),
        InvoiceKind.CREDIT_NOTE: _("Total given back"),
        InvoiceKind.REVERSAL: _("Total, not given back after all"),
    }
    return labels[InvoiceKind(invoice.kind)], str(invoice.total)


def _notes(invoice: Invoice) -> list[str]:
    notes = []
    if invoice.kind == InvoiceKind.REVERSAL and invoice.corrects is not None:
        notes.append(
            _("Credit note %(name)s is void: what it says was given back was not, after all.")
            % {"name": invoice.corrects.name}
        )
    note = invoice.seller.get("note", "")
    return [*notes, note] if note else notes


def _day(moment: datetime, zone: ZoneInfo) -> str:
    """The day where the buyer is, as the language writes it: 21 November 2026."""
    return dateformat.format(moment.astimezone(zone), "j E Y")
