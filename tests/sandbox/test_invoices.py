"""Invoices: drafts, payment, failure and retries, giving up, discounts and tax."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox import plans
from tests.sandbox.server import Sandbox


@pytest.fixture
def running(sandbox: Sandbox) -> dict[str, Any]:
    """A paid monthly subscription of 29.99."""
    return plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox, 2999))


def fail(sandbox: Sandbox, subscription: dict[str, Any]) -> None:
    """From now on the customer's card declines."""
    sandbox.control(f"customers/{subscription['customer']}/card", card=plans.FAILING)


def newest(sandbox: Sandbox, subscription: dict[str, Any]) -> dict[str, Any]:
    return plans.invoices(sandbox, subscription["id"])[-1]


def test_a_renewal_is_a_draft_for_an_hour_and_then_charged(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    ends = plans.period(running)[1]
    plans.until(sandbox, ends + 1800)

    draft = newest(sandbox, running)
    assert (draft["status"], draft["number"]) == ("draft", None)
    assert draft["created"] == ends
    assert draft["automatically_finalizes_at"] == ends + plans.HOUR_SECONDS
    assert plans.show(sandbox, running["id"])["status"] == "active"
    plans.until(sandbox, ends + 3700)

    paid = newest(sandbox, running)
    assert (paid["status"], paid["billing_reason"]) == ("paid", "subscription_cycle")
    assert (paid["period_start"], paid["period_end"]) == plans.period(running)
    assert paid["status_transitions"]["paid_at"] == ends + plans.HOUR_SECONDS
    assert paid["number"].endswith("-0002")


def test_the_hour_can_be_set(sandbox: Sandbox, running: dict[str, Any]) -> None:
    sandbox.control("settings", invoice_finalize_seconds=0)

    plans.until(sandbox, plans.period(running)[1] + 1)

    assert newest(sandbox, running)["status"] == "paid"


def test_a_renewal_is_told_in_stripes_order(sandbox: Sandbox, running: dict[str, Any]) -> None:
    before = len(sandbox.event_types())

    plans.until(sandbox, plans.period(running)[1] + 2 * plans.HOUR_SECONDS)

    assert sandbox.event_types()[before:] == [
        "invoice.created",
        "customer.subscription.updated",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
    ]
    renewed = plans.told(sandbox, "customer.subscription.updated")[-1]
    old = renewed["data"]["previous_attributes"]["items"]["data"][0]
    assert (old["current_period_start"], old["current_period_end"]) == plans.period(running)


def test_a_failed_renewal_is_tried_again_and_then_ends_the_subscription(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    fail(sandbox, running)
    due = plans.period(running)[1] + plans.HOUR_SECONDS

    for tries, wait_days in enumerate((3, 5, 7), start=1):
        plans.until(sandbox, due + 10)
        invoice = newest(sandbox, running)
        assert (invoice["status"], invoice["attempt_count"]) == ("open", tries)
        due += wait_days * plans.DAY_SECONDS
        assert invoice["next_payment_attempt"] == due
        assert plans.show(sandbox, running["id"])["status"] == "past_due"
    plans.until(sandbox, due + 10)

    ended = plans.show(sandbox, running["id"])
    assert (ended["status"], ended["ended_at"]) == ("canceled", due)
    assert ended["cancellation_details"]["reason"] == "payment_failed"
    last = newest(sandbox, running)
    assert (last["status"], last["attempt_count"]) == ("open", 4)
    assert last["next_payment_attempt"] is None
    assert len(plans.told(sandbox, "invoice.payment_failed")) == 4


@pytest.mark.parametrize("outcome", ["unpaid", "past_due"])
def test_what_follows_the_last_retry_can_be_set(
    sandbox: Sandbox, running: dict[str, Any], outcome: str
) -> None:
    sandbox.control("settings", after_retries=outcome, retry_days=[1])
    fail(sandbox, running)

    plans.until(sandbox, plans.period(running)[1] + 3 * plans.DAY_SECONDS)

    assert plans.show(sandbox, running["id"])["status"] == outcome
    assert newest(sandbox, running)["attempt_count"] == 2


def test_a_retry_that_succeeds_makes_it_active_again(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    fail(sandbox, running)
    plans.until(sandbox, plans.period(running)[1] + plans.DAY_SECONDS)
    customers = sandbox.api().v1.customers
    assert customers.retrieve(running["customer"]).delinquent

    sandbox.control(f"customers/{running['customer']}/card", card=plans.GOOD)
    plans.days(sandbox, 3)

    assert plans.show(sandbox, running["id"])["status"] == "active"
    invoice = newest(sandbox, running)
    assert (invoice["status"], invoice["attempt_count"]) == ("paid", 2)
    assert not customers.retrieve(running["customer"]).delinquent
    payments = sandbox.api().v1.invoice_payments.list(params={"invoice": invoice["id"]}).data
    assert [one.status for one in payments] == ["paid"]


def test_an_open_invoice_can_be_paid_by_hand(sandbox: Sandbox, running: dict[str, Any]) -> None:
    fail(sandbox, running)
    plans.until(sandbox, plans.period(running)[1] + plans.DAY_SECONDS)
    api, invoice = sandbox.api().v1.invoices, newest(sandbox, running)
    attempts = len(plans.told(sandbox, "charge.failed"))

    with pytest.raises(stripe.CardError):
        api.pay(invoice["id"])
    good = sandbox.api().v1.payment_methods.attach(
        "pm_card_visa", params={"customer": running["customer"]}
    )
    paid = api.pay(invoice["id"], params={"payment_method": good.id})

    assert len(plans.told(sandbox, "charge.failed")) == attempts + 1
    assert paid.status == "paid"
    assert plans.show(sandbox, running["id"])["status"] == "active"
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        api.pay(invoice["id"])


def test_paying_out_of_band_moves_no_money(sandbox: Sandbox, running: dict[str, Any]) -> None:
    fail(sandbox, running)
    plans.until(sandbox, plans.period(running)[1] + plans.DAY_SECONDS)

    paid = sandbox.api().v1.invoices.pay(
        newest(sandbox, running)["id"], params={"paid_out_of_band": True}
    )

    assert paid.status == "paid"
    assert sandbox.books()["currencies"]["usd"]["gross"] == 2999
    assert len(plans.told(sandbox, "invoice.paid")) == 2
    assert len(plans.told(sandbox, "invoice.payment_succeeded")) == 1


@pytest.mark.parametrize(
    ("act", "status"), [("void_invoice", "void"), ("mark_uncollectible", "uncollectible")]
)
def test_an_open_invoice_can_be_given_up(
    sandbox: Sandbox, running: dict[str, Any], act: str, status: str
) -> None:
    fail(sandbox, running)
    plans.until(sandbox, plans.period(running)[1] + plans.DAY_SECONDS)
    invoice = newest(sandbox, running)

    getattr(sandbox.api().v1.invoices, act)(invoice["id"])
    plans.days(sandbox, 10)

    assert newest(sandbox, running)["status"] == status
    assert newest(sandbox, running)["attempt_count"] == 1
    assert plans.show(sandbox, running["id"])["status"] == "active"


def test_a_voided_invoice_returns_what_it_took_of_the_balance(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    cheap = plans.price(sandbox, 100)
    plans.swap(sandbox, running, cheap, proration_behavior="always_invoice")
    dear = plans.price(sandbox, 9999, interval="year")
    customers = sandbox.api().v1.customers
    credit = customers.retrieve(running["customer"]).balance
    fail(sandbox, running)
    plans.swap(sandbox, running, dear)
    owed = newest(sandbox, running)
    assert (owed["status"], owed["starting_balance"]) == ("open", credit)
    assert customers.retrieve(running["customer"]).balance == 0

    sandbox.api().v1.invoices.void_invoice(owed["id"])

    assert customers.retrieve(running["customer"]).balance == credit
    shown = plans.preview(
        sandbox,
        subscription=running["id"],
        subscription_details={"items": plans.to(running, cheap)},
    )
    assert plans.lines(shown) == [100]  # nothing is given back for the year nobody paid


def test_a_failed_attempt_by_hand_leaves_the_retries_as_planned(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    fail(sandbox, running)
    plans.until(sandbox, plans.period(running)[1] + plans.DAY_SECONDS)
    planned = newest(sandbox, running)["next_payment_attempt"]

    for _ in range(5):
        assert sandbox.control(f"invoices/{newest(sandbox, running)['id']}/pay")["status"] == "open"

    assert newest(sandbox, running)["next_payment_attempt"] == planned
    assert newest(sandbox, running)["attempt_count"] == 1
    assert plans.show(sandbox, running["id"])["status"] == "past_due"


def test_a_card_that_asks_its_owner_each_time_needs_action(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    sandbox.control(f"customers/{running['customer']}/card", card="4000002760003184")

    plans.until(sandbox, plans.period(running)[1] + plans.DAY_SECONDS)

    assert plans.show(sandbox, running["id"])["status"] == "past_due"
    (asked,) = plans.told(sandbox, "invoice.payment_action_required")
    assert asked["data"]["object"]["id"] == newest(sandbox, running)["id"]


@pytest.mark.parametrize(
    ("terms", "totals"),
    [
        ({"duration": "once"}, [1500, 3000, 3000, 3000]),
        ({"duration": "repeating", "duration_in_months": 2}, [1500, 1500, 3000, 3000]),
        ({"duration": "forever"}, [1500, 1500, 1500, 1500]),
    ],
)
def test_a_coupon_works_once_for_months_or_for_ever(
    sandbox: Sandbox, terms: dict[str, Any], totals: list[int]
) -> None:
    coupon: Any = {"percent_off": 50, **terms}
    half = sandbox.api().v1.coupons.create(params=coupon)
    made = plans.subscribe(
        sandbox,
        plans.customer(sandbox),
        plans.price(sandbox, 3000),
        discounts=[{"coupon": half.id}],
    )

    plans.days(sandbox, 95)

    found = plans.invoices(sandbox, made["id"])
    assert [one["total"] for one in found] == totals
    assert [one["subtotal"] for one in found] == [3000] * 4
    assert found[0]["total_discount_amounts"][0]["amount"] == 1500
    assert sandbox.api().v1.coupons.retrieve(half.id).times_redeemed == 1


def test_tax_is_added_to_every_invoice(sandbox: Sandbox) -> None:
    sandbox.control("settings", tax_bps=825)
    made = plans.subscribe(
        sandbox,
        plans.customer(sandbox),
        plans.price(sandbox, 2999),
        automatic_tax={"enabled": True},
    )

    plans.days(sandbox, 32)

    for invoice in plans.invoices(sandbox, made["id"]):
        assert (invoice["subtotal"], invoice["total"]) == (2999, 2999 + 247)
        (tax,) = invoice["total_taxes"]
        assert (tax["amount"], tax["taxable_amount"]) == (247, 2999)
        assert invoice["total_excluding_tax"] == 2999
    assert sandbox.books()["charges"][0]["tax"] == 247


def test_lines_and_payments_are_listed(sandbox: Sandbox, running: dict[str, Any]) -> None:
    api = sandbox.api().v1
    (invoice,) = plans.invoices(sandbox, running["id"])

    lines = api.invoices.line_items.list(invoice["id"]).data
    (payment,) = api.invoice_payments.list(params={"invoice": invoice["id"]}).data
    intent = str(payment.payment.payment_intent)
    by_intent = api.invoice_payments.list(
        params={"payment": {"type": "payment_intent", "payment_intent": intent}}
    )

    assert [one.amount for one in lines] == [2999]
    assert [one.id for one in by_intent.data] == [payment.id]
    expanded = plans.plain(
        api.invoices.retrieve(
            invoice["id"], params={"expand": ["payments.data.payment.payment_intent"]}
        )
    )
    paid = expanded["payments"]["data"][0]["payment"]["payment_intent"]
    assert (paid["status"], paid["amount"]) == ("succeeded", 2999)


def test_a_subscription_expands_to_its_charge(sandbox: Sandbox, running: dict[str, Any]) -> None:
    shown = plans.show(
        sandbox,
        running["id"],
        expand=[
            "latest_invoice.payments",
            "items.data.price.product",
            "default_payment_method",
            "customer",
            "schedule",
        ],
    )
    intent = shown["latest_invoice"]["payments"]["data"][0]["payment"]["payment_intent"]
    paid = sandbox.api().v1.payment_intents.retrieve(
        intent, params={"expand": ["latest_charge.balance_transaction"]}
    )

    assert shown["items"]["data"][0]["price"]["product"]["name"] == "Plan"
    assert shown["customer"]["email"] == "buyer@example.com"
    assert plans.plain(paid)["latest_charge"]["balance_transaction"]["amount"] == 2999


def test_a_refund_and_a_dispute_of_a_renewal_keep_the_books_right(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    plans.days(sandbox, 35)
    first, renewal = sandbox.books()["charges"]
    assert renewal["invoice"] == newest(sandbox, running)["id"]
    assert renewal["order_id"] is None

    sandbox.api().v1.refunds.create(params={"charge": renewal["id"], "amount": 1000})
    disputed = sandbox.control(f"charges/{first['id']}/dispute")
    sandbox.control(f"disputes/{disputed['id']}/settle", outcome="lost")

    usd = sandbox.books()["currencies"]["usd"]
    assert (usd["gross"], usd["refunded"], usd["withdrawn"]) == (2 * 2999, 1000, 2999)
    assert plans.show(sandbox, running["id"])["status"] == "active"


def test_a_page_that_was_paid_is_not_paid_again_from_the_balance(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    plans.swap(sandbox, running, plans.price(sandbox, 100), proration_behavior="always_invoice")
    credit = sandbox.api().v1.customers.retrieve(running["customer"]).balance
    session = sandbox.api().v1.checkout.sessions.create(
        params={
            "mode": "subscription",
            "customer": running["customer"],
            "line_items": [{"price": plans.price(sandbox, 5000), "quantity": 1}],
            "success_url": "http://127.0.0.1:1/done",
        }
    )

    done = sandbox.control(f"sessions/{session.id}/pay")["session"]

    (invoice,) = plans.invoices(sandbox, done["subscription"])
    assert (invoice["starting_balance"], invoice["amount_paid"]) == (0, 5000)
    left = sandbox.api().v1.customers.retrieve(running["customer"]).balance
    assert left == credit != 0
    assert sandbox.books()["agrees"]
