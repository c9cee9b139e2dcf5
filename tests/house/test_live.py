"""The portal as processes: it starts, survives a killed worker and leaves nothing behind."""

import urllib.request
from collections.abc import Iterator

import pytest

from accounts.models import User
from tests import live


@pytest.fixture(scope="module")
def small_portal() -> Iterator[live.Portal]:
    with live.Portal(processes=("web", "worker")) as running:
        yield running


def test_the_web_server_answers_on_the_portals_own_database(small_portal: live.Portal) -> None:
    with small_portal.orm():
        User.objects.create_user("a@example.com")

    with urllib.request.urlopen(f"{small_portal.url}/accounts/login/") as page:
        assert page.status == 200
        assert "dist/app." in page.read().decode()
    with small_portal.connect() as connection:
        assert connection.execute("SELECT email FROM accounts_user").fetchall() == [
            ("a@example.com",)
        ]


def test_a_killed_worker_can_be_started_again(small_portal: live.Portal) -> None:
    small_portal.kill("worker")

    small_portal.start("worker")

    assert small_portal.log("worker").count(" ready.") == 2
