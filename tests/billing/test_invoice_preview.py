"""What the next invoice would say, before anything is bought: nothing is written for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from billing.models import Invoice, InvoiceSeries, Order, Payment, Subscription
from billing.services import cancellations, invoices, plan_changes, rails, subscriptions
from common.clock import FrozenClock
from tests.accounts.factories import PersonClient, make_person, signed_in
from tests.billing.callers import member_who_only_looks, program, send
from tests.billing.fakes import FakeRail, FakeRenewingRail
from tests.factories import make_payment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now")]

PATH = "/api/billing/invoices/preview"
DAY = timedelta(days=1)


@pytest.fixture
def renewing(renewing_rail: FakeRenewingRail) -> PersonClient:
    """A person where cards renew subscriptions."""
    return signed_in(make_person())


def asked(client: Any, **body: object) -> Any:
    """The preview; nothing of money was written for it."""
    before = _written()
    response = send(client, PATH, body)
    assert _written() == before
    return response


def told(client: Any, **body: object) -> Any:
    response = asked(client, **body)
    assert response.status_code == 200, response.content
    return response.json()


def subscribed(client: PersonClient, rail: FakeRenewingRail) -> Subscription:
    return rail.pay(subscriptions.start(client.customer, "basic", "month", rail="card"))


def _written() -> list[int]:
    return [one.objects.count() for one in (Order, Payment, Invoice, InvoiceSeries)]


def test_a_package_is_previewed_with_who_sells_and_who_buys(client: PersonClient) -> None:
    client.customer.name, client.customer.tax_id = "Example GmbH", "DE123456789"
    client.customer.save(update_fields=["name", "tax_id"])

    found = told(client, package="small")

    assert found["lines"][0]["amount"]["display"] == "$5.00"
    assert (found["total"]["amount_minor"], found["tax"]["amount_minor"]) == (5_00, 0)
    assert (found["buyer"]["name"], found["buyer"]["tax_id"]) == ("Example GmbH", "DE123456789")
    assert found["seller"]["name"] == invoices.seller()["name"]
    assert (found["due_at"], found["notes"]) == (None, [])


def test_an_amount_of_ones_own_is_previewed(client: PersonClient) -> None:
    assert told(client, amount_minor=12_34)["total"]["amount_minor"] == 12_34


def test_tax_that_only_the_provider_can_compute_is_left_open(
    client: PersonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeRail, "computes_tax", True)

    found = told(client, package="small")

    assert found["tax"] is None
    assert "computed by the payment provider" in found["notes"][0]


def test_a_plan_is_previewed_for_the_time_it_buys(renewing: PersonClient) -> None:
    found = told(renewing, plan="basic", interval="month")

    (line,) = found["lines"]
    assert line["starts_at"] == "2026-11-20T12:00:00Z"
    assert line["ends_at"] == "2026-12-20T12:00:00Z"
    assert found["total"]["amount_minor"] == 29_99


def test_the_renewal_is_previewed_with_the_day_it_is_due(
    renewing: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscription = subscribed(renewing, renewing_rail)

    for body in ({"renewal": True}, {"plan": "basic", "interval": "month"}):
        found = told(renewing, **body)
        assert found["due_at"] == "2026-12-20T12:00:00Z"
        assert found["lines"][0]["ends_at"] == "2027-01-20T12:00:00Z"
        assert found["total"]["amount_minor"] == subscription.price_minor


def test_the_renewal_of_a_plan_that_will_change_is_at_the_next_plans_price(
    renewing: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribed(renewing, renewing_rail)
    change = plan_changes.quote(renewing.customer, "premium", "month")
    plan_changes.confirm(renewing.customer, change.token, placed_by=None)
    back = plan_changes.quote(renewing.customer, "basic", "month")
    plan_changes.confirm(renewing.customer, back.token, placed_by=None)

    assert told(renewing, renewal=True)["total"]["amount_minor"] == 29_99


def test_a_preview_of_a_change_is_what_its_invoice_says_then(
    renewing: PersonClient, renewing_rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscribed(renewing, renewing_rail)
    invoices.issue_due()
    now.move(10 * DAY)

    found = told(renewing, plan="premium", interval="month")
    quote = plan_changes.quote(renewing.customer, "premium", "month")
    plan_changes.confirm(renewing.customer, quote.token, placed_by=None)
    invoices.issue_due()

    invoice = Invoice.objects.order_by("-pk")[0]
    assert [line["name"] for line in found["lines"]] == [line["name"] for line in invoice.lines]
    for name in ("subtotal", "discount", "tax", "total"):
        assert found[name]["amount_minor"] == getattr(invoice, name).amount_minor


def test_prepaid_time_is_previewed_in_the_customers_own_time_zone(
    client: PersonClient, now: FrozenClock
) -> None:
    client.customer.time_zone = "America/New_York"
    client.customer.save(update_fields=["time_zone"])
    now.at = datetime(2027, 1, 31, 3, tzinfo=UTC)  # still the 30th there

    for _ in range(2):
        (line,) = told(client, plan="basic", interval="month")["lines"]
        order = subscriptions.start(client.customer, "basic", "month", rail="card")
        payment = make_payment(order, occurred_at=now.at)
        invoices.issue_due(look_back_seconds=None)
        (issued,) = Invoice.objects.get(payment=payment).lines
        for theirs, ours in (("starts_at", "from"), ("ends_at", "until")):
            assert datetime.fromisoformat(line[theirs]) == datetime.fromisoformat(issued[ours])


def test_what_does_not_renew_has_no_next_invoice(
    renewing: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    none = asked(renewing, renewal=True)
    subscribed(renewing, renewing_rail)
    cancellations.cancel(renewing.customer)
    ending = asked(renewing, renewal=True)

    assert (none.status_code, none.json()["error"]["code"]) == (404, "no_subscription")
    assert (ending.status_code, ending.json()["error"]["code"]) == (409, "change_not_possible")


@pytest.mark.usefixtures("wallet_rail")
def test_what_is_paid_from_credits_gets_no_invoice() -> None:
    person = signed_in(make_person())

    response = asked(person, plan="basic", interval="month", rail="wallet")

    assert (response.status_code, response.json()["error"]["code"]) == (400, "not_invoiced")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"package": "small", "renewal": True},
        {"package": "small", "amount_minor": 5_00},
        {"plan": "basic"},
        {"interval": "month"},
        {"package": "small", "interval": "month"},
        {"package": "nothing of ours"},
        {"amount_minor": 10**15},
        {"plan": "free", "interval": "month"},
        {"package": "small", "rail": "pigeon"},
        {"package": "small", "colour": "red"},
    ],
)
def test_anything_but_one_purchase_is_refused(client: PersonClient, body: dict[str, Any]) -> None:
    assert asked(client, **body).status_code == 400


def test_it_is_for_whoever_may_look_and_needs_the_scope(client: PersonClient) -> None:
    allowed = program(client.customer, "credits:read")
    barred = program(client.customer, "subscription:read")

    assert told(allowed, package="small")["buyer"]["email"] == client.customer.email
    assert asked(barred, package="small").status_code == 403
    assert asked(member_who_only_looks()[0], package="small").status_code == 200


@pytest.mark.parametrize("way", ["accept", "query"])
def test_as_a_file_it_says_that_it_is_no_invoice(client: PersonClient, way: str) -> None:
    path = PATH if way == "accept" else f"{PATH}?format=pdf"
    headers = {"Accept": "application/pdf"} if way == "accept" else {}

    response = client.post(path, {"package": "small"}, format="json", headers=headers)

    assert response["Content-Type"] == "application/pdf"
    text = PdfReader(BytesIO(response.content)).pages[0].extract_text()
    assert "PREVIEW, not an invoice" in text
    assert "$5.00" in text
    assert "INV-" not in text


def test_a_refusal_is_json_whatever_was_asked_for(client: PersonClient) -> None:
    response = client.post(f"{PATH}?format=pdf", {}, format="json")

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_input"


def test_a_rail_says_whether_its_provider_computes_tax(settings: Any) -> None:
    card = rails.named("card")
    settings.STRIPE_AUTOMATIC_TAX = True

    assert card.computes_tax
