"""The money of one customer as tables for their page; a fixed number of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import F
from django.urls import reverse
from django.utils.html import format_html

from accounts.models import Customer, User
from billing import selectors
from billing.admin.base import link_to, list_of
from billing.admin.staff_log import done_to, what
from billing.models import (
    Email,
    LedgerAccount,
    Lot,
    Order,
    Payment,
    Refund,
    StaffAction,
    Subscription,
)
from billing.money import CREDIT, Money
from billing.selectors import plan_name
from billing.selectors.balances import with_free
from billing.selectors.spend_caps import spend_cap_of, with_cap
from common import clock

ROWS = 10
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Section:
    """One table: its heading, columns and rows, and where all of it is."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    all_url: str = ""
    note: str = ""


def sections(customer: Customer, viewer: User | AnonymousUser) -> list[Section]:
    """The tables that the viewer may see."""
    builders: Iterable[tuple[str, Callable[[Customer], Section]]] = (
        ("ledgeraccount", _accounts),
        ("lot", _lots),
        ("transfer", _statement),
        ("subscription", _subscriptions),
        ("order", _orders),
        ("payment", _payments),
        ("refund", _refunds),
        ("email", _emails),
        ("staffaction", _staff_actions),
    )
    return [
        build(customer) for model, build in builders if viewer.has_perm(f"billing.view_{model}")
    ]


def accounts_of(customer_id: str) -> list[Any]:
    """A customer's accounts, each with its owner, its cap and what can be spent. One query.

    None for what is no id.
    """
    try:
        found = LedgerAccount.objects.filter(owner=UUID(customer_id)).select_related("owner")
    except ValueError:
        return []
    return list(with_cap(with_free(found)).order_by("asset", "role"))


def _accounts_of(customer: Any) -> list[Any]:
    """Those that came with the customer (``CustomerAdmin.get_object``)."""
    known: list[Any] = customer.known_accounts
    return known


def _is_wallet(account: LedgerAccount) -> bool:
    return account.role == "wallet" and account.asset == CREDIT.code


def _accounts(customer: Customer) -> Section:
    accounts = _accounts_of(customer)
    wallet = next(filter(_is_wallet, accounts), None)
    spendable = Money(wallet.free_minor if wallet else 0, CREDIT)
    rows = [
        (
            link_to(account, account.role),
            account.balance,
            Money(account.held_minor or 0, account.unit),
            format_html(
                '<a class="text-link" href="{}">Statement</a>',
                reverse("admin:billing_ledgeraccount_statement", args=[account.pk]),
            ),
        )
        for account in accounts
    ]
    note = f"{spendable} can be spent now. A debt is a balance below zero. {_cap(customer, wallet)}"
    columns = ["Account", "Balance", "Held", ""]
    return Section(
        "Wallets and debts",
        columns,
        rows,
        list_of(LedgerAccount, owner__id__exact=customer.pk),
        note,
    )


def _cap(customer: Customer, wallet: Any) -> str:
    """What the customer set as the most to be spent in a month."""
    cap = spend_cap_of(wallet, customer)
    if cap.cap is None:
        return "No spend cap."
    until = cap.resets_at.astimezone(customer.zone)
    return f"Spend cap: {cap.used} of {cap.cap} used until {until:%d %b %Y}."


def _lots(customer: Customer) -> Section:
    lots = (
        Lot.objects.filter(account__owner=customer, is_open=True)
        .select_related("account")
        .order_by("priority", F("expires_at").asc(nulls_last=True), "-promotional", "pk")
    )
    rows = [
        (
            link_to(lot, f"lot {lot.pk}"),
            Money(lot.remaining_minor, lot.account.unit),
            Money(lot.held_minor, lot.account.unit),
            Money(lot.granted_minor, lot.account.unit),
            "promotional" if lot.promotional else "purchased",
            lot.expires_at or "never",
        )
        for lot in lots[:ROWS]
    ]
    columns = ["Lot", "Remaining", "Held", "Granted", "Kind", "Expires"]
    all_url = list_of(Lot, account__owner__id__exact=customer.pk)
    return Section("Lots, next to burn first", columns, rows, all_url)


def _statement(customer: Customer) -> Section:
    wallet = next(filter(_is_wallet, _accounts_of(customer)), None)
    found = selectors.statement(wallet, limit=ROWS).rows
    rows = [
        (
            format_html(
                '<a class="text-link" href="{}">{}</a>',
                reverse("admin:billing_transfer_change", args=[row.id]),
                row.description,
            ),
            row.amount,
            row.balance,
            row.booked_at,
        )
        for row in found
    ]
    all_url = reverse("admin:billing_ledgeraccount_statement", args=[wallet.pk]) if wallet else ""
    columns = ["Credits", "Amount", "Balance after", "When"]
    return Section("Statement", columns, rows, all_url)


def _subscriptions(customer: Customer) -> Section:
    found = Subscription.objects.filter(customer=customer).order_by("-pk")[:ROWS]
    rows = [
        (link_to(row, plan_name(row.plan_slug)), row.price, row.get_status_display(),
         "twice" if row.is_duplicate else "", row.rail, row.period_ends_at)
        for row in found
    ]  # fmt: skip
    columns = ["Subscription", "Next period", "Status", "", "Way to pay", "Paid until"]
    all_url = list_of(Subscription, customer__id__exact=customer.pk)
    return Section("Subscriptions", columns, rows, all_url)


def _orders(customer: Customer) -> Section:
    found = Order.objects.filter(customer=customer).order_by("-pk")[:ROWS]
    rows = [
        (link_to(order, order.product_name), order.total, order.get_status_display(),
         "yes" if order.delivered_at else "no",
         clock.moment_of(order.created_at, order.paid_at))
        for order in found
    ]  # fmt: skip
    columns = ["Order", "Total", "Status", "Delivered", "When"]
    return Section("Orders", columns, rows, list_of(Order, customer__id__exact=customer.pk))


def _payments(customer: Customer) -> Section:
    found = Payment.objects.filter(customer=customer).select_related("order").order_by("-pk")
    rows = [
        (
            link_to(payment, payment.external_id),
            payment.amount,
            Money(payment.refunded_minor, payment.unit),
            link_to(payment.order) if payment.order else payment.unapplied_reason or "unapplied",
            payment.occurred_at,
        )
        for payment in found[:ROWS]
    ]
    columns = ["Payment", "Came in", "Refunded", "For", "When"]
    return Section("Payments", columns, rows, list_of(Payment, customer__id__exact=customer.pk))


def _refunds(customer: Customer) -> Section:
    found = Refund.objects.filter(payment__customer=customer).select_related("payment")
    rows = [
        (
            link_to(refund, refund.reason),
            refund.amount,
            refund.get_state_display(),
            refund.asked_at,
        )
        for refund in found.order_by("-pk")[:ROWS]
    ]
    all_url = list_of(Refund, payment__customer__id__exact=customer.pk)
    return Section("Refunds", ["Refund", "Amount", "State", "When"], rows, all_url)


def _emails(customer: Customer) -> Section:
    found = Email.objects.filter(customer=customer).order_by("-pk")[:ROWS]
    rows = [
        (link_to(email, email.kind_label), email.get_state_display(), email.sent_to, email.subject,
         email.sent_at or email.created_at)
        for email in found
    ]  # fmt: skip
    columns = ["E-mail", "State", "Sent to", "Subject", "When"]
    return Section("E-mails", columns, rows, list_of(Email, customer__id__exact=customer.pk))


def _staff_actions(customer: Customer) -> Section:
    found = StaffAction.objects.filter(customer=customer).select_related("staff")
    rows = [
        (link_to(action, what(action)), done_to(action), action.staff, action.reason,
         action.created_at)
        for action in found.order_by("-pk")[:ROWS]
    ]  # fmt: skip
    columns = ["What", "Done to", "By", "Why", "When"]
    all_url = list_of(StaffAction, customer__id__exact=customer.pk)
    return Section("Staff actions", columns, rows, all_url)
