"""``manage.py advance_clock``: how far, and what is refused before anything moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from billing_project import sandbox_control
from billing_project.management.commands.advance_clock import target
from tests.environment import NO_SANDBOX
from tests.house.processes import run

NOON = datetime(2028, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("how_far", "there"),
    [
        ("31d", NOON + timedelta(days=31)),
        ("12h", NOON + timedelta(hours=12)),
        ("45m", NOON + timedelta(minutes=45)),
        ("90s", NOON + timedelta(seconds=90)),
        ("2W", NOON + timedelta(days=14)),
        ("1d12h", NOON + timedelta(hours=36)),
        ("1y", datetime(2029, 3, 1, 12, tzinfo=UTC)),
        ("4y", datetime(2032, 2, 29, 12, tzinfo=UTC)),
        ("10y", datetime(2038, 3, 1, 12, tzinfo=UTC)),
    ],
)
def test_lengths_of_time(how_far: str, there: datetime) -> None:
    assert target(how_far, NOON) == there


@pytest.mark.parametrize(
    ("how_far", "says"),
    [
        ("-5d", "forward only"),
        ("11y", "at most 10 years"),
        ("3654d", "at most 10 years"),
        ("9y999d", "at most 10 years"),
        ("999999999999w", "at most 10 years"),
        ("9" * 50 + "s", "no length of time"),
        ("0d", "no time at all"),
        ("31", "no length of time"),
        ("31 days", "no length of time"),
        ("d", "no length of time"),
        ("", "no length of time"),
        ("1.5d", "no length of time"),
        ("1d 5h", "no length of time"),
        ("٣d", "no length of time"),
    ],
)
def test_what_is_no_length_of_time_or_too_much_is_refused(how_far: str, says: str) -> None:
    with pytest.raises(CommandError, match=says):
        target(how_far, NOON)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "Say either"),
        ({"how_far": "1d", "to_next_renewal": True}, "Say either"),
        ({"to_next_renewal": True}, "No subscription renews"),
        ({"how_far": "1d"}, f"does not answer at {NO_SANDBOX}. Start it with `make run`"),
    ],
)
def test_it_says_what_is_missing(options: dict[str, Any], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("advance_clock", **options)


@pytest.mark.django_db
def test_it_is_for_the_sandbox_only() -> None:
    with override_settings(SANDBOX=False), pytest.raises(CommandError, match="SANDBOX=1"):
        call_command("advance_clock", how_far="1d")


def test_a_negative_length_is_not_taken_for_an_option() -> None:
    done = run("manage.py", "advance_clock", "-5d", SANDBOX="1", SANDBOX_URL=NO_SANDBOX)

    assert done.returncode == 1
    assert done.stderr.strip() == "CommandError: Time goes forward only: -5d"


def test_the_control_api_names_what_the_sandbox_refuses() -> None:
    with pytest.raises(sandbox_control.SandboxError, match="does not answer"):
        sandbox_control.Sandbox(NO_SANDBOX).get("/_sandbox/clock")
