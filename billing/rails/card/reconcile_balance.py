"""The clearing account against what Stripe holds for us, when every single thing agrees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import stripe
from django.db.models import F, Sum

from billing import ledger
from billing.models import Payment, Refund, RefundState, Transfer
from billing.money import USD, Asset, Money
from billing.rails.card import objects, reconcile_disputes, reconcile_payments, reconcile_refunds
from billing.rails.card.client import reachable
from billing.rails.card.reconcile_payments import INVOICE
from billing.rails.card.reconcile_reading import CHUNK, PAGE, RAIL
from billing.services import corrections
from billing.services.rails import Finding, Repair
from billing.sql_functions import number
from common import clock

CLEARING = f"clearing:{RAIL}"
# Where withdrawals to a bank account of the house come from.
BANK = "bank"
ASSETS = (USD,)
# What happened this lately may be booked on one side only; it is looked at item by item.
LATELY = timedelta(minutes=10)
TRIES = 3


def find() -> Finding | None:
    """One finding when the sums differ although the single things do not."""
    return next((one.finding for asset in ASSETS for one in look(asset.code)), None)


def look(name: str) -> Iterator[Repair]:
    """Whether both sides agree in one currency, once nothing of the last minutes differs."""
    asset = next((one for one in ASSETS if one.code == name), None)
    if asset is None:
        return
    for _ in range(TRIES):
        ours, theirs = _ours(asset), _theirs(asset)
        if ours == theirs:
            return
        if not _is_under_way() and ours == _ours(asset):
            yield Repair(_finding(asset, ours, theirs), _act(asset, ours - theirs))
            return


def _finding(asset: Asset, ours: int, theirs: int) -> Finding:
    difference = Money(abs(ours - theirs), asset)
    return Finding(
        "balance_differs", asset.code,
        "Every payment, refund, dispute and fee agrees, and the sums do not.",
        ours=str(Money(ours, asset)), theirs=str(Money(theirs, asset)),
        remedy=f"Book {difference} between clearing and {corrections.unexplained(RAIL)}.",
        advice="Something moved at Stripe that is none of these: look at its balance report for "
        "fees of the account, adjustments and top-ups. Reconcile an earlier time as well.",
    )  # fmt: skip


def _ours(asset: Asset) -> int:
    """What Stripe should hold for us: all that went through clearing, less what is under way."""
    clearing = ledger.system_account(CLEARING, asset)
    total = -number("ledger_balance_before", clearing.pk, None)
    total += _moved(source__role=BANK, target=clearing) - _moved(source=clearing, target__role=BANK)
    return total - _elsewhere(asset) - _unsettled(asset) - _unbooked(asset)


def _moved(**between: object) -> int:
    found = Transfer.objects.filter(**between)
    return int(found.aggregate(total=Sum("amount_minor"))["total"] or 0)


def _elsewhere(asset: Asset) -> int:
    """Invoices that were paid past Stripe: it counts them as paid and never held the money."""
    paid = Payment.objects.filter(rail=RAIL, asset=asset.code, external_id__startswith=INVOICE)
    left = paid.aggregate(total=Sum(F("amount_minor") - F("refunded_minor")))["total"]
    return int(left or 0)


def _unsettled(asset: Asset) -> int:
    """Payments that are not on Stripe's balance yet: they have no fee either."""
    waiting = Payment.objects.filter(rail=RAIL, asset=asset.code, fee_minor=None)
    charged = waiting.exclude(external_id__startswith=INVOICE)
    names = charged.order_by("pk").values_list("external_id", "amount_minor")
    total = 0
    for name, amount_minor in names.iterator(CHUNK):
        charge, _ = reconcile_payments.standing(name)
        total += amount_minor if charge and charge["balance_transaction"] is None else 0
    return total


def _unbooked(asset: Asset) -> int:
    """Refunds that Stripe took from our balance and we book when they have succeeded."""
    sent = Refund.objects.filter(
        payment__rail=RAIL, payment__asset=asset.code, state=RefundState.SENT, booked_at=None
    )
    total = 0
    for name, amount_minor in sent.values_list("external_id", "amount_minor"):
        total += amount_minor if name and objects.refund(name).get("balance_transaction") else 0
    return total


def _theirs(asset: Asset) -> int:
    """What Stripe holds, and what it has paid out to the bank."""
    with reachable():
        balance = stripe.Balance.retrieve().to_dict()
        held = [*balance["available"], *balance["pending"]]
        paid_out = stripe.BalanceTransaction.list(
            type="payout", currency=asset.code.lower(), limit=PAGE
        )
        gone = sum(one.net for one in paid_out.auto_paging_iter())
    here = sum(one["amount"] for one in held if one["currency"] == asset.code.lower())
    return int(here - gone)


def _is_under_way() -> bool:
    """Whether something of the last minutes is known to one side only."""
    since, until = clock.now() - LATELY, clock.now() + LATELY
    for noun in (reconcile_payments, reconcile_refunds, reconcile_disputes):
        if next(noun.find(since, until, lambda _: None), None) is not None:
            return True
    return False


def _act(asset: Asset, difference_minor: int) -> Callable[[], object]:
    seen = corrections.totals(RAIL, [_subject(asset)])[_subject(asset)]
    return lambda: corrections.book(
        RAIL,
        _subject(asset),
        asset,
        clearing_minor=difference_minor,
        against=corrections.unexplained(RAIL),
        seen_minor=seen,
    )


def _subject(asset: Asset) -> str:
    return f"balance:{asset.code}"
