"""Splits: a sale's net shared between a creator and the house, and taken back by refunds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.models import Customer
from billing import ledger
from billing.errors import ExceedsOriginal, IdempotencyMismatch
from billing.models import Code, LedgerAccount, Split, Transfer
from billing.money import Money, asset, share_floor, share_half_even
from billing.variables import BPS


@dataclass(frozen=True, slots=True)
class Rule:
    """How a net amount is shared; the version says which rule a sale was made under."""

    creator_bps: int
    version: str

    def creator_minor(self, net_minor: int) -> int:
        """floor(net × bps / 10000): the house has what rounding leaves."""
        return share_floor(net_minor, self.creator_bps, BPS)


@transaction.atomic
def book(
    key: str, *, net: Money, creator: Customer, rule: Rule, source: LedgerAccount, at: datetime
) -> Split:
    """Share ``net`` out of ``source`` between creator and platform_fee, once per key.

    Raises IdempotencyMismatch when the key comes back with another sale.
    """
    split, is_new = Split.objects.get_or_create(
        key=key,
        defaults={
            "creator": creator,
            "asset": net.asset.code,
            "net_minor": net.amount_minor,
            "creator_minor": rule.creator_minor(net.amount_minor),
            "creator_bps": rule.creator_bps,
            "rule_version": rule.version,
        },
    )
    if not is_new:
        if (split.creator_id, split.asset, split.net_minor) != (
            creator.pk,
            net.asset.code,
            net.amount_minor,
        ):
            raise IdempotencyMismatch
        return split
    creator_account = ledger.balance_account(creator, "creator", net.asset)
    platform = ledger.system_account("platform_fee", net.asset)
    shares = [
        (creator_account, split.creator_minor, f"{key}:creator"),
        (platform, split.platform_minor, f"{key}:platform"),
    ]
    legs = [
        ledger.Leg(source, target, minor, Code.SHARE, name)
        for target, minor, name in shares
        if minor
    ]
    ledger.post(legs, group=key, occurred_at=at)
    return split


@transaction.atomic
def reverse(
    key: str, *, refund_key: str, refunded_net_minor: int, target: str, at: datetime
) -> Split:
    """Take a refund's net back from both shares into the system role ``target``.

    Once per ``refund_key``. Cumulative for the creator, round(creator × refunded / net) less what
    was taken before, so that many small refunds take exactly what one would. What the creator's
    balance does not cover goes to ``creator_debt``. Raises ExceedsOriginal beyond the sale's net,
    and IdempotencyMismatch when the key comes back with another refund.
    """
    split = Split.objects.select_for_update().select_related("creator").get(key=key)
    known = _legs_of(refund_key)
    if known:
        if any(one.group != key for one in known) or _total(known) != refunded_net_minor:
            raise IdempotencyMismatch
        return split
    refunded = split.refunded_net_minor + refunded_net_minor
    if refunded_net_minor <= 0 or refunded > split.net_minor:
        raise ExceedsOriginal
    from_creator = _from_creator(split, refunded_net_minor)
    unit = asset(split.asset)
    into = ledger.system_account(target, unit)
    legs = [
        ledger.Leg(
            ledger.balance_account(split.creator, "creator", unit),
            into,
            from_creator,
            Code.REFUND,
            f"{refund_key}:creator",
            shortfall=ledger.debt_account(split.creator, "creator_debt", unit),
        ),
        ledger.Leg(
            ledger.system_account("platform_fee", unit),
            into,
            refunded_net_minor - from_creator,
            Code.REFUND,
            f"{refund_key}:platform",
        ),
    ]
    ledger.post([leg for leg in legs if leg.amount_minor], group=key, occurred_at=at)
    split.refunded_net_minor = refunded
    split.reversed_creator_minor += from_creator
    split.save(update_fields=["refunded_net_minor", "reversed_creator_minor"])
    return split


@transaction.atomic
def restore(key: str, *, refund_key: str, at: datetime) -> Split:
    """Undo a reversal, once: its refund failed, or its dispute was won. Each share goes back.

    What the creator came to owe by it goes to their balance too: the debt may be paid by now, and
    if it is not, both are netted before the next payout.
    """
    split = Split.objects.select_for_update().select_related("creator").get(key=key)
    taken = _legs_of(refund_key)
    backs = [f"{one.key}:back" for one in taken]
    if not taken or Transfer.objects.filter(key__in=backs).exists():
        return split
    creator_account = ledger.balance_account(split.creator, "creator", asset(split.asset))
    legs = [
        ledger.Leg(
            one.target,
            one.source if one.source.role == "platform_fee" else creator_account,
            one.amount_minor,
            Code.REFUND_FAILED,
            f"{one.key}:back",
            reverses=one.pk,
        )
        for one in taken
    ]
    ledger.post(legs, group=key, occurred_at=at)
    split.refunded_net_minor -= _total(taken)
    split.reversed_creator_minor -= _total(
        [one for one in taken if one.source.role != "platform_fee"]
    )
    split.save(update_fields=["refunded_net_minor", "reversed_creator_minor"])
    return split


def _from_creator(split: Split, part_minor: int) -> int:
    """The creator's part of the next ``part_minor`` refunded.

    The exact share, unless reversals that were undone since left it more, or less, than there is.
    """
    refunded = split.refunded_net_minor + part_minor
    due = share_half_even(split.creator_minor, refunded, split.net_minor)
    due -= split.reversed_creator_minor
    platform_taken = split.refunded_net_minor - split.reversed_creator_minor
    least = max(0, part_minor - (split.platform_minor - platform_taken))
    most = min(part_minor, split.creator_minor - split.reversed_creator_minor)
    return min(max(due, least), most)


def _legs_of(refund_key: str) -> list[Transfer]:
    names = [f"{refund_key}:creator", f"{refund_key}:creator:short", f"{refund_key}:platform"]
    return list(Transfer.objects.filter(key__in=names).select_related("source", "target"))


def _total(transfers: list[Transfer]) -> int:
    return sum(one.amount_minor for one in transfers)
