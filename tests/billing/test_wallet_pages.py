"""The pay page of orders in credits, and paying them as a program."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pytest

from billing import ledger
from billing.models import Order, OrderStatus, Payment
from billing.money import CREDIT
from billing.rails.wallet.rail import WalletRail
from billing.services import rails
from common import clock
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import code_of, member_who_only_looks, program, send, text_of
from tests.billing.prepaid import BASIC, ONE, bought, give, only_subscription, ordered, spendable
from tests.factories import NOW, make_customer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_wallet")]


@pytest.fixture
def _wallet() -> object:
    with mock.patch.dict(rails._RAILS, {"wallet": WalletRail()}, clear=True):
        yield


@pytest.fixture
def client(_wallet: None) -> PersonClient:
    """The browser of a new person with 20,000 credits."""
    person = signed_in()
    give(person.customer, 20_000 * ONE)
    return person


def page_of(order: Order) -> str:
    return f"/billing/orders/{order.pk}/wallet"


def test_it_shows_the_price_what_there_is_and_what_will_be_left(client: PersonClient) -> None:
    page = text_of(client.get(page_of(ordered(client.customer))))

    assert "Basic, per month" in page
    assert "Pay 14,995 credits" in page
    assert "20,000 credits" in page
    assert "5,005 credits" in page
    assert "Buy credits" not in page.split("<main")[1]


def test_paying_leads_to_what_was_bought(client: PersonClient) -> None:
    order = ordered(client.customer)

    response = client.post(page_of(order))
    again = client.post(page_of(order))

    assert (response.status_code, response["Location"]) == (
        303,
        f"/billing/orders/{order.pk}/success",
    )
    assert again.status_code == 303
    assert spendable(client.customer) == 20_000 * ONE - BASIC
    assert only_subscription(client.customer).plan_slug == "basic"
    assert "Paid, thank you" in text_of(client.get(response["Location"]))


def test_a_paid_order_has_no_pay_page(client: PersonClient) -> None:
    order = ordered(client.customer)
    client.post(page_of(order))

    assert client.get(page_of(order)).status_code == 303


def test_too_few_credits_are_named_with_a_way_to_buy_them(client: PersonClient) -> None:
    order = ordered(client.customer, "premium")

    page = text_of(client.get(page_of(order)))
    response = client.post(page_of(order))

    assert "29,995 credits" in page
    assert "There is not enough on this balance." in page
    assert 'href="/billing/buy"' in page.split("<main")[1]
    assert f'action="{page_of(order)}"' not in page
    assert response.status_code == 402
    assert not Payment.objects.exists()


def test_who_owes_is_told_so(client: PersonClient) -> None:
    order = ordered(client.customer)
    wallet = ledger.wallet(client.customer, CREDIT)
    ledger.claw_back(wallet, 30_000 * ONE, key="k", group="g", occurred_at=clock.now())

    page = text_of(client.get(page_of(order)))

    assert "An earlier amount is still owed." in page
    assert 'href="/billing/buy"' in page.split("<main")[1]


def test_a_cap_is_named_and_buying_credits_is_no_help(client: PersonClient) -> None:
    order = ordered(client.customer)
    wallet = ledger.wallet(client.customer, CREDIT)
    ledger.set_spend_cap(wallet, 1, anchor_at=clock.now(), zone="UTC", at=clock.now())

    page = text_of(client.get(page_of(order)))

    assert "The monthly spend cap is reached." in page
    assert 'href="/billing/buy"' not in page.split("<main")[1].split("</main")[0]


def test_one_that_is_too_late_says_so(client: PersonClient) -> None:
    order = ordered(client.customer)
    Order.objects.filter(pk=order.pk).update(expires_at=clock.now() - timedelta(seconds=1))

    page = text_of(client.get(page_of(order)))

    assert "not paid in time" in page


def test_an_open_order_leads_to_its_pay_page_and_not_to_a_spinner(client: PersonClient) -> None:
    order = ordered(client.customer)

    response = client.get(f"/billing/orders/{order.pk}/success")

    assert (response.status_code, response["Location"]) == (302, page_of(order))


def test_looking_takes_nothing(client: PersonClient) -> None:
    order = ordered(client.customer)

    client.get(page_of(order))

    order.refresh_from_db()
    assert (order.status, spendable(client.customer)) == (OrderStatus.OPEN, 20_000 * ONE)


def test_nobody_else_sees_or_pays_it(client: PersonClient) -> None:
    order = ordered(client.customer)
    stranger = signed_in()
    give(stranger.customer, 20_000 * ONE)

    assert stranger.get(page_of(order)).status_code == 404
    assert stranger.post(page_of(order)).status_code == 404
    assert client.logout() is None
    assert client.post(page_of(order)).status_code == 302
    assert not Payment.objects.exists()


def test_a_member_who_may_not_pay_does_not() -> None:
    looking, team = member_who_only_looks()
    give(team, BASIC)
    order = ordered(team)

    assert looking.get(page_of(order)).status_code == 403
    assert looking.post(page_of(order)).status_code == 403
    assert not Payment.objects.exists()


def test_the_receipt_is_in_credits(client: PersonClient) -> None:
    with clock.frozen(NOW):
        payment = bought(client.customer)

    page = text_of(client.get(f"/billing/payments/{payment.pk}/receipt"))

    assert "14,995 credits" in page


# -- programs -------------------------------------------------------------------------------------


def test_a_program_pays_once_however_often_it_asks() -> None:
    customer = make_customer()
    give(customer, 20_000 * ONE)
    order = ordered(customer)
    caller = program(customer, "credits:purchase")

    answers = [
        send(caller, f"/api/billing/orders/{order.pk}/pay", key=key)
        for key in ("a", "a", "b", None)
    ]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert {answer.json()["state"] for answer in answers} == {"delivered"}
    assert spendable(customer) == 20_000 * ONE - BASIC


@pytest.mark.parametrize(
    ("credits_minor", "code", "status"), [(BASIC - 1, "insufficient_funds", 402)]
)
def test_it_is_told_what_is_in_the_way(credits_minor: int, code: str, status: int) -> None:
    customer = make_customer()
    give(customer, credits_minor)
    order = ordered(customer)

    answer = send(program(customer, "credits:purchase"), f"/api/billing/orders/{order.pk}/pay")

    assert (answer.status_code, code_of(answer)) == (status, code)


def test_a_second_subscription_and_a_closed_order_are_conflicts() -> None:
    customer = make_customer()
    give(customer, 2 * BASIC)
    first, second, third = [ordered(customer) for _ in range(3)]
    Order.objects.filter(pk=third.pk).update(status=OrderStatus.EXPIRED)
    caller = program(customer, "credits:purchase")

    answers = [
        send(caller, f"/api/billing/orders/{order.pk}/pay") for order in (first, second, third)
    ]

    assert answers[0].status_code == 200
    assert [code_of(answer) for answer in answers[1:]] == ["already_subscribed", "order_closed"]
    assert spendable(customer) == BASIC


def test_another_customers_order_and_a_missing_scope() -> None:
    customer = make_customer()
    give(customer, BASIC)
    order = ordered(customer)
    path = f"/api/billing/orders/{order.pk}/pay"

    assert send(program(make_customer(), "credits:purchase"), path).status_code == 404
    assert send(program(customer, "credits:read"), path).status_code == 403
    assert not Payment.objects.exists()
