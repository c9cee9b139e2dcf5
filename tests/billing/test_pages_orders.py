"""From the buy page to the pay page and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from pytest_django import DjangoCaptureOnCommitCallbacks

from billing import selectors
from billing.errors import RailUnavailable
from billing.models import DisputeState, Order, OrderStatus
from billing.money import CREDIT, Money
from billing.services import disputes, orders, rails, refunds
from common import clock
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import Bell, member_who_only_looks, text_of
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import NOW, make_claim, make_order, make_payment

pytestmark = pytest.mark.django_db

REFRESH = "billing.refresh_order"


def click(client: PersonClient, **fields: str) -> Any:
    """Send a form of the buy page."""
    return client.post("/billing/buy", {"rail": "card", **fields})


# -- buying ---------------------------------------------------------------------------------------


def test_the_buy_page_shows_what_is_sold_here(client: PersonClient) -> None:
    html = text_of(client.get("/billing/buy"))

    assert "2,500 credits" in html
    assert "Buy for $50.00" in html
    assert "Stars" not in html  # nothing here takes them


def test_without_a_rail_nothing_is_sold(client: PersonClient) -> None:
    rails.clear()

    html = text_of(client.get("/billing/buy"))

    assert "Nothing can be bought here" in html
    assert '<form method="post" action="/billing/buy"' not in html


def test_choosing_a_package_leads_to_its_pay_page(client: PersonClient) -> None:
    response = click(client, package="small")

    order = Order.objects.get(customer=client.customer)
    assert response.status_code == 303
    assert response["Location"] == order.pay_url == f"https://pay.example.com/{order.pk}"
    assert (order.subtotal_minor, order.placed_by) == (5_00, client.user)


def test_an_amount_of_ones_own_buys_at_the_rate(client: PersonClient) -> None:
    response = click(client, amount="12.5")

    order = Order.objects.get(customer=client.customer)
    assert response.status_code == 303
    assert order.subtotal_minor == 12_50
    assert order.snapshot["credits_minor"] == 6_250_000_000


def test_a_second_click_goes_on_with_the_same_order(client: PersonClient, rail: FakeRail) -> None:
    first, second = click(client, package="small"), click(client, package="small")
    click(client, package="medium")

    assert first["Location"] == second["Location"]
    assert Order.objects.filter(customer=client.customer).count() == 2
    assert len(rail.pages) == 2


def test_buying_again_after_paying_is_a_new_order(client: PersonClient) -> None:
    click(client, package="small")
    make_payment(Order.objects.get(customer=client.customer))

    click(client, package="small")

    assert Order.objects.filter(customer=client.customer).count() == 2


@pytest.mark.parametrize(
    ("amount", "sentence"),
    [
        ("", "This field is required."),
        ("0.99", "Choose an amount from $1.00 to $1,000.00."),
        ("1000.01", "Choose an amount from $1.00 to $1,000.00."),
        ("-5", "Choose an amount from $1.00 to $1,000.00."),
        ("5.001", "USD has 2 decimals at most."),
        ("five", "Enter a number."),
        ("NaN", "Enter a number."),
        ("1e400", "Ensure that there are no more than"),
        ("9" * 400, "Ensure that there are no more than"),
    ],
)
def test_a_wrong_amount_is_answered_beside_its_field(
    client: PersonClient, amount: str, sentence: str
) -> None:
    response = click(client, amount=amount)

    html = text_of(response)
    assert response.status_code == 400
    assert sentence in html.split('id="id_amount_error"')[1].split("</p>")[0]
    assert f'value="{amount}"' in html or not amount
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"package": "huge"},
        {"package": ""},
        {"package": "pkg_100"},
        {"package": "small", "rail": "cowries"},
        {"package": "\x00"},
        {},
    ],
)
def test_what_is_not_sold_is_refused_on_the_page(
    client: PersonClient, fields: dict[str, str]
) -> None:
    response = click(client, **fields)

    assert response.status_code == 400
    assert 'role="alert"' in text_of(response) or "id_amount_error" in text_of(response)
    assert not Order.objects.exists()


def test_with_the_provider_down_nothing_is_lost(client: PersonClient, rail: FakeRail) -> None:
    rail.down = True
    response = click(client, package="small")
    html = text_of(client.get(response["Location"]))

    assert (response.status_code, response["Location"]) == (303, "/billing/transactions")
    assert "cannot be reached" in html
    assert "Pay now" in html

    rail.down = False
    order = Order.objects.get(customer=client.customer)
    paid = client.post(f"/billing/orders/{order.pk}/pay")
    assert (paid.status_code, paid["Location"]) == (303, f"https://pay.example.com/{order.pk}")


def test_a_role_that_does_not_pay_cannot_buy(rail: FakeRail) -> None:
    looking, team = member_who_only_looks()
    order = make_order(customer=team)

    assert click(looking, package="small").status_code == 403
    assert looking.post(f"/billing/orders/{order.pk}/pay").status_code == 403
    assert Order.objects.count() == 1
    assert rail.pages == []


def test_a_form_from_elsewhere_is_refused(client: PersonClient) -> None:
    strict = PersonClient(enforce_csrf_checks=True)
    strict.force_login(client.user, backend="django.contrib.auth.backends.ModelBackend")
    order = make_order(customer=client.customer)

    for path in ("/billing/buy", f"/billing/orders/{order.pk}/pay"):
        assert strict.post(path, {"package": "small"}).status_code == 403
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("amount", "text"), [("12.5", "6,250 credits"), ("0.5", "Choose an amount"), ("x", "Enter a")]
)
def test_a_quote_says_what_an_amount_buys(client: PersonClient, amount: str, text: str) -> None:
    response = client.get("/billing/buy/quote", {"amount": amount}, headers={"HX-Request": "true"})

    assert text in text_of(response)
    assert "<html" not in text_of(response)


# -- after paying ---------------------------------------------------------------------------------


def success(client: PersonClient, order: Order, **query: str) -> Any:
    return client.get(f"/billing/orders/{order.pk}/success", query)


def poll(client: PersonClient, order: Order, shown: str) -> Any:
    return client.get(
        f"/billing/orders/{order.pk}/success", {"shown": shown}, headers={"HX-Request": "true"}
    )


def test_it_waits_until_the_payment_is_there_and_then_says_so(client: PersonClient) -> None:
    order = make_order(customer=client.customer)

    waiting = text_of(success(client, order))
    assert "Waiting for your payment" in waiting
    assert 'hx-trigger="every 2s"' in waiting
    assert "thank you" not in waiting
    assert poll(client, order, "open-0").status_code == 204

    make_payment(order)
    done = text_of(poll(client, order, "open-0"))

    assert "<html" not in done
    assert "2,500 credits have been added" in done
    assert "hx-get" not in done
    assert str(selectors.credit_balance(client.customer)) in done


def test_a_paid_order_that_is_not_delivered_claims_nothing_more(client: PersonClient) -> None:
    order = make_order(customer=client.customer, snapshot={})
    make_payment(order)

    html = text_of(success(client, order))

    assert "Paid, being delivered" in html
    assert "has not been added yet" in html
    assert "hx-get" in html


@pytest.mark.parametrize(
    ("status", "heading"),
    [(OrderStatus.FAILED, "The payment failed"), (OrderStatus.EXPIRED, "Not paid in time")],
)
def test_an_order_that_came_to_nothing_says_so(
    client: PersonClient, status: OrderStatus, heading: str
) -> None:
    order = make_order(customer=client.customer)
    orders.lapse(order.pk, status)

    html = text_of(success(client, order))

    assert heading in html
    assert "nothing was added" in html
    assert "hx-get" not in html


def test_a_refunded_order_says_so(client: PersonClient) -> None:
    order = make_order(customer=client.customer)
    refund = refunds.request(make_payment(order).pk, reason="r")
    assert "A refund is on its way" in text_of(success(client, order))

    refunds.send(refund.pk)

    assert ">Refunded</h1>" in text_of(success(client, order))


def test_a_disputed_order_says_so(client: PersonClient) -> None:
    order = make_order(customer=client.customer)
    payment = make_payment(order)

    for state, heading in (
        (DisputeState.OPEN, "Disputed, frozen until decided"),
        (DisputeState.LOST, "Charged back"),
    ):
        disputes.record(payment.pk, make_claim(state, external_id="du_1"))
        assert f">{heading}</h1>" in text_of(success(client, order))


def test_after_waiting_in_vain_the_provider_is_asked_now_and_then(
    client: PersonClient,
    bell: Bell,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    order = make_order(customer=client.customer)
    with django_capture_on_commit_callbacks(execute=True), clock.frozen(NOW) as hands:
        success(client, order)
        hands.move(timedelta(seconds=9))
        poll(client, order, "open-0")
    assert bell.rung() == []

    with django_capture_on_commit_callbacks(execute=True), clock.frozen(NOW) as hands:
        hands.move(timedelta(seconds=10))
        late = text_of(poll(client, order, "open-0"))
        assert poll(client, order, "open-1").status_code == 204
    assert bell.rung() == [(REFRESH, [str(order.pk)])]
    assert "This may take a while" in late

    cache.delete(f"billing:asked:{order.pk}")  # fifteen seconds later
    with django_capture_on_commit_callbacks(execute=True), clock.frozen(NOW) as hands:
        hands.move(timedelta(seconds=30))
        poll(client, order, "open-1")
    assert bell.rung() == [(REFRESH, [str(order.pk)])]


def test_nobody_is_asked_about_an_order_that_is_settled(
    client: PersonClient,
    bell: Bell,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    order = make_order(customer=client.customer)
    make_payment(order)
    bell.rung()

    with django_capture_on_commit_callbacks(execute=True), clock.frozen(NOW) as hands:
        success(client, order)
        hands.move(timedelta(minutes=5))
        success(client, order)

    assert bell.rung() == []


def test_a_program_may_have_named_where_to_go_on(client: PersonClient) -> None:
    order = make_order(customer=client.customer, return_url="/billing/statement")
    make_payment(order)

    assert 'href="/billing/statement">Continue</a>' in text_of(success(client, order))


def test_turning_back_says_nothing_was_charged_while_that_is_so(client: PersonClient) -> None:
    order = make_order(customer=client.customer)
    path = f"/billing/orders/{order.pk}/cancelled"

    assert "nothing was charged" in text_of(client.get(path))
    make_payment(order)

    assert client.get(path)["Location"] == f"/billing/orders/{order.pk}/success"


def test_an_order_that_is_closed_is_not_paid_again(client: PersonClient, rail: FakeRail) -> None:
    order = make_order(customer=client.customer)
    make_payment(order)

    response = client.post(f"/billing/orders/{order.pk}/pay")

    assert response["Location"] == f"/billing/orders/{order.pk}/success"
    assert rail.pages == []


def test_an_order_whose_pay_page_has_closed_is_not_offered_for_payment(
    client: PersonClient, rail: FakeRail
) -> None:
    order = make_order(customer=client.customer, expires_at=NOW, pay_url="https://pay.example.com/")

    with clock.frozen(NOW + timedelta(minutes=1)):
        assert "Go to the pay page" not in text_of(success(client, order))
        response = client.post(f"/billing/orders/{order.pk}/pay")

    assert response["Location"] == f"/billing/orders/{order.pk}/success"


def test_a_receipt_adds_up(client: PersonClient) -> None:
    order = make_order(customer=client.customer)
    payment = make_payment(order, discount_minor=1_00, tax_minor=33)
    refunds.send(refunds.request(payment.pk, reason="r", amount_minor=2_00).pk)

    html = text_of(client.get(f"/billing/payments/{payment.pk}/receipt"))

    for amount in ("$5.00", "$1.00", "$4.00", "$0.33", "$4.33", "$2.00"):
        assert amount in html
    assert "Refund, succeeded" in html
    assert payment.external_id in html


def test_orders_and_receipts_are_their_customers_own(client: PersonClient) -> None:
    order = make_order()
    payment = make_payment(order)

    for path in (f"orders/{order.pk}/success", f"orders/{order.pk}/cancelled"):
        assert client.get(f"/billing/{path}").status_code == 404
    assert client.post(f"/billing/orders/{order.pk}/pay").status_code == 404
    assert client.get(f"/billing/payments/{payment.pk}/receipt").status_code == 404
    assert signed_in().get(f"/billing/payments/{payment.pk}/receipt").status_code == 404


class SlowRail(FakeRail):
    """A rail whose page is made, and whose answer is lost once."""

    lost = True

    def open_pay_page(self, order: Order) -> Any:
        page = super().open_pay_page(order)
        if self.lost:
            self.lost = False
            raise RailUnavailable
        return page


def test_a_lost_answer_of_the_provider_leaves_the_order_payable(client: PersonClient) -> None:
    with only_rail(SlowRail()):
        assert click(client, package="small")["Location"] == "/billing/transactions"

        again = click(client, package="small")

    assert again["Location"].startswith("https://pay.example.com/")
    assert Order.objects.filter(customer=client.customer).count() == 1
    assert selectors.credit_balance(client.customer) == Money(0, CREDIT)


def test_the_short_addresses_lead_to_the_order_placed_last(client: PersonClient) -> None:
    for page in ("success", "cancel"):
        assert client.get(f"/billing/{page}")["Location"] == "/billing/"
    make_order(customer=client.customer)
    newest = make_order(customer=client.customer)
    make_order()

    for page, ending in (("success", "success"), ("cancel", "cancelled")):
        place = client.get(f"/billing/{page}")["Location"]
        assert place == f"/billing/orders/{newest.pk}/{ending}"
