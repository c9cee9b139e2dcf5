"""Billing in Russian: what is shown follows the reader, what is kept and told programs does not."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation
from django.utils.formats import date_format

from accounts.models import Customer
from billing.models import Order, Payment
from billing.money import USD, Money
from billing.plans import Interval
from billing.titles import order_title, product_title
from tests.accounts.factories import PASSWORD, PersonClient, make_person, signed_in
from tests.billing.callers import text_of
from tests.billing.fakes import FakeRail, FakeRenewingRail
from tests.billing.subscribers import said, subscribe
from tests.factories import make_order, make_payment

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 11, 21, 3, 20, tzinfo=UTC)


@pytest.fixture
def russian() -> PersonClient:
    """A person who chose Russian, in a browser that asks for English."""
    user = make_person()
    user.language = "ru"
    user.save(update_fields=["language"])
    person = signed_in(user)
    person.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return person


def read(response: Any) -> str:
    """What a person reads, with plain spaces."""
    return said(response).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("name", "english", "russian"),
    [
        ("DATE_FORMAT", "21 Nov 2026", "21 ноября 2026"),
        ("DATETIME_FORMAT", "21 Nov 2026, 03:20", "21 ноября 2026, 03:20"),
        ("MONTH_DAY_FORMAT", "21 Nov", "21 ноября"),
        ("TIME_FORMAT", "03:20", "03:20"),
    ],
)
def test_dates_are_written_as_each_language_does(name: str, english: str, russian: str) -> None:
    with translation.override("en"):
        assert date_format(MOMENT, name) == english
    with translation.override("ru"):
        assert date_format(MOMENT, name) == russian


def test_the_page_of_a_subscription_speaks_russian(
    russian: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscription = subscribe(russian, renewing_rail, "basic", "month")
    with translation.override("ru"):
        day = date_format(subscription.period_ends_at, "DATE_FORMAT")

    page = russian.get("/billing/subscription")

    assert '<html lang="ru"' in text_of(page)
    assert f"Продлится {day} за 29,99 $." in read(page)
    assert "Basic на месяц" in read(page)


def test_an_order_is_kept_in_english_and_shown_in_russian(
    russian: PersonClient, rail: FakeRail
) -> None:
    russian.post("/billing/buy", {"package": "small", "rail": "card"})
    russian.post("/billing/buy", {"amount": "12,50", "rail": "card"})

    names = Order.objects.order_by("pk").values_list("product_name", flat=True)
    assert list(names) == ["Small credit pack", "6,250 credits"]
    page = read(russian.get("/billing/transactions"))
    assert "Малый пакет кредитов" in page
    assert "6 250 кредитов" in page
    assert "Ждёт оплаты" in page


def test_an_order_of_a_plan_is_kept_in_english_and_shown_in_russian(
    russian: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    russian.post("/billing/plans", {"plan": "basic", "interval": "year", "rail": "card"})

    order = Order.objects.get()
    assert order.product_name == "Basic, per year"
    with translation.override("ru"):
        assert order_title(order) == "Basic на год"


def test_a_change_of_plan_and_a_foreign_product_have_titles_too() -> None:
    snapshot = {"plan": "premium", "interval": str(Interval.MONTH), "change": {}}

    with translation.override("ru"):
        change = product_title("plan", "Change to Premium, per month", snapshot)
        foreign = product_title("slot", "One deploy slot", {})

    assert change == "Переход на Premium на месяц"
    assert foreign == "One deploy slot"
    assert product_title("plan", "Change to Gold, per month", snapshot).endswith("Gold, per month")


@pytest.mark.parametrize(
    ("text", "minor"), [("12,50", 12_50), ("12.50", 12_50), ("1 000", 1000_00)]
)
def test_an_amount_may_be_typed_with_a_comma_in_russian(
    russian: PersonClient, rail: FakeRail, text: str, minor: int
) -> None:
    russian.post("/billing/buy", {"amount": text, "rail": "card"})

    assert Order.objects.get().subtotal == Money(minor, USD)


def test_an_english_comma_is_not_guessed_at(client: PersonClient, rail: FakeRail) -> None:
    answer = client.post("/billing/buy", {"amount": "12,50", "rail": "card"})

    assert answer.status_code == 400
    assert not Order.objects.exists()


def test_a_table_that_is_sent_after_its_request_is_in_russian_throughout(
    russian: PersonClient,
) -> None:
    make_payment(make_order(customer=russian.customer))

    answer = russian.get("/billing/statement.csv")
    translation.activate(settings.LANGUAGE_CODE)  # whatever the thread does meanwhile
    heading, row = csv.reader(io.StringIO(text_of(answer)))

    assert heading[:5] == ["Проведено", "Произошло", "Вид", "Описание", "Сумма"]
    assert row[2:6] == ["Куплено", "Куплено: Малый пакет кредитов", "2500", "2500"]
    assert translation.get_language() == settings.LANGUAGE_CODE


def test_why_money_was_not_applied_is_kept_in_english_and_shown_in_russian(
    russian: PersonClient, settings: Any
) -> None:
    settings.UNAPPLIED_POLICY = "hold"
    with translation.override("ru"):
        order = make_order(customer=russian.customer)
        make_payment(order)
        make_payment(order)

    kept = Payment.objects.get(order=None)
    assert kept.unapplied_reason == "The order was already paid."
    assert "Заказ уже был оплачен." in read(russian.get("/billing/transactions"))


def test_programs_are_answered_in_english(russian: PersonClient) -> None:
    answer = russian.get(f"/api/orders/{uuid.uuid4()}", headers={"Accept-Language": "ru"})

    assert answer.status_code == 404
    assert "такого" not in text_of(answer).lower()
    assert "There is no such" in text_of(answer)


def test_who_signs_up_in_russian_gets_documents_in_russian() -> None:
    Client().post(
        "/accounts/signup/",
        {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD},
        headers={"Accept-Language": "ru,en;q=0.5"},
    )

    assert Customer.objects.get(email="new@example.com").language == "ru"


def test_django_and_allauth_speak_russian_too() -> None:
    answer = Client().post(
        "/accounts/signup/",
        {"email": "not an address", "password1": "12345", "password2": "12345"},
        headers={"Accept-Language": "ru,en;q=0.5"},
    )

    page = read(answer)
    assert "Введите правильный адрес электронной почты." in page
    assert "Введённый пароль слишком короткий" in page
