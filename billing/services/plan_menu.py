"""What a customer has and can have of plans: rows for pages and programs, and the way to order."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import Customer, User
from billing import selectors
from billing.errors import ChangeNotPossible, QuoteOutdated
from billing.models import Order, OrderStatus
from billing.selectors import Overview, PlanCard
from billing.services import plan_changes, plan_offers, rails, subscriptions
from billing.services.renewing import RenewingRail

SAME_CLICK = timedelta(minutes=1)


def overview(customer: Customer) -> Overview:
    """The subscription that counts, those beside it, and the last that ended."""
    live = subscriptions.live(customer)
    return selectors.subscription_overview(customer, live, subscriptions.best_of(live))


def cards(have: Overview, *, months: int | None = None) -> list[PlanCard]:
    """Every plan with the offers of this deployment, for so many months at a time (None: all)."""
    may_try = not have.live and have.last_ended is None
    return selectors.plan_cards(rails.available(), have.current, may_try=may_try, months=months)


@transaction.atomic
def start(
    customer: Customer, slug: str, interval: str, *, rail: str, placed_by: User | None
) -> Order:
    """An order from the plans page. A second click in the same minute continues the first's.

    Raises what ``subscriptions.start`` does.
    """
    subscriptions.wait_for_turn(customer)
    clicked = Order.objects.filter(
        created_at__gte=Now() - SAME_CLICK,
        customer=customer,
        rail=rail,
        status=OrderStatus.OPEN,
        product_kind=plan_offers.KIND,
        product_slug=slug,
        snapshot__interval=interval,
    ).exclude(snapshot__has_key="change")
    known = clicked.order_by("-pk").first()
    current = subscriptions.current(customer)
    extends = None if current is None else str(current.pk)
    if known is not None and known.snapshot.get("extends") == extends:
        return known
    return subscriptions.start(customer, slug, interval, rail=rail, placed_by=placed_by)


def require_quoted(token: str, slug: str, interval: str) -> None:
    """Refuse a quote of another plan than the one that is confirmed. Raises QuoteOutdated."""
    try:
        told = signing.loads(token, salt=plan_changes.SALT)
    except signing.BadSignature:
        raise QuoteOutdated from None
    if (told["plan"], told["interval"]) != (slug, interval):
        raise QuoteOutdated(_("That quote was for another plan. Nothing was changed."))


def self_service_url(customer: Customer, *, back: str) -> str:
    """The provider's page for cards and invoices; ``back`` is a path of ours to return to.

    Not inside a transaction. Raises ChangeNotPossible when no way to pay has such a page,
    RailUnavailable.
    """
    current = subscriptions.current(customer)
    wanted = current.rail if current is not None and current.renews else None
    for rail in rails.available():
        if isinstance(rail, RenewingRail) and wanted in (None, rail.name):
            return rail.self_service_url(customer, f"{settings.PUBLIC_URL}{back}")
    raise ChangeNotPossible(_("There is no page of a payment provider to manage cards here."))
