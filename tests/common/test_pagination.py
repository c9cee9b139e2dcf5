"""Keyset pagination."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiKey
from tests.accounts.factories import PersonClient

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.common.probe")]

START = datetime(2030, 1, 1, tzinfo=UTC)


def make_keys(client: PersonClient, count: int) -> list[str]:
    """Keys in threes of one moment each; their names in the order of the list."""
    for number in range(count):
        ApiKey.objects.create(
            customer=client.customer,
            name=f"{number:03}",
            prefix=f"p{number}",
            secret_hash="0" * 64,
            created_at=START + timedelta(microseconds=number // 3),
        )
    return [f"{number:03}" for number in reversed(range(count))]


def pages(client: PersonClient, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    query: dict[str, Any] = {"limit": limit}
    while len(found) < 100:
        body = client.get("/api/probe/keys", query).json()
        found.append(body["results"])
        if body["next_cursor"] is None:
            return found
        query["cursor"] = body["next_cursor"]
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 10, 11, 100])
def test_all_pages_together_are_the_list(client: PersonClient, limit: int) -> None:
    names = make_keys(client, 10)

    found = pages(client, limit)

    assert [name for page in found for name in page] == names
    assert all(len(page) == limit for page in found[:-1])
    assert 0 < len(found[-1]) <= limit


def test_an_empty_list_is_one_empty_page(client: PersonClient) -> None:
    assert client.get("/api/probe/keys").json() == {"results": [], "next_cursor": None}


def test_rows_added_meanwhile_neither_repeat_nor_hide_others(client: PersonClient) -> None:
    names = make_keys(client, 6)
    first = client.get("/api/probe/keys", {"limit": 3}).json()
    ApiKey.objects.create(customer=client.customer, name="new", prefix="n", secret_hash="0" * 64)

    second = client.get("/api/probe/keys", {"limit": 3, "cursor": first["next_cursor"]}).json()

    assert first["results"] + second["results"] == names


def test_a_page_is_one_query_without_offset(client: PersonClient) -> None:
    make_keys(client, 6)
    cursor = client.get("/api/probe/keys", {"limit": 3}).json()["next_cursor"]

    with CaptureQueriesContext(connection) as queries:
        client.get("/api/probe/keys", {"limit": 3, "cursor": cursor})

    listed = [query["sql"] for query in queries if "LIMIT 4" in query["sql"]]
    assert len(listed) == 1
    assert "OFFSET" not in listed[0]


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%%%",
        "é",
        "a" * 10_000,
        encoded("text"),
        encoded([]),
        encoded(["2030-01-01T00:00:00Z"]),
        encoded(["2030-01-01T00:00:00Z", "not-a-uuid"]),
        encoded(["yesterday", "01890a5d-ac96-774b-bcce-b302099a8057"]),
        encoded([None, None]),
        encoded(["\0", "\0"]),
        encoded(["", ""]),
        encoded([{"a": 1}, 2]),
        base64.urlsafe_b64encode(b"[" * 5_000).decode(),
    ],
)
def test_a_forged_cursor_is_400(client: PersonClient, cursor: str) -> None:
    response = client.get("/api/probe/keys", {"cursor": cursor})

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "cursor_invalid"


@pytest.mark.parametrize("limit", ["0", "-1", "101", "x", "1.5", "", "９", "1" * 5_000])
def test_a_limit_out_of_range_is_400(client: PersonClient, limit: str) -> None:
    response = client.get("/api/probe/keys", {"limit": limit})

    assert response.status_code == 400
    assert "limit" in response.json()["error"]["fields"]
