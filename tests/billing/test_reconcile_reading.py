"""Reading a provider's lists in stretches: everything once, oldest first, however much there is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.rails.card import reconcile_reading
from billing.rails.card.reconcile_reading import by, stretches
from tests.factories import make_payment

SINCE = datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC)
DAY = timedelta(days=1)


class Listed:
    """A provider's list of things made at these moments; newest first, as it gives them."""

    def __init__(self, moments: list[datetime]) -> None:
        self.moments = sorted(moments, reverse=True)
        self.calls: list[timedelta] = []

    def __call__(self, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
        self.calls.append(until - since)
        first, last = int(since.timestamp()), int(until.timestamp())
        return (
            {"created": moment.timestamp()}
            for moment in self.moments
            if first <= int(moment.timestamp()) < last
        )


def read(listed: Listed, until: datetime) -> list[float]:
    found = stretches(listed, SINCE, until)
    return [one["created"] for stretch in found for one in stretch.objects]


def test_everything_comes_once_and_the_oldest_first() -> None:
    moments = [SINCE + timedelta(minutes=17 * n) for n in range(300)]
    listed = Listed(moments)

    assert read(listed, SINCE + 5 * DAY) == [moment.timestamp() for moment in moments]


def test_what_was_made_at_the_very_beginning_or_end_is_not_lost_or_doubled() -> None:
    until = (SINCE + DAY).replace(microsecond=0)
    inside = [SINCE.replace(microsecond=0), until - timedelta(seconds=1)]

    assert len(read(Listed([*inside, until, SINCE - timedelta(seconds=1)]), until)) == 2


def test_idle_years_take_a_few_calls() -> None:
    listed = Listed([])

    assert read(listed, SINCE + 15 * 365 * DAY) == []

    assert len(listed.calls) < 20


def test_a_second_in_which_too_much_happened_is_read_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconcile_reading, "MANY", 10)
    burst = [SINCE + timedelta(hours=1)] * 25

    assert len(read(Listed(burst), SINCE + DAY)) == 25


def test_stretches_shrink_where_much_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_reading, "FEW", 2)
    monkeypatch.setattr(reconcile_reading, "MANY", 10)
    busy = [SINCE + timedelta(hours=3, seconds=7 * n) for n in range(2000)]
    listed = Listed(busy)
    longest = max(len(one.objects) for one in stretches(listed, SINCE, SINCE + DAY))

    assert longest <= 10
    assert read(Listed(busy), SINCE + DAY) == [moment.timestamp() for moment in busy]


@pytest.mark.django_db
def test_rows_are_looked_up_many_at_a_time(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(reconcile_reading, "CHUNK", 2)
    payments = [make_payment() for _ in range(5)]
    names = [payment.external_id for payment in payments]

    with django_assert_num_queries(3):
        found = by("external_id", type(payments[0]).objects.all(), [*names, None, names[0]])

    assert found == {payment.external_id: payment for payment in payments}
