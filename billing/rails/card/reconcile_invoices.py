"""Paid invoices at Stripe against our payments and the time they bought.

An invoice that was charged for is found by its charge, too, however old it is; its amount is
compared with its payment's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from billing.models import Payment, Subscription, SubscriptionPeriod
from billing.rails.card import invoices, objects, reconcile_reading, subscriptions
from billing.rails.card.reconcile_reading import RAIL, money
from billing.services import subscriptions as our_subscriptions
from billing.services.rails import Finding, Repair, Tell
from common.errors import Conflict

# Stripe makes an invoice about an hour before it charges for it.
DRAFT_LASTS = timedelta(hours=25)
INVOICE = "in_"


def find(since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
    """Name paid invoices that brought us nothing, then free time of ours that none has billed."""
    made = since - DRAFT_LASTS
    for stretch in reconcile_reading.stretches(reconcile_reading.paid_invoices, made, until):
        listed = {one["id"]: one for one in stretch.objects}
        booked = _booked(listed)
        for invoice in listed.values():
            if invoice["id"] not in booked:
                yield from missing(invoice)
        free = SubscriptionPeriod.objects.exclude(kind="paid").filter(
            subscription__rail=RAIL, source__startswith=INVOICE, starts_at__gte=stretch.since
        )
        unlisted = free.filter(starts_at__lt=stretch.until).exclude(source__in=listed)
        names = list(unlisted.order_by("pk").values_list("source", flat=True))
        for name in names:
            yield from (one.finding for one in look(name))
        tell(len(listed) + len(names))


def look(name: str) -> Iterator[Repair]:
    """What differs about one invoice now, other than its amount."""
    invoice = reconcile_reading.known(lambda: objects.invoice(name))
    if invoice is None or invoice["status"] != "paid":
        for period in SubscriptionPeriod.objects.filter(source=name).exclude(kind="paid"):
            yield Repair(_unknown(period, invoice))
    elif name not in _booked({name: invoice}):
        for finding in missing(invoice):
            yield Repair(finding, _settling(invoice))


def missing(invoice: objects.Object) -> Iterator[Finding]:
    """Name a paid invoice that our books do not have, unless it bought nothing of ours."""
    subscription_id = invoices.subscription_id(invoice)
    theirs = money(invoice["amount_paid"], invoice["currency"])
    if not invoice["amount_paid"] and not _is_free_time(invoice, subscription_id):
        return
    twin = _twin(invoice, subscription_id)
    if twin is not None:
        yield Finding(
            "invoice_duplicate", invoice["id"], "A second invoice for time that is paid already.",
            ours=f"billed by {twin.source}", theirs=theirs, is_safe=True,
            remedy="Book it as unapplied money of the payer; by policy it becomes credits.",
        )  # fmt: skip
        return
    yield Finding(
        "invoice_missing", invoice["id"], "Paid at Stripe, and nobody told us.", theirs=theirs,
        is_safe=True, remedy="Book it and deliver the time it bought, as its webhook would have.",
    )  # fmt: skip


def _booked(listed: Mapping[str, objects.Object]) -> set[str]:
    """Those that we have a payment of, or free time."""
    intents = {name: _names(invoice) for name, invoice in listed.items()}
    wanted = {one for names in intents.values() for one in names}
    rows = Payment.objects.filter(rail=RAIL)
    paid = reconcile_reading.by("external_id", rows, wanted)
    known = {name for name, names in intents.items() if any(one in paid for one in names)}
    subscribed = {invoices.subscription_id(one) for one in listed.values()}
    ours = reconcile_reading.by("external_id", Subscription.objects.filter(rail=RAIL), subscribed)
    periods = SubscriptionPeriod.objects.filter(subscription__in=ours.values(), source__in=listed)
    return known | set(periods.values_list("source", flat=True))


def _names(invoice: objects.Object) -> list[str]:
    """What a payment of it may be called here."""
    made = (invoice.get("payments") or {}).get("data", [])
    intents = [objects.id_of(one["payment"].get("payment_intent")) for one in made]
    return [invoice["id"], *(one for one in intents if one)]


def _is_free_time(invoice: objects.Object, subscription_id: str | None) -> bool:
    """Whether nothing was paid because there was nothing to pay, for a plan of ours."""
    if subscription_id is None or invoice["subtotal"] < 0:
        return False
    found = reconcile_reading.known(lambda: objects.subscription(subscription_id))
    return found is not None and subscriptions.read(found) is not None


def _twin(invoice: objects.Object, subscription_id: str | None) -> SubscriptionPeriod | None:
    """The period of ours that has billed a renewal's time already."""
    if subscription_id is None or invoice["billing_reason"] != "subscription_cycle":
        return None
    lines = objects.invoice_lines(invoice)
    begins = [one["period"]["start"] for one in lines if one["amount"] >= 0]
    if not begins:
        return None
    at = objects.moment(max(begins))
    ours = SubscriptionPeriod.objects.filter(
        subscription__rail=RAIL, subscription__external_id=subscription_id
    )
    return ours.exclude(source=invoice["id"]).filter(starts_at__lte=at, ends_at__gt=at).first()


def _unknown(period: SubscriptionPeriod, invoice: objects.Object | None) -> Finding:
    return Finding(
        "invoice_unknown", period.source, "Our books have free time that no paid invoice bought.",
        ours=f"{period}, {period.get_kind_display()}",
        theirs=invoice["status"] if invoice else "no such invoice",
        advice="Look the subscription up at Stripe; end it here if it should not run.",
    )  # fmt: skip


def _settling(invoice: objects.Object) -> Callable[[], object]:
    """Settle it and bring its subscription to where it stands."""
    subscription_id = invoices.subscription_id(invoice)
    if subscription_id is None:
        return invoices.prepare(invoice, None)
    heard = our_subscriptions.heard(RAIL, subscription_id)
    found = objects.subscription(subscription_id)
    settle, standing = invoices.prepare(invoice, found), subscriptions.read(found)

    def act() -> None:
        settle()
        if standing is not None and not our_subscriptions.record(standing, heard_before=heard):
            raise Conflict("It changed meanwhile. Try again.")

    return act
