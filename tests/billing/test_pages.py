"""Dashboard, transactions and statement: what they say, and what they never do."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from billing import ledger
from billing.models import Code, OrderStatus, Transfer
from billing.money import CREDIT, FLUX, Money
from billing.selectors.statements import reference_group
from billing.services import holds, orders, refunds
from billing.views.charts import LEAST, bars
from common import clock
from tests.accounts.factories import PersonClient, make_staff, signed_in
from tests.billing.callers import member_who_only_looks, text_of
from tests.factories import NOW, make_order, make_payment, make_wallet

pytestmark = pytest.mark.django_db

EVIL = "<script>alert(1)</script>"
PAGES = ["/billing/", "/billing/buy", "/billing/transactions", "/billing/statement"]


def buy(client: PersonClient, **fields: object) -> None:
    """A small package, paid."""
    make_payment(make_order(customer=client.customer), **fields)


def use(client: PersonClient, amount_minor: int, reference: str = "") -> None:
    """Some usage."""
    ledger.spend(
        ledger.wallet(client.customer, CREDIT),
        amount_minor,
        code=Code.USAGE,
        key=f"use:{Transfer.objects.count()}",
        group=reference_group(client.customer.pk, reference) if reference else None,
        occurred_at=clock.now(),
    )


# -- every page -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_a_page_works_for_somebody_new(client: PersonClient, page: str) -> None:
    assert client.get(page).status_code == 200


@pytest.mark.parametrize("page", [*PAGES, "/billing/statement.csv", "/billing/buy/quote"])
def test_a_page_sends_the_signed_out_to_log_in(page: str) -> None:
    response = PersonClient().get(page)

    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_staff_without_a_customer_are_sent_to_the_admin() -> None:
    staff = PersonClient()
    staff.force_login(make_staff(), backend="django.contrib.auth.backends.ModelBackend")

    assert staff.get("/billing/")["Location"] == "/admin/"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_inline_script_and_no_inline_style(client: PersonClient, page: str) -> None:
    buy(client)

    html = text_of(client.get(page))

    assert not re.search(r"<script(?![^>]*\ssrc=)", html)
    assert not re.search(r"<style|\sstyle=|\son\w+=", html)


@override_settings(UNAPPLIED_POLICY="hold")
@pytest.mark.parametrize("page", PAGES)
def test_what_people_and_providers_write_is_text_and_no_markup(
    client: PersonClient, page: str
) -> None:
    client.customer.name = EVIL
    client.customer.save(update_fields=["name"])
    order = make_order(customer=client.customer, product_name=EVIL)
    payment = make_payment(order)
    second = make_payment(order)
    second.unapplied_reason = EVIL
    second.save(update_fields=["unapplied_reason"])
    refunds.request(payment.pk, reason=EVIL, amount_minor=1_00)
    use(client, 5, reference=EVIL)

    for path in (
        page,
        f"/billing/orders/{order.pk}/success",
        f"/billing/payments/{payment.pk}/receipt",
        f"/billing/payments/{second.pk}/receipt",
    ):
        assert "<script>alert" not in text_of(client.get(path))


@pytest.mark.parametrize("page", ["/billing/", "/billing/transactions", "/billing/statement"])
def test_a_page_takes_as_many_queries_for_many_rows_as_for_one(
    client: PersonClient, page: str
) -> None:
    buy(client)
    client.get(page)
    with CaptureQueriesContext(connection) as few:
        client.get(page)
    for number in range(8):
        buy(client)
        use(client, 1 + number)

    with CaptureQueriesContext(connection) as many:
        client.get(page)

    assert len(many) == len(few)


def test_a_member_who_only_looks_sees_no_way_to_pay(client: PersonClient) -> None:
    looking, team = member_who_only_looks()
    make_order(customer=team)

    for page in ("/billing/", "/billing/transactions"):
        html = text_of(looking.get(page))
        assert "Pay now" not in html
        assert 'class="btn btn-primary" href="/billing/buy"' not in html
    assert looking.get("/billing/buy").status_code == 403


# -- dashboard ------------------------------------------------------------------------------------


def test_the_dashboard_says_what_can_be_spent_and_what_is_held(client: PersonClient) -> None:
    buy(client)
    use(client, 400_000_000)
    holds.reserve(client.customer, Money(100_000_000, CREDIT))
    flux = ledger.wallet(client.customer, FLUX)
    ledger.grant(flux, 50, code=Code.PURCHASE, key="f", group="f", occurred_at=NOW, origin="pass")

    html = text_of(client.get("/billing/"))

    assert ">2,000 credits<" in html
    assert "100 credits more set aside" in html
    assert ">50 FLUX<" in html
    assert ">400 credits</p>" in html  # spent this month


def test_the_dashboard_warns_of_debt_and_of_what_expires(client: PersonClient) -> None:
    wallet = make_wallet(customer=client.customer)
    ledger.claw_back(wallet, 7_000_000, key="c", group="c", occurred_at=NOW)
    ledger.grant(
        wallet,
        5_000_000,
        code=Code.PROMOTION,
        key="p",
        group="p",
        occurred_at=clock.now(),
        origin="welcome",
        promotional=True,
        expires_at=clock.now() + timedelta(days=2),
    )

    html = text_of(client.get("/billing/"))

    assert "You owe" in html
    assert "7 credits" in html
    assert "expire soon" in html


@override_settings(UNAPPLIED_POLICY="hold")
def test_unapplied_money_is_shown_with_its_reason(client: PersonClient) -> None:
    order = make_order(customer=client.customer)
    make_payment(order)
    make_payment(order, amount_minor=6_66, subtotal_minor=6_66)

    for page in ("/billing/", "/billing/transactions"):
        html = text_of(client.get(page))
        assert "We hold money of yours that fits no order:" in html
        assert ">$6.66</span>" in html
        assert "The order was already paid." in html


def test_an_order_that_waits_is_pointed_out(client: PersonClient) -> None:
    make_order(customer=client.customer)

    assert "1 order waits for payment" in text_of(client.get("/billing/"))


def test_a_bar_is_as_high_as_its_share_and_never_invisible() -> None:
    month = [(NOW.date(), Money(minor, CREDIT)) for minor in (0, 1, 500, 1000)]

    chart = bars(month)

    assert [bar.height for bar in chart.bars] == [0, LEAST, 50, 100]
    assert [bar.y + bar.height for bar in chart.bars] == [100] * 4
    assert bars([(NOW.date(), Money(0, CREDIT))]).highest is None


# -- transactions ---------------------------------------------------------------------------------


def test_transactions_say_how_each_order_stands(client: PersonClient) -> None:
    buy(client)
    waiting = make_order(customer=client.customer)
    for status in (OrderStatus.EXPIRED, OrderStatus.FAILED):
        orders.lapse(make_order(customer=client.customer).pk, status)

    html = text_of(client.get("/billing/transactions"))

    for state in ("Paid", "Waiting for payment", "Not paid in time", "Payment failed"):
        assert f">{state}</span>" in html
    assert html.count("Pay now") == 1
    assert f'action="/billing/orders/{waiting.pk}/pay"' in html
    assert html.count(">Receipt<") == 1


def test_transactions_go_on_on_older_pages(client: PersonClient) -> None:
    for _ in range(26):
        make_order(customer=client.customer)

    first = text_of(client.get("/billing/transactions"))
    link = re.search(r'href="(\?[^"]*)" rel="next"', first)
    assert link
    second = text_of(client.get("/billing/transactions" + link[1].replace("&amp;", "&")))

    assert (first.count("Pay now"), second.count("Pay now")) == (25, 1)
    assert "Newest" in second


def test_a_made_up_cursor_gets_a_page_that_says_so(client: PersonClient) -> None:
    for page in ("transactions", "statement"):
        response = client.get(f"/billing/{page}?cursor=nonsense")
        assert response.status_code == (400 if page == "transactions" else 200)
    buy(client)
    assert client.get("/billing/statement?cursor=nonsense").status_code == 400


# -- statement ------------------------------------------------------------------------------------


def test_the_statement_runs_its_balance(client: PersonClient) -> None:
    buy(client)
    use(client, 1_500_000, reference="job 7")

    html = text_of(client.get("/billing/statement"))

    assert "Used: job 7" in html
    assert "-1.5 credits" in html
    assert ">2,498.5 credits<" in html
    assert "+2,500 credits" in html


def test_filters_are_kept_from_page_to_page(client: PersonClient) -> None:
    buy(client)
    for _ in range(51):
        use(client, 1)

    first = text_of(client.get("/billing/statement?kind=usage"))
    link = re.search(r'href="(\?[^"]*)" rel="next"', first)
    assert link
    second = text_of(client.get("/billing/statement" + link[1].replace("&amp;", "&")))

    assert first.count("<tr>") == 51  # with its head
    assert second.count("<tr>") == 2
    assert "Bought" not in second.split("<tbody>")[1]


@pytest.mark.parametrize(
    "query",
    [
        "since=2026-13-01",
        "since=0001-01-01",
        "until=9999-12-31",
        "since=2026-11-02&until=2026-11-01",
        "kind=everything",
        "since=%00",
    ],
)
def test_a_filter_that_makes_no_sense_is_answered_beside_its_field(
    client: PersonClient, query: str
) -> None:
    buy(client)

    for page in ("statement", "statement.csv"):
        response = client.get(f"/billing/{page}?{query}")
        assert response.status_code == 400
        assert re.search(r'id="id_\w+_error"', text_of(response))


def test_a_filter_nothing_fits_says_so(client: PersonClient) -> None:
    buy(client)

    assert "Nothing fits these filters" in text_of(client.get("/billing/statement?kind=expiry"))


def test_the_statement_can_be_taken_away_as_a_table(client: PersonClient) -> None:
    client.customer.time_zone = "Asia/Tokyo"
    client.customer.save(update_fields=["time_zone"])
    buy(client)
    use(client, 1_500_000, reference='a "quoted", one')

    response = client.get("/billing/statement.csv")
    rows = list(csv.DictReader(io.StringIO(text_of(response))))

    assert response["Content-Disposition"].startswith('attachment; filename="statement-')
    assert [(row["Amount"], row["Balance"], row["Unit"]) for row in rows] == [
        ("-1.5", "2498.5", "CREDIT"),
        ("2500", "2500", "CREDIT"),
    ]
    assert rows[0]["Description"] == 'Used: a "quoted", one'
    assert rows[0]["Booked"].endswith("+09:00")
    used = list(
        csv.DictReader(io.StringIO(text_of(client.get("/billing/statement.csv?kind=usage"))))
    )
    assert used == rows[:1]


@pytest.mark.parametrize("code", ["=HYPERLINK", "+1", "-1", "@sum"])
def test_a_table_holds_no_formulas(client: PersonClient, code: str) -> None:
    buy(client)
    ledger.spend(
        ledger.wallet(client.customer, CREDIT), 1, code=code, key="formula", occurred_at=NOW
    )

    row = next(csv.DictReader(io.StringIO(text_of(client.get("/billing/statement.csv")))))

    assert row["Description"].startswith("'")


def test_nobody_sees_what_is_somebody_elses(client: PersonClient) -> None:
    stranger = signed_in()
    make_payment(make_order(customer=stranger.customer, product_name="Their own pack"))

    for page in [*PAGES, "/billing/statement.csv"]:
        assert "Their own pack" not in text_of(client.get(page))
