"""The ledger against the sandbox's own books: item by item first, sums second."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from billing.models import Payment, RailCustomer, Refund, Transfer
from billing.money import USD
from tests.end_to_end.till import Till

CLEARING = "clearing:card"


def assert_agree(till: Till) -> None:
    """Every charge, refund and fee of the sandbox is in our ledger to the cent, and nothing else.

    Refunds count once they have succeeded.
    """
    assert differences(till) == []


def differences(till: Till) -> list[str]:
    """A line for each thing in which the ledger and the sandbox's books differ."""
    books: dict[str, Any] = till.portal.sandbox("GET", "/_sandbox/books")["stripe"]
    charges = _their_charges(books)
    kept = {
        intent: -(item["amount"] - item["refunded"] - item["fee"])
        for intent, item in charges.items()
    }
    tax = sum(one.tax_minor - one.refunded_tax_minor for one in Payment.objects.exclude(order=None))
    sums = {
        CLEARING: sum(kept.values()),
        "provider_fee": -sum(item["fee"] for item in charges.values()),
        "tax": tax,
    }
    ours = _our_refunds()
    return [
        *([] if books["agrees"] else ["the sandbox does not agree with itself"]),
        *_compared("charge", _our_payments(), charges),
        *_compared("ledger of", _our_clearing(), kept),
        *_compared("refund", ours, _their_refunds(books, known=set(ours))),
        *_compared("balance of", {role: till.balance(role) for role in sums}, sums),
    ]


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
            "tax": charge["tax"],
            "refunded": succeeded[charge["id"]],
            "fee": charge["fee"],
            "customer": charge["customer"],
        }
        for charge in books["charges"]
        if charge["status"] == "succeeded"
    }


def _our_payments() -> dict[str, dict[str, Any]]:
    names = dict(RailCustomer.objects.filter(rail="card").values_list("customer", "external_id"))
    return {
        payment.external_id: {
            "amount": payment.amount_minor,
            "tax": payment.tax_minor,
            "refunded": payment.refunded_minor,
            "fee": payment.fee_minor,
            "customer": payment.customer_id and names.get(payment.customer_id),
        }
        for payment in Payment.objects.all()
    }


def _our_clearing() -> dict[str, int]:
    """What each payment did to the clearing account, read from the ledger's own keys."""
    intents = {f"payment:{one.pk}": one.external_id for one in Payment.objects.all()}
    refunds = Refund.objects.select_related("payment")
    intents |= {f"refund:{one.pk}": one.payment.external_id for one in refunds}
    sums = dict.fromkeys(intents.values(), 0)
    for transfer in Transfer.objects.select_related("source", "target"):
        intent = ":".join(transfer.key.split(":")[:2])
        if transfer.source.role == CLEARING:
            sums[intents[intent]] -= transfer.amount_minor
        if transfer.target.role == CLEARING:
            sums[intents[intent]] += transfer.amount_minor
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
    rows = Refund.objects.exclude(external_id=None)
    return {refund.external_id: (refund.amount_minor, str(refund.state)) for refund in rows}
