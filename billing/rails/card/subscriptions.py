"""Stripe's subscriptions: what it billed is settled, then our row is brought to its state."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from billing.errors import RailUnavailable
from billing.models import SubscriptionPeriod, SubscriptionStatus
from billing.rails.card import invoices, objects, prices
from billing.services import subscriptions
from billing.services.subscriptions import Standing

logger = logging.getLogger(__name__)

ATTEMPTS = 5

# https://docs.stripe.com/api/subscriptions/object#subscription_object-status; incomplete ones
# have not begun.
STATUSES = {
    "trialing": SubscriptionStatus.TRIALING,
    "active": SubscriptionStatus.ACTIVE,
    "past_due": SubscriptionStatus.PAST_DUE,
    "unpaid": SubscriptionStatus.SUSPENDED,
    "paused": SubscriptionStatus.SUSPENDED,
    "canceled": SubscriptionStatus.ENDED,
    "incomplete_expired": SubscriptionStatus.ENDED,
}


def sync(subscription_id: str, *, invoice_id: str | None = None) -> None:
    """Settle the subscription's newest invoice, or the one named, and record how it stands.

    Two workers may do this at once; the one whose answer is older asks again.
    """
    for _ in range(ATTEMPTS):
        heard = subscriptions.heard(invoices.RAIL, subscription_id)
        found = objects.subscription(subscription_id)
        newest = objects.id_of(found["latest_invoice"])
        for one in dict.fromkeys(filter(None, (invoice_id, newest))):
            invoices.settle(objects.invoice(one), found)
        standing = read(found)
        if standing is None or subscriptions.record(standing, heard_before=heard):
            return
    raise RailUnavailable(gettext("This subscription is changing too quickly. Please try again."))


def catch_up(subscription_id: str) -> None:
    """Settle every paid invoice that never reached us, oldest first, and record how it stands."""
    known = SubscriptionPeriod.objects.filter(
        subscription__rail=invoices.RAIL, subscription__external_id=subscription_id
    )
    sources = set(known.values_list("source", flat=True))
    missed = [one for one in objects.paid_invoices_of(subscription_id) if one["id"] not in sources]
    for one in missed:
        sync(subscription_id, invoice_id=one["id"])
    if not missed:
        sync(subscription_id)


def sync_invoice(invoice: objects.Object) -> None:
    """Settle an invoice; with it its subscription, if it is for one."""
    subscription_id = invoices.subscription_id(invoice)
    if subscription_id is not None:
        sync(subscription_id, invoice_id=invoice["id"])
    else:
        invoices.settle(invoice, None)


def read(found: objects.Object) -> Standing | None:
    """How a subscription stands; None for one that has not begun or sells no plan of ours."""
    status = STATUSES.get(found["status"])
    item = item_of(found)
    price = prices.read(item["price"]["id"])
    if status is None or not price.plan_slug:
        logger.info("subscription left alone", extra={"subscription": found["id"]})
        return None
    later = _later_price(found)
    return Standing(
        rail=invoices.RAIL,
        external_id=found["id"],
        status=status,
        plan_slug=price.plan_slug,
        interval=price.interval,
        price_minor=price.amount_minor,
        anchor_at=objects.moment(found["billing_cycle_anchor"]),
        period_starts_at=objects.moment(item["current_period_start"]),
        period_ends_at=objects.moment(item["current_period_end"]),
        trial_ends_at=_moment(found["trial_end"]),
        cancels_at=_moment(found["cancel_at"] or _end_if_cancelled(found, item)),
        ended_at=_moment(found["ended_at"]),
        failing_since=_failing_since(found),
        next_plan=later.plan_slug if later else "",
        next_interval=later.interval if later else "",
    )


def item_of(found: objects.Object) -> dict[str, Any]:
    """The one thing a subscription of ours is to."""
    item: dict[str, Any] = found["items"]["data"][0]
    return item


def _end_if_cancelled(found: objects.Object, item: dict[str, Any]) -> int | None:
    return item["current_period_end"] if found["cancel_at_period_end"] else None


def _failing_since(found: objects.Object) -> datetime | None:
    """When the newest invoice was first charged for in vain."""
    invoice = found["latest_invoice"]
    if not isinstance(invoice, dict) or invoice["status"] != "open":
        return None
    return _moment(invoice["status_transitions"]["finalized_at"] or invoice["created"])


def _later_price(found: objects.Object) -> prices.PlanPrice | None:
    """What a schedule turns it into when the current phase is over."""
    schedule = found.get("schedule")
    if not isinstance(schedule, dict) or schedule["status"] not in ("active", "not_started"):
        return None
    now = (schedule["current_phase"] or {}).get("start_date", 0)
    later = [phase for phase in schedule["phases"] if phase["start_date"] > now]
    if not later:
        return None
    return prices.read(str(objects.id_of(later[0]["items"][0]["price"])))


def _moment(timestamp: int | None) -> datetime | None:
    return objects.moment(timestamp) if timestamp else None
