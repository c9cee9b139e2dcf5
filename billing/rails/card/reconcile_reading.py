"""Reading Stripe's lists for reconciliation: a stretch of time at a time, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import stripe
from django.db.models import Model, QuerySet

from billing.money import ASSETS, Money
from billing.rails.card.client import reachable
from billing.rails.card.objects import Object

RAIL = "card"
NOT_FOUND = 404
PAGE = 100
# Stretches grow while little happens in them, and never hold more than this, or one second.
FIRST_STRETCH = timedelta(hours=1)
SHORTEST_STRETCH = timedelta(seconds=1)
FEW, MANY = 200, 2000
CHUNK = 500

Row = TypeVar("Row", bound=Model)
Thing = TypeVar("Thing")
Lister = Callable[[datetime, datetime], Iterator[Object]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What Stripe lists as created from ``since`` until just before ``until``, oldest first."""

    since: datetime
    until: datetime
    objects: Sequence[Object]


def stretches(list_between: Lister, since: datetime, until: datetime) -> Iterator[Stretch]:
    """Go through a long time in stretches that fit into memory, however much happened.

    Stripe counts whole seconds, and lists the newest first.
    """
    at, step = since.replace(microsecond=0), FIRST_STRETCH
    while at < until:
        end = min(at + step, until)
        found = list(islice(list_between(at, end), MANY + 1))
        if len(found) > MANY:
            if end - at > SHORTEST_STRETCH:
                step = max(SHORTEST_STRETCH, timedelta(seconds=(end - at) // timedelta(seconds=2)))
                continue  # too much for one look: a shorter one
            found = list(list_between(at, end))
        found.reverse()
        yield Stretch(at, end, found)
        at = end
        if len(found) < FEW:
            step *= 2


def charges(since: datetime, until: datetime) -> Iterator[Object]:
    """Charges with what Stripe kept of them, newest first."""
    expand = ["data.balance_transaction"]
    return _listed(stripe.Charge, since, until, expand=expand)


def sessions(since: datetime, until: datetime) -> Iterator[Object]:
    """Checkout Sessions that were completed, newest first."""
    return _listed(stripe.checkout.Session, since, until, status="complete")


def refunds(since: datetime, until: datetime) -> Iterator[Object]:
    """Refunds, newest first."""
    return _listed(stripe.Refund, since, until)


def disputes(since: datetime, until: datetime) -> Iterator[Object]:
    """Disputes with what they moved, newest first."""
    return _listed(stripe.Dispute, since, until)


def paid_invoices(since: datetime, until: datetime) -> Iterator[Object]:
    """Invoices that were paid, with their payments, newest first."""
    return _listed(stripe.Invoice, since, until, status="paid", expand=["data.payments"])


def subscriptions(since: datetime, until: datetime) -> Iterator[Object]:
    """Subscriptions that have not ended, with what their state is read from, newest first."""
    expand = ["data.latest_invoice", "data.schedule"]
    return _listed(stripe.Subscription, since, until, expand=expand)


def known(read: Callable[[], Thing]) -> Thing | None:
    """What ``read`` returns; None when Stripe has no such object."""
    try:
        return read()
    except stripe.InvalidRequestError as refusal:
        if refusal.http_status != NOT_FOUND:
            raise
        return None


def by(field: str, rows: QuerySet[Row], names: Iterable[str | None]) -> dict[str, Row]:
    """Rows by the value of a field, looked up many at a time."""
    found: dict[str, Row] = {}
    for chunk in chunks(sorted({name for name in names if name}), CHUNK):
        for row in rows.filter(**{f"{field}__in": chunk}):
            found[str(getattr(row, field))] = row
    return found


def chunks(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """Lists of up to ``size`` of them."""
    rest = iter(things)
    while chunk := list(islice(rest, size)):
        yield chunk


def money(amount_minor: int, currency: str) -> str:
    """An amount of Stripe's as people write it, in whatever currency."""
    asset = ASSETS.get(currency.upper())
    return str(Money(amount_minor, asset)) if asset else f"{amount_minor} {currency} (smallest)"


def _listed(kind: Any, since: datetime, until: datetime, **more: Any) -> Iterator[Object]:
    created = {"gte": int(since.timestamp()), "lt": int(until.timestamp())}
    with reachable():
        page = kind.list(created=created, limit=PAGE, **more)
        for one in page.auto_paging_iter():
            yield dict(one.to_dict())
