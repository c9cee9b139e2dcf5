"""Products that are lots: credits now, passes and units later. How they are taken back."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet, Sum

from billing import ledger
from billing.models import Code, Hold, HoldState, LedgerAccount, Lot, Order, Payment, Transfer
from billing.money import share_floor, share_half_even
from billing.services.products import ProductType, Reversal


def origin_of(order: Order) -> str:
    """What the lots of an order carry as their origin."""
    return f"order:{order.pk}"


class LotProduct(ProductType):
    """A product whose delivery is lots with ``origin_of(order)``.

    Units follow the net part of refunds, cumulatively, so that many part refunds take back
    exactly what one would. What is gone becomes the customer's debt.
    """

    def unspent_net_minor(self, order: Order) -> int:
        return sum(
            share_floor(lot.cost_minor, _free_minor(order, lot), lot.granted_minor)
            for lot in _granted(order)
        )

    def pin(self, reversal: Reversal) -> None:
        for lot in _granted(reversal.order):
            _pin_up_to(reversal, lot, _most_units_minor(reversal, lot), reversal.key)

    def unpin(self, cause: str, *, at: datetime) -> None:
        for hold in _pins(cause):
            ledger.release(hold.pk, occurred_at=at)

    def take_units(self, reversal: Reversal) -> None:
        for lot in _granted(reversal.order):
            left = lot.granted_minor - _taken_minor(reversal.order, lot)
            _take_units(reversal, lot, min(_units_minor(reversal, lot), left))
        self.unpin(reversal.cause, at=reversal.occurred_at)

    def return_units(self, reversal: Reversal) -> None:
        revoked = Transfer.objects.filter(
            group=reversal.cause, code=Code.REVOKE, key__startswith=f"{reversal.key}:"
        )
        for transfer in revoked.order_by("-pk"):
            ledger.unwind(
                transfer.key,
                transfer.amount_minor,
                code=Code.REVOKE_BACK,
                key=f"{transfer.key}:back",
                group=reversal.cause,
                occurred_at=reversal.occurred_at,
            )

    def take_money(self, reversal: Reversal) -> None:
        """Each lot gives its share of the net, the rest comes from what is left of the others."""
        lots = list(Lot.objects.filter(origin=origin_of(reversal.order)).order_by("pk"))
        lefts = [lot.cost_minor - lot.refunded_minor for lot in lots]
        missing = reversal.net_minor
        for place, lot in enumerate(lots):
            share = share_floor(reversal.net_minor, lefts[place], sum(lefts)) if lefts[place] else 0
            part = min(max(share, missing - sum(lefts[place + 1 :])), lefts[place], missing)
            missing -= part
            _move_money(reversal, lot, part)

    def return_money(self, reversal: Reversal) -> None:
        for lot in Lot.objects.filter(origin=origin_of(reversal.order)).order_by("pk"):
            _return_money(reversal, lot)


def _granted(order: Order) -> list[Lot]:
    """The lots the order was delivered as; not those that replaced an expired one."""
    lots = Lot.objects.filter(origin=origin_of(order), replaces=None)
    return list(lots.select_related("account").order_by("pk"))


def _family(order: Order, account: LedgerAccount) -> list[Lot]:
    """Every lot of the order in that wallet, replacements too."""
    return list(Lot.objects.filter(origin=origin_of(order), account=account).order_by("pk"))


def _free_minor(order: Order, lot: Lot) -> int:
    free = sum(one.remaining_minor - one.held_minor for one in _family(order, lot.account))
    return min(free, lot.granted_minor)


def _units_minor(reversal: Reversal, lot: Lot) -> int:
    """Units that go with this part: granted × net gone so far, less those gone before."""
    total = reversal.order.net.amount_minor
    gone = share_half_even(lot.granted_minor, reversal.net_before_minor, total)
    after = share_half_even(
        lot.granted_minor, reversal.net_before_minor + reversal.net_minor, total
    )
    return after - gone


def _most_units_minor(reversal: Reversal, lot: Lot) -> int:
    """Units that may go with this part: what went before may be another amount by then."""
    return -share_floor(-lot.granted_minor, reversal.net_minor, reversal.order.net.amount_minor)


def _taken_minor(order: Order, lot: Lot) -> int:
    """Units that refunds and disputes of this order took so far, what is owed for them included."""
    payments = Payment.objects.filter(order=order)
    causes = [
        *(f"refund:{pk}" for pk in payments.values_list("refunds", flat=True)),
        *(f"dispute:{pk}" for pk in payments.values_list("disputes", flat=True)),
    ]
    moved = Transfer.objects.filter(group__in=causes)
    taken = moved.filter(code=Code.REVOKE, source__asset=lot.account.asset)
    returned = moved.filter(code=Code.REVOKE_BACK, source__asset=lot.account.asset)
    return _sum_minor(taken) - _sum_minor(returned)


def _sum_minor(transfers: QuerySet[Transfer]) -> int:
    return int(transfers.aggregate(total=Sum("amount_minor"))["total"] or 0)


def _pin_up_to(reversal: Reversal, lot: Lot, units_minor: int, key: str) -> list[Hold]:
    holds: list[Hold] = []
    for member in _family(reversal.order, lot.account):
        missing = units_minor - sum(hold.amount_minor for hold in holds)
        if missing <= 0:
            break
        hold = ledger.pin(
            member,
            missing,
            key=f"{key}:pin:{member.pk}",
            group=reversal.cause,
            occurred_at=reversal.occurred_at,
        )
        if hold is not None and hold.state == HoldState.HELD:
            holds.append(hold)
    return holds


def _take_units(reversal: Reversal, lot: Lot, units_minor: int) -> None:
    """Capture what is pinned, pin and capture what else is free, owe the rest."""
    missing = units_minor
    pinned = [hold for hold in _pins(reversal.cause) if hold.account_id == lot.account_id]
    late = _pin_up_to(
        reversal,
        lot,
        missing - sum(hold.amount_minor for hold in pinned),
        f"{reversal.key}:late",
    )
    for hold in pinned + late:
        part = min(hold.amount_minor, missing)
        if part <= 0:
            break
        missing -= part
        ledger.capture(
            hold,
            part,
            target="revoked",
            key=f"{reversal.key}:units:{hold.pk}",
            group=reversal.cause,
            occurred_at=reversal.occurred_at,
        )
    if missing > 0:
        ledger.claw_back(
            lot.account,
            missing,
            key=f"{reversal.key}:owed:{lot.pk}",
            group=reversal.cause,
            occurred_at=reversal.occurred_at,
        )


def _move_money(reversal: Reversal, lot: Lot, amount_minor: int) -> None:
    if amount_minor:
        ledger.refund_cost(
            lot,
            amount_minor,
            target=reversal.into,
            key=f"{reversal.key}:lot:{lot.pk}",
            group=reversal.cause,
            occurred_at=reversal.occurred_at,
        )


def _return_money(reversal: Reversal, lot: Lot) -> None:
    base = f"{reversal.key}:lot:{lot.pk}"
    booked = Transfer.objects.filter(key__in=[base, f"{base}:breakage", f"{base}:sales"])
    amount_minor = _sum_minor(booked)
    if amount_minor:
        ledger.unrefund_cost(
            lot,
            amount_minor,
            source=reversal.into,
            key=f"{base}:back",
            group=reversal.cause,
            occurred_at=reversal.occurred_at,
        )


def _pins(cause: str) -> list[Hold]:
    holds = Hold.objects.filter(group=cause, state=HoldState.HELD)
    return list(holds.select_related("account").order_by("created_at", "pk"))
