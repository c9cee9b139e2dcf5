"""What is sold of a plan, and what an order keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from billing import catalogue
from billing.models import Order, Subscription
from billing.money import Asset, Money
from billing.plans import Interval, Offer, change_title
from billing.services.charges import Term
from billing.services.products import Sold
from common.errors import InvalidInput

KIND = "plan"


def find(slug: str, interval: str, assets: Sequence[Asset]) -> Offer:
    """The plan at its price in one of the assets a rail takes. Raises InvalidInput."""
    plan = catalogue.current().plan(slug)
    if plan.is_free:
        raise InvalidInput(
            _("The free plan is not bought: everybody has it."),
            code="not_sold_that_way",
            fields={"plan": [_("Cancel the subscription to go back to the free plan.")]},
        )
    refusal: InvalidInput | None = None
    for unit in assets:
        try:
            return catalogue.current().offer(slug, interval, unit)
        except InvalidInput as error:
            refusal = error
    raise refusal or InvalidInput(_("This plan is not sold that way."), code="not_sold_that_way")


def sold(offer: Offer, *, renews: bool, trial_days: int = 0) -> Sold:
    """What an order keeps of an offer. A rail that renews reads ``recurring`` and no more."""
    snapshot: dict[str, Any] = {
        "plan": offer.plan.slug,
        "interval": str(offer.interval),
        "included_credits_minor": offer.plan.included_credits_minor,
    }
    if renews:
        snapshot["recurring"] = {"interval": str(offer.interval), "trial_days": trial_days}
    return Sold(KIND, offer.plan.slug, offer.name, offer.price, snapshot)


def sold_for_change(offer: Offer, subscription: Subscription, *, due: Money, at: datetime) -> Sold:
    """What an order keeps of the rest of a period at a better plan."""
    item = sold(offer, renews=False)
    item.snapshot["change"] = {
        "subscription": str(subscription.pk),
        "at": at.isoformat(),
        "from": subscription.plan_slug,
        "until": subscription.period_ends_at.isoformat(),
    }
    item.snapshot["price_minor"] = offer.price.amount_minor
    with translation.override(settings.LANGUAGE_CODE):
        name = change_title(offer.title)
    return Sold(KIND, item.slug, name, due, item.snapshot)


def sold_by_rail(term: Term, subtotal: Money) -> Sold:
    """What an order keeps of a stretch that a rail billed by itself. Raises InvalidInput."""
    plan = catalogue.current().plan(term.plan_slug)
    item = sold(Offer(plan, Interval(term.interval), subtotal), renews=True)
    return Sold(KIND, item.slug, item.name, subtotal, item.snapshot)


def keep_term(order: Order, term: Term) -> None:
    """Write down on an order which stretch it pays; delivery reads it, years later too."""
    order.snapshot["term"] = {
        "subscription": term.subscription_id,
        "invoice": term.invoice_id,
        "reason": str(term.reason),
        "price_minor": term.price_minor,
        "starts_at": term.starts_at.isoformat(),
        "ends_at": term.ends_at.isoformat(),
        "anchor_at": term.anchor_at.isoformat(),
        "is_trial": term.is_trial,
    }
    order.save(update_fields=["snapshot"])
