"""The ledger against the sandbox's own books: item by item first, sums second."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from billing.models import (
    Dispute,
    DisputeState,
    Payment,
    RailCustomer,
    Refund,
    Subscription,
    SubscriptionPeriod,
    SubscriptionStatus,
    Transfer,
)
from billing.money import USD
from billing.rails.card import prices
from billing.rails.card.reconcile_disputes import NOT_THERE
from billing.selectors import audit
from tests.end_to_end.till import Till

CLEARING = "clearing:card"
# What reconciliation put right beside the row that was wrong.
CORRECTION = "correction:card:"
MOVED = ("withdrawn", "reinstated", "dispute_fees")
ENDED = ("canceled", "incomplete_expired")
FAILING = ("past_due", "unpaid")
STATES = {
    "warning_needs_response": DisputeState.INQUIRY,
    "warning_under_review": DisputeState.INQUIRY,
    "warning_closed": DisputeState.WON,
    "needs_response": DisputeState.OPEN,
    "under_review": DisputeState.OPEN,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
}


def assert_agree(till: Till) -> None:
    """Every charge, refund, dispute and fee of the sandbox is in our ledger, to the cent; no more.

    Refunds count once they have succeeded. check_ledger has nothing to say either.
    """
    _assert_nothing(differences(till))


def assert_agree_on_plans(till: Till) -> None:
    """So is every invoice of a subscription, its order and payment, and how that stands."""
    _assert_nothing([*differences(till), *differences_of_plans(till)])


def _assert_nothing(found: list[str]) -> None:
    found += map(str, audit.differences())
    assert found == [], "\n".join(found)


def differences(till: Till) -> list[str]:
    """A line for each thing in which the ledger and the sandbox's books differ."""
    books = of_sandbox(till)
    charges = _their_charges(books)
    known = {refund["id"] for refund in books["refunds"]}
    kept = {
        intent: -(item["amount"] - item["refunded"] - item["fee"] - item["dispute_fees"])
        + item["withdrawn"]
        - item["reinstated"]
        for intent, item in charges.items()
    }
    tax = sum(one.tax_minor - one.refunded_tax_minor for one in Payment.objects.exclude(order=None))
    sums = {
        CLEARING: sum(kept.values()),
        "provider_fee": -sum(item["fee"] + item["dispute_fees"] for item in charges.values()),
        "tax": tax,
        # What a chargeback froze was withdrawn at once.
        "disputed": 0,
    }
    refunds = _our_refunds()
    # What reconciliation closed because the provider does not know it has come to nothing.
    ours = {name: one for name, one in refunds.items() if name in known or one[1] != "failed"}
    cleared = {name: sum_ for name, sum_ in _our_clearing().items() if sum_ or name in kept}
    return [
        *([] if books["agrees"] else ["the sandbox does not agree with itself"]),
        *_compared("charge", _our_payments(), charges),
        *_compared("ledger of", cleared, kept),
        *_compared("refund", ours, _their_refunds(books, known=set(ours))),
        *_compared("dispute", _our_disputes(), _their_disputes(books)),
        *_compared("balance of", {role: till.balance(role) for role in sums}, sums),
    ]


def differences_of_plans(till: Till) -> list[str]:
    """A line for each invoice or subscription that is not here what it is at the sandbox."""
    books = of_sandbox(till)
    return [
        *_compared("invoice", _our_invoices(), _their_invoices(books)),
        *_compared("subscription", _our_subscriptions(), _their_subscriptions(books)),
    ]


def of_sandbox(till: Till) -> dict[str, Any]:
    """The sandbox's own books on Stripe."""
    books: dict[str, Any] = till.portal.sandbox("GET", "/_sandbox/books")["stripe"]
    return books


def _compared(what: str, ours: dict[Any, Any], theirs: dict[Any, Any]) -> list[str]:
    return [
        f"{what} {name}: ours is {ours.get(name)}, theirs {theirs.get(name)}"
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    ]


def _their_charges(books: dict[str, Any]) -> dict[str, dict[str, Any]]:
    succeeded: dict[str, int] = defaultdict(int)
    for refund in books["refunds"]:
        if refund["status"] == "succeeded":
            succeeded[refund["charge"]] += refund["amount"]
    return {
        charge["payment_intent"]: {
            "amount": charge["amount"],
            "tax": max(charge["tax"], 0),  # what is given back with a change is a discount
            "refunded": succeeded[charge["id"]],
            "fee": charge["fee"],
            "customer": charge["customer"],
            **{name: charge[name] for name in MOVED},
        }
        for charge in books["charges"]
        if charge["status"] == "succeeded"
    }


def _corrected() -> dict[str, int]:
    """By how much corrections moved the clearing account, by what they are about."""
    sums: dict[str, int] = defaultdict(int)
    booked = Transfer.objects.filter(group__startswith=CORRECTION)
    for transfer in booked.select_related("source", "target"):
        sign = 1 if transfer.target.role == CLEARING else -1
        sums[transfer.group.removeprefix(CORRECTION)] += sign * transfer.amount_minor
    return sums


def _our_payments() -> dict[str, dict[str, Any]]:
    names = dict(RailCustomer.objects.filter(rail="card").values_list("customer", "external_id"))
    corrected = _corrected()
    return {
        payment.external_id: {
            "amount": payment.amount_minor - corrected[payment.external_id],
            "tax": payment.tax_minor,
            "refunded": payment.refunded_minor
            - _frozen_minor(payment)
            + sum(corrected[one.external_id or ""] for one in payment.refunds.all()),
            "fee": _sum(payment.fee_minor, corrected[f"{payment.external_id}:fee"]),
            "customer": payment.customer_id and names.get(payment.customer_id),
            "withdrawn": sum(one.withdrawn_minor for one in payment.disputes.all()),
            "reinstated": sum(one.reinstated_minor for one in payment.disputes.all()),
            "dispute_fees": sum(one.fee_minor for one in payment.disputes.all()),
        }
        for payment in Payment.objects.filter(rail="card").prefetch_related("disputes", "refunds")
        if payment.amount_minor != corrected[payment.external_id]
    }


def _sum(fee_minor: int | None, corrected_minor: int) -> int | None:
    return None if fee_minor is None else fee_minor + corrected_minor


def _frozen_minor(payment: Payment) -> int:
    """What disputes hold or have taken of a payment; it counts as refunded."""
    return sum(one.frozen_minor for one in payment.disputes.all() if one.is_frozen)


def _our_clearing() -> dict[str, int]:
    """What each payment did to the clearing account, read from the ledger's own keys."""
    intents = {f"payment:{one.pk}": one.external_id for one in Payment.objects.all()}
    refunds = Refund.objects.select_related("payment")
    intents |= {f"refund:{one.pk}": one.payment.external_id for one in refunds}
    disputes = Dispute.objects.select_related("payment")
    intents |= {f"dispute:{one.pk}": one.payment.external_id for one in disputes}
    intents |= {str(one.external_id): one.payment.external_id for one in refunds}
    sums = dict.fromkeys(intents.values(), 0)
    for transfer in Transfer.objects.select_related("source", "target"):
        intent = ":".join(transfer.key.split(":")[:2])
        if transfer.group.startswith(CORRECTION):
            intent = transfer.group.removeprefix(CORRECTION).removesuffix(":fee")
        about = intents.get(intent, intent)
        if transfer.source.role == CLEARING:
            sums[about] = sums.get(about, 0) - transfer.amount_minor
        if transfer.target.role == CLEARING:
            sums[about] = sums.get(about, 0) + transfer.amount_minor
        if CLEARING in (transfer.source.role, transfer.target.role):
            assert transfer.source.asset == transfer.target.asset == USD.code
    return sums


def _their_refunds(books: dict[str, Any], known: set[str | None]) -> dict[str, tuple[int, str]]:
    """Their refunds; one that had failed before we heard of it is none of ours."""
    states = {"pending": "sent", "requires_action": "sent", "canceled": "failed"}
    return {
        refund["id"]: (refund["amount"], states.get(refund["status"], refund["status"]))
        for refund in books["refunds"]
        if refund["status"] not in ("failed", "canceled") or refund["id"] in known
    }


def _our_refunds() -> dict[str | None, tuple[int, str]]:
    rows = Refund.objects.filter(payment__rail="card").exclude(external_id=None)
    corrected = _corrected()
    return {
        refund.external_id: (
            refund.amount_minor + corrected[str(refund.external_id)],
            str(refund.state),
        )
        for refund in rows
    }


def _their_disputes(books: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {
        one["id"]: (
            one["payment_intent"],
            STATES[one["status"]].value,
            one["amount"],
            *(one[name] for name in MOVED),
        )
        for one in books["disputes"]
    }


def _our_disputes() -> dict[str, tuple[Any, ...]]:
    return {
        one.external_id: (
            one.payment.external_id,
            one.state,
            one.amount_minor,
            one.withdrawn_minor,
            one.reinstated_minor,
            one.fee_minor,
        )
        for one in Dispute.objects.select_related("payment")
        if one.provider_status != NOT_THERE
    }


def _their_invoices(books: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Paid invoices of subscriptions, and what came with them."""
    return {
        one["id"]: (one["subscription"], one["amount_paid"])
        for one in books["invoices"]
        if one["status"] == "paid" and one["subscription"] is not None
    }


def _our_invoices() -> dict[str, tuple[str, int]]:
    """What each billed stretch of a subscription brought; one order, and one payment at most."""
    found = SubscriptionPeriod.objects.exclude(subscription__external_id="")
    return {
        one.source: (
            one.subscription.external_id,
            sum(paid.amount_minor for paid in one.order.payments.all()) if one.order else -1,
        )
        for one in found.select_related("subscription", "order")
    }


def _their_subscriptions(books: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """How subscriptions that have begun stand; what has ended only that it has."""
    return {
        one["id"]: ("ended",)
        if one["status"] in ENDED
        else (
            FAILING if one["status"] in FAILING else one["status"],
            prices.read(one["price"]).plan_slug,
            one["current_period_end"],
        )
        for one in books["subscriptions"]
        if any(period["status"] == "paid" for period in one["periods"])
    }


def _our_subscriptions() -> dict[str, tuple[Any, ...]]:
    """The same of ours. Who failed to pay may be suspended here before the provider gives up."""
    ours: dict[str, tuple[Any, ...]] = {}
    for one in Subscription.objects.exclude(external_id=""):
        # What came back after it was ended runs out by itself: the provider has stopped.
        is_over = one.status == SubscriptionStatus.ENDED or not one.renews
        is_failing = one.status in (SubscriptionStatus.PAST_DUE, SubscriptionStatus.SUSPENDED)
        ours[one.external_id] = (
            ("ended",)
            if is_over
            else (
                FAILING if is_failing else str(one.status),
                one.plan_slug,
                round(one.period_ends_at.timestamp()),
            )
        )
    return ours
