"""Changing, cancelling and ending subscriptions at Stripe. Every act may be repeated."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import stripe
from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from billing.errors import PaymentDeclined, RailUnavailable
from billing.models import Order, Subscription
from billing.money import Asset, Money, asset
from billing.plans import Offer, rest_title, unused_title
from billing.rails.card import catalogue_sync, objects, subscriptions
from billing.rails.card.client import reachable
from billing.selectors import plan_name
from billing.services.renewing import ChangeCost


def cost(subscription: Subscription, offer: Offer, at: datetime) -> ChangeCost:
    """What Stripe would charge for the change, previewed to the cent as of ``at``."""
    found = objects.subscription(subscription.external_id)
    if found["status"] == "trialing":
        # Nothing is charged before the trial is over; a preview would show what comes then.
        nothing = Money(0, offer.price.asset)
        return ChangeCost((), nothing, nothing, nothing, objects.moment(found["trial_end"]))
    price_id = _price_of(offer)
    with reachable():
        preview = stripe.Invoice.create_preview(
            subscription=subscription.external_id,
            subscription_details={
                "items": [{"id": subscriptions.item_of(found)["id"], "price": price_id}],
                "proration_behavior": "always_invoice",
                "proration_date": int(at.timestamp()),
            },
        ).to_dict()
    unit = asset(preview["currency"].upper())
    lines = preview["lines"]["data"]
    return ChangeCost(
        parts=[*_parts(lines, unit, subscription, offer), *_discount(preview, unit)],
        subtotal=Money(preview["subtotal"], unit),
        tax=Money(sum(one["amount"] for one in preview["total_taxes"] or []), unit),
        total=Money(preview["total"], unit),
        next_at=objects.moment(max(one["period"]["end"] for one in lines)),
    )


def change_now(subscription: Subscription, offer: Offer, at: datetime, order: Order | None) -> None:
    """Swap the price and charge at once, or change nothing. Raises PaymentDeclined."""
    found = objects.subscription(subscription.external_id)
    item = subscriptions.item_of(found)
    price_id = _price_of(offer)
    if item["price"]["id"] == price_id:  # an earlier attempt went through
        return
    _release(found)
    moment = int(at.timestamp())
    key = order.provider_key if order else f"change:{subscription.pk}:{price_id}:{moment}"
    try:
        with reachable():
            stripe.Subscription.modify(
                subscription.external_id,
                items=[{"id": item["id"], "price": price_id}],
                proration_behavior="always_invoice",
                proration_date=moment,
                payment_behavior="error_if_incomplete",
                idempotency_key=key,
            )
    except stripe.CardError as error:
        # The provider speaks English only.
        in_english = get_language() == settings.LANGUAGE_CODE
        reason = (error.user_message if in_english else "") or _("The card was declined.")
        told = _("%(reason)s Nothing was changed or charged.") % {"reason": reason}
        raise PaymentDeclined(told) from error
    except RailUnavailable as error:
        if error.key_spent and order is not None:
            order.spent_keys += 1
            order.save(update_fields=["spent_keys"])
        raise


def change_at_period_end(subscription: Subscription, offer: Offer) -> None:
    """Two phases: what it is until the period ends, then the other plan; then it goes on."""
    found = objects.subscription(subscription.external_id)
    price_id = _price_of(offer)
    with reachable():
        if found["cancel_at_period_end"]:
            stripe.Subscription.modify(subscription.external_id, cancel_at_period_end=False)
        schedule = found["schedule"]
        if not isinstance(schedule, dict):
            schedule = stripe.SubscriptionSchedule.create(
                from_subscription=subscription.external_id
            ).to_dict()
        stripe.SubscriptionSchedule.modify(
            schedule["id"],
            end_behavior="release",
            proration_behavior="none",
            phases=_phases(found, schedule, price_id, offer),
        )


def _phases(
    found: objects.Object, schedule: dict[str, Any], price_id: str, offer: Offer
) -> list[Any]:
    """What it is until its period ends, then the other plan. What is not said is taken away."""
    item = subscriptions.item_of(found)
    kept: dict[str, Any] = {"proration_behavior": "none"}
    if found["discounts"]:
        kept["discounts"] = [{"discount": objects.id_of(one)} for one in found["discounts"]]
    trial = {"trial_end": found["trial_end"]} if found["status"] == "trialing" else {}
    now = {
        "items": [{"price": item["price"]["id"], "quantity": 1}],
        # The phase that runs; those before it are over and may not be sent again.
        "start_date": (schedule["current_phase"] or schedule["phases"][0])["start_date"],
        "end_date": item["current_period_end"],
        **kept,
        **trial,
    }
    later = {
        "items": [{"price": price_id, "quantity": 1}],
        "duration": {"interval": str(offer.interval), "interval_count": 1},
        **kept,
    }
    return [now, later]


def keep_plan(subscription: Subscription) -> None:
    """Let go of a scheduled change."""
    _release(objects.subscription(subscription.external_id))


def set_cancel(subscription: Subscription, *, at_period_end: bool) -> None:
    """End it with the current period, or not; a scheduled change is let go of first."""
    found = objects.subscription(subscription.external_id)
    if found["status"] == "canceled":
        return
    _release(found)
    # Either ends it at the end of the period; Stripe keeps only one of them.
    wish: dict[str, Any] = {"cancel_at_period_end": at_period_end}
    if not at_period_end and found["cancel_at"] and not found["cancel_at_period_end"]:
        wish = {"cancel_at": ""}
    with reachable():
        stripe.Subscription.modify(subscription.external_id, **wish)


def stop(subscription: Subscription) -> None:
    """Cancel it at once; one that is cancelled already stays so."""
    found = objects.subscription(subscription.external_id)
    if found["status"] in ("canceled", "incomplete_expired"):
        return
    _release(found)
    with reachable():
        stripe.Subscription.cancel(subscription.external_id)


def _release(found: objects.Object) -> None:
    schedule = found["schedule"]
    if isinstance(schedule, dict) and schedule["status"] in ("active", "not_started"):
        with reachable():
            stripe.SubscriptionSchedule.release(schedule["id"])


def _price_of(offer: Offer) -> str:
    product_id = catalogue_sync.ensure_product("plan", offer.plan.slug, offer.plan.name)
    return catalogue_sync.ensure_price(product_id, offer.interval, offer.price)


def _parts(
    lines: list[dict[str, Any]], unit: Asset, subscription: Subscription, offer: Offer
) -> list[tuple[str, Money]]:
    """The provider's lines in its own words; it has English ones only."""
    if get_language() == settings.LANGUAGE_CODE:
        return [(one["description"] or "", Money(one["amount"], unit)) for one in lines]
    given_back = unused_title(plan_name(subscription.plan_slug))
    return [
        (
            given_back if one["amount"] < 0 else rest_title(offer.plan.name),
            Money(one["amount"], unit),
        )
        for one in lines
    ]


def _discount(invoice: dict[str, Any], unit: Asset) -> list[tuple[str, Money]]:
    total = sum(one["amount"] for one in invoice["total_discount_amounts"] or [])
    return [(_("Discount"), Money(-total, unit))] if total else []
