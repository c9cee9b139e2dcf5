"""Corrections: what our books have booked otherwise than the provider, put right to the cent.

The row that was wrong stays as it was; beside it lies a transfer between the rail's clearing
account and a visible account of the house, which somebody has to explain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from billing import ledger
from billing.models import Transfer
from billing.money import Asset
from billing.services import rails
from common import clock

CODE = "correction"


def unexplained(rail: str) -> str:
    """The role of the account where differences lie that nobody has explained yet."""
    return f"unreconciled:{rail}"


def totals(rail: str, subjects: Iterable[str]) -> dict[str, int]:
    """By how much corrections moved the clearing account for each subject; 0 for most."""
    groups = {_group(rail, subject): subject for subject in subjects}
    clearing = rails.named(rail).clearing
    moved: dict[str, int] = defaultdict(int)
    booked = Transfer.objects.filter(group__in=groups).select_related("source", "target")
    for transfer in booked:
        sign = 1 if transfer.target.role == clearing else -1
        moved[groups[transfer.group]] += sign * transfer.amount_minor
    return moved


def book(
    rail: str, subject: str, asset: Asset, *, clearing_minor: int, against: str, seen_minor: int
) -> None:
    """Move the clearing account by ``clearing_minor`` against another account of the house.

    ``seen_minor`` is the subject's total when the difference was looked at: two acts that saw the
    same difference book it once.
    """
    if clearing_minor == 0:
        return
    group = _group(rail, subject)
    clearing = ledger.system_account(rails.named(rail).clearing, asset)
    other = ledger.system_account(against, asset)
    source, target = (other, clearing) if clearing_minor > 0 else (clearing, other)
    before = _bookings_up_to(group, clearing.pk, seen_minor)
    key = f"{group}:{before}:{seen_minor}:{seen_minor + clearing_minor}"
    leg = ledger.Leg(source, target, abs(clearing_minor), CODE, key)
    ledger.post([leg], group=group, occurred_at=clock.now())


def _bookings_up_to(group: str, clearing_id: int, seen_minor: int) -> int:
    """After how many bookings the total last was ``seen_minor``."""
    total = last = 0
    booked = Transfer.objects.filter(group=group).order_by("pk")
    for place, transfer in enumerate(booked, start=1):
        sign = 1 if transfer.target_id == clearing_id else -1
        total += sign * transfer.amount_minor
        if total == seen_minor:
            last = place
    return last


def _group(rail: str, subject: str) -> str:
    return f"correction:{rail}:{subject}"
