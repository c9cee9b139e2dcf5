"""The first page answers quickly for somebody with ten thousand movements."""

from __future__ import annotations

from statistics import median

import pytest

from benchmarks.page_work import DASHBOARD, MOVEMENTS, TRIVIAL, live_through, p95, race
from billing.models import Transfer
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.billing.subscribers import subscribe

pytestmark = pytest.mark.django_db

VISITS = 40
# Machines differ, and this one may be busy: the measure is a page with the same header and a form.
# The target of 50 ms is measured by `make bench`, where nothing else runs.
AT_MOST_TIMES = 4.0


@pytest.fixture
def person() -> PersonClient:
    """Somebody with a plan and a long history."""
    person = signed_in()
    with only_rail(FakeRenewingRail()) as rail:
        subscribe(person, rail)
    live_through(person.customer)
    return person


def test_ten_thousand_movements_do_not_slow_the_first_page(person: PersonClient) -> None:
    assert Transfer.objects.filter(source__owner=person.customer).count() > MOVEMENTS * 0.97

    times = race(person, (TRIVIAL, DASHBOARD), VISITS)

    assert median(times[DASHBOARD]) <= median(times[TRIVIAL]) * AT_MOST_TIMES
    assert p95(times[DASHBOARD]) <= p95(times[TRIVIAL]) * AT_MOST_TIMES
