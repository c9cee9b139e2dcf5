"""The figures of the staff home: what each means to the letter, who may see it, its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from django.urls import reverse

from accounts.models import Customer, User
from billing.admin import figure_rows as rows
from billing.admin.base import list_of
from billing.admin.figure_cells import Row
from billing.models import (
    Dispute,
    InboundEvent,
    LedgerAccount,
    Lot,
    Order,
    Payment,
    Refund,
    Subscription,
)
from billing.selectors.spans import Span

Rows = Callable[[Span, int | None], Iterator[Row]]
Listed = Callable[[Span], str]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``rights`` are all needed to see it; ``listed`` leads to its rows as a list."""

    slug: str
    title: str
    definition: str
    rights: Sequence[str]
    columns: Sequence[str]
    rows: Rows
    has_amounts: bool = True
    # As of now, whatever the range.
    is_of_now: bool = False
    listed: Listed | None = None

    def may_be_seen_by(self, viewer: User | AnonymousUser) -> bool:
        """Whether somebody may look at all that it is made of."""
        return all(viewer.has_perm(right) for right in self.rights)

    @property
    def url(self) -> str:
        """Its page."""
        return reverse("figure", args=[self.slug])

    @property
    def csv_url(self) -> str:
        """Its rows as a file."""
        return reverse("figure-csv", args=[self.slug])

    @property
    def definition_url(self) -> str:
        """Where it is explained."""
        return f"{reverse('figures')}#{self.slug}"


def _between(model: type[Model], field: str, **more: str) -> Listed:
    """The list of rows whose moment lies in the range."""

    def listed(span: Span) -> str:
        bounds = {f"{field}__gte": span.since.isoformat(), f"{field}__lt": span.until.isoformat()}
        return f"{list_of(model)}?{urlencode(bounds | more)}"

    return listed


_VIEW = "billing.view_"
_SUBSCRIPTIONS = (f"{_VIEW}subscription",)

_ALL = (
    Figure(
        "revenue",
        "Revenue",
        "What the ledger's accounts sales, breakage and platform_fee gained in the range less "
        "what left them: units used, time passed, units that expired unused and our share of "
        "creators' sales, net of tax and of what refunds and disputes took back of it.",
        (f"{_VIEW}transfer",),
        ("When", "Earned", "Product", "Way to pay", "Account", "Transfer"),
        rows.of_revenue,
    ),
    Figure(
        "received",
        "Payments received",
        "Payments that came in within the range, tax included, whether or not what they bought "
        "is earned yet; later refunds do not lower it.",
        (f"{_VIEW}payment",),
        ("When", "Payment", "Payer", "For", "Way to pay", "Amount", "Tax", "Refunded since"),
        rows.of_received,
        listed=_between(Payment, "occurred_at"),
    ),
    Figure(
        "refunds",
        "Refund rate",
        "Money of refunds that were booked within the range and have not failed, tax included, "
        "as a share of the payments received within the range.",
        (f"{_VIEW}payment", f"{_VIEW}refund"),
        ("Booked", "Reason", "Payment", "Payer", "Way to pay", "Amount"),
        rows.of_refunds,
        listed=_between(Refund, "booked_at"),
    ),
    Figure(
        "disputes",
        "Dispute rate",
        "Disputes opened within the range, mere questions left out, per payment received within "
        "the range.",
        (f"{_VIEW}payment", f"{_VIEW}dispute"),
        ("Opened", "Dispute", "Payer", "Way to pay", "Reason", "State", "Amount"),
        rows.of_disputes,
        listed=_between(Dispute, "opened_at"),
    ),
    Figure(
        "mrr",
        "MRR",
        "At the end of the range, what the newest period of each subscription to a plan that has "
        "begun and not ended costs a month: its price less its discount, without tax (after a "
        "change of plan the new plan's price), a year's divided by 12 and rounded half to even; "
        "trials count nothing, and what is past due counts until it ends.",
        _SUBSCRIPTIONS,
        ("Subscription", "Customer", "Plan", "Interval", "Since", "Per month"),
        rows.of_mrr,
    ),
    Figure(
        "movements",
        "MRR movements",
        "Each customer's MRR just before the range against its end: new if they never had any, "
        "reactivation if they had some earlier, expansion if it grew, contraction if it shrank, "
        "churn if nothing is left; start and movements add up to the end.",
        _SUBSCRIPTIONS,
        ("Customer", "Movement", "Before", "After", "Change"),
        rows.of_movements,
    ),
    Figure(
        "subscribers",
        "Active subscribers",
        "Customers whose MRR at the end of the range is more than nothing.",
        _SUBSCRIPTIONS,
        ("Customer", "Per month"),
        rows.of_subscribers,
    ),
    Figure(
        "arpu",
        "ARPU",
        "MRR at the end of the range divided by the active subscribers who pay in that asset, "
        "rounded half to even.",
        _SUBSCRIPTIONS,
        ("Customer", "Per month"),
        rows.of_subscribers,
    ),
    Figure(
        "conversion",
        "Free to paid",
        "Of the customers who joined within the range, the share whose first paid period of a "
        "plan began before its end.",
        (*_SUBSCRIPTIONS, "accounts.view_customer"),
        ("Customer", "Joined", "Paid since"),
        rows.of_conversion,
        has_amounts=False,
        listed=_between(Customer, "created_at"),
    ),
    Figure(
        "failing",
        "Subscriptions failing",
        "Subscriptions that are past due or suspended now because a renewal could not be "
        "charged, and what their next periods cost.",
        _SUBSCRIPTIONS,
        ("Since", "Subscription", "Customer", "Plan", "Status", "Way to pay", "Next period"),
        rows.of_failing,
        is_of_now=True,
        listed=lambda _: list_of(Subscription, status__in="past_due,suspended"),
    ),
    Figure(
        "failed",
        "Failed payments",
        "Orders placed within the range whose payment the provider reported as failed.",
        (f"{_VIEW}order",),
        ("Ordered", "Order", "Customer", "Way to pay", "Total"),
        rows.of_failed,
        listed=_between(Order, "created_at", status__exact="failed"),
    ),
    Figure(
        "credits",
        "Credits outstanding",
        "Units in customers' wallets now: granted and neither used, refunded nor expired; what "
        "holds have set aside is in it, and so is what was given away.",
        (f"{_VIEW}lot",),
        ("Wallet", "Customer", "Holds", "Given away", "Next expiry"),
        rows.of_credits,
        is_of_now=True,
        listed=lambda _: list_of(Lot, is_open__exact=1),
    ),
    Figure(
        "deferred",
        "Deferred revenue",
        "Balance of the ledger's account deferred now: money received, without tax, for units "
        "not used, time not passed and orders not delivered.",
        (f"{_VIEW}ledgeraccount", f"{_VIEW}lot", f"{_VIEW}subscriptionperiod"),
        ("What", "Of", "Deferred"),
        rows.of_deferred,
        is_of_now=True,
        listed=lambda _: f"{list_of(LedgerAccount, kind__exact='system')}&q=deferred",
    ),
    Figure(
        "events",
        "Oldest unhandled event",
        "How long the oldest message of a provider has been waiting that is stored and not yet "
        "acted on, or failing.",
        (f"{_VIEW}inboundevent",),
        ("Received", "Event", "Kind", "Way to pay", "State", "Attempts"),
        rows.of_events,
        has_amounts=False,
        is_of_now=True,
        listed=lambda _: list_of(InboundEvent, state="unhandled"),
    ),
)

FIGURES: Mapping[str, Figure] = {figure.slug: figure for figure in _ALL}
