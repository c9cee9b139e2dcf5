"""What a customer may do now: the one question that everybody asks, whoever was paid and how.

Answers are kept in the cache for a while. Each carries the mark that stood for its customer when
it was begun; whoever changes something sets a new mark after commit, so that an answer which was
begun before the change and stored after it is never served.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.models import Prefetch, prefetch_related_objects

from accounts.models import Customer
from billing import catalogue
from billing.intervals import month_at
from billing.models import PLAN, Subscription, SubscriptionPeriod, SubscriptionStatus
from billing.plans import Plan
from common import clock

logger = logging.getLogger(__name__)

# For a customer: limit name → how much the source adds (None: unlimited).
Source = Callable[[Customer], dict[str, int | None]]

# Also how long an answer may be wrong if the cache missed a change, say because it was down.
KEPT_SECONDS = 60
# Marks outlive the answers that carry them.
MARK_KEPT_SECONDS = 3600
_SHAPE = 1

_SOURCES: dict[str, Source] = {}


@dataclass(frozen=True, slots=True)
class Entitlements:
    """The plan that counts, what it allows with all that was added, and until when that is true.

    A limit of None is unlimited. Limits per month count from ``month_starts_at`` until
    ``month_ends_at``, the month of the anchor. ``subscription_id`` is None on the free plan.
    """

    plan: Plan
    limits: Mapping[str, int | None]
    features: frozenset[str]
    subscription_id: uuid.UUID | None
    month_starts_at: datetime
    month_ends_at: datetime
    # The next moment at which time alone may change the answer.
    valid_until: datetime

    def allows(self, feature: str) -> bool:
        """Whether the plan has this feature."""
        return feature in self.features

    def limit(self, name: str) -> int | None:
        """How much of it there may be; None is unlimited, 0 what nobody gave."""
        return self.limits.get(name, 0)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is kept: whose subscription counts, and what was added. Plans are read fresh."""

    mark: str
    computed_at: datetime
    valid_until: datetime
    plan_slug: str
    subscription_id: uuid.UUID | None
    month: tuple[datetime, datetime]
    added: dict[str, int | None]
    shape: int = field(default=_SHAPE)


def register(name: str, source: Source) -> None:
    """Add a source under its name, replacing an earlier one of that name."""
    _SOURCES[name] = source


def sources() -> dict[str, Source]:
    """Every registered source by name."""
    return dict(_SOURCES)


def entitlements(customer: Customer) -> Entitlements:
    """What the customer may do now.

    One look into the cache, else one query (two with prepaid time). Inside a transaction the
    database is asked, for what the transaction itself has changed.
    """
    if connection.in_atomic_block:
        return _told(_compute(customer, ""))
    mark, known = _read(customer.pk)
    if known is None:
        known = _compute(customer, mark)
        seconds = (known.valid_until - clock.now()).total_seconds()
        cache.set(cache_key(customer.pk), known, timeout=max(1, min(KEPT_SECONDS, int(seconds))))
    return _told(known)


def cache_key(customer_id: uuid.UUID) -> str:
    """Where a customer's entitlements are kept for a while."""
    return f"entitlements:{customer_id}"


def mark_key(customer_id: uuid.UUID) -> str:
    """Where the mark is that answers must carry."""
    return f"entitlements:{customer_id}:mark"


def forget(customer_id: uuid.UUID) -> None:
    """Serve nothing that was begun before this moment."""
    cache.set(mark_key(customer_id), uuid.uuid4().hex, timeout=MARK_KEPT_SECONDS)
    cache.delete(cache_key(customer_id))


# -- the cache ------------------------------------------------------------------------------------


def _read(customer_id: uuid.UUID) -> tuple[str, _Known | None]:
    """Today's mark, and the answer that carries it while it is true."""
    try:
        found = cache.get_many([cache_key(customer_id), mark_key(customer_id)])
    except Exception:
        # Bytes that are no answer of ours can fail to be read in any way.
        logger.exception("unreadable entitlements", extra={"customer": str(customer_id)})
        forget(customer_id)
        found = {}
    mark = found.get(mark_key(customer_id))
    if not isinstance(mark, str):
        return _new_mark(customer_id), None
    known = found.get(cache_key(customer_id))
    return mark, known if _is_true(known, mark) else None


def _new_mark(customer_id: uuid.UUID) -> str:
    """Two who find no mark agree on the first one's."""
    mine = uuid.uuid4().hex
    if cache.add(mark_key(customer_id), mine, timeout=MARK_KEPT_SECONDS):
        return mine
    there = cache.get(mark_key(customer_id))
    if isinstance(there, str):
        return there
    cache.set(mark_key(customer_id), mine, timeout=MARK_KEPT_SECONDS)
    return mine


def _is_true(known: Any, mark: str) -> bool:
    return (
        isinstance(known, _Known)
        and known.shape == _SHAPE
        and known.mark == mark
        and known.computed_at <= clock.now() < known.valid_until
        and catalogue.current().has_plan(known.plan_slug)
    )


# -- the answer -----------------------------------------------------------------------------------


def _told(known: _Known) -> Entitlements:
    plan = catalogue.current().plan(known.plan_slug)
    return Entitlements(
        plan=plan,
        limits=_sum(plan.limits, known.added),
        features=frozenset(plan.features),
        subscription_id=known.subscription_id,
        month_starts_at=known.month[0],
        month_ends_at=known.month[1],
        valid_until=known.valid_until,
    )


def _sum(base: Mapping[str, int | None], added: Mapping[str, int | None]) -> dict[str, int | None]:
    """Amounts add up; what is unlimited stays so."""
    limits: dict[str, int | None] = {}
    for name in (*base, *added):
        have, more = base.get(name, 0), added.get(name, 0)
        limits[name] = None if have is None or more is None else have + more
    return limits


def _compute(customer: Customer, mark: str) -> _Known:
    now = clock.now()
    live = _live(customer, now)
    best = max((one for one in live if _gives_access(one, now)), key=_worth, default=None)
    plan_slug = best.plan_slug if best else catalogue.current().free_plan.slug
    anchor_at, zone = (best.anchor_at, best.zone) if best else (customer.anchor_at, customer.zone)
    month = month_at(anchor_at, now, zone)
    added: dict[str, int | None] = {}
    for source in _SOURCES.values():
        added = _sum(added, source(customer))
    changes = [at for one in live for at in _changes(one) if at > now]
    return _Known(
        mark=mark,
        computed_at=now,
        valid_until=min([month[1], *changes]),
        plan_slug=plan_slug,
        subscription_id=best.pk if best else None,
        month=month,
        added=added,
    )


def _live(customer: Customer, now: datetime) -> list[Subscription]:
    """Those that have not ended; prepaid ones with the time they have left."""
    rows = Subscription.objects.filter(customer=customer, subject=PLAN)
    live = list(rows.exclude(status=SubscriptionStatus.ENDED).order_by("pk"))
    left = SubscriptionPeriod.objects.filter(ends_at__gt=now)
    prefetch_related_objects([one for one in live if not one.renews], Prefetch("periods", left))
    return live


def _gives_access(subscription: Subscription, now: datetime) -> bool:
    """Also asks whether prepaid time has begun: a refund may have left a gap before it."""
    if not subscription.gives_access(now):
        return False
    if not catalogue.current().has_plan(subscription.plan_slug):
        return False
    return subscription.renews or any(
        period.starts_at <= now < period.ends_at for period in subscription.periods.all()
    )


def _worth(subscription: Subscription) -> tuple[int, datetime]:
    """The best plan counts, among equals the one that is paid longest."""
    return catalogue.current().plan(subscription.plan_slug).rank, subscription.period_ends_at


def _changes(subscription: Subscription) -> list[datetime]:
    """When time alone changes what a subscription gives, or its rail is about to."""
    moments = [subscription.period_ends_at, subscription.cancels_at, subscription.trial_ends_at]
    if subscription.past_due_since is not None:
        grace = timedelta(days=catalogue.current().dunning_grace_days)
        moments.append(subscription.past_due_since + grace)
    if not subscription.renews:
        for period in subscription.periods.all():
            moments += [period.starts_at, period.ends_at]
    return [at for at in moments if at is not None]
