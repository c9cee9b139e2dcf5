"""What products are called for a reader. What an order keeps of its name is in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import get_language, gettext

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
    translated = gettext(name) if name else ""
    if translated == name and "credits_minor" in snapshot:
        return str(Money(snapshot["credits_minor"], CREDIT))
    return translated


def plan_name(slug: str) -> str:
    """The plan's name today, or its slug when it is not in the catalogue any more."""
    sold = catalogue.current()
    return sold.plan(slug).name if sold.has_plan(slug) else slug
