"""What the next invoice of a purchase would say, as far as it can be known; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import translation
from django.utils.translation import gettext as _

from accounts.models import Customer
from billing import intervals
from billing.errors import ChangeNotPossible, NoSubscription
from billing.models import Invoice, InvoiceKind, Subscription
from billing.money import CREDIT, Money
from billing.services import (
    invoice_pdf,
    invoices,
    plan_changes,
    plan_offers,
    purchases,
    rails,
    subscriptions,
)
from billing.services.products import Sold
from billing.titles import product_of
from common import clock
from common.errors import InvalidInput

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Preview:
    """An invoice that is not issued. ``due_at``: when it would be charged; None: when one pays.

    Without ``tax_is_known`` its tax is 0 and its total is before tax.
    """

    invoice: Invoice
    due_at: datetime | None
    tax_is_known: bool

    @property
    def tax_note(self) -> str:
        """What is said instead of a tax that is not known; empty when it is."""
        if self.tax_is_known:
            return ""
        return _("Tax depends on the address and is computed by the payment provider at payment.")


@dataclass(frozen=True, slots=True)
class _Stretch:
    starts_at: datetime
    ends_at: datetime


def of_package(customer: Customer, slug: str, *, rail: str) -> Preview:
    """A package of credits. Raises InvalidInput as buying it does."""
    return _of_sale(customer, purchases.package(slug, rail=rail), rail=rail)


def of_amount(customer: Customer, amount_minor: int, *, rail: str) -> Preview:
    """Credits for an amount of the buyer's choice. Raises InvalidInput as buying it does."""
    return _of_sale(customer, purchases.custom(amount_minor, rail=rail), rail=rail)


def of_plan(customer: Customer, slug: str, interval: str, *, rail: str) -> Preview:
    """Subscribing to a plan, changing to it, or one more period of it.

    Not inside a transaction: what a change costs is asked of the rail. Raises InvalidInput,
    ChangeNotPossible, RailUnavailable.
    """
    known = subscriptions.current(customer)
    if known is None:
        return _of_first_period(customer, slug, interval, rail=rail)
    if (known.plan_slug, known.interval) != (slug, interval):
        return _of_change(customer, known, slug, interval)
    if known.renews:
        return of_renewal(customer)
    return _of_sale(
        customer,
        plan_offers.sold(plan_offers.find(slug, interval, [known.unit]), renews=False),
        rail=known.rail,
        stretch=_next_period(known, interval),
    )


def of_renewal(customer: Customer) -> Preview:
    """The next renewal of the subscription there is. Raises NoSubscription, ChangeNotPossible."""
    subscription = subscriptions.current(customer)
    if subscription is None:
        raise NoSubscription(_("There is no subscription that could renew."))
    if not subscription.renews or subscription.cancels_at is not None:
        raise ChangeNotPossible(_("This subscription does not renew."))
    slug = subscription.next_plan_slug or subscription.plan_slug
    interval = subscription.next_interval or subscription.interval
    return _of_next_period(customer, subscription, slug, interval)


def pdf(preview: Preview) -> bytes:
    """The preview as a PDF that says on every page what it is."""
    with translation.override(preview.invoice.language):
        return invoice_pdf.render_preview(
            preview.invoice, due_at=preview.due_at, tax_note=preview.tax_note, at=clock.now()
        )


def _of_first_period(customer: Customer, slug: str, interval: str, *, rail: str) -> Preview:
    way = rails.named(rail)
    offer = plan_offers.find(slug, interval, way.assets)
    trial_days = subscriptions.trial_days(customer, offer, renews=way.renews)
    starts_at = clock.now() + timedelta(days=trial_days)
    # Prepaid time runs in the customer's own time zone.
    zone = _UTC if way.renews else customer.zone
    stretch = _Stretch(starts_at, intervals.start_of(starts_at, interval, 1, zone))
    item = plan_offers.sold(offer, renews=way.renews)
    due_at = starts_at if trial_days else None
    return _of_sale(customer, item, rail=rail, stretch=stretch, due_at=due_at)


def _of_change(customer: Customer, subscription: Subscription, slug: str, interval: str) -> Preview:
    quote = plan_changes.quote(customer, slug, interval)
    if quote.when == plan_changes.When.PERIOD_END or quote.subtotal.amount_minor <= 0:
        return _of_next_period(customer, subscription, slug, interval)
    item = plan_offers.sold_for_change(quote.offer, subscription, due=quote.subtotal, at=quote.at)
    return _of_sale(
        customer,
        item,
        rail=subscription.rail,
        stretch=_Stretch(quote.at, quote.next_at),
        discount_minor=(quote.subtotal + quote.tax - quote.total).amount_minor,
        tax=quote.tax,
    )


def _of_next_period(
    customer: Customer, subscription: Subscription, slug: str, interval: str
) -> Preview:
    """What follows the current period: at the price of today's catalogue if the plan changes."""
    offer = plan_offers.find(slug, interval, [subscription.unit])
    item = plan_offers.sold(offer, renews=True)
    if (slug, interval) == (subscription.plan_slug, subscription.interval):
        item = Sold(item.kind, item.slug, item.name, subscription.price, item.snapshot)
    stretch = _next_period(subscription, interval)
    return _of_sale(
        customer, item, rail=subscription.rail, stretch=stretch, due_at=stretch.starts_at
    )


def _next_period(subscription: Subscription, interval: str) -> _Stretch:
    starts_at = subscription.period_ends_at
    is_same = interval == subscription.interval
    anchor_at = subscription.anchor_at if is_same else starts_at
    number = intervals.number_at(anchor_at, interval, starts_at, subscription.zone)
    ends_at = intervals.start_of(anchor_at, interval, number + 1, subscription.zone)
    return _Stretch(starts_at, ends_at)


def _of_sale(
    customer: Customer,
    item: Sold,
    *,
    rail: str,
    stretch: _Stretch | None = None,
    due_at: datetime | None = None,
    discount_minor: int = 0,
    tax: Money | None = None,
) -> Preview:
    if item.price.asset == CREDIT:
        raise InvalidInput(
            _("What is paid from credits gets no invoice: buying the credits got one."),
            code="not_invoiced",
            fields={"rail": [_("Choose a way to pay with money.")]},
        )
    line: dict[str, object] = {
        "name": item.name,
        "product": product_of(item.kind, item.snapshot),
        "amount_minor": item.price.amount_minor,
    }
    if stretch is not None:
        line["from"] = stretch.starts_at.astimezone(UTC).isoformat()
        line["until"] = stretch.ends_at.astimezone(UTC).isoformat()
    invoice = Invoice(
        kind=InvoiceKind.INVOICE,
        customer=customer,
        asset=item.price.asset.code,
        subtotal_minor=item.price.amount_minor,
        discount_minor=discount_minor,
        tax_minor=tax.amount_minor if tax is not None else 0,
        lines=[line],
        language=customer.language,
        seller=invoices.seller(),
        buyer=invoices.buyer(customer),
    )
    tax_is_known = tax is not None or not rails.named(rail).computes_tax
    return Preview(invoice, due_at, tax_is_known)
