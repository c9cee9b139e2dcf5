"""``GET /api/admin/revenue``: sums per asset, for staff with the rights, and for nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing import catalogue, ledger
from billing.api.revenue import RIGHTS
from billing.models import Code
from billing.money import CREDIT, XTR
from billing.services import credit_packs, orders, payments, refunds
from common.clock import FrozenClock
from tests.accounts.factories import signed_in
from tests.billing.callers import program
from tests.billing.fakes import FakeRenewingRail
from tests.billing.renewing import earn, subscribed
from tests.billing.staff import Staff, make_helper, sign_in
from tests.billing.test_api_schema import check, document
from tests.factories import NOW, make_charge, make_customer, make_order, make_payment

__all__ = ["document"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now")]

URL = "/api/admin/revenue"


@pytest.fixture
def staff(renewing_rail: FakeRenewingRail) -> Staff:
    """A superuser in the admin, on a portal with one rail."""
    return sign_in()


def usd(minor: int, display: str) -> dict[str, Any]:
    return {"amount_minor": minor, "asset": "USD", "display": display}


def stars(minor: int) -> dict[str, Any]:
    return {"amount_minor": minor, "asset": "XTR", "display": f"{minor} Stars"}


def test_sums_are_told_per_asset_and_never_together(
    staff: Staff, renewing_rail: FakeRenewingRail, now: FrozenClock
) -> None:
    _trade(renewing_rail, now)

    answer = staff.get(URL).json()

    first, second = answer["assets"]
    assert (answer["from"], answer["to"]) == ("2026-11-01", "2026-11-30")
    assert {name: first[name] for name in ("asset", "count", "total", "average", "tax")} == {
        "asset": "USD",
        "count": 2,
        "total": usd(35_98, "$35.98"),
        "average": usd(17_99, "$17.99"),
        "tax": usd(99, "$0.99"),
    }
    assert first["refunded"] == usd(1_00, "$1.00")
    assert first["revenue"] == usd(2_00 + 9_99, "$11.99")
    assert first["by_rail"] == [
        {
            "name": "card",
            "count": 2,
            "total": usd(35_98, "$35.98"),
            "revenue": usd(11_99, "$11.99"),
        }
    ]
    assert [(one["name"], one["revenue"]["amount_minor"]) for one in first["by_product"]] == [
        ("credit pack small", 2_00),
        ("plan basic", 9_99),
    ]
    assert (second["asset"], second["count"]) == ("XTR", 1)
    assert (second["total"], second["average"]) == (stars(10), stars(10))
    assert second["revenue"] == stars(0)


def test_the_range_counts_whole_days_both_included(staff: Staff, now: FrozenClock) -> None:
    for day in (-2, -1, 0):
        make_payment(occurred_at=NOW + timedelta(days=day))

    def count(query: dict[str, str]) -> int:
        assets = staff.get(URL, query).json()["assets"]
        return int(assets[0]["count"]) if assets else 0

    assert count({"from": "2026-11-18", "to": "2026-11-20"}) == 3
    assert count({"from": "2026-11-19", "to": "2026-11-19"}) == 1
    assert count({"to": "2026-11-18"}) == 1
    assert count({"from": "2026-11-20"}) == 1
    assert count({"from": "2026-11-01", "to": "2026-11-17"}) == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-11-21"}, "to"),
        ({"from": "1999-12-31"}, "from"),
        ({"from": "2026-11-10", "to": "2026-11-09"}, "to"),
        ({"from": "2000-01-01"}, "from"),
        ({"to": "99999-01-01"}, "to"),
        ({"from": "2026-13-01"}, "from"),
    ],
)
def test_a_wrong_range_is_refused_by_field(staff: Staff, query: dict[str, str], field: str) -> None:
    answer = staff.get(URL, query)

    assert answer.status_code == 400
    assert set(answer.json()["error"]["fields"]) == {field}


def test_it_is_for_staff_with_the_rights(renewing_rail: FakeRenewingRail) -> None:
    person = signed_in()

    assert Client().get(URL).status_code == 401
    assert person.get(URL).status_code == 403
    assert program(person.customer, "credits:read").get(URL).status_code == 403
    assert sign_in(make_helper()).get(URL).status_code == 200
    for right in RIGHTS:
        helper = make_helper()
        app, _, codename = right.partition(".")
        one = Permission.objects.get(content_type__app_label=app, codename=codename)
        helper.user_permissions.remove(one)
        assert sign_in(helper).get(URL).status_code == 403
    former = make_helper()
    former.is_staff = False
    former.save(update_fields=["is_staff"])
    assert sign_in(former).get(URL).status_code == 403


def test_it_is_as_described(staff: Staff, document: dict[str, Any]) -> None:
    make_payment()

    check(document, URL, "get", staff.get(URL))
    names = [one["name"] for one in document["paths"][URL]["get"]["parameters"]]
    assert names == ["from", "to"]


def test_it_takes_two_queries_of_its_own(staff: Staff) -> None:
    make_payment()

    with CaptureQueriesContext(connection) as seen:
        assert staff.get(URL).status_code == 200

    # Beside them: session, user and membership.
    assert len(seen) <= 5, [query["sql"][:200] for query in seen]


def _trade(rail: FakeRenewingRail, now: FrozenClock) -> None:
    """Ten days with a plan, a pack that is part used and part refunded, and one paid in Stars."""
    subscribed(rail)
    customer = make_customer()
    paid = make_payment(make_order(customer=customer), tax_minor=99)
    wallet = ledger.wallet(customer, CREDIT)
    ledger.spend(wallet, 1_000_000_000, code=Code.USAGE, key="u", occurred_at=now.at)
    refunds.send(refunds.request(paid.pk, reason="asked", amount_minor=1_00).pk)
    item = credit_packs.sold(catalogue.current().credit_pack("pkg_100"), XTR)
    order = orders.open_order(make_customer(), item, rail="card")
    payments.settle(make_charge(order, asset=XTR))
    now.move(timedelta(days=10))
    ledger.recognise(occurred_at=now.at)
    earn()
