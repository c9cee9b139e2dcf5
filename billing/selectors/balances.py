"""What a customer has: spendable, held and owed, and the lots it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BigIntegerField, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from accounts.models import Customer
from billing.models import LedgerAccount, Lot
from billing.money import CREDIT, Asset, Money, asset
from common import clock

EXPIRES_SOON = timedelta(days=7)
_ROLES = ("wallet", "debt")


@dataclass(frozen=True, slots=True)
class Balance:
    """One unit of a customer: what can be spent, what is set aside, what is owed.

    While something is owed nothing can be spent, whatever ``spendable`` says.
    """

    spendable: Money
    held: Money
    debt: Money


@dataclass(frozen=True, slots=True)
class Holdings:
    """All that a customer has: credits with the wallet they are in, and what is spendable besides.

    ``wallet`` is None until credits were put into it; ``others`` are the other units, by unit,
    without those that are empty.
    """

    wallet: LedgerAccount | None
    balance: Balance
    others: Sequence[Money]


@dataclass(frozen=True, slots=True)
class LotRow:
    """One grant that still holds something, and until when."""

    remaining: Money
    held: Money
    expires_at: datetime | None
    is_promotional: bool
    granted_at: datetime
    expires_soon: bool


def wallet(customer: Customer, unit: Asset = CREDIT) -> LedgerAccount | None:
    """The customer's wallet of that unit; None until something was put into it."""
    return _accounts(customer, unit).filter(role="wallet").first()


def balance(customer: Customer, unit: Asset = CREDIT) -> Balance:
    """What is spendable now (from lots that have not expired), held and owed. One query."""
    return _balance(with_free(_accounts(customer, unit)), unit)


def holdings(customer: Customer) -> Holdings:
    """What the customer has of every unit. One query."""
    accounts = list(
        with_free(LedgerAccount.objects.filter(owner=customer, role__in=_ROLES)).order_by("asset")
    )
    credits_only = [account for account in accounts if account.asset == CREDIT.code]
    others = [
        Money(account.free_minor, asset(account.asset))
        for account in accounts
        if account.asset != CREDIT.code and account.role == "wallet" and account.free_minor
    ]
    wallets = [account for account in credits_only if account.role == "wallet"]
    return Holdings(wallets[0] if wallets else None, _balance(credits_only, CREDIT), others)


def credit_balance(customer: Customer) -> Money:
    """The credits the customer can spend now."""
    return balance(customer).spendable


def other_balances(customer: Customer) -> list[Money]:
    """What is spendable of every unit but credits, by unit; without those that are empty."""
    sums = (
        _unexpired(Lot.objects.filter(account__owner=customer, account__role="wallet"))
        .exclude(account__asset=CREDIT.code)
        .values("account__asset")
        .annotate(total=Sum(F("remaining_minor") - F("held_minor")))
        .filter(total__gt=0)
        .order_by("account__asset")
    )
    return [Money(row["total"], asset(row["account__asset"])) for row in sums]


def lots(customer: Customer, unit: Asset = CREDIT) -> list[LotRow]:
    """The lots that are spent next, first to burn first; without those that have expired."""
    purse = wallet(customer, unit)
    if purse is None:
        return []
    now = clock.now()
    return [_lot_row(lot, unit, now) for lot in _burning(purse)]


def expiring_lots(purse: LedgerAccount | None, *, limit: int) -> list[LotRow]:
    """The lots of a wallet that will expire, first to burn first, so many at most. One query."""
    if purse is None:
        return []
    now = clock.now()
    expiring = _burning(purse).exclude(expires_at=None)[:limit]
    return [_lot_row(lot, purse.unit, now) for lot in expiring]


def _accounts(customer: Customer, unit: Asset) -> QuerySet[LedgerAccount]:
    return LedgerAccount.objects.filter(owner=customer, role__in=_ROLES, asset=unit.code)


def with_free(accounts: QuerySet[LedgerAccount]) -> QuerySet[Any]:
    """Each with ``free_minor``: what of its lots is neither held nor expired."""
    free = (
        _unexpired(Lot.objects.filter(account=OuterRef("pk")))
        .order_by()
        .values("account")
        .annotate(total=Sum(F("remaining_minor") - F("held_minor")))
        .values("total")
    )
    return accounts.annotate(free_minor=Coalesce(Subquery(free), 0, output_field=BigIntegerField()))


def _balance(accounts: Iterable[Any], unit: Asset) -> Balance:
    """What is told of a wallet and a debt of one unit; either may be missing."""
    by_role = {account.role: account for account in accounts}
    purse, debt = by_role.get("wallet"), by_role.get("debt")
    return Balance(
        spendable=Money(purse.free_minor if purse else 0, unit),
        held=Money((purse.held_minor or 0) if purse else 0, unit),
        debt=Money(-(debt.balance_minor or 0) if debt else 0, unit),
    )


def _spendable(purse: LedgerAccount) -> QuerySet[Lot]:
    return _unexpired(Lot.objects.filter(account=purse))


def _burning(purse: LedgerAccount) -> QuerySet[Lot]:
    return (
        _spendable(purse)
        .select_related("transfer")
        .order_by("priority", F("expires_at").asc(nulls_last=True), F("promotional").desc(), "pk")
    )


def _unexpired(found: QuerySet[Lot]) -> QuerySet[Lot]:
    return found.filter(Q(expires_at=None) | Q(expires_at__gt=clock.now()), is_open=True)


def _lot_row(lot: Lot, unit: Asset, now: datetime) -> LotRow:
    return LotRow(
        remaining=Money(lot.remaining_minor, unit),
        held=Money(lot.held_minor, unit),
        expires_at=lot.expires_at,
        is_promotional=lot.promotional,
        granted_at=clock.moment_of(lot.created_at, lot.transfer.occurred_at),
        expires_soon=lot.expires_at is not None and lot.expires_at <= now + EXPIRES_SOON,
    )
