"""Whose the staff home is, for which days, and what it costs."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.admin.figures import FIGURES
from common.clock import FrozenClock
from tests.accounts.factories import signed_in
from tests.billing.fakes import FakeRenewingRail
from tests.billing.home_page import HOME, business, figures_of, rows_of
from tests.billing.renewing import earn, subscribed
from tests.billing.staff import MODEL_BACKEND, Staff, make_helper, sign_in, words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now")]


@pytest.fixture(autouse=True)
def rail(renewing_rail: FakeRenewingRail) -> FakeRenewingRail:
    return renewing_rail


@pytest.fixture
def staff() -> Staff:
    """A superuser in the admin."""
    return sign_in()


# -- ranges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"from": "yesterday"}, "Enter a valid date."),
        ({"from": "2026-11-10", "to": "2026-11-09"}, "This is before the first day."),
        ({"to": "2026-11-21"}, "Choose a day from 2000-01-01 to 2026-11-20"),
        ({"from": "1999-12-31"}, "Choose a day from 2000-01-01"),
        ({"to": "9999-12-31"}, "Choose a day from 2000-01-01"),
        ({"from": "2000-01-01"}, "At most 3,660 days at a time."),
        ({"from": "2026-02-30"}, "Enter a valid date."),
        ({"from": "\x00"}, "Enter a valid date."),
    ],
)
def test_a_wrong_range_is_told_beside_its_field(
    staff: Staff, query: dict[str, str], sentence: str
) -> None:
    home = staff.get(HOME, query)
    page = staff.get(reverse("figure", args=["mrr"]), query)
    file = staff.get(reverse("figure-csv", args=["mrr"]), query)

    assert sentence in words(home)
    assert figures_of(home) == {}
    assert page.status_code == file.status_code == 400
    assert sentence in words(page)
    assert sentence in words(file)


def test_figures_as_of_now_need_no_range(staff: Staff) -> None:
    assert staff.get(reverse("figure", args=["credits"]), {"from": "x"}).status_code == 200
    assert rows_of(staff.get(reverse("figure-csv", args=["credits"]), {"from": "x"}))


@pytest.mark.parametrize(
    "first", ["2026-11-20", "2026-09-20", "2026-09-18", "2026-01-01", "2016-11-20"]
)
def test_every_length_of_range_has_its_charts(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock, first: str
) -> None:
    subscribed(rail)
    now.move(timedelta(hours=1))
    earn()

    page = staff.get(HOME, {"from": first, "to": "2026-11-20"})

    assert figures_of(page)["MRR"] == "$29.99 +$29.99 in the range"
    assert page.text.count("data-value=") == 1 + ("Revenue in USD" in page.text)


def test_presets_are_ranges_that_work(staff: Staff) -> None:
    links = re.findall(r'href="(\?from=[^"]+)"', staff.get(HOME).text)

    assert len(links) == 6
    for link in links:
        page = staff.get(HOME + html.unescape(link))
        assert figures_of(page)
        assert 'aria-current="true"' in page.text


# -- rights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", FIGURES)
def test_a_figure_needs_every_one_of_its_rights(slug: str) -> None:
    figure = FIGURES[slug]
    for missing in figure.rights:
        helper = sign_in(make_helper())
        app, _, codename = missing.partition(".")
        right = Permission.objects.get(content_type__app_label=app, codename=codename)
        helper.user.user_permissions.remove(right)

        assert figure.title not in figures_of(helper.get(HOME))
        assert helper.get(figure.url).status_code == 403
        assert helper.get(figure.csv_url).status_code == 403

    helper = sign_in(make_helper())
    assert figure.title in figures_of(helper.get(HOME))
    assert helper.get(figure.url).status_code == 200


@pytest.mark.parametrize("name", ["figures", "figure", "figure-csv"])
def test_figures_are_for_staff(name: str) -> None:
    url = reverse(name, args=[] if name == "figures" else ["revenue"])
    person = Client()
    person.force_login(subscribing_person(), backend=MODEL_BACKEND)

    for browser in (Client(), person):
        answer = browser.get(url)
        assert answer.status_code in (302, 403)
        assert "MRR" not in answer.text
    assert sign_in().post(url).status_code == 405


def subscribing_person() -> Any:
    """Somebody who is signed in and no staff."""
    return signed_in().user


def test_an_unknown_figure_is_not_there(staff: Staff) -> None:
    assert staff.get("/admin/figures/profit/").status_code == 404
    assert staff.get("/admin/figures/profit.csv").status_code == 404


# -- cost -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["superuser", "helper"])
def test_the_home_takes_at_most_twelve_queries_however_much_there_is(
    rail: FakeRenewingRail, now: FrozenClock, who: str
) -> None:
    browser = sign_in() if who == "superuser" else sign_in(make_helper())
    for _ in range(2):
        counts = []
        for _ in range(2):
            with CaptureQueriesContext(connection) as seen:
                assert browser.get(HOME).status_code == 200
            counts.append(len(seen))
        assert max(counts) <= 12, [query["sql"][:200] for query in seen]
        business(rail, now)


@pytest.mark.parametrize("slug", FIGURES)
def test_a_figures_page_takes_few_queries(
    staff: Staff, rail: FakeRenewingRail, now: FrozenClock, slug: str
) -> None:
    business(rail, now)

    with CaptureQueriesContext(connection) as seen:
        assert staff.get(reverse("figure", args=[slug])).status_code == 200

    assert len(seen) <= 8, [query["sql"][:200] for query in seen]
