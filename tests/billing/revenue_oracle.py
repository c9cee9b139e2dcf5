"""The figures of the staff home once more, by walking through every row in plain Python."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from accounts.models import Customer
from billing.models import (
    Dispute,
    LedgerAccount,
    Lot,
    Order,
    Payment,
    Refund,
    Subscription,
    SubscriptionPeriod,
    Transfer,
)
from billing.money import share_half_even
from billing.selectors.spans import Span

INCOME = {"sales", "breakage", "platform_fee"}


class Books:
    """Everything there is, read row by row."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.transfers = list(Transfer.objects.select_related("source", "target").order_by("pk"))
        self.orders = {one.pk: one for one in Order.objects.all()}
        self.payments = {one.pk: one for one in Payment.objects.all()}
        self.refunds = list(Refund.objects.all())
        self.disputes = list(Dispute.objects.all())
        self.lots = {one.pk: one for one in Lot.objects.all()}
        self.periods = {one.pk: one for one in SubscriptionPeriod.objects.all()}
        self.subscriptions = list(Subscription.objects.all())
        self.customers = list(Customer.objects.all())

    # -- revenue -----------------------------------------------------------------------------------

    def revenue(self, span: Span) -> dict[tuple[str, str, str, str], int]:
        """(asset, rail, product kind, product slug) → what its income accounts gained."""
        sums: Counter[tuple[str, str, str, str]] = Counter()
        for one in self.transfers:
            if _day_in(one.occurred_at, span):
                gained = _income(one.target) - _income(one.source)
                sums[(one.source.asset, *self._about(one))] += gained * one.amount_minor
        return {name: minor for name, minor in sums.items() if minor}

    def _about(self, transfer: Transfer) -> tuple[str, str, str]:
        """The order whose goods a transfer earned or gave back, as its key tells."""
        words = transfer.key.split(":")
        named = dict(pairwise(words))
        order: Order | None = None
        if "period" in named:
            order = self.orders[self.periods[UUID(named["period"])].order_id]  # type: ignore[index]
        elif "lot" in named:
            origin = self.lots[int(named["lot"])].origin
            if origin.startswith("order:"):
                order = self.orders[UUID(origin.removeprefix("order:"))]
        return (order.rail, order.product_kind, order.product_slug) if order else ("", "", "")

    # -- money in and out --------------------------------------------------------------------------

    def received(self, span: Span) -> dict[str, tuple[int, int, int]]:
        """asset → count, amount, tax of payments."""
        found = [one for one in self.payments.values() if _day_in(one.occurred_at, span)]
        return _sums((one.asset, one.amount_minor, one.tax_minor) for one in found)

    def refunded(self, span: Span) -> dict[str, tuple[int, int, int]]:
        """asset → count, amount, tax of refunds that stand."""
        found = [one for one in self.refunds if one.booked_at and _day_in(one.booked_at, span)]
        return _sums(
            (self.payments[one.payment_id].asset, one.amount_minor, one.tax_minor) for one in found
        )

    def disputed(self, span: Span) -> dict[str, tuple[int, int, int]]:
        """asset → count, amount, 0 of disputes that are more than a question."""
        found = [one for one in self.disputes if _day_in(one.opened_at, span)]
        return _sums(
            (self.payments[one.payment_id].asset, one.amount_minor, 0)
            for one in found
            if one.state != "inquiry"
        )

    def failed(self, span: Span) -> dict[str, tuple[int, int, int]]:
        """asset → count, price, 0 of orders whose payment failed."""
        found = [one for one in self.orders.values() if _day_in(one.created_at, span)]
        return _sums((one.asset, one.subtotal_minor, 0) for one in found if one.status == "failed")

    def failing(self) -> dict[str, tuple[int, int, int]]:
        """asset → count, price, 0 of subscriptions that could not be charged."""
        found = [one for one in self.subscriptions if one.status in ("past_due", "suspended")]
        return _sums((one.asset, one.price_minor, 0) for one in found)

    def cash(self) -> dict[str, tuple[int, int]]:
        """asset → what the ledger says came from outside for payments, and went back by refunds."""
        came: Counter[str] = Counter()
        gone: Counter[str] = Counter()
        for one in self.transfers:
            words = one.key.split(":")
            if one.source.role.startswith("clearing") and _is_id(words[:2], "payment"):
                came[one.source.asset] += one.amount_minor
            if words[0] == "refund" and one.target.role.startswith("clearing"):
                gone[one.target.asset] += one.amount_minor
            if words[0] == "refund" and one.source.role.startswith("clearing"):
                gone[one.source.asset] -= one.amount_minor
        return {unit: (came[unit], gone[unit]) for unit in {*came, *gone}}

    # -- recurring ---------------------------------------------------------------------------------

    def mrr(self, before: datetime) -> dict[tuple[UUID, str], int]:
        """(customer, asset) → what their subscriptions are worth a month just before a moment."""
        worth: Counter[tuple[UUID, str]] = Counter()
        for one in self.subscriptions:
            period = self._newest(one, before)
            if period is not None and not _is_over(one, before):
                worth[(one.customer_id, period.asset)] += self._monthly(period)
        return {name: minor for name, minor in worth.items() if minor}

    def moves(self, span: Span) -> dict[str, dict[str, int]]:
        """asset → start, end and each movement between."""
        first, last = self.mrr(span.since), self.mrr(self._end(span))
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for who in {*first, *last}:
            was, now = first.get(who, 0), last.get(who, 0)
            found[who[1]]["start"] += was
            found[who[1]]["end"] += now
            found[who[1]][self._kind(who, was, now, span)] += now - was
        return {
            unit: {name: minor for name, minor in sums.items() if minor}
            for unit, sums in found.items()
        }

    def _kind(self, who: tuple[UUID, str], was: int, now: int, span: Span) -> str:
        if was == 0:
            return "reactivation" if self._had(who, span.since) else "new"
        if now == 0:
            return "churn"
        return "expansion" if now > was else "contraction"

    def _had(self, who: tuple[UUID, str], before: datetime) -> bool:
        """Whether they were worth anything at any moment before; looked at as each period began."""
        starts = [one.starts_at for one in self.periods.values() if one.starts_at < before]
        return any(self.mrr(at + timedelta(microseconds=1)).get(who) for at in starts)

    def subscribers(self, before: datetime) -> dict[str, int]:
        """asset → customers who are worth something a month."""
        return dict(Counter(unit for _, unit in self.mrr(before)))

    def people(self, before: datetime) -> int:
        """Customers who are worth something a month in any asset."""
        return len({who for who, _ in self.mrr(before)})

    def trials(self, before: datetime) -> int:
        """Customers who try a plan."""
        return len(
            {
                one.customer_id
                for one in self.subscriptions
                if not _is_over(one, before)
                and (period := self._newest(one, before)) is not None
                and period.kind == "trial"
            }
        )

    def joined(self, span: Span) -> tuple[int, int]:
        """Customers who joined, and how many of them have paid for a plan by the end."""
        new = [one.pk for one in self.customers if _day_in(one.created_at, span)]
        payers = {
            who
            for who, unit in {(one.customer_id, one.asset) for one in self.subscriptions}
            if self._had((who, unit), self._end(span))
        }
        return len(new), len(payers & set(new))

    def _end(self, span: Span) -> datetime:
        return min(span.until, self.now + timedelta(microseconds=1))

    def _newest(self, subscription: Subscription, before: datetime) -> SubscriptionPeriod | None:
        mine = [
            one
            for one in self.periods.values()
            if one.subscription_id == subscription.pk and one.starts_at < before
        ]
        return max(mine, key=lambda one: (one.starts_at, one.ends_at, one.pk), default=None)

    def _monthly(self, period: SubscriptionPeriod) -> int:
        if period.kind == "trial":
            return 0
        order = self.orders[period.order_id]  # type: ignore[index]
        term: dict[str, Any] = order.snapshot.get("term", {})
        price = term.get("price_minor", order.snapshot.get("price_minor", order.subtotal_minor))
        if "change" not in order.snapshot and term.get("reason") != "change":
            price = max(0, price - order.discount_minor)
        return share_half_even(price, 1, 12 if period.interval == "year" else 1)

    # -- owed --------------------------------------------------------------------------------------

    def held(self) -> dict[str, int]:
        """asset → units in wallets, by every transfer that ever touched one."""
        return self._balances(lambda account: account.role == "wallet")

    def deferred(self) -> dict[str, int]:
        """asset → money on the deferred account, by every transfer that ever touched it."""
        return self._balances(
            lambda account: account.role == "deferred" and account.owner_id is None
        )

    def _balances(self, wanted: Any) -> dict[str, int]:
        sums: Counter[str] = Counter()
        for one in self.transfers:
            sums[one.target.asset] += wanted(one.target) * one.amount_minor
            sums[one.source.asset] -= wanted(one.source) * one.amount_minor
        return {unit: minor for unit, minor in sums.items() if minor}


def _income(account: LedgerAccount) -> int:
    return int(account.role in INCOME and account.owner_id is None)


def _day_in(moment: datetime, span: Span) -> bool:
    return span.first <= moment.astimezone(UTC).date() <= span.last


def _is_over(one: Subscription, before: datetime) -> bool:
    """Whether it had ended before a moment: by its end, a cancellation, or time that ran out."""
    ends = [one.ended_at, one.cancels_at, None if one.renews else one.period_ends_at]
    return any(end is not None and end < before for end in ends)


def _is_id(words: list[str], name: str) -> bool:
    return len(words) == 2 and words[0] == name and bool(re.fullmatch(r"[0-9a-f-]{36}", words[1]))


def _sums(rows: Iterable[tuple[str, int, int]] | Iterator[Any]) -> dict[str, tuple[int, int, int]]:
    sums: dict[str, tuple[int, int, int]] = {}
    for unit, amount, tax in rows:
        count, total, taxes = sums.get(unit, (0, 0, 0))
        sums[unit] = (count + 1, total + amount, taxes + tax)
    return sums
