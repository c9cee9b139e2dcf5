"""What a refund would do, in amounts, before anybody asks for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from billing.models import Code, Payment, Refund, RefundState, Transfer
from billing.money import Asset, Money, asset
from billing.services import refunds
from billing.services.rails import RefundAnswer
from billing.services.rehearsals import rehearse


@dataclass(frozen=True, slots=True)
class UnitsBack:
    """What the customer loses of one unit: what is there, and what is spent and therefore owed.

    ``owed`` is net of what other purchased lots of theirs pay of it at once.
    """

    taken: Money
    owed: Money
    paid_at_once: Money


@dataclass(frozen=True, slots=True)
class RefundPreview:
    """The money that would go back, the tax in it, and what the customer would lose for it."""

    amount: Money
    tax: Money
    units: Sequence[UnitsBack]
    transfers: Sequence[Transfer]

    @property
    def net(self) -> Money:
        """What goes back of the price itself."""
        return self.amount - self.tax


def preview(payment: Payment, *, amount_minor: int | None, forced: bool) -> RefundPreview:
    """What ``refunds.request`` with the same arguments would do, to the unit, if it succeeds now.

    None is the unspent share. Raises what the request would: NotRefundable.
    """

    def act() -> RefundPreview:
        refund = refunds.request(
            payment.pk, reason="rehearsal", amount_minor=amount_minor, forced=forced
        )
        return _read(refunds.record(refund.pk, RefundAnswer("", RefundState.SUCCEEDED)))

    return rehearse(act)


def _read(refund: Refund) -> RefundPreview:
    transfers = list(
        Transfer.objects.filter(group=f"refund:{refund.pk}")
        .select_related("source__owner", "target__owner")
        .order_by("pk")
    )
    return RefundPreview(
        amount=refund.amount,
        tax=Money(refund.tax_minor, refund.payment.unit),
        units=_units(transfers),
        transfers=transfers,
    )


def _units(transfers: Sequence[Transfer]) -> list[UnitsBack]:
    taken: dict[str, int] = defaultdict(int)
    owed: dict[str, int] = defaultdict(int)
    paid: dict[str, int] = defaultdict(int)
    for transfer in transfers:
        unit = transfer.source.asset
        if transfer.code == Code.DEBT_PAYMENT:
            paid[unit] += transfer.amount_minor
        elif transfer.target.role == "revoked":
            side = taken if transfer.source.role == "wallet" else owed
            side[unit] += transfer.amount_minor
    return [
        _units_back(asset(unit), taken[unit], owed[unit], paid[unit])
        for unit in sorted({*taken, *owed})
    ]


def _units_back(unit: Asset, taken: int, owed: int, paid: int) -> UnitsBack:
    return UnitsBack(Money(taken, unit), Money(owed - paid, unit), Money(paid, unit))
