"""Disputes at Stripe against ours: how they stand, and what they moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.models import Dispute, DisputeState, Payment
from billing.rails.card import checkout, disputes, objects, reconcile_reading
from billing.rails.card.reconcile_reading import RAIL, money
from billing.services import disputes as our_disputes
from billing.services.disputes import Claim
from billing.services.rails import Finding, Repair, Tell

# Issuers decide within about 75 days; Stripe lists a dispute by when it was opened.
DISPUTES_LAST = timedelta(days=120)
NOT_THERE = "not known at Stripe"
LOOK_UP = "Look at its page at Stripe before anything is moved."


@dataclass(frozen=True, slots=True)
class Pair:
    """One dispute: theirs, ours under its name, and the payment it is about."""

    name: str
    theirs: objects.Object | None
    ours: Dispute | None
    payment: Payment | None

    @property
    def claim(self) -> Claim | None:
        """What Stripe says of it, in our terms."""
        return disputes.claim(self.theirs) if self.theirs else None


def find(since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
    """Name disputes that differ; those of the last months, as they are decided long after."""
    then = since - DISPUTES_LAST
    for stretch in reconcile_reading.stretches(reconcile_reading.disputes, then, until):
        listed = {one["id"]: one for one in stretch.objects}
        for pair in _pairs(listed):
            yield from _compared(pair)
        rows = Dispute.objects.filter(rail=RAIL, opened_at__gte=stretch.since)
        unlisted = rows.filter(opened_at__lt=stretch.until).exclude(external_id__in=listed)
        names = list(unlisted.order_by("pk").values_list("external_id", flat=True))
        for name in names:
            yield from _compared(_pair(name))
        tell(len(listed) + len(names))


def look(name: str) -> Iterator[Repair]:
    """What differs about one dispute now, its state first."""
    pair = _pair(name)
    for finding in _compared(pair):
        yield Repair(finding, _act(finding, pair))


def _pair(name: str) -> Pair:
    theirs = reconcile_reading.known(lambda: objects.dispute(name))
    if theirs is not None:
        return next(_pairs({name: theirs}))
    ours = Dispute.objects.select_related("payment").filter(rail=RAIL, external_id=name).first()
    return Pair(name, None, ours, ours.payment if ours else None)


def _pairs(listed: Mapping[str, objects.Object]) -> Iterator[Pair]:
    rows = Dispute.objects.filter(rail=RAIL).select_related("payment")
    ours = reconcile_reading.by("external_id", rows, listed)
    named = {objects.id_of(one.get("payment_intent")) for one in listed.values()}
    paid = reconcile_reading.by("external_id", Payment.objects.filter(rail=RAIL), named)
    for name, theirs in listed.items():
        payment = paid.get(objects.id_of(theirs.get("payment_intent")) or "")
        yield Pair(name, theirs, ours.get(name), payment)


def _compared(pair: Pair) -> Iterator[Finding]:
    claim = pair.claim
    if claim is None:
        if pair.ours is not None and _moved_something(pair.ours):
            yield _unknown(pair.ours)
    elif pair.ours is None:
        yield _missing(pair, claim)
    else:
        yield from _state(pair.ours, claim)
        yield from _amount(pair.ours, claim)


def _moved_something(ours: Dispute) -> bool:
    moved = ours.withdrawn_minor or ours.reinstated_minor or ours.fee_minor
    return bool(moved) or ours.is_frozen or ours.state != DisputeState.WON


def _missing(pair: Pair, claim: Claim) -> Finding:
    theirs = _text(pair, claim)
    if pair.payment is None and _session(pair) is None:
        return Finding(
            "dispute_missing", pair.name, "A dispute of a payment that our books do not have.",
            theirs=theirs, advice="Take in its payment first.",
        )  # fmt: skip
    remedy = "Take it in: freeze what it is about and book what Stripe took."
    twin = pair.payment.disputes.order_by("pk").first() if pair.payment else None
    if twin is not None:
        return Finding(
            "dispute_duplicate", pair.name, "Another dispute of a payment that has one already.",
            ours=f"{twin.external_id}, {twin.get_state_display()}", theirs=theirs, is_safe=True,
            remedy=remedy,
        )  # fmt: skip
    return Finding(
        "dispute_missing", pair.name, "Disputed at Stripe, and nobody told us.", theirs=theirs,
        is_safe=True, remedy=remedy,
    )  # fmt: skip


def _unknown(ours: Dispute) -> Finding:
    return Finding(
        "dispute_unknown", ours.external_id, "Our books have a dispute that Stripe does not know.",
        ours=f"{ours.amount}, {ours.provider_status}", theirs="no such dispute",
        remedy="Close it as won: all that it froze and moved is given back.",
        advice="Look it up at Stripe first: another account, or test mode?",
    )  # fmt: skip


def _state(ours: Dispute, claim: Claim) -> Iterator[Finding]:
    if ours.provider_status == claim.provider_status:
        return
    forward = not our_disputes.is_outdated(ours, claim)
    yield Finding(
        "dispute_state_differs", ours.external_id, "The dispute stands otherwise than we think.",
        ours=ours.provider_status, theirs=claim.provider_status, is_safe=forward,
        remedy="Bring it to where Stripe says it stands, with all that moved.",
        advice="" if forward else f"Our books were ahead of Stripe's. {LOOK_UP}",
    )  # fmt: skip


def _amount(ours: Dispute, claim: Claim) -> Iterator[Finding]:
    if ours.provider_status != claim.provider_status:
        return  # its state comes first; what is left after that is named next time
    unit = ours.payment.unit
    known = (ours.withdrawn_minor, ours.reinstated_minor, ours.fee_minor)
    told = (claim.withdrawn_minor, claim.reinstated_minor, claim.fee_minor)
    if known == told and ours.amount_minor == claim.amount_minor:
        return
    safe = ours.amount_minor == claim.amount_minor and not our_disputes.is_outdated(ours, claim)
    yield Finding(
        "dispute_amount_differs", ours.external_id, "Stripe moved another amount than we booked.",
        ours=_amounts(ours.amount_minor, known, unit.code),
        theirs=_amounts(claim.amount_minor, told, unit.code), is_safe=safe,
        remedy="Book what moved since." if safe else "Undo it and book it as Stripe says.",
        advice="" if safe else LOOK_UP,
    )  # fmt: skip


def _amounts(amount_minor: int, moved: tuple[int, int, int], code: str) -> str:
    withdrawn, reinstated, fee = (money(one, code) for one in moved)
    wanted = money(amount_minor, code)
    return f"{wanted} wanted, {withdrawn} taken, {reinstated} given back, fee {fee}"


def _text(pair: Pair, claim: Claim) -> str:
    currency = (pair.theirs or {})["currency"]
    return f"{money(claim.amount_minor, currency)}, {claim.provider_status}"


def _session(pair: Pair) -> objects.Object | None:
    intent_id = objects.id_of((pair.theirs or {}).get("payment_intent"))
    return objects.session_of_payment(intent_id) if intent_id else None


def _act(finding: Finding, pair: Pair) -> Callable[[], object] | None:
    """What puts it right; whatever must be asked of Stripe is asked here, not in the act."""
    if not finding.remedy:
        return None
    claim = pair.claim
    if claim is None and pair.ours is not None:
        nothing = _given_up(pair.ours)
        payment_id = pair.ours.payment_id
        return lambda: our_disputes.correct(payment_id, nothing)
    if claim is None or pair.theirs is None:
        return None
    if pair.ours is not None and not finding.is_safe:
        payment_id, known = pair.ours.payment_id, claim
        return lambda: our_disputes.correct(payment_id, known)
    session = _session(pair) if pair.payment is None else None
    return lambda: _take_in(pair.theirs or {}, session)


def _take_in(theirs: objects.Object, session: objects.Object | None) -> None:
    if session is not None:
        checkout.settle(session)
    disputes.sync(theirs)


def _given_up(ours: Dispute) -> Claim:
    """A claim under which our row holds and moved nothing."""
    return Claim(
        external_id=ours.external_id,
        state=DisputeState.WON,
        provider_status=NOT_THERE,
        reason=ours.reason,
        amount_minor=ours.amount_minor,
        withdrawn_minor=0,
        reinstated_minor=0,
        fee_minor=0,
        opened_at=ours.opened_at,
        evidence_due_at=None,
    )
