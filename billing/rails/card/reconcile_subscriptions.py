"""Subscriptions at Stripe that have not ended against ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from billing.models import FAILING, Subscription, SubscriptionStatus
from billing.rails.card import customers, invoices, objects, reconcile_reading, subscriptions
from billing.rails.card.reconcile_reading import CHUNK, RAIL
from billing.services import subscriptions as our_subscriptions
from billing.services.rails import Finding, Repair, Tell
from billing.services.subscriptions import Standing
from common import clock
from common.errors import Conflict

# Before Stripe had subscriptions; idle years are read in a few long stretches.
BEGINNING = datetime(2011, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pair:
    """One subscription: theirs, ours under its name, and what theirs says in our terms."""

    name: str
    theirs: objects.Object | None
    ours: Subscription | None
    standing: Standing | None
    # Whether it runs beside an older one of the same customer, and neither was flagged.
    is_second: bool = False


def find(_since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
    """Name subscriptions that differ, all that live on either side: their state is of today."""
    for stretch in reconcile_reading.stretches(reconcile_reading.subscriptions, BEGINNING, until):
        listed = {one["id"]: one for one in stretch.objects}
        for pair in _pairs(listed):
            yield from _compared(pair)
        live = Subscription.objects.filter(rail=RAIL, started_at__gte=stretch.since)
        live = live.filter(started_at__lt=stretch.until).exclude(external_id="")
        unlisted = live.exclude(status=SubscriptionStatus.ENDED).exclude(external_id__in=listed)
        names = list(unlisted.order_by("pk").values_list("external_id", flat=True))
        for name in names:
            yield from _compared(_pair(name))
        tell(len(listed) + len(names))


def look(name: str) -> Iterator[Repair]:
    """What differs about one subscription now."""
    pair = _pair(name)
    for finding in _compared(pair):
        yield Repair(finding, _act(finding, pair))


def _pair(name: str) -> Pair:
    # Ours before theirs: who hears Stripe meanwhile is noticed.
    ours = Subscription.objects.filter(rail=RAIL, external_id=name).first()
    theirs = reconcile_reading.known(lambda: objects.subscription(name))
    standing = subscriptions.read(theirs) if theirs else None
    return Pair(name, theirs, ours, standing, bool(ours and ours.pk in _seconds([ours])))


def _pairs(listed: Mapping[str, objects.Object]) -> Iterator[Pair]:
    rows = Subscription.objects.filter(rail=RAIL)
    ours = reconcile_reading.by("external_id", rows, listed)
    seconds = _seconds(ours.values())
    for name, theirs in listed.items():
        mine = ours.get(name)
        is_second = mine is not None and mine.pk in seconds
        yield Pair(name, theirs, mine, subscriptions.read(theirs), is_second)


def _seconds(ours: Iterable[Subscription]) -> set[UUID]:
    """Live subscriptions of these customers that are not their oldest, and not flagged as such."""
    live = Subscription.objects.live(clock.now()).filter(is_duplicate=False)
    seconds: set[UUID] = set()
    for chunk in reconcile_reading.chunks({one.customer_id for one in ours}, CHUNK):
        first: set[UUID] = set()
        for customer_id, pk in live.filter(customer__in=chunk).values_list("customer_id", "pk"):
            if customer_id in first:
                seconds.add(pk)
            first.add(customer_id)
    return seconds


def _compared(pair: Pair) -> Iterator[Finding]:
    if pair.theirs is None:
        if pair.ours is not None and pair.ours.status != SubscriptionStatus.ENDED:
            yield _unknown(pair.ours)
    elif pair.standing is not None and pair.ours is None:
        if pair.standing.status != SubscriptionStatus.ENDED:
            yield _missing(pair, pair.standing)
    elif pair.standing is not None and pair.ours is not None:
        if pair.ours.status == SubscriptionStatus.ENDED or not pair.ours.renews:
            yield from _ended_here(pair.ours, pair.standing)
        else:
            yield from _differs(pair.ours, pair.standing, is_second=pair.is_second)


def _missing(pair: Pair, standing: Standing) -> Finding:
    customer = customers.known_as(objects.id_of((pair.theirs or {})["customer"]))
    remedy = "Book its newest invoice, which makes it, and take in how it stands."
    theirs = f"{standing.plan_slug} by the {standing.interval}, {standing.status}"
    twin = next(iter(our_subscriptions.live(customer)), None) if customer else None
    if twin is not None:
        return Finding(
            "subscription_duplicate", pair.name, "A second subscription of one customer.",
            ours=f"{twin.plan_slug} as {twin.external_id or twin.pk}", theirs=theirs,
            is_safe=True, remedy=f"{remedy} It is kept and flagged.",
            advice="The customer pays twice: ask which one they want, refund and cancel the other.",
        )  # fmt: skip
    return Finding(
        "subscription_missing", pair.name, "It runs at Stripe, and nobody told us.",
        theirs=theirs, is_safe=True, remedy=remedy,
    )  # fmt: skip


def _unknown(ours: Subscription) -> Finding:
    return Finding(
        "subscription_unknown", ours.external_id, "It runs here, and Stripe does not know it.",
        ours=f"{ours.plan_slug} by the {ours.interval}, {ours.status}",
        theirs="no such subscription", remedy="End it here, now.",
        advice="Look it up at Stripe first: another account, or test mode?",
    )  # fmt: skip


def _ended_here(ours: Subscription, standing: Standing) -> Iterator[Finding]:
    """Ended here first, or left to run out; until Stripe was told to stop, that is under way."""
    goes_on = standing.status != SubscriptionStatus.ENDED and standing.cancels_at is None
    if goes_on and ours.stop_requested_at is None:
        yield Finding(
            "subscription_state_differs", ours.external_id, "It ended here and goes on at Stripe.",
            ours="ended" if ours.ended_at else "runs out", theirs=standing.status,
            remedy="Tell Stripe to stop it.",
            advice="If the customer wants it, let them subscribe anew.",
        )  # fmt: skip


def _differs(ours: Subscription, standing: Standing, *, is_second: bool) -> Iterator[Finding]:
    """What differs first: its state, its plan or its time. One repair brings all of it over."""
    for wrong, mine, theirs in (
        ("state", _state(ours), _state_of(standing)),
        ("plan", _plan(ours), _plan_of(standing)),
        ("period", _period(ours), _period_of(standing)),
    ):
        if mine != theirs:
            yield Finding(
                f"subscription_{wrong}_differs", ours.external_id,
                f"Its {wrong} at Stripe is not what we think.", ours=mine, theirs=theirs,
                is_safe=True, remedy="Bring it to what Stripe says.",
            )  # fmt: skip
            return
    if is_second and standing.status != SubscriptionStatus.ENDED:
        yield Finding(
            "subscription_duplicate", ours.external_id, "A second subscription of one customer.",
            ours="not flagged", theirs=standing.status, is_safe=True, remedy="Flag it.",
            advice="The customer pays twice: ask which one they want, refund and cancel the other.",
        )  # fmt: skip


def _state(ours: Subscription) -> str:
    status = ours.status
    return _said(SubscriptionStatus(status), ours.cancels_at)


def _state_of(standing: Standing) -> str:
    return _said(standing.status, standing.cancels_at)


def _said(status: SubscriptionStatus, cancels_at: datetime | None) -> str:
    """In words; that we suspended one which is past due at Stripe is our own affair."""
    if status == SubscriptionStatus.ENDED:
        return "ended"
    name = "past due" if status in FAILING else status.value
    return f"{name}, ends {cancels_at:%Y-%m-%d %H:%M:%S}" if cancels_at else name


def _plan(ours: Subscription) -> str:
    return _planned(
        ours.plan_slug, ours.interval, ours.price_minor, ours.next_plan_slug, ours.next_interval
    )


def _plan_of(standing: Standing) -> str:
    return _planned(
        standing.plan_slug, standing.interval, standing.price_minor, standing.next_plan,
        standing.next_interval,
    )  # fmt: skip


def _planned(slug: str, interval: str, price_minor: int, next_slug: str, next_interval: str) -> str:
    then = f", then {next_slug} by the {next_interval}" if next_slug else ""
    return f"{slug} by the {interval} at {price_minor}{then}"


def _period(ours: Subscription) -> str:
    return _lasting(ours.period_starts_at, ours.period_ends_at)


def _period_of(standing: Standing) -> str:
    return _lasting(standing.period_starts_at, standing.period_ends_at)


def _lasting(starts_at: datetime, ends_at: datetime) -> str:
    return f"{starts_at:%Y-%m-%d %H:%M:%S} to {ends_at:%Y-%m-%d %H:%M:%S}"


def _act(finding: Finding, pair: Pair) -> Callable[[], object] | None:
    """What puts it right; whatever must be asked of Stripe is asked here, not in the act."""
    ours, standing = pair.ours, pair.standing
    if ours is not None and standing is None:
        subscription_id = ours.pk
        return lambda: our_subscriptions.end(
            our_subscriptions.lock(subscription_id), at=clock.now(), stop_rail=False
        )
    if pair.theirs is None or standing is None:
        return None
    if ours is None:
        return _taking_in(pair.theirs, standing)
    row = Subscription.objects.filter(pk=ours.pk)
    if finding.kind == "subscription_duplicate":
        return lambda: row.update(is_duplicate=True)
    if not finding.is_safe:
        return lambda: row.update(stop_requested_at=clock.now())
    heard = ours.heard
    return lambda: _record(standing, heard)


def _taking_in(theirs: objects.Object, standing: Standing) -> Callable[[], object]:
    newest = objects.id_of(theirs["latest_invoice"])
    settle = invoices.prepare(objects.invoice(newest), theirs) if newest else None

    def act() -> None:
        if settle is not None:
            settle()
        _record(standing, None)

    return act


def _record(standing: Standing, heard: int | None) -> None:
    if not our_subscriptions.record(standing, heard_before=heard):
        raise Conflict("It changed meanwhile. Try again.")
