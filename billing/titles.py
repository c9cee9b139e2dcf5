"""What products are called for a reader. What an order keeps of its name is in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import get_language, gettext, override

from billing import catalogue
from billing.models import Order
from billing.money import CREDIT, Money
from billing.plans import Interval, change_title, offer_title


def order_title(order: Order) -> str:
    """What was ordered, in the active language."""
    return product_title(order.product_kind, order.product_name, order.snapshot)


def product_title(kind: str, name: str, snapshot: Mapping[str, Any]) -> str:
    """What a product that was sold as ``name`` is called in the active language.

    Where nothing better is known, that name.
    """
    if get_language() == settings.LANGUAGE_CODE:
        return name
    if kind == "plan" and snapshot.get("interval") in Interval:
        title = offer_title(plan_name(snapshot["plan"]), Interval(snapshot["interval"]))
        return change_title(title) if "change" in snapshot else title
    if "credits_minor" in snapshot:
        amount = Money(snapshot["credits_minor"], CREDIT)
        with override(settings.LANGUAGE_CODE):
            is_its_amount = name == str(amount)
        if is_its_amount:
            return str(amount)
    return gettext(name) if name else ""


def product_of(kind: str, snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """What an invoice keeps to say in another language what it is for; see ``line_title``."""
    told = ("plan", "interval", "credits_minor")
    kept = {name: snapshot[name] for name in told if name in snapshot}
    if "change" in snapshot:
        kept["change"] = {}
    return {"kind": kind, **kept}


def line_title(line: Mapping[str, Any]) -> str:
    """What a line of an invoice is for, in the active language."""
    product = line.get("product")
    return product_title(product["kind"], line["name"], product) if product else str(line["name"])


def plan_name(slug: str) -> str:
    """The plan's name today, or its slug when it is not in the catalogue any more."""
    sold = catalogue.current()
    return sold.plan(slug).name if sold.has_plan(slug) else slug
