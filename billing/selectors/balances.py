"""What a customer has: spendable, held and owed, and the lots it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet, Sum

from accounts.models import Customer
from billing.models import LedgerAccount, Lot
from billing.money import CREDIT, Asset, Money, asset
from common import clock

EXPIRES_SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Balance:
    """One unit of a customer: what can be spent, what is set aside, what is owed.

    While something is owed nothing can be spent, whatever ``spendable`` says.
    """

    spendable: Money
    held: Money
    debt: Money


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
    """What is spendable now (from lots that have not expired), held and owed. Two queries."""
    by_role = {account.role: account for account in _accounts(customer, unit)}
    purse, debt = by_role.get("wallet"), by_role.get("debt")
    free_minor = 0
    if purse is not None:
        free = F("remaining_minor") - F("held_minor")
        free_minor = _spendable(purse).aggregate(total=Sum(free))["total"] or 0
    return Balance(
        spendable=Money(free_minor, unit),
        held=Money((purse.held_minor or 0) if purse else 0, unit),
        debt=Money(-(debt.balance_minor or 0) if debt else 0, unit),
    )


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
    now = clock.now()
    purse = wallet(customer, unit)
    if purse is None:
        return []
    burning = (
        _spendable(purse)
        .select_related("transfer")
        .order_by("priority", F("expires_at").asc(nulls_last=True), F("promotional").desc(), "pk")
    )
    return [_lot_row(lot, unit, now) for lot in burning]


def _accounts(customer: Customer, unit: Asset) -> QuerySet[LedgerAccount]:
    return LedgerAccount.objects.filter(
        owner=customer, role__in=["wallet", "debt"], asset=unit.code
    )


def _spendable(purse: LedgerAccount) -> QuerySet[Lot]:
    return _unexpired(Lot.objects.filter(account=purse))


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
