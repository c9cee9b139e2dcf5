"""Products that are lots: credits now, passes and units later. How they are taken back."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Sum

from billing import ledger
from billing.models import Code, Hold, HoldState, LedgerAccount, Lot, Order, Refund, Transfer
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
            _pin_up_to(reversal, lot, _units_minor(reversal, lot), f"refund:{reversal.refund.pk}")

    def unpin(self, refund: Refund, *, at: datetime) -> None:
        for hold in _pins(refund):
            ledger.release(hold.pk, occurred_at=at)

    def take_back(self, reversal: Reversal) -> None:
        granted = _granted(reversal.order)
        due = {lot.pk: _units_minor(reversal, lot) for lot in granted}
        for lot in granted:
            _take_units(reversal, lot, due[lot.pk])
        for hold in _pins(reversal.refund):
            ledger.release(hold.pk, occurred_at=reversal.occurred_at)
        _take_money(reversal)

    def give_back(self, reversal: Reversal) -> None:
        group = _group(reversal.refund)
        revoked = Transfer.objects.filter(
            group=group, code=Code.REVOKE, key__startswith=f"{reversal.key}:"
        )
        for transfer in revoked.order_by("-pk"):
            ledger.unwind(
                transfer.key,
                transfer.amount_minor,
                code=Code.REVOKE_BACK,
                key=f"{transfer.key}:back",
                group=group,
                occurred_at=reversal.occurred_at,
            )
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
    """Units that go with this refund: granted × net refunded so far, less those gone before."""
    total = reversal.order.net.amount_minor
    after = share_half_even(
        lot.granted_minor, reversal.net_before_minor + reversal.net_minor, total
    )
    return after - share_half_even(lot.granted_minor, reversal.net_before_minor, total)


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
            group=_group(reversal.refund),
            occurred_at=reversal.occurred_at,
        )
        if hold is not None and hold.state == HoldState.HELD:
            holds.append(hold)
    return holds


def _take_units(reversal: Reversal, lot: Lot, units_minor: int) -> None:
    """Capture what is pinned, pin and capture what else is free, owe the rest."""
    missing = units_minor
    pinned = [hold for hold in _pins(reversal.refund) if hold.account_id == lot.account_id]
    late = _pin_up_to(
        reversal,
        lot,
        missing - sum(hold.amount_minor for hold in pinned),
        reversal.key,
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
            group=_group(reversal.refund),
            occurred_at=reversal.occurred_at,
        )
    if missing > 0:
        ledger.claw_back(
            lot.account,
            missing,
            key=f"{reversal.key}:owed:{lot.pk}",
            group=_group(reversal.refund),
            occurred_at=reversal.occurred_at,
        )


def _take_money(reversal: Reversal) -> None:
    """Move the net part out of the lots' cost: each lot its share, the rest from what is left."""
    lots = list(
        Lot.objects.filter(origin=origin_of(reversal.order), cost_minor__gt=0).order_by("pk")
    )
    total = sum(lot.cost_minor - lot.refunded_minor for lot in lots)
    missing = reversal.net_minor
    for place, lot in enumerate(lots):
        left = lot.cost_minor - lot.refunded_minor
        share = share_floor(reversal.net_minor, left, total) if total else 0
        rest_left = sum(one.cost_minor - one.refunded_minor for one in lots[place + 1 :])
        part = min(max(share, missing - rest_left), left, missing)
        if part <= 0:
            continue
        missing -= part
        ledger.refund_cost(
            lot,
            part,
            target=reversal.clearing,
            key=f"{reversal.key}:lot:{lot.pk}",
            group=_group(reversal.refund),
            occurred_at=reversal.occurred_at,
        )


def _return_money(reversal: Reversal, lot: Lot) -> None:
    base = f"{reversal.key}:lot:{lot.pk}"
    booked = Transfer.objects.filter(key__in=[base, f"{base}:breakage", f"{base}:sales"])
    amount_minor = booked.aggregate(total=Sum("amount_minor"))["total"]
    if amount_minor:
        ledger.unrefund_cost(
            lot,
            amount_minor,
            source=reversal.clearing,
            key=f"{base}:back",
            group=_group(reversal.refund),
            occurred_at=reversal.occurred_at,
        )


def _pins(refund: Refund) -> list[Hold]:
    holds = Hold.objects.filter(group=_group(refund), state=HoldState.HELD)
    return list(holds.select_related("account").order_by("created_at", "pk"))


def _group(refund: Refund) -> str:
    return f"refund:{refund.pk}"
