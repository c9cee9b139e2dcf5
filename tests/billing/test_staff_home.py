"""What the staff home tells, and that each figure leads to its rows, a file and a definition."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta

import pytest
from django.urls import reverse

from billing.admin.figures import FIGURES
from billing.services import subscriptions
from common.clock import FrozenClock
from tests.billing.fakes import FakeRenewingRail
from tests.billing.home_page import HOME, business, figures_of, rows_of
from tests.billing.renewing import MONTH, subscribed, upgraded
from tests.billing.staff import Staff, make_helper, sign_in, words
from tests.factories import NOW, make_customer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now")]


@pytest.fixture(autouse=True)
def rail(renewing_rail: FakeRenewingRail) -> FakeRenewingRail:
    return renewing_rail


@pytest.fixture
def staff() -> Staff:
    """A superuser in the admin."""
    return sign_in()


# -- what it shows --------------------------------------------------------------------------------


def test_every_figure_of_a_business_is_told(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock
) -> None:
    business(rail, now)

    told = figures_of(staff.get(HOME))

    # 20 of 30 days of 29.99 and of 499.99, 1,000 of 2,500 credits for 5.00.
    assert told["Revenue"] == "$355.31"
    assert told["Payments received"].startswith("$540.97 10 Stars")
    assert told["Refund rate"] == "0.2 % in USD 0.0 % in XTR $1.00 refunded"
    assert told["Dispute rate"] == "20.0 % in USD 0.0 % in XTR 1 opened"
    assert told["MRR"] == "$529.98 +$529.98 in the range"
    assert told["MRR movements"] == "2 2 new"
    assert told["Active subscribers"] == "2 +2 in the range"
    assert told["ARPU"] == "$264.99 a month"
    assert told["Subscriptions failing"] == "now 0"
    assert told["Failed payments"] == "0"
    assert told["Credits outstanding"].startswith("now ")
    assert told["Deferred revenue"].startswith("now ")
    assert told["Oldest unhandled event"] == "now None nothing waits"


def test_movements_lead_from_one_moment_to_the_other(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock
) -> None:
    leaver, grower = subscribed(rail), subscribed(rail)
    now.move(timedelta(days=3))
    upgraded(grower)
    subscribed(rail, "enterprise")
    now.move(timedelta(days=7))
    rail.delete(leaver)
    first, last = NOW.date() + timedelta(days=1), NOW.date() + timedelta(days=10)

    page = staff.get(reverse("figure", args=["movements"]), {"from": f"{first}", "to": f"{last}"})

    text = words(page)
    assert "At the beginning $59.98 New $499.99 (1) Reactivation $0.00 (0)" in text
    assert "Expansion $70.00 (1) Contraction $0.00 (0) Churn -$29.99 (1)" in text
    assert "At the end $599.98" in text


def test_who_comes_back_is_reactivated(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock
) -> None:
    gone = subscribed(rail)
    now.move(timedelta(days=1))
    rail.delete(gone)
    now.move(timedelta(days=10))
    rail.pay(subscriptions.start(gone.customer, "premium", "month", rail="card"))

    page = staff.get(HOME, {"from": f"{now.at:%Y-%m-%d}"})

    assert figures_of(page)["MRR movements"] == "1 1 reactivation"


def test_a_year_counts_a_twelfth_rounded_half_to_even(staff: Staff, rail: FakeRenewingRail) -> None:
    rail.pay(subscriptions.start(make_customer(), "premium", "year", rail="card"))

    told = figures_of(staff.get(HOME))

    assert told["MRR"] == "$83.33 +$83.33 in the range"  # 999.99 / 12 = 83.3325


def test_a_trial_and_a_free_period_are_worth_nothing_until_they_are_paid(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock
) -> None:
    free = subscribed(rail, discount_minor=29_99)
    assert figures_of(staff.get(HOME))["MRR"] == "None"

    now.move(MONTH)
    rail.renew(free)

    assert figures_of(staff.get(HOME))["MRR"] == "$29.99 +$29.99 in the range"


def test_an_empty_portal_has_a_home(staff: Staff) -> None:
    page = staff.get(HOME)

    assert page.status_code == 200
    told = figures_of(page)
    assert set(told) == {figure.title for figure in FIGURES.values()}
    assert told["Revenue"] == told["MRR"] == told["Payments received"] == "None"
    assert told["Refund rate"] == "— none refunded"


@pytest.mark.parametrize("slug", FIGURES)
def test_an_empty_figure_has_a_page_and_a_file(staff: Staff, slug: str) -> None:
    assert "None." in words(staff.get(reverse("figure", args=[slug])))
    assert len(rows_of(staff.get(reverse("figure-csv", args=[slug])))) == 1


# -- rows, files, definitions ---------------------------------------------------------------------


def test_each_card_leads_to_rows_file_and_definition(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock
) -> None:
    business(rail, now)
    page = staff.get(HOME)
    definitions = staff.get(reverse("figures")).text

    cards = re.findall(r"<article.*?</article>", page.text, re.DOTALL)
    assert len(cards) == len(FIGURES)
    for card in cards:
        rows, _, file, definition = re.findall(r'href="([^"]+)"', card)
        assert staff.get(html.unescape(rows)).status_code == 200
        assert rows_of(staff.get(html.unescape(file)))
        assert f'id="{definition.partition("#")[2]}"' in definitions


@pytest.mark.parametrize("slug", [slug for slug, one in FIGURES.items() if one.listed])
def test_a_figure_leads_to_the_list_of_its_rows(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock, slug: str
) -> None:
    business(rail, now)
    page = staff.get(reverse("figure", args=[slug]))

    found = re.search(r'href="([^"]+)">All of them', page.text)

    assert found
    listed = staff.get(html.unescape(found[1]))
    assert listed.status_code == 200
    if slug in ("received", "refunds", "disputes"):
        count = len(rows_of(staff.get(reverse("figure-csv", args=[slug])))) - 1
        assert len(listed.context["cl"].result_list) == count > 0


def test_a_file_adds_up_to_its_figure_in_plain_numbers(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock
) -> None:
    business(rail, now)

    head, *lines = rows_of(staff.get(reverse("figure-csv", args=["revenue"])))

    assert head == ["When", "Earned", "Product", "Way to pay", "Account", "Transfer", "Asset"]
    assert {line[-1] for line in lines} == {"USD"}
    assert sum(round(float(line[1]) * 100) for line in lines) == 355_31


def test_what_people_wrote_is_no_formula_in_a_file(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock
) -> None:
    business(rail, now)

    text = "\n".join(map(str, rows_of(staff.get(reverse("figure-csv", args=["received"])))))

    assert "'=cmd@example.com" in text
    assert "'=cmd" in text.replace('"', "")


def test_a_files_name_says_what_and_when(staff: Staff) -> None:
    url = reverse("figure-csv", args=["mrr"])

    response = staff.get(url, {"from": "2026-11-01", "to": "2026-11-15"})

    wanted = 'attachment; filename="mrr-2026-11-01-2026-11-15.csv"'
    assert response["Content-Disposition"] == wanted


def test_a_chart_draws_what_its_table_says(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock
) -> None:
    business(rail, now)
    page = staff.get(reverse("figure", args=["revenue"]))

    values = re.findall(r'data-value="([^"]+)"', page.text)

    assert len(values) == 1
    drawn = json.loads(html.unescape(values[0]))
    assert round(sum(sum(one["data"]) for one in drawn["datasets"]), 2) == 355.31
    assert {one["label"] for one in drawn["datasets"]} == {
        "plan enterprise", "plan basic", "credit pack small",
    }  # fmt: skip
    assert "$333.32" in words(page)


def test_definitions_are_there_for_all_staff_and_numbers_are_not() -> None:
    helper = sign_in(make_helper())
    helper.user.user_permissions.clear()

    page = helper.get(reverse("figures"))

    for figure in FIGURES.values():
        assert figure.title in words(page)
        assert figure.url not in page.text
    assert figures_of(helper.get(HOME)) == {}
