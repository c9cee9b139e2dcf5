"""Where months of a spend cap begin: PostgreSQL against Python's own calendar and time zones."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connection
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tests.ledger.months import period_start

ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati",
]  # fmt: skip
moments = st.datetimes(datetime(2021, 1, 1), datetime(2031, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


class Months(TestCase):
    @settings(max_examples=300, deadline=None)
    @given(anchor=moments, at=moments, zone=st.sampled_from(ZONES))
    # The last day of a month, a time that is skipped, one that comes twice.
    @example(datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC), "UTC")
    @example(
        datetime(2026, 1, 29, 1, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        "Europe/Berlin",
    )
    @example(
        datetime(2026, 1, 25, 1, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 0, tzinfo=UTC),
        "Europe/Berlin",
    )
    def test_both_calendars_agree(self, anchor: datetime, at: datetime, zone: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT ledger_period_start(%s, %s, %s)", [anchor, zone, at])
            (found,) = cursor.fetchone()

        assert found == period_start(anchor, zone, at)
        assert found <= at
