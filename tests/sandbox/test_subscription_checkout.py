"""Checkout in subscription and setup mode: what a person sees, pays and is promised."""

from __future__ import annotations

import re
from typing import Any

import pytest
import stripe

from tests.sandbox.server import Sandbox

ASKS_ONCE = "4000002500003155"
NO_MONEY = "4000000000009995"


def plan(sandbox: Sandbox, amount: int = 99_99, **recurring: Any) -> str:
    """A recurring price of ``amount`` a month."""
    params: Any = {
        "currency": "usd",
        "unit_amount": amount,
        "recurring": {"interval": "month", **recurring},
        "product_data": {"name": "Premium"},
    }
    return sandbox.api().v1.prices.create(params=params).id


def subscribing(sandbox: Sandbox, **params: Any) -> stripe.checkout.Session:
    """An open session for one plan."""
    given = {"line_items": [{"price": plan(sandbox), "quantity": 1}], **params}
    return sandbox.session(mode="subscription", **given)


def code(sandbox: Sandbox, text: str, **coupon: Any) -> None:
    """A promotion code for a new coupon."""
    made: Any = {"promotion": {"type": "coupon"}, "code": text}
    made["promotion"]["coupon"] = sandbox.api().v1.coupons.create(params=coupon).id  # type: ignore[arg-type]
    sandbox.api().v1.promotion_codes.create(params=made)


def reread(sandbox: Sandbox, session: stripe.checkout.Session) -> Any:
    return sandbox.api().v1.checkout.sessions.retrieve(
        session.id,
        params={
            "expand": [
                "customer",
                "invoice",
                "setup_intent",
                "subscription.default_payment_method",
                "subscription.discounts",
            ]
        },
    )


def pay(sandbox: Sandbox, session: stripe.checkout.Session, **how: Any) -> Any:
    return sandbox.control(f"sessions/{session.id}/pay", **how)


def text_of(page: str, element: str) -> str:
    """What a person reads in the element with this id."""
    found = re.search(rf'<(\w+) id="{element}"[^>]*>(.*?)</\1>', page)
    assert found, page
    return re.sub(r"<[^>]+>", "", found[2])


def test_the_page_says_what_is_due_today_and_what_it_costs_later(sandbox: Sandbox) -> None:
    session = subscribing(sandbox)

    page = sandbox.http.get(f"/c/pay/{session.id}").text

    assert text_of(page, "plan") == "Subscribe to Premium"
    assert text_of(page, "plan-price") == "$99.99 per month"
    assert text_of(page, "total-due") == "$99.99"
    assert re.fullmatch(r"Renews on \d+ \w+ \d{4}: \$99\.99 per month\.", text_of(page, "renewal"))
    assert "method-bank-debit" not in page


def test_paying_makes_a_paid_subscription_with_the_card_as_its_default(sandbox: Sandbox) -> None:
    session = subscribing(
        sandbox,
        metadata={"order_id": "7"},
        subscription_data={"metadata": {"order_id": "7"}, "description": "For order 7"},
    )
    assert session.customer_creation == "always"

    answer = sandbox.submit(session)

    assert answer.status_code == 303
    done = reread(sandbox, session)
    assert (done.status, done.payment_status, done.payment_intent) == ("complete", "paid", None)
    assert done.subscription.status == "active"
    assert done.subscription.metadata.to_dict() == {"order_id": "7"}
    assert done.subscription.description == "For order 7"
    assert done.subscription.default_payment_method.card.last4 == "4242"
    assert done.subscription.default_payment_method.customer == done.customer.id
    assert done.invoice.id == done.subscription.latest_invoice
    assert (done.invoice.status, done.invoice.total) == ("paid", done.amount_total)
    assert done.customer.email == "buyer@example.com"


def test_everything_is_told_before_the_session_is(sandbox: Sandbox) -> None:
    session = subscribing(sandbox)

    sandbox.submit(session)

    types = sandbox.event_types()
    assert types[-1] == "checkout.session.completed"
    told = {
        *("payment_method.attached", "payment_intent.succeeded", "customer.created"),
        *("customer.subscription.created", "invoice.paid"),
    }
    assert told < set(types)
    assert all(types.count(one) == 1 for one in told)


def test_a_declined_card_leaves_the_session_open_and_no_subscription(sandbox: Sandbox) -> None:
    session = subscribing(sandbox)

    refused = sandbox.submit(session, card_number=NO_MONEY)

    assert refused.status_code == 402
    assert "insufficient funds" in refused.text
    assert reread(sandbox, session).status == "open"
    assert sandbox.api().v1.subscriptions.list(params={"status": "all"}).data == []
    assert sandbox.submit(session).status_code == 303
    assert sandbox.event_types().count("customer.created") == 1


def test_a_challenge_that_was_passed_lets_the_card_pay_renewals(sandbox: Sandbox) -> None:
    session = subscribing(sandbox)
    asked = sandbox.submit(session, card_number=ASKS_ONCE)

    sandbox.http.post(asked.headers["location"], data={"outcome": "authorised"})

    done = reread(sandbox, session)
    assert done.subscription.status == "active"
    assert done.subscription.default_payment_method.card.last4 == "3155"


def test_a_trial_costs_nothing_now_but_takes_a_card(sandbox: Sandbox) -> None:
    session = subscribing(sandbox, subscription_data={"trial_period_days": 14})
    page = sandbox.http.get(f"/c/pay/{session.id}").text
    assert text_of(page, "plan-price") == "14 days free, then $99.99 per month"
    assert text_of(page, "total-due") == "$0.00"
    assert "First payment on" in text_of(page, "renewal")
    assert sandbox.submit(session, card_number="4000000000000002").status_code == 402

    sandbox.submit(session)

    done = reread(sandbox, session)
    assert (done.payment_status, done.amount_total) == ("no_payment_required", 0)
    assert done.subscription.status == "trialing"
    assert done.subscription.trial_end - done.subscription.trial_start == 14 * 24 * 3600
    assert done.subscription.default_payment_method.card.last4 == "4242"
    assert sandbox.api().v1.payment_intents.list().data == []


def test_a_card_that_asks_is_authenticated_for_a_trial(sandbox: Sandbox) -> None:
    session = subscribing(sandbox, subscription_data={"trial_period_days": 3})
    assert pay(sandbox, session, card=ASKS_ONCE)["outcome"] == "challenge"
    challenge = sandbox.http.get(f"/c/pay/{session.id}/challenge")
    assert "saves this card" in challenge.text

    done = sandbox.control(f"sessions/{session.id}/authenticate", outcome="authorised")

    assert done["outcome"] == "free"
    assert reread(sandbox, session).subscription.status == "trialing"


def test_without_a_card_a_trial_starts_where_none_is_required(sandbox: Sandbox) -> None:
    session = subscribing(
        sandbox,
        subscription_data={"trial_period_days": 14},
        payment_method_collection="if_required",
    )
    assert "card-number" not in sandbox.http.get(f"/c/pay/{session.id}").text

    sandbox.submit(session, card_number="")

    done = reread(sandbox, session)
    assert done.subscription.status == "trialing"
    assert done.subscription.default_payment_method is None


@pytest.mark.parametrize(
    ("coupon", "due", "later"),
    [
        ({"percent_off": 20, "duration": "once"}, 79_99, 99_99),
        ({"percent_off": 20, "duration": "forever"}, 79_99, 79_99),
        (
            {"amount_off": 1000, "currency": "usd", "duration": "repeating"}
            | {"duration_in_months": 3},
            89_99,
            89_99,
        ),
    ],
)
def test_a_code_takes_off_what_its_duration_promises(
    sandbox: Sandbox, coupon: dict[str, Any], due: int, later: int
) -> None:
    code(sandbox, "LESS", **coupon)
    session = subscribing(sandbox, allow_promotion_codes=True)

    answer = sandbox.submit(session, action="apply", promotion_code="less")
    page = sandbox.http.get(answer.headers["location"]).text
    sandbox.submit(session)

    assert text_of(page, "renewal-price") == f"${later / 100:.2f}"
    done = reread(sandbox, session)
    assert done.amount_total == done.invoice.total == due
    kept = [one.promotion_code for one in done.subscription.discounts]
    assert len(kept) == (0 if coupon["duration"] == "once" else 1)
    assert "customer.discount.created" in sandbox.event_types()


def test_a_code_for_everything_charges_nothing_and_still_takes_the_card(sandbox: Sandbox) -> None:
    code(sandbox, "GIFT", percent_off=100, duration="once")
    session = subscribing(sandbox, allow_promotion_codes=True)

    answer = pay(sandbox, session, promotion_code="GIFT")

    assert answer["outcome"] == "free"
    done = reread(sandbox, session)
    assert (done.payment_status, done.amount_total) == ("no_payment_required", 0)
    assert (done.subscription.status, done.invoice.status) == ("active", "paid")
    assert done.subscription.default_payment_method.card.last4 == "4242"
    assert sandbox.api().v1.charges.list().data == []


def test_a_payment_begun_before_the_code_is_called_off(sandbox: Sandbox) -> None:
    code(sandbox, "GIFT", percent_off=100, duration="once")
    session = subscribing(sandbox, allow_promotion_codes=True)
    pay(sandbox, session, card=NO_MONEY)

    pay(sandbox, session, promotion_code="GIFT")

    (intent,) = sandbox.api().v1.payment_intents.list().data
    assert intent.status == "canceled"


def test_tax_is_the_same_on_session_and_invoice(sandbox: Sandbox) -> None:
    sandbox.control("settings", tax_bps=1900)
    session = subscribing(sandbox, automatic_tax={"enabled": True})

    sandbox.submit(session)

    done = reread(sandbox, session)
    assert done.amount_total == done.invoice.total == 118_99
    assert done.total_details.amount_tax == 19_00


def test_a_tax_fixed_to_the_cent_is_the_invoices(sandbox: Sandbox) -> None:
    session = subscribing(sandbox, automatic_tax={"enabled": True})

    pay(sandbox, session, tax_minor=7_77)

    done = reread(sandbox, session)
    assert done.amount_total == done.invoice.total == 107_76
    assert sum(tax.amount for tax in done.invoice.total_taxes) == 7_77


def test_a_plan_can_be_priced_in_the_session_and_bought_several_times(sandbox: Sandbox) -> None:
    line = {
        "quantity": 2,
        "adjustable_quantity": {"enabled": True},
        "price_data": {
            "currency": "usd",
            "unit_amount": 500,
            "recurring": {"interval": "week", "interval_count": 2},
            "product_data": {"name": "Seats"},
        },
    }
    session = subscribing(sandbox, line_items=[line])
    assert "every 2 weeks" in sandbox.http.get(f"/c/pay/{session.id}").text

    pay(sandbox, session, quantity=3)

    done = reread(sandbox, session)
    (item,) = done.subscription["items"].data
    assert (item.quantity, done.amount_total) == (3, 1500)
    assert item.current_period_end - item.current_period_start == 14 * 24 * 3600


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"payment_intent_data": {"description": "a"}}, "payment_intent_data"),
        ({"customer_creation": "always"}, "customer_creation"),
        ({"submit_type": "pay"}, "submit_type"),
        ({"payment_method_types": ["us_bank_account"]}, "payment_method_types"),
        ({"subscription_data": {"trial_period_days": 0}}, "subscription_data[trial_period_days]"),
        ({"subscription_data": {"trial_end": 5}}, "subscription_data[trial_end]"),
        ({"subscription_data": {"nonsense": 5}}, "subscription_data[nonsense]"),
        ({"line_items": []}, "line_items"),
    ],
)
def test_what_does_not_go_with_a_subscription_is_refused_by_name(
    sandbox: Sandbox, params: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        subscribing(sandbox, **params)

    assert caught.value.param == param


def test_prices_of_two_rhythms_do_not_go_into_one_session(sandbox: Sandbox) -> None:
    lines = [
        {"price": plan(sandbox), "quantity": 1},
        {"price": plan(sandbox, interval="year"), "quantity": 1},
    ]

    with pytest.raises(stripe.InvalidRequestError, match="different billing intervals"):
        subscribing(sandbox, line_items=lines)


def test_bank_debit_pays_no_subscription(sandbox: Sandbox) -> None:
    session = subscribing(sandbox)

    refused = sandbox.http.post(
        f"/_sandbox/stripe/sessions/{session.id}/pay", json={"method": "bank_debit"}
    )

    assert refused.status_code == 400
    assert "cards only" in refused.text
    assert sandbox.submit(session, method="bank_debit").status_code == 303  # the card was filled in
    assert reread(sandbox, session).subscription.default_payment_method.type == "card"


def setting_up(sandbox: Sandbox, **params: Any) -> stripe.checkout.Session:
    given: Any = {
        "mode": "setup",
        "currency": "usd",
        "success_url": "http://127.0.0.1:1/done",
        **params,
    }
    return sandbox.api().v1.checkout.sessions.create(params=given)


def test_a_card_is_saved_without_paying(sandbox: Sandbox) -> None:
    customer = sandbox.api().v1.customers.create(params={"email": "saver@example.com"})
    session = setting_up(sandbox, customer=customer.id)
    assert (session.amount_total, session.payment_status) == (None, "no_payment_required")
    assert "Save card" in sandbox.http.get(f"/c/pay/{session.id}").text

    answer = sandbox.submit(session)

    assert answer.status_code == 303
    done = reread(sandbox, session)
    assert (done.status, done.setup_intent.status) == ("complete", "succeeded")
    (method,) = sandbox.api().v1.customers.payment_methods.list(customer.id).data
    assert method.id == done.setup_intent.payment_method
    assert sandbox.api().v1.charges.list().data == []
    assert "setup_intent.succeeded" in sandbox.event_types()


def test_a_card_that_is_refused_is_not_saved(sandbox: Sandbox) -> None:
    customer = sandbox.api().v1.customers.create()
    session = setting_up(sandbox, customer=customer.id)

    assert pay(sandbox, session, card="4000000000000002")["outcome"] == "declined"
    assert pay(sandbox, session, card=ASKS_ONCE)["outcome"] == "challenge"
    failed = sandbox.control(f"sessions/{session.id}/authenticate", outcome="failed")

    assert failed["outcome"] == "declined"
    assert sandbox.api().v1.customers.payment_methods.list(customer.id).data == []
    assert pay(sandbox, session)["outcome"] == "saved"


def test_a_setup_session_that_expires_takes_its_intent_along(sandbox: Sandbox) -> None:
    session = setting_up(sandbox)

    with pytest.raises(stripe.InvalidRequestError, match="made by a hosted page"):
        sandbox.api().v1.setup_intents.cancel(str(session.setup_intent))
    sandbox.api().v1.checkout.sessions.expire(session.id)

    assert reread(sandbox, session).setup_intent.status == "canceled"
