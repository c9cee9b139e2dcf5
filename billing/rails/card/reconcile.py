"""Reading Stripe's own books: what differs from ours, by name, and what would put it right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain

from billing.rails.card import (
    reconcile_balance,
    reconcile_disputes,
    reconcile_invoices,
    reconcile_orders,
    reconcile_payments,
    reconcile_refunds,
    reconcile_subscriptions,
)
from billing.services.rails import Finding, Repair, Tell

# In the order in which things should have been done.
NOUNS = (
    reconcile_payments,
    reconcile_orders,
    reconcile_invoices,
    reconcile_subscriptions,
    reconcile_refunds,
    reconcile_disputes,
)
# Kinds begin with what they are about; fees and amounts of invoices are read with their payment.
LOOKS: dict[str, tuple[Callable[[str], Iterator[Repair]], ...]] = {
    "payment": (reconcile_payments.look,),
    "fee": (reconcile_payments.look,),
    "order": (reconcile_orders.look,),
    "invoice": (reconcile_invoices.look, reconcile_payments.look),
    "subscription": (reconcile_subscriptions.look,),
    "refund": (reconcile_refunds.look,),
    "dispute": (reconcile_disputes.look,),
    "balance": (reconcile_balance.look,),
}
# What was missing may turn out to be a second one meanwhile, and the other way round.
ALIKE = ("missing", "duplicate")


def find(since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
    """Name what differs, lazily; changes nothing."""
    return chain.from_iterable(noun.find(since, until, tell) for noun in NOUNS)


def look_again(kind: str, subject: str) -> Repair | None:
    """A difference as it is now, with the act that puts it right; None when there is none."""
    noun, _, wrong = kind.partition("_")
    looked = chain.from_iterable(look(subject) for look in LOOKS.get(noun, ()))
    found = [one for one in looked if _noun(one) == noun]
    exact = [one for one in found if one.finding.kind == kind]
    alike = [one for one in found if wrong in ALIKE and _wrong(one) in ALIKE]
    return next(iter([*exact, *alike]), None)


def _noun(repair: Repair) -> str:
    return repair.finding.kind.partition("_")[0]


def _wrong(repair: Repair) -> str:
    return repair.finding.kind.partition("_")[2]
