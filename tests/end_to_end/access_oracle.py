"""Who should have access, told from the sandbox's books alone.

It says yes or no only where the books leave no doubt: not where a part of a payment was given
back, for example, which ends a subscription or not depending on what was earned by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import stripe

from billing import catalogue
from billing.models import Subscription
from billing.selectors import entitlements
from common import clock

GONE = ("canceled", "incomplete", "incomplete_expired", "unpaid")
CLAIMED = ("needs_response", "under_review", "lost")
WON_OR_ASKED = ("won", "warning_needs_response", "warning_under_review", "warning_closed")

Books = dict[str, Any]


def mistakes(books: Books) -> Iterator[str]:
    """A line for each subscription whose access is not what the sandbox's books imply."""
    for theirs in books["subscriptions"]:
        expected = expected_access(theirs, books)
        ours = Subscription.objects.filter(external_id=theirs["id"]).first()
        has = ours is not None and ours.gives_access(clock.now())
        if expected is not None and has != expected:
            yield f"access by {theirs['id']}: expected {expected}, is {ours and vars(ours)}"
        if expected and ours is not None:
            yield from _limits_of(ours)


def expected_access(theirs: dict[str, Any], books: Books) -> bool | None:
    """Whether a subscription gives access now; None where the books alone do not say."""
    claims = list(_claims(theirs, books))
    if not claims:
        if theirs["status"] in GONE:
            return False
        if theirs["status"] in ("active", "trialing"):
            return True
        return clock.now() < _failing_since(theirs) + _grace()
    if claims == ["whole payment of the running time"]:
        return False
    return None


def _claims(theirs: dict[str, Any], books: Books) -> Iterator[str]:
    """What banks, staff and the provider took or may take of a subscription's payments."""
    charges = {one["payment_intent"]: one for one in books["charges"]}
    invoices = [one for one in books["invoices"] if one["subscription"] == theirs["id"]]
    paid = [one for one in invoices if one["status"] == "paid"]
    for invoice in paid:
        charge = charges.get(invoice["payment_intent"])
        if charge is None:
            continue
        refunded = any(one["charge"] == charge["id"] for one in books["refunds"])
        disputes = [one for one in books["disputes"] if one["charge"] == charge["id"]]
        is_only = len(disputes) == 1 and not refunded
        if refunded or any(one["status"] == "won" for one in disputes):
            yield "part of a payment"
        elif any(one["status"] in CLAIMED for one in disputes):
            runs = invoice is paid[-1] and _covers_now(invoice) and len(invoice["lines"]) == 1
            is_whole = is_only and disputes[0]["amount"] == charge["amount"]
            whole = is_whole and runs and invoice["subtotal"] > 0
            yield "whole payment of the running time" if whole else "claimed payment"


def _covers_now(invoice: dict[str, Any]) -> bool:
    now = clock.now().timestamp()
    line = invoice["lines"][0]["period"]
    return bool(line["start"] <= now < line["end"])


def _failing_since(theirs: dict[str, Any]) -> datetime:
    """When the newest invoice was finalised, and charged in vain."""
    newest = stripe.Subscription.retrieve(theirs["id"], expand=["latest_invoice"]).latest_invoice
    assert isinstance(newest, stripe.Invoice)
    moment = newest.status_transitions.finalized_at
    assert moment is not None
    return datetime.fromtimestamp(moment, UTC)


def _grace() -> timedelta:
    return timedelta(days=catalogue.current().dunning_grace_days)


def _limits_of(ours: Subscription) -> Iterator[str]:
    """With access a customer has at least what the plan gives."""
    told = entitlements(ours.customer)
    plan = catalogue.current().plan(ours.plan_slug)
    for name, limit in plan.limits.items():
        has = told.limits[name]
        if has is not None and (limit is None or has < limit):
            yield f"{name} of {ours.external_id}: {plan.slug} gives {limit}, they have {has}"
