"""Steps of the clock that people think in: a day, a month, to the next renewal."""

from __future__ import annotations

from sandbox.stripe import periods, subscription_docs
from sandbox.stripe.context import Context

SECONDS = {"hour": 3600, "day": periods.DAY_SECONDS, "week": 7 * periods.DAY_SECONDS}
MONTHS = {"month": 1, "year": 12}
STEPS = (*SECONDS, *MONTHS, "renewal")


def target(context: Context, step: str) -> int | None:
    """When a step from now ends; None for a renewal when nothing renews."""
    if step in SECONDS:
        return context.now + SECONDS[step]
    if step in MONTHS:
        return periods.later(context.now, months=MONTHS[step])
    return _renewal(context)


def _renewal(context: Context) -> int | None:
    """When the next renewal has been invoiced and charged: a while after the period's end."""
    moments = [
        subscription_docs.period_of(one)[1]
        for one in context.tx.find(subscription_docs.KIND)
        if one["status"] in ("active", "trialing", "past_due") and one["cancel_at"] is None
    ]
    if not moments:
        return None
    return max(min(moments), context.now) + int(context.setting("invoice_finalize_seconds")) + 1
