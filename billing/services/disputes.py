"""Disputes: frozen when opened, debited when lost, restored when won.

The provider's own account of a dispute is read again at every event, and our row is brought to
it; each step moves value once, in whatever order the events came.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F

from billing import ledger
from billing.models import AutoTopUpStop, Code, Dispute, DisputeState, LedgerAccount, Payment
from billing.services import (
    auto_top_ups,
    invoice_drafts,
    notifiers,
    rails,
    refund_booking,
    reversals,
    undelivered,
)
from common import clock

# Where disputed money lies until it is decided, and what no payment of ours covers.
DISPUTED = "disputed"
LOSS = "chargeback_loss"
# Won may turn into lost, and back; decided does not turn into open by itself.
_COURSE = {
    DisputeState.INQUIRY: 0,
    DisputeState.OPEN: 1,
    DisputeState.WON: 2,
    DisputeState.LOST: 2,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a rail reports of one dispute, read from the provider's own object.

    ``withdrawn_minor``, ``reinstated_minor`` and ``fee_minor`` are all there was so far.
    """

    external_id: str
    state: DisputeState
    provider_status: str
    reason: str
    amount_minor: int
    withdrawn_minor: int
    reinstated_minor: int
    fee_minor: int
    opened_at: datetime
    evidence_due_at: datetime | None


@transaction.atomic
def record(payment_id: UUID, claim: Claim) -> Dispute:
    """Bring our row of a dispute to what the provider says now; repeating it changes nothing.

    Nor does a claim that was read before a later one: a dispute that was decided does not open
    again unless money moves once more.
    """
    payment = refund_booking.lock(payment_id)
    dispute, is_new = Dispute.objects.get_or_create(
        rail=payment.rail,
        external_id=claim.external_id,
        defaults={
            "payment": payment,
            "state": DisputeState.INQUIRY,
            "provider_status": claim.provider_status,
            "reason": claim.reason[:40],
            "amount_minor": claim.amount_minor,
            "opened_at": claim.opened_at,
        },
    )
    dispute.payment = payment
    if is_outdated(dispute, claim):
        return dispute
    was = dispute.state
    dispute.state = claim.state
    dispute.provider_status = claim.provider_status
    dispute.evidence_due_at = claim.evidence_due_at
    if claim.state in (DisputeState.OPEN, DisputeState.LOST) and not dispute.is_frozen:
        _freeze(payment, dispute)
    _move_cash(payment, dispute, claim)
    if claim.state == DisputeState.WON and dispute.is_frozen:
        _restore(payment, dispute)
    if claim.state == DisputeState.LOST and was != DisputeState.LOST:
        reversals.take_units(_part(payment, dispute))
    _write(payment, dispute)
    is_undecided = claim.state in (DisputeState.INQUIRY, DisputeState.OPEN)
    if is_undecided or (is_new and claim.state == DisputeState.LOST):
        # The card is not charged again before its owner has looked at that.
        auto_top_ups.stop(payment.customer_id, AutoTopUpStop.DISPUTED)
    if is_new or was != dispute.state:
        notifiers.tell(f"dispute_{dispute.state}", dispute)
    return dispute


def cover(payment: Payment) -> None:
    """Let disputes of a locked payment freeze what a refund that failed has put back into it."""
    for dispute in payment.disputes.filter(is_frozen=True, frozen_minor__lt=F("amount_minor")):
        if payment.refundable.amount_minor <= 0:
            return
        dispute.payment = payment
        _restore(payment, dispute)
        dispute.save()  # what is frozen is asked of the database
        _freeze(payment, dispute)
        if dispute.state == DisputeState.LOST:
            reversals.take_units(_part(payment, dispute))
        dispute.save()


@transaction.atomic
def correct(payment_id: UUID, claim: Claim) -> Dispute:
    """Bring our row to a claim even where it says less than we had booked; staff decided so.

    What was frozen is given back and frozen anew, so that amounts, units and cash follow the
    claim to the cent, whatever they were. Repeating it changes nothing.
    """
    payment = refund_booking.lock(payment_id)
    dispute = Dispute.objects.select_for_update().get(
        rail=payment.rail, external_id=claim.external_id
    )
    dispute.payment = payment
    if dispute.is_frozen:
        _restore(payment, dispute)
        dispute.save()  # what is frozen is asked of the database
    dispute.freezes += 1  # keys of what was taken back are not used again
    dispute.amount_minor = claim.amount_minor
    _take_cash_back(payment, dispute, claim)
    _move_cash(payment, dispute, claim)
    dispute.state = claim.state
    dispute.provider_status = claim.provider_status
    if claim.state in (DisputeState.OPEN, DisputeState.LOST):
        _freeze(payment, dispute)
    if claim.state == DisputeState.LOST:
        reversals.take_units(_part(payment, dispute))
    _write(payment, dispute)
    return dispute


def is_outdated(dispute: Dispute, claim: Claim) -> bool:
    """Whether we know more than the claim: more money moved, or as much and a later state."""
    known = (dispute.withdrawn_minor, dispute.reinstated_minor, dispute.fee_minor)
    told = (claim.withdrawn_minor, claim.reinstated_minor, claim.fee_minor)
    if told == known:
        return _COURSE[claim.state] < _COURSE[DisputeState(dispute.state)]
    return any(now < before for now, before in zip(told, known, strict=True))


def _write(payment: Payment, dispute: Dispute) -> None:
    """Save the row, and let the payment's documents follow what it took or gave back."""
    closed = dispute.state in (DisputeState.WON, DisputeState.LOST)
    dispute.closed_at = (dispute.closed_at or clock.now()) if closed else None
    dispute.save()
    invoice_drafts.follow(payment)


def _freeze(payment: Payment, dispute: Dispute) -> None:
    """Move the disputed money aside and pin the units it bought."""
    frozen = min(dispute.amount_minor, payment.refundable.amount_minor)
    if frozen and undelivered.is_undelivered(payment):
        undelivered.cancel(payment, frozen)
    dispute.net_before_minor = payment.refunded_minor - payment.refunded_tax_minor
    dispute.frozen_minor = frozen
    dispute.frozen_tax_minor = reversals.next_tax_minor(
        payment, frozen, reversals.asked_tax_minor(payment)
    )
    dispute.is_frozen = True
    dispute.freezes += 1
    if frozen:
        part = _part(payment, dispute)
        reversals.pin(part)
        reversals.take_money(part)
        payment.refunding_minor += frozen
        payment.save(update_fields=["refunding_minor"])
        reversals.count(part, sign=1)
    _book(dispute, LOSS, DISPUTED, dispute.amount_minor - frozen, Code.DISPUTE, "loss")


def _restore(payment: Payment, dispute: Dispute) -> None:
    """Undo the freeze: the claim was turned down."""
    part = _part(payment, dispute)
    if dispute.frozen_minor:
        reversals.return_units(part)
        reversals.unpin(part)
        reversals.return_money(part)
        reversals.count(part, sign=-1)
        payment.refunding_minor -= dispute.frozen_minor
        payment.save(update_fields=["refunding_minor"])
        undelivered.resume(payment)
    excess = dispute.amount_minor - dispute.frozen_minor
    _book(dispute, DISPUTED, LOSS, excess, Code.DISPUTE, "loss:back")
    dispute.is_frozen = False


def _move_cash(payment: Payment, dispute: Dispute, claim: Claim) -> None:
    """Book what the provider took from our balance or gave back since we last looked."""
    for name, source, target, seen in _cash(payment, claim):
        more = seen - getattr(dispute, f"{name}_minor")
        if more > 0:
            code = Code.FEE if name == "fee" else Code.DISPUTE
            _book(dispute, source, target, more, code, f"{name}:{seen}")
            setattr(dispute, f"{name}_minor", seen)


def _take_cash_back(payment: Payment, dispute: Dispute, claim: Claim) -> None:
    """Unbook what the provider, as it turns out, never took or gave back."""
    for name, source, target, seen in _cash(payment, claim):
        less = getattr(dispute, f"{name}_minor") - seen
        if less > 0:
            code = Code.FEE if name == "fee" else Code.DISPUTE
            _book(dispute, target, source, less, code, f"{name}:{seen}:back")
            setattr(dispute, f"{name}_minor", seen)


def _cash(payment: Payment, claim: Claim) -> tuple[tuple[str, str, str, int], ...]:
    """What is counted, from where to where it moves, and how much of it there was."""
    clearing = rails.of(payment).clearing
    return (
        ("withdrawn", DISPUTED, clearing, claim.withdrawn_minor),
        ("reinstated", clearing, DISPUTED, claim.reinstated_minor),
        ("fee", "provider_fee", clearing, claim.fee_minor),
    )


def _book(
    dispute: Dispute, source: str, target: str, amount_minor: int, code: str, name: str
) -> None:
    if amount_minor > 0:
        accounts: list[LedgerAccount] = [
            ledger.system_account(role, dispute.unit) for role in (source, target)
        ]
        key = f"dispute:{dispute.pk}:{dispute.freezes}:{name}"
        leg = ledger.Leg(accounts[0], accounts[1], amount_minor, code, key)
        ledger.post([leg], group=f"dispute:{dispute.pk}", occurred_at=clock.now())


def _part(payment: Payment, dispute: Dispute) -> reversals.Part:
    return reversals.Part(
        payment=payment,
        cause=f"dispute:{dispute.pk}",
        key=f"dispute:{dispute.pk}:{dispute.freezes}",
        amount_minor=dispute.frozen_minor,
        tax_minor=dispute.frozen_tax_minor,
        net_before_minor=dispute.net_before_minor,
        into=DISPUTED,
    )
