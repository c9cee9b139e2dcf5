"""The hosted checkout page, pressed over HTTP as a browser without JavaScript would."""

from __future__ import annotations

import re
from typing import Any

import pytest
import stripe

from tests.sandbox.server import Sandbox


def coupon_code(sandbox: Sandbox, code: str, **coupon: Any) -> None:
    params: Any = coupon
    made = sandbox.api().v1.coupons.create(params=params)
    promotion: Any = {"type": "coupon", "coupon": made.id}
    sandbox.api().v1.promotion_codes.create(params={"promotion": promotion, "code": code})


def reread(sandbox: Sandbox, session: stripe.checkout.Session) -> stripe.checkout.Session:
    return sandbox.api().v1.checkout.sessions.retrieve(
        session.id, params={"expand": ["payment_intent.latest_charge.balance_transaction"]}
    )


def test_it_says_that_no_real_money_moves_and_what_is_bought(sandbox: Sandbox) -> None:
    session = sandbox.session(499)

    page = sandbox.http.get(f"/c/pay/{session.id}").text

    assert "no real money" in page
    assert "2,500 credits" in page
    assert "$4.99" in page
    assert 'href="http://127.0.0.1:1/back"' in page
    assert "<script" not in page


def test_a_good_card_pays_and_leads_back_with_the_session_id(sandbox: Sandbox) -> None:
    session = sandbox.session(1000, metadata={"order_id": "7"})

    answer = sandbox.submit(session)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"http://127.0.0.1:1/done?session={session.id}"
    done = reread(sandbox, session)
    assert (done.status, done.payment_status, done.url) == ("complete", "paid", None)
    assert done.customer_details
    assert done.customer_details.email == "buyer@example.com"
    intent: Any = done.payment_intent
    assert intent.amount_received == 1000
    assert intent.latest_charge.payment_method_details.card.last4 == "4242"
    assert intent.latest_charge.balance_transaction.fee == 59


def test_the_payment_intent_shows_only_when_the_session_is_complete(sandbox: Sandbox) -> None:
    session = sandbox.session()
    sandbox.submit(session, card_number="4000000000000002")

    assert reread(sandbox, session).payment_intent is None

    sandbox.submit(session)
    assert reread(sandbox, session).payment_intent is not None


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("4000000000000002", "Your card was declined."),
        ("4000000000009995", "Your card has insufficient funds."),
        ("4000000000000069", "Your card has expired."),
    ],
)
def test_a_declined_card_can_be_followed_by_a_good_one(
    sandbox: Sandbox, number: str, message: str
) -> None:
    session = sandbox.session()

    refused = sandbox.submit(session, card_number=number)

    assert refused.status_code == 402
    assert message in refused.text
    assert sandbox.submit(session).status_code == 303
    intent: Any = reread(sandbox, session).payment_intent
    charges = sandbox.api().v1.charges.list(params={"payment_intent": intent.id}).data
    assert [charge.status for charge in charges] == ["succeeded", "failed"]
    assert sandbox.event_types().count("payment_intent.created") == 1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("card_number", "4242424242424241", "Your card number is invalid."),
        ("card_number", "4111111111111111", "takes test cards only"),
        ("card_number", "", "Your card number is incomplete."),
        ("card_number", "fourtytwo", "Your card number is invalid."),
        ("expiry", "12/20", "in the past"),
        ("expiry", "13/34", "MM/YY"),
        ("cvc", "12", "3 or 4 digits"),
        ("email", "nobody", "Enter an e-mail address."),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    sandbox: Sandbox, field: str, value: str, message: str
) -> None:
    session = sandbox.session()

    answer = sandbox.submit(session, **{field: value})

    assert answer.status_code == 422
    dashed = field.replace("_", "-")
    assert re.search(f'<p id="{dashed}-error"[^>]*>[^<]*{message}', answer.text)
    assert answer.text.count('class="error"') == 1
    assert reread(sandbox, session).status == "open"


def test_card_number_and_cvc_are_never_sent_back(sandbox: Sandbox) -> None:
    session = sandbox.session()

    answer = sandbox.submit(session, card_number="4242424242424241", cvc="987", expiry="1")

    assert "4242424242424241" not in answer.text
    assert "987" not in answer.text
    assert 'value="buyer@example.com"' in answer.text


def test_authorising_the_challenge_pays(sandbox: Sandbox) -> None:
    session = sandbox.session()
    answer = sandbox.submit(session, card_number="4000002500003155")
    assert answer.headers["location"] == f"/c/pay/{session.id}/challenge"
    assert "3-D Secure" in sandbox.http.get(answer.headers["location"]).text

    done = sandbox.http.post(answer.headers["location"], data={"outcome": "authorised"})

    assert done.headers["location"].startswith("http://127.0.0.1:1/done")
    intent: Any = reread(sandbox, session).payment_intent
    card = intent.latest_charge.payment_method_details.card
    assert card.three_d_secure.result == "authenticated"


def test_failing_the_challenge_leaves_the_session_open(sandbox: Sandbox) -> None:
    session = sandbox.session()
    sandbox.submit(session, card_number="4000002500003155")
    challenge = f"/c/pay/{session.id}/challenge"

    refused = sandbox.http.post(challenge, data={"outcome": "failed"})

    assert refused.status_code == 402
    assert "unable to authenticate" in refused.text
    assert sandbox.http.get(challenge).status_code == 404
    assert sandbox.submit(session).status_code == 303


def test_pressing_pay_twice_pays_once(sandbox: Sandbox) -> None:
    session = sandbox.session()

    answers = [sandbox.submit(session) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert len(sandbox.api().v1.charges.list().data) == 1


def test_a_promotion_code_takes_its_part_off_and_can_be_removed(sandbox: Sandbox) -> None:
    coupon_code(sandbox, "QUARTER", percent_off=25)
    session = sandbox.session(1000, allow_promotion_codes=True)

    sandbox.submit(session, action="apply", promotion_code=" quarter ")
    assert reread(sandbox, session).amount_total == 750
    sandbox.submit(session, action="remove")
    assert reread(sandbox, session).amount_total == 1000
    sandbox.submit(session, action="apply", promotion_code="QUARTER")
    sandbox.submit(session)

    done = sandbox.api().v1.checkout.sessions.retrieve(
        session.id, params={"expand": ["total_details.breakdown", "discounts.promotion_code"]}
    )
    assert done.total_details
    assert done.total_details.amount_discount == 250
    assert done.total_details.breakdown
    assert done.total_details.breakdown.discounts[0].amount == 250
    discounts: Any = done.discounts
    assert discounts[0].promotion_code.times_redeemed == 1


def test_a_code_that_makes_it_free_needs_no_payment(sandbox: Sandbox) -> None:
    coupon_code(sandbox, "FREE", percent_off=100)
    session = sandbox.session(allow_promotion_codes=True)
    sandbox.submit(session, action="apply", promotion_code="FREE")
    page = sandbox.http.get(f"/c/pay/{session.id}").text
    assert "Complete order" in page
    assert "card-number" not in page

    answer = sandbox.http.post(
        f"/c/pay/{session.id}", data={"action": "pay", "email": "a@example.com"}
    )

    assert answer.status_code == 303
    done = reread(sandbox, session)
    assert (done.payment_status, done.payment_intent) == ("no_payment_required", None)
    assert sandbox.books()["charges"] == []


@pytest.mark.parametrize("code", ["", "nope", "USED", "OTHER", "BIG", "OLD"])
def test_a_code_that_cannot_be_used_is_refused(sandbox: Sandbox, code: str) -> None:
    api = sandbox.api().v1
    coupon_code(sandbox, "USED", percent_off=10, max_redemptions=1)
    first = sandbox.session(allow_promotion_codes=True)
    assert sandbox.control(f"sessions/{first.id}/pay", promotion_code="USED")["outcome"] == "paid"
    coupon_code(sandbox, "OTHER", amount_off=100, currency="eur")
    ten = api.coupons.create(params={"percent_off": 10})
    promotion: Any = {"type": "coupon", "coupon": ten.id}
    limits: Any = {"minimum_amount": 10_000, "minimum_amount_currency": "usd"}
    api.promotion_codes.create(
        params={"promotion": promotion, "code": "BIG", "restrictions": limits}
    )
    api.promotion_codes.create(params={"promotion": promotion, "code": "OLD", "expires_at": 1})
    session = sandbox.session(allow_promotion_codes=True)

    answer = sandbox.submit(session, action="apply", promotion_code=code)

    assert answer.status_code == 422
    assert 'id="promotion-code-error"' in answer.text
    assert reread(sandbox, session).amount_total == 500


def test_quantity_changes_only_where_it_may(sandbox: Sandbox) -> None:
    line: dict[str, Any] = {
        "quantity": 1,
        "adjustable_quantity": {"enabled": True, "maximum": 5},
        "price_data": {
            "currency": "usd",
            "unit_amount": 500,
            "product_data": {"name": "Credits"},
        },
    }
    session = sandbox.session(line_items=[line])

    assert sandbox.submit(session, action="quantity", quantity="3").status_code == 303
    assert sandbox.submit(session, action="quantity", quantity="6").status_code == 422
    assert sandbox.submit(session, action="quantity", quantity="x").status_code == 422
    assert reread(sandbox, session).amount_total == 1500
    fixed = sandbox.session()
    assert sandbox.submit(fixed, action="quantity", quantity="3").status_code == 422


def test_tax_is_on_top_at_the_rate_that_is_set(sandbox: Sandbox) -> None:
    sandbox.control("settings", tax_bps=1980)
    taxed = sandbox.session(automatic_tax={"enabled": True})
    untaxed = sandbox.session()

    assert (taxed.amount_subtotal, taxed.amount_total) == (500, 599)
    assert taxed.total_details
    assert taxed.total_details.amount_tax == 99
    assert untaxed.amount_total == 500
    assert "Tax (sandbox rate)" in sandbox.http.get(f"/c/pay/{taxed.id}").text


def test_tax_can_be_fixed_to_the_cent(sandbox: Sandbox) -> None:
    session = sandbox.session()

    fixed = sandbox.control(f"sessions/{session.id}/tax", tax_minor=99)
    paid = sandbox.control(f"sessions/{session.id}/pay")

    assert fixed["amount_total"] == 599
    assert paid["session"]["total_details"]["amount_tax"] == 99
    assert sandbox.books()["charges"][0]["tax"] == 99


def test_a_bank_debit_completes_unpaid_and_settles_later(sandbox: Sandbox) -> None:
    good, bad = sandbox.session(), sandbox.session()

    for session in (good, bad):
        assert sandbox.submit(session, method="bank_debit").status_code == 303
        assert reread(sandbox, session).payment_status == "unpaid"
    assert sandbox.books()["currencies"]["usd"]["pending"] == 1000
    buttons = sandbox.http.get("/").text
    assert f"/_sandbox/stripe/sessions/{good.id}/settle" in buttons

    pressed = sandbox.http.post(
        f"/_sandbox/stripe/sessions/{good.id}/settle", data={"outcome": "succeeded"}
    )
    sandbox.control(f"sessions/{bad.id}/settle", outcome="failed")

    assert pressed.headers["location"] == "/"
    assert reread(sandbox, good).payment_status == "paid"
    assert (reread(sandbox, bad).status, reread(sandbox, bad).payment_status) == (
        "complete",
        "unpaid",
    )
    assert sandbox.event_types()[-1] == "checkout.session.async_payment_failed"
    assert sandbox.books()["currencies"]["usd"]["gross"] == 500


def test_an_expired_session_cannot_be_paid(sandbox: Sandbox) -> None:
    session = sandbox.session()
    sandbox.api().v1.checkout.sessions.expire(session.id)

    assert sandbox.http.get(f"/c/pay/{session.id}").status_code == 410
    assert sandbox.submit(session).status_code == 410
    assert sandbox.api().v1.charges.list().data == []


def test_a_finished_session_says_so(sandbox: Sandbox) -> None:
    session = sandbox.paid()

    page = sandbox.http.get(f"/c/pay/{session.id}")

    assert "Already done" in page.text
    assert session.id in page.text


def test_the_receipt_shows_what_was_paid_and_refunded(sandbox: Sandbox) -> None:
    session = sandbox.paid()
    sandbox.api().v1.refunds.create(
        params={"payment_intent": str(session.payment_intent), "amount": 200}
    )
    charge = sandbox.api().v1.charges.list().data[0]

    page = sandbox.http.get(str(charge.receipt_url)).text

    assert "$5.00" in page
    assert "−$2.00" in page
    assert sandbox.http.get("/receipts/ch_none").status_code == 404


def test_what_others_wrote_cannot_become_markup(sandbox: Sandbox) -> None:
    evil = "<script>alert(1)</script>\"'"
    line = {
        "quantity": 1,
        "price_data": {"currency": "usd", "unit_amount": 500, "product_data": {"name": evil}},
    }
    session = sandbox.session(line_items=[line], allow_promotion_codes=True)

    pages = [
        sandbox.http.get(f"/c/pay/{session.id}"),
        sandbox.submit(session, action="apply", promotion_code=evil),
        sandbox.submit(session, email=evil, name=evil, expiry=evil, cvc=evil),
        sandbox.http.get("/"),
    ]

    for page in pages:
        assert "<script" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "&lt;script&gt;" in pages[0].text
