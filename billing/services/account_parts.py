"""What billing adds to the settings pages: e-mails to choose, data to export, ways to an end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, Sum
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Customer
from accounts.services import closing, exports, notifications
from accounts.services.closing import Obstacle
from billing import catalogue, selectors
from billing.models import (
    AutoTopUpCharge,
    Dispute,
    DisputeState,
    LedgerAccount,
    Lot,
    Payment,
    Refund,
    RefundState,
    Subscription,
)
from billing.money import Money, asset
from billing.selectors import exported
from billing.services import auto_top_ups, emails
from common import clock

# Roles of accounts on which a customer owes something; they are below zero then.
_OWING = ("debt", "accrued", "creator_debt")


def register() -> None:
    """Fill the registries of accounts."""
    notifications.register(_email_choices)
    for name, rows in exported.sections().items():
        exports.register(name, rows)
    closing.register(
        "billing",
        closing.Part(obstacles=obstacles, losses=losses, close=_close, forget=emails.forget),
    )


def obstacles(customer: Customer) -> Iterator[Obstacle]:
    """What has to end, be paid or be decided before this customer may be closed."""
    renewing = Subscription.objects.live(clock.now()).filter(customer=customer, renews=True)
    for subscription in renewing.filter(cancels_at=None):
        said = {"plan": selectors.plan_name(subscription.plan_slug)}
        yield Obstacle(
            _("Your plan %(plan)s renews by itself. Cancel it first.") % said,
            reverse("billing:cancel"),
            _("Cancel the plan"),
        )
    for owed in _owed(customer):
        yield Obstacle(
            _("You owe %(amount)s. The next purchase pays it.") % {"amount": owed},
            reverse("billing:buy"),
            _("Buy credits"),
        )
    under_way = AutoTopUpCharge.objects.filter(auto_top_up__customer=customer)
    if under_way.filter(auto_top_ups.in_flight()).exists():
        yield Obstacle(
            _("A purchase by auto top-up is under way. Wait for it."),
            reverse("billing:auto_top_up"),
            _("Auto top-up"),
        )
    yield from _waiting(customer)
    if customer.closed_at is not None:
        yield from _paid_since(customer, customer.closed_at)


def losses(customer: Customer) -> Iterator[str]:
    """Credits, units and paid time that nobody could use any more."""
    for amount in _unused(customer):
        yield _("%(amount)s that you have not used") % {"amount": amount}
    plan = selectors.entitlements(customer).plan
    if plan.slug != catalogue.current().free_plan.slug:
        yield _("Your plan %(plan)s, for the time that is paid") % {"plan": plan.name}


def _waiting(customer: Customer) -> Iterator[Obstacle]:
    """Payments with which something is under way: disputed, going back, or without an order."""
    disputed = Dispute.objects.filter(
        payment=OuterRef("pk"), state__in=[DisputeState.INQUIRY, DisputeState.OPEN]
    )
    going_back = Refund.objects.filter(
        payment=OuterRef("pk"), state__in=[RefundState.REQUESTED, RefundState.SENT]
    )
    found = list(
        Payment.objects.filter(customer=customer)
        .annotate(is_disputed=Exists(disputed), is_going_back=Exists(going_back))
        .filter(
            Q(order=None, refunded_minor__lt=F("amount_minor"))
            | Q(is_disputed=True)
            | Q(is_going_back=True)
        )
    )
    where = reverse("billing:transactions"), _("See transactions")
    if any(payment.is_disputed for payment in found):
        yield Obstacle(_("A payment is disputed at the bank. Wait for its end."), *where)
    if any(payment.is_going_back for payment in found):
        yield Obstacle(_("A refund is on its way to you. Wait for it."), *where)
    left: dict[str, int] = {}
    for payment in found:
        if payment.order_id is None and payment.refunded_minor < payment.amount_minor:
            minor = payment.amount_minor - payment.refunded_minor
            left[payment.asset] = left.get(payment.asset, 0) + minor
    for code, minor in sorted(left.items()):
        sentence = _("%(amount)s that you paid fits no order. Ask us to refund it.")
        yield Obstacle(sentence % {"amount": Money(minor, asset(code))}, *where)


def _paid_since(customer: Customer, closed_at: datetime) -> Iterator[Obstacle]:
    """Money that came on a pay page that was still open; only staff read of it."""
    late = Q(occurred_at__gte=closed_at) | Q(order__delivered_at__gte=closed_at)
    kept = Payment.objects.filter(customer=customer, refunded_minor__lt=F("amount_minor"))
    if kept.filter(late | Q(order__isnull=False, order__delivered_at=None)).exists():
        yield Obstacle("Money came after the account was closed. Refund it.")


def _unused(customer: Customer) -> list[Money]:
    """What is left of every unit, what is set aside for work included, one query."""
    sums = (
        Lot.objects.filter(account__owner=customer, account__role="wallet", is_open=True)
        .filter(Q(expires_at=None) | Q(expires_at__gt=clock.now()))
        .values("account__asset")
        .annotate(total=Sum("remaining_minor"))
        .filter(total__gt=0)
        .order_by("account__asset")
    )
    return [Money(row["total"], asset(row["account__asset"])) for row in sums]


def _owed(customer: Customer) -> list[Money]:
    sums = (
        LedgerAccount.objects.filter(owner=customer, role__in=_OWING, balance_minor__lt=0)
        .values("asset")
        .annotate(total=Sum("balance_minor"))
        .order_by("asset")
    )
    return [Money(-int(row["total"]), asset(row["asset"])) for row in sums]


def _email_choices() -> list[notifications.Choice]:
    return [
        notifications.Choice(choice.kind, choice.label, choice.can_be_muted)
        for choice in emails.choices()
    ]


def _close(customer: Customer) -> None:
    auto_top_ups.switch_off(customer)
