"""Charges at Stripe against our payments, and what Stripe kept of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import stripe

from billing.models import Payment
from billing.money import ASSETS, asset
from billing.rails.card import (
    checkout,
    customers,
    fees,
    objects,
    off_session,
    reconcile_invoices,
    reconcile_reading,
)
from billing.rails.card.client import reachable
from billing.rails.card.reconcile_reading import RAIL, money
from billing.services import corrections, payments
from billing.services.charges import Charge
from billing.services.rails import Finding, Repair, Tell

SUCCEEDED = "succeeded"
# Invoices that were settled without a charge have their own comparison.
INVOICE = "in_"
LOOK_UP = (
    "Look it up at Stripe: another account, test mode, or a charge that was cancelled. The "
    "customer keeps what was delivered; take it back by hand if it was never paid."
)


def find(since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
    """Name payments that differ: charges first, oldest first, then ours that Stripe did not list.

    Payments that still lack their fee are looked at however old they are.
    """
    for stretch in reconcile_reading.stretches(reconcile_reading.charges, since, until):
        theirs = {name_of(one): one for one in stretch.objects if one["status"] == SUCCEEDED}
        ours = _ours(stretch, theirs)
        booked = corrections.totals(RAIL, _subjects(ours))
        for name, charge in theirs.items():
            yield from _compared(name, ours.get(name), charge, booked)
        for name, payment in ours.items():
            if name not in theirs:
                made, status = standing(name)
                yield from _compared(name, payment, made, booked, status)
        tell(len({*theirs, *ours}))
    waiting = Payment.objects.filter(rail=RAIL, fee_minor=None, occurred_at__lt=since)
    charged = waiting.exclude(external_id__startswith=INVOICE)
    for payment in charged.order_by("pk").iterator(reconcile_reading.CHUNK):
        yield from _fee(payment, standing(payment.external_id)[0], {})
        tell(1)


def look(name: str) -> Iterator[Repair]:
    """What differs about one payment now, amount first."""
    payment = Payment.objects.filter(rail=RAIL, external_id=name).first()
    charge, status = standing(name)
    booked = corrections.totals(RAIL, [name, _fee_of(name)])
    for finding in _compared(name, payment, charge, booked, status):
        yield Repair(finding, _act(finding, payment, charge, booked))


def standing(name: str) -> tuple[objects.Object | None, str]:
    """The charge that succeeded under that name, if one did; and how Stripe says it stands."""
    if name.startswith(INVOICE):
        return _paid_elsewhere(name)
    if name.startswith("pi_"):
        intent = reconcile_reading.known(lambda: objects.payment_intent(name)) or {}
        charge, status = intent.get("latest_charge"), str(intent.get("status", ""))
    else:
        charge = reconcile_reading.known(lambda: objects.charge(name))
        status = charge["status"] if charge else ""
    return (charge, status) if charge and charge["status"] == SUCCEEDED else (None, status)


def _paid_elsewhere(invoice_id: str) -> tuple[objects.Object | None, str]:
    """An invoice that was paid past Stripe, in the shape of a charge that it never took."""
    invoice = reconcile_reading.known(lambda: objects.invoice(invoice_id))
    if invoice is None or invoice["status"] != "paid":
        return None, invoice["status"] if invoice else ""
    charge = {"id": invoice_id, "amount": invoice["amount_paid"], "balance_transaction": None}
    return charge | {"currency": invoice["currency"], "status": SUCCEEDED}, SUCCEEDED


def name_of(charge: objects.Object) -> str:
    """What we call the payment of a charge."""
    return objects.id_of(charge["payment_intent"]) or str(charge["id"])


def _ours(
    stretch: reconcile_reading.Stretch, theirs: Mapping[str, objects.Object]
) -> dict[str, Payment]:
    """Our payments of that time, and those of Stripe's charges whatever their time."""
    rows = Payment.objects.filter(rail=RAIL).select_related("order")
    then = rows.filter(occurred_at__gte=stretch.since, occurred_at__lt=stretch.until)
    ours = {payment.external_id: payment for payment in then.order_by("occurred_at", "pk")}
    missing = [name for name in theirs if name not in ours]
    return ours | reconcile_reading.by("external_id", rows, missing)


def _subjects(ours: Mapping[str, Payment]) -> list[str]:
    return [*ours, *(_fee_of(name) for name in ours)]


def _fee_of(name: str) -> str:
    return f"{name}:fee"


def _compared(
    name: str,
    payment: Payment | None,
    charge: objects.Object | None,
    booked: Mapping[str, int],
    status: str = SUCCEEDED,
) -> Iterator[Finding]:
    """``status``: how Stripe says that a payment without a charge stands; empty if it has none."""
    if payment is None:
        if charge is not None:
            yield from _missing(name, charge)
        return
    if charge is None:
        yield from _unpaid(payment, booked, status)
        return
    yield from _amount(payment, charge, booked)
    yield from _fee(payment, charge, booked)


def _missing(name: str, charge: objects.Object) -> Iterator[Finding]:
    theirs = money(charge["amount"], charge["currency"])
    if charge["currency"].upper() not in ASSETS:
        yield Finding(
            "payment_missing", name, "A charge in a currency this portal does not count.",
            theirs=theirs, advice="Refund it at Stripe, or declare the currency.",
        )  # fmt: skip
        return
    if not _has_session(name):
        yield from _stray(name, charge, theirs)
        return
    order_id = checkout.order_id(charge)
    twin = Payment.objects.filter(order=order_id).first() if order_id else None
    if twin is not None:
        yield Finding(
            "payment_duplicate", name, "A second payment of an order that is paid already.",
            ours=f"paid by {twin.external_id}", theirs=theirs, is_safe=True,
            remedy="Book it as unapplied money of the payer; by policy it becomes credits.",
        )  # fmt: skip
        return
    yield Finding(
        "payment_missing", name, "Paid at Stripe, and nobody told us.", theirs=theirs,
        is_safe=True, remedy="Book it and deliver what it paid for, as its webhook would have.",
    )  # fmt: skip


def _has_session(name: str) -> bool:
    if not name.startswith("pi_"):
        return False
    with reachable():
        return bool(stripe.checkout.Session.list(payment_intent=name, limit=1).data)


def _stray(name: str, charge: objects.Object, theirs: str) -> Iterator[Finding]:
    """What no session made: an invoice's payment, or one that none of our pages made."""
    invoice = objects.invoice_of_payment(name) if name.startswith("pi_") else None
    if invoice is not None:
        yield from reconcile_invoices.missing(invoice)
        return
    if off_session.is_ours(charge):
        yield Finding(
            "payment_missing", name, "A saved card was charged, and nobody told us.",
            theirs=theirs, is_safe=True,
            remedy="Book it and deliver the credits, as its webhook would have.",
        )  # fmt: skip
        return
    yield Finding(
        "payment_missing", name, "A charge that no pay page of ours made.", theirs=theirs,
        remedy="Book it as unapplied money, of its payer if we know them.",
        advice=f"Look at {charge['id']} at Stripe: who made it, and what for?",
    )  # fmt: skip


def _unpaid(payment: Payment, booked: Mapping[str, int], status: str) -> Iterator[Finding]:
    """A payment of ours without a charge; one that was corrected away is at peace."""
    left = payment.amount_minor - booked.get(payment.external_id, 0)
    fee = (payment.fee_minor or 0) + booked.get(_fee_of(payment.external_id), 0)
    if left == 0 and fee == 0:
        return
    unexplained = corrections.unexplained(RAIL)
    yield Finding(
        "payment_state_differs" if status else "payment_unknown", payment.external_id,
        "Our books have a payment that Stripe did not take.",
        ours=str(payment.amount), theirs=status or "no such payment",
        remedy=f"Move its money from clearing to {unexplained}, and its fee back.",
        advice=LOOK_UP,
    )  # fmt: skip


def _amount(
    payment: Payment, charge: objects.Object, booked: Mapping[str, int]
) -> Iterator[Finding]:
    kind = f"{_noun(payment)}_amount_differs"
    if payment.asset != charge["currency"].upper():
        yield Finding(
            kind, payment.external_id, "The currencies differ.",
            ours=str(payment.amount), theirs=money(charge["amount"], charge["currency"]),
            advice="Find out which is right before anything is moved.",
        )  # fmt: skip
        return
    ours = payment.amount_minor - booked.get(payment.external_id, 0)
    if ours == charge["amount"]:
        return
    difference = money(abs(ours - charge["amount"]), charge["currency"])
    yield Finding(
        kind, payment.external_id, "Stripe took another amount than we booked.",
        ours=money(ours, charge["currency"]), theirs=money(charge["amount"], charge["currency"]),
        remedy=f"Book {difference} between clearing and {corrections.unexplained(RAIL)}.",
        advice="The customer keeps what was delivered for our amount; grant or take the rest.",
    )  # fmt: skip


def _noun(payment: Payment) -> str:
    """Whether the money came by an invoice or by a pay page."""
    term = payment.order.snapshot.get("term") if payment.order else None
    return "invoice" if term or payment.external_id.startswith(INVOICE) else "payment"


def _fee(
    payment: Payment, charge: objects.Object | None, booked: Mapping[str, int]
) -> Iterator[Finding]:
    transaction = (charge or {}).get("balance_transaction")
    if not isinstance(transaction, dict) or transaction["currency"].upper() != payment.asset:
        return
    theirs = money(transaction["fee"], transaction["currency"])
    if payment.fee_minor is None:
        yield Finding(
            "fee_missing", payment.external_id, "Stripe kept a fee that is not booked yet.",
            theirs=theirs, is_safe=True, remedy="Book the fee.",
        )  # fmt: skip
        return
    ours = payment.fee_minor + booked.get(_fee_of(payment.external_id), 0)
    if ours != transaction["fee"]:
        yield Finding(
            "fee_amount_differs", payment.external_id, "Stripe kept another fee than we booked.",
            ours=money(ours, transaction["currency"]), theirs=theirs,
            remedy="Book the difference between provider_fee and clearing.",
        )  # fmt: skip


def _act(
    finding: Finding,
    payment: Payment | None,
    charge: objects.Object | None,
    booked: Mapping[str, int],
) -> Callable[[], object] | None:
    """What puts it right; whatever must be asked of Stripe is asked here, not in the act."""
    if not finding.remedy:
        return None
    if payment is None and charge is not None:
        return _taking_in(finding.subject, charge)
    if payment is None:
        return None
    if finding.kind == "fee_missing":
        return lambda: fees.book(payment.pk, charge)
    if finding.kind == "fee_amount_differs":
        return lambda: _correct_fee(payment, charge, booked)
    return lambda: _correct(payment, charge, booked)


def _taking_in(name: str, charge: objects.Object) -> Callable[[], object]:
    session = objects.session_of_payment(name) if name.startswith("pi_") else None
    if session is not None:
        return lambda: checkout.settle(session)
    if off_session.is_ours(charge):
        intent = objects.payment_intent(name)
        return lambda: off_session.settle(intent)
    return lambda: _keep(name, charge)


def _keep(name: str, charge: objects.Object) -> None:
    """Book a charge that names no order: it is kept as unapplied money."""
    made = Charge(
        rail=RAIL,
        external_id=name,
        asset=asset(charge["currency"].upper()),
        amount_minor=charge["amount"],
        subtotal_minor=charge["amount"],
        discount_minor=0,
        tax_minor=0,
        occurred_at=objects.moment(charge["created"]),
        customer=customers.known_as(objects.id_of(charge["customer"])),
        order_id=None,
    )
    fees.book(payments.settle(made).pk, charge)


def _correct(payment: Payment, charge: objects.Object | None, booked: Mapping[str, int]) -> None:
    seen = booked.get(payment.external_id, 0)
    corrections.book(
        RAIL,
        payment.external_id,
        payment.unit,
        clearing_minor=payment.amount_minor - seen - (charge["amount"] if charge else 0),
        against=corrections.unexplained(RAIL),
        seen_minor=seen,
    )
    if charge is None:
        _correct_fee(payment, None, booked)


def _correct_fee(
    payment: Payment, charge: objects.Object | None, booked: Mapping[str, int]
) -> None:
    name = _fee_of(payment.external_id)
    theirs = charge["balance_transaction"]["fee"] if charge else 0
    seen = booked.get(name, 0)
    corrections.book(
        RAIL,
        name,
        payment.unit,
        clearing_minor=theirs - (payment.fee_minor or 0) - seen,
        against="provider_fee",
        seen_minor=seen,
    )
