"""The portal's time follows the file in which the sandbox says how far ahead it is."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing_project import sandbox_clock
from billing_project.sandbox_clock import SandboxClock
from common import clock
from tests.house.processes import PRODUCTION, run

DAY = timedelta(days=1)
SHOW_OFFSET = """
import billing_project.celery
from common import clock
print(round(clock.ahead().total_seconds()))
"""


def write(file: Path, content: str) -> None:
    """As the sandbox does it: whole or not at all."""
    fresh = file.with_suffix(".new")
    fresh.write_text(content)
    fresh.replace(file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.db.clock"


def test_what_the_file_says_is_added_at_once(file: Path) -> None:
    with sandbox_clock.following(file):
        for content, offset in [("86400", DAY), ("172800.5\n", 2 * DAY), ("0", timedelta(0))]:
            write(file, content)

            assert abs(clock.now() - datetime.now(UTC) - offset) < timedelta(seconds=1)

    write(file, "86400")
    assert clock.ahead() == timedelta(0)


def test_a_change_of_equal_length_within_one_tick_of_the_file_system_is_seen(file: Path) -> None:
    followed = SandboxClock(file)
    seen = []
    for days in range(1, 10):
        write(file, str(days * 86400).zfill(9))
        os.utime(file, ns=(0, 0))
        seen.append(followed.offset() // DAY)

    assert seen == list(range(1, 10))


def test_a_sandbox_that_never_moved_is_no_trouble(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert SandboxClock(file).offset() == timedelta(0)

    assert caplog.records == []


@pytest.mark.parametrize("rubbish", ["", "soon", "nan", "1" * 65, "\x00", "1e", "🕰"])
def test_rubbish_is_no_offset_and_one_warning(
    file: Path, rubbish: str, caplog: pytest.LogCaptureFixture
) -> None:
    followed = SandboxClock(file)
    write(file, "86400")
    assert followed.offset() == DAY

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            write(file, rubbish)
            assert followed.offset() == timedelta(0)

    assert len(caplog.records) == 1
    write(file, "86400")
    assert followed.offset() == DAY


def test_a_file_that_went_away_is_no_offset_and_one_warning(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    followed = SandboxClock(file)
    write(file, "86400")
    assert followed.offset() == DAY

    with caplog.at_level(logging.WARNING):
        file.unlink()
        assert followed.offset() == followed.offset() == timedelta(0)

    assert len(caplog.records) == 1


@pytest.mark.parametrize("content", ["1e300", "-1e300", "inf", "-inf", "9" * 64])
def test_no_number_overflows(file: Path, content: str) -> None:
    write(file, content)

    with sandbox_clock.following(file):
        assert 1900 < clock.now().year < 2200


def test_rows_of_a_moved_clock_show_its_time_and_others_their_stamp(file: Path) -> None:
    stamped = datetime.now(UTC)
    known = stamped + 30 * DAY

    assert clock.moment_of(stamped, known) == stamped
    write(file, str(86400 * 30))
    with sandbox_clock.following(file):
        assert clock.moment_of(stamped, known) == known
        assert clock.moment_of(stamped, None) == stamped
        assert clock.moment_of(stamped, stamped - DAY) == stamped


def test_a_worker_follows_in_the_sandbox(file: Path) -> None:
    write(file, "86400")

    done = run("-c", SHOW_OFFSET, SANDBOX="1", SANDBOX_CLOCK=str(file))

    assert done.stdout == "86400\n", done.stderr


def test_commands_follow_in_the_sandbox(file: Path) -> None:
    write(file, "86400")
    show = "from common import clock; print(clock.ahead())"

    done = run("manage.py", "shell", "-v0", "-c", show, SANDBOX="1", SANDBOX_CLOCK=str(file))

    assert done.stdout == "1 day, 0:00:00\n", done.stderr


def test_nothing_moves_the_time_outside_the_sandbox(file: Path) -> None:
    write(file, "86400")

    done = run("-c", SHOW_OFFSET, **PRODUCTION, SANDBOX_CLOCK=str(file))

    assert done.stdout == "0\n", done.stderr


def test_this_process_follows_nothing_unless_asked() -> None:
    assert clock.ahead() == timedelta(0)
