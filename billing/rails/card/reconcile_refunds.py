"""Refunds at Stripe against our refunds, whoever made them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from billing.models import Payment, Refund, RefundState
from billing.rails.card import checkout, objects, reconcile_reading, refunds
from billing.rails.card.reconcile_reading import RAIL, money
from billing.services import corrections
from billing.services import refunds as our_refunds
from billing.services.rails import Finding, RefundAnswer, Repair, Tell

_COURSE = (RefundState.REQUESTED, RefundState.SENT, RefundState.SUCCEEDED, RefundState.FAILED)
NOT_THERE = "Stripe does not know this refund"


@dataclass(frozen=True, slots=True)
class Pair:
    """One refund: theirs, ours under its name, and the row that its metadata claims."""

    name: str
    theirs: objects.Object | None
    ours: Refund | None
    claimed: Refund | None
    payment: Payment | None
    corrected_minor: int

    @property
    def counts_minor(self) -> int:
        """What our books have let go for it; nothing for one that failed."""
        failed = self.ours is None or self.ours.state == RefundState.FAILED
        return (0 if failed or self.ours is None else self.ours.amount_minor) + self.corrected_minor

    @property
    def their_state(self) -> RefundState:
        """How it stands at Stripe, in our word."""
        return refunds.STATES[self.theirs["status"]] if self.theirs else RefundState.FAILED


def find(since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
    """Name refunds that differ: Stripe's first, oldest first, then ours that it did not list."""
    for stretch in reconcile_reading.stretches(reconcile_reading.refunds, since, until):
        listed = {one["id"]: one for one in stretch.objects}
        for pair in _pairs(listed):
            yield from _compared(pair)
        unlisted = [row for row in _then(stretch) if row.external_id not in listed]
        for row in unlisted:
            yield from _compared(_pair(str(row.external_id)))
        tell(len(listed) + len(unlisted))


def look(name: str) -> Iterator[Repair]:
    """What differs about one refund now, its state first."""
    pair = _pair(name)
    for finding in _compared(pair):
        yield Repair(finding, _act(finding, pair))


def _then(stretch: reconcile_reading.Stretch) -> QuerySet[Refund]:
    """Our refunds of that time that Stripe should have; those that failed moved nothing."""
    named = Refund.objects.filter(payment__rail=RAIL, external_id__isnull=False)
    dated = named.annotate(sent_at=Coalesce("first_tried_at", "booked_at", "created_at"))
    return dated.filter(sent_at__gte=stretch.since, sent_at__lt=stretch.until).exclude(
        state=RefundState.FAILED
    )


def _pair(name: str) -> Pair:
    theirs = reconcile_reading.known(lambda: objects.refund(name))
    if theirs is not None:
        return next(_pairs({name: theirs}))
    ours = Refund.objects.filter(payment__rail=RAIL, external_id=name).first()
    corrected = corrections.totals(RAIL, [name])
    return Pair(name, None, ours, None, None, corrected[name])


def _pairs(listed: Mapping[str, objects.Object]) -> Iterator[Pair]:
    rows = Refund.objects.filter(payment__rail=RAIL).select_related("payment")
    ours = reconcile_reading.by("external_id", rows, listed)
    claimed = reconcile_reading.by("pk", rows, _claims(listed.values()))
    named = {_intent(one) for one in listed.values()}
    paid = reconcile_reading.by("external_id", Payment.objects.filter(rail=RAIL), named)
    corrected = corrections.totals(RAIL, listed)
    for name, theirs in listed.items():
        payment = paid.get(_intent(theirs) or "")
        claim = claimed.get(_claim(theirs) or "")
        # Anybody may write into metadata: it must be of that payment.
        is_ours = claim is not None and payment is not None and claim.payment_id == payment.pk
        yield Pair(
            name, theirs, ours.get(name), claim if is_ours else None, payment, corrected[name]
        )


def _intent(refund: objects.Object) -> str | None:
    """The payment it is of; charges that have no PaymentIntent go by their own name."""
    return objects.id_of(refund.get("payment_intent") or refund.get("charge"))


def _claims(listed: Iterable[objects.Object]) -> Iterator[str | None]:
    return (_claim(one) for one in listed)


def _claim(refund: objects.Object) -> str | None:
    """The row of ours that its metadata names."""
    try:
        return str(UUID(str((refund.get("metadata") or {}).get("refund_id"))))
    except ValueError:
        return None


def _compared(pair: Pair) -> Iterator[Finding]:
    if pair.theirs is None:
        if pair.ours is not None and pair.counts_minor:
            yield _unknown(pair.ours)
    elif pair.ours is not None:
        yield from _state(pair, pair.ours)
        yield from _amount(pair)
    elif pair.their_state != RefundState.FAILED:  # one that failed unheard has moved nothing
        yield _missing(pair)


def _missing(pair: Pair) -> Finding:
    theirs = _text(pair)
    claimed = pair.claimed
    if claimed is not None and claimed.external_id is None:
        return Finding(
            "refund_state_differs", pair.name, "Stripe made our refund, and its answer was lost.",
            ours=claimed.get_state_display(), theirs=theirs, is_safe=True,
            remedy="Take Stripe's word for it.",
        )  # fmt: skip
    if claimed is not None:
        return Finding(
            "refund_duplicate", pair.name, "Stripe made one refund of ours twice.",
            ours=f"{claimed.amount} as {claimed.external_id}", theirs=theirs, is_safe=True,
            remedy="Take it in as a refund of its own: the money has left.",
            advice="The customer got it twice. Ask them, or take back what it paid for.",
        )  # fmt: skip
    if pair.payment is None and not _has_session(pair):
        return Finding(
            "refund_missing", pair.name, "A refund of a payment that our books do not have.",
            theirs=theirs, advice=f"Take in its payment {_intent(pair.theirs or {})} first.",
        )  # fmt: skip
    return Finding(
        "refund_missing", pair.name, "Refunded at Stripe, and nobody told us.", theirs=theirs,
        is_safe=True, remedy="Take it in and take back what it paid for.",
    )  # fmt: skip


def _has_session(pair: Pair) -> bool:
    return _session(pair) is not None


def _session(pair: Pair) -> objects.Object | None:
    intent_id = _intent(pair.theirs or {}) or ""
    return objects.session_of_payment(intent_id) if intent_id.startswith("pi_") else None


def _unknown(ours: Refund) -> Finding:
    return Finding(
        "refund_unknown", str(ours.external_id), "We booked a refund that Stripe did not make.",
        ours=f"{ours.amount}, {ours.get_state_display()}", theirs="no such refund",
        remedy="Record it as failed: the money and what it took back are the customer's again.",
        advice="Look it up at Stripe first: another account, or test mode?",
    )  # fmt: skip


def _state(pair: Pair, ours: Refund) -> Iterator[Finding]:
    if ours.state == pair.their_state:
        return
    forward = _COURSE.index(pair.their_state) > _COURSE.index(RefundState(ours.state))
    waits = pair.their_state == RefundState.SENT
    yield Finding(
        "refund_state_differs", pair.name, "The refund ended otherwise than we think.",
        ours=ours.get_state_display(), theirs=_text(pair), is_safe=forward,
        remedy="" if waits and not forward else "Take Stripe's word for it.",
        advice="" if forward else "Our books were ahead of Stripe's: look at its page at Stripe.",
    )  # fmt: skip


def _amount(pair: Pair) -> Iterator[Finding]:
    theirs = pair.theirs or {}
    due = 0 if pair.their_state == RefundState.FAILED else theirs["amount"]
    is_still_off = pair.ours is not None and pair.ours.state != pair.their_state
    if pair.counts_minor == due or is_still_off:
        return  # its state comes first; what is left after that is named next time
    yield Finding(
        "refund_amount_differs", pair.name, "Stripe refunded another amount than we booked.",
        ours=money(pair.counts_minor, theirs["currency"]), theirs=money(due, theirs["currency"]),
        remedy=f"Book {money(abs(pair.counts_minor - due), theirs['currency'])} between clearing "
        f"and {corrections.unexplained(RAIL)}.",
        advice="What the refund took back follows our amount; grant or take the rest by hand.",
    )  # fmt: skip


def _text(pair: Pair) -> str:
    theirs = pair.theirs or {}
    return f"{money(theirs['amount'], theirs['currency'])}, {theirs['status']}"


def _act(finding: Finding, pair: Pair) -> Callable[[], object] | None:
    """What puts it right; whatever must be asked of Stripe is asked here, not in the act."""
    if not finding.remedy:
        return None
    if finding.kind == "refund_amount_differs":
        return lambda: _correct(pair)
    if pair.theirs is None:
        return lambda: _fail(pair)
    if pair.ours is not None:
        answer = refunds.answer(pair.theirs)
        refund_id = pair.ours.pk
        return lambda: our_refunds.record(refund_id, answer, even_back=True)
    return _taking_in(pair, pair.theirs)


def _taking_in(pair: Pair, theirs: objects.Object) -> Callable[[], object]:
    session = _session(pair) if pair.payment is None else None
    made = [theirs]
    if pair.payment is not None and pair.payment.refundable.amount_minor < theirs["amount"]:
        # One that failed before it makes the room; oldest first.
        made = list(reversed(objects.refunds_of_payment(pair.payment.external_id)))

    def act() -> None:
        if session is not None:
            checkout.settle(session)
        for one in made:
            refunds.sync(one)

    return act


def _fail(pair: Pair) -> None:
    if pair.ours is not None:
        answer = RefundAnswer(pair.name, RefundState.FAILED, NOT_THERE)
        our_refunds.record(pair.ours.pk, answer)
        _book(pair, -pair.corrected_minor)


def _correct(pair: Pair) -> None:
    due = 0 if pair.their_state == RefundState.FAILED else (pair.theirs or {})["amount"]
    _book(pair, due - pair.counts_minor)


def _book(pair: Pair, clearing_minor: int) -> None:
    if pair.ours is not None:
        corrections.book(
            RAIL,
            pair.name,
            pair.ours.payment.unit,
            clearing_minor=clearing_minor,
            against=corrections.unexplained(RAIL),
            seen_minor=pair.corrected_minor,
        )
