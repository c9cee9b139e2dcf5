"""Auto top-up: what may be bought by itself, who agreed to it, and switching it off.

Only a signed-in member who may pay switches it on or widens it; a program may narrow it or switch
it off, and so does the portal by itself. What is charged is in services/auto_top_up_charges.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.http import RoleInsufficient
from accounts.models import Customer, Membership
from billing import catalogue, ledger
from billing.catalogue import CreditPack
from billing.models import (
    AutoTopUp,
    AutoTopUpCharge,
    AutoTopUpConsent,
    AutoTopUpState,
    AutoTopUpStop,
    ChargeState,
    EmailKind,
    Lot,
    OrderStatus,
)
from billing.money import CREDIT, USD, Money
from billing.services import charging, emails
from billing.services.charging import ChargingRail
from common import clock, doorbell
from common.errors import Conflict, Forbidden, InvalidInput

LOOK_TASK = "billing.look_at_auto_top_up"
LARGEST_MAX = Money(100_000_00, USD)

# What a person agrees to; kept with each consent in the words that were shown.
CONSENT = gettext_lazy(
    "I allow my saved card to be charged for this purchase without asking me each time, whenever"
    " my credits fall below the limit above, up to the monthly maximum, until I switch auto"
    " top-up off."
)


class OwnerOnly(Forbidden):
    code = "owner_only"
    message = gettext_lazy(
        "Only a signed-in person who may pay can switch auto top-up on or let it charge more."
    )


class NotOffered(Conflict):
    code = "auto_top_up_not_offered"
    message = gettext_lazy("Saved cards cannot be charged here.")


@dataclass(frozen=True, slots=True)
class Terms:
    """When it buys, what, and how much of it a month: credits, and cents of a dollar."""

    threshold_minor: int
    package: str
    price_minor: int
    monthly_max_minor: int

    def within(self, other: Terms) -> bool:
        """Whether nothing here lets it charge more, or sooner, than there."""
        return (
            self.threshold_minor <= other.threshold_minor
            and self.price_minor <= other.price_minor
            and self.monthly_max_minor <= other.monthly_max_minor
        )


def terms(
    *, threshold_minor: int, package: str, amount_minor: int | None, monthly_max_minor: int
) -> Terms:
    """What somebody asks for, at today's prices. Raises InvalidInput that names what is wrong.

    One purchase must be enough to get over the threshold, so that one charge is.
    """
    pack = pack_of(package, amount_minor)
    price = pack.price_in(USD)
    if price is None:
        raise InvalidInput(fields={"package": [_("This package is not sold that way.")]})
    wrong: dict[str, list[str]] = {}
    if not 0 < threshold_minor <= pack.credits.amount_minor:
        said = _("Choose more than 0 and at most %(most)s, which is what one purchase brings.")
        wrong["threshold"] = [said % {"most": pack.credits}]
    if not price.amount_minor <= monthly_max_minor <= LARGEST_MAX.amount_minor:
        said = _("Choose from %(least)s, which is what one purchase costs, to %(most)s.")
        wrong["monthly_max"] = [said % {"least": price, "most": LARGEST_MAX}]
    if wrong:
        raise InvalidInput(fields=wrong)
    return Terms(threshold_minor, package, price.amount_minor, monthly_max_minor)


def pack_of(package: str, amount_minor: int | None) -> CreditPack:
    """The package of that name, or credits for the amount. Raises InvalidInput."""
    sold = catalogue.current()
    if package:
        return sold.credit_pack(package)
    return sold.custom_credit_pack(Money(amount_minor or 0, USD))


def of(customer: Customer) -> AutoTopUp | None:
    """The customer's auto top-up with its consent; None if it never was set up."""
    return AutoTopUp.objects.filter(customer=customer).select_related("consent").first()


def terms_of(thing: AutoTopUp | AutoTopUpConsent) -> Terms:
    """What it may charge, or what was agreed to."""
    return Terms(thing.threshold_minor, thing.package, thing.price_minor, thing.monthly_max_minor)


def require_rail() -> ChargingRail:
    """The rail that charges saved cards. Raises NotOffered, saying why."""
    rail = charging.rail()
    if rail is None:
        raise NotOffered
    if rail.why_not_charging:
        raise NotOffered(rail.why_not_charging)
    return rail


def switch_on(membership: Membership, wanted: Terms, *, words: str) -> AutoTopUp:
    """Write down what this member agrees to in these words, and begin; again with other terms.

    Without a saved card it waits for one (``saving_url``). Not inside a transaction. Raises
    RoleInsufficient, NotOffered, RailUnavailable, and Forbidden for a closed account.
    """
    if not membership.may_pay:
        raise RoleInsufficient
    card = require_rail().saved_card(membership.customer)
    with transaction.atomic():
        return _agree(membership, wanted, words=words, card=card)


def _agree(membership: Membership, wanted: Terms, *, words: str, card: str | None) -> AutoTopUp:
    customer, now = membership.customer, clock.now()
    # Two who agree at the same moment wait for each other here.
    if Customer.objects.select_for_update(no_key=True).get(pk=customer.pk).closed_at is not None:
        raise Forbidden
    agreed = {
        "threshold_minor": wanted.threshold_minor,
        "package": wanted.package,
        "price_minor": wanted.price_minor,
        "monthly_max_minor": wanted.monthly_max_minor,
    }
    consent = AutoTopUpConsent.objects.create(
        customer=customer,
        agreed_by=membership.user,
        agreed_by_email=membership.user.email,
        agreed_at=now,
        text=words,
        **agreed,
    )
    row, _is_new = AutoTopUp.objects.update_or_create(
        customer=customer,
        defaults={
            **agreed,
            "wallet": ledger.wallet(customer, CREDIT),
            "consent": consent,
            "state": AutoTopUpState.ON if card else AutoTopUpState.WAITING,
            "card": card or "",
            "declines": 0,
            "next_look_at": now,
            "stop_reason": "",
            "stopped_at": None,
        },
    )
    _ring(row)
    return row


def saving_url(row: AutoTopUp, *, done_url: str, back_url: str) -> str:
    """Where its owner saves a card; coming back from there it begins, if it waited for one.

    Not inside a transaction. Raises NotOffered and RailUnavailable.
    """
    return require_rail().open_saving_page(
        row.customer, reference=str(row.consent_id), done_url=done_url, back_url=back_url
    )


def finish_saving(customer: Customer, page_id: str) -> None:
    """Take in what this customer did on the page to save a card, if they did.

    Not inside a transaction. Raises NotOffered, NotFound and RailUnavailable.
    """
    require_rail().finish_saving(customer, page_id)


@transaction.atomic
def card_saved(customer: Customer, *, reference: str, card: str) -> None:
    """A card was saved on a page opened for ``reference``: use it, and begin if this was awaited.

    What was switched off, or agreed to anew, since that page was opened stays as it is.
    """
    row = _locked(customer)
    if row is None or str(row.consent_id) != reference:
        return
    row.card = card
    row.declines = 0
    row.next_look_at = clock.now()
    if row.state == AutoTopUpState.WAITING:
        row.state = AutoTopUpState.ON
    row.save(update_fields=["card", "declines", "next_look_at", "state"])
    _ring(row)


@transaction.atomic
def narrow(customer: Customer, wanted: Terms) -> AutoTopUp:
    """Let it charge less, or later. Raises OwnerOnly where it would charge more, or is off."""
    row = _locked(customer)
    if row is None or row.state == AutoTopUpState.OFF or not wanted.within(terms_of(row)):
        raise OwnerOnly
    row.threshold_minor = wanted.threshold_minor
    row.package = wanted.package
    row.price_minor = wanted.price_minor
    row.monthly_max_minor = wanted.monthly_max_minor
    row.save(update_fields=["threshold_minor", "package", "price_minor", "monthly_max_minor"])
    return row


@transaction.atomic
def switch_off(customer: Customer) -> None:
    """Charge nothing more; a charge that is under way may still go through. Safe to repeat."""
    row = _locked(customer)
    if row is not None and row.state != AutoTopUpState.OFF:
        _off(row, AutoTopUpStop.BY_OWNER)


@transaction.atomic
def stop(customer_id: UUID | None, reason: AutoTopUpStop) -> None:
    """Switch it off for a reason of ours and tell its owner; nothing if it is off already."""
    row = AutoTopUp.objects.select_for_update().filter(customer=customer_id).first()
    if row is None or row.state == AutoTopUpState.OFF:
        return
    _off(row, reason)
    emails.queue(
        kind=EmailKind.AUTO_TOP_UP_STOPPED,
        customer=row.customer_id,
        key=f"auto_top_up_stopped:{row.pk}:{row.consent_id}:{clock.now().isoformat()}",
        context={"reason": str(reason)},
    )


def ring_if_low(customer: Customer) -> None:
    """After spending: have it looked at by a worker if it may have to buy now. One query."""
    for row in low(clock.now()).filter(customer=customer):
        _ring(row)


def low(now: datetime) -> QuerySet[AutoTopUp]:
    """Those that may have to buy now: their wallet's counter is low, or may count expired lots.

    What is spendable is found out before anything is bought.
    """
    expired = Lot.objects.filter(is_open=True, expires_at__lte=now).values("account")
    busy = AutoTopUpCharge.objects.filter(auto_top_up=OuterRef("pk")).filter(in_flight())
    spent = Q(wallet__balance_minor__lt=F("threshold_minor") + F("wallet__held_minor"))
    ready = AutoTopUp.objects.filter(state=AutoTopUpState.ON, next_look_at__lte=now)
    return ready.filter(spent | Q(wallet__in=expired)).exclude(Exists(busy))


def in_flight() -> Q:
    """Charges whose credits may still come: under way, or paid and not yet delivered."""
    undelivered = Q(order__status=OrderStatus.PAID, order__delivered_at=None)
    return Q(state=ChargeState.PENDING) | undelivered


def _off(row: AutoTopUp, reason: AutoTopUpStop) -> None:
    row.state = AutoTopUpState.OFF
    row.stop_reason = reason
    row.stopped_at = clock.now()
    row.save(update_fields=["state", "stop_reason", "stopped_at"])


def _locked(customer: Customer) -> AutoTopUp | None:
    return AutoTopUp.objects.select_for_update().filter(customer=customer).first()


def _ring(row: AutoTopUp) -> None:
    doorbell.ring(LOOK_TASK, str(row.pk))
