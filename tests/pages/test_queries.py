"""No page takes many queries, and none takes more of them when there is more to show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.pages import crowd
from tests.pages.visits import Address, Visitors, addresses
from tests.security import table
from tests.security.world import World, build

pytestmark = pytest.mark.django_db

MOST = 12
# Pages that say what an act would do by doing it and taking it back: their own bound, which more
# rows do not move. What they do is one act's work, not reading.
REHEARSED = re.compile(r"admin/billing/(payment|unappliedpayment)/.*/(refund|apply)/")
MOST_REHEARSED = 60
# A scrape is no page: what it tells is counted on the spot, one query a kind.
MOST_SCRAPED = 20
SCRAPED = "metrics"


@pytest.fixture
def world() -> Iterator[World]:
    """Somebody who has had much of everything, on a portal with one rail."""
    with only_rail(FakeRenewingRail()), override_settings(ACCOUNT_RATE_LIMITS=False):
        table.prepare()
        cache.clear()
        built = build()
        crowd.fill(built, times=3)
        yield built
        cache.clear()


@dataclass(frozen=True)
class Cost:
    """The queries of one visit, cold (nothing cached) and warm."""

    status: int
    cold: int
    warm: int
    statements: tuple[str, ...]

    def repeated(self) -> str:
        """What was asked most often: a hint where to look."""
        shapes = Counter(re.sub(r"'[^']*'|\d+", "?", sql)[:160] for sql in self.statements)
        return "\n".join(f"      {times} x {shape}" for shape, times in shapes.most_common(3))


def test_no_page_takes_many_queries_nor_more_for_more_rows(world: World) -> None:
    found = addresses(world)

    few = _costs(world, found)
    crowd.fill(world, times=3)
    many = _costs(world, found)

    problems = []
    for (name, address), cost in many.items():
        before = few[name, address]
        if max(cost.cold, cost.warm) > _most(address):
            problems.append(f"{name} {address.path}: {cost.cold} queries\n{cost.repeated()}")
        if cost.cold > before.cold or cost.warm > before.warm:
            grown = f"{before.cold} queries became {cost.cold} with more rows"
            problems.append(f"{name} {address.path}: {grown}\n{cost.repeated()}")
    assert not problems, "\n".join(problems)
    # What was measured are pages and not refusals.
    assert sum(cost.status == 200 for cost in many.values()) > len(many) / 2


def _most(address: Address) -> int:
    if REHEARSED.fullmatch(address.route):
        return MOST_REHEARSED
    return MOST_SCRAPED if address.route == SCRAPED else MOST


def _costs(world: World, found: list[Address]) -> dict[tuple[str, Address], Cost]:
    """What each page costs each of those who see it. Leaves out those that log out."""
    visitors = Visitors(world)
    return {
        (name, address): _cost(client, address)
        for address in found
        if "logout" not in address.route
        for name, client in visitors.of(address)
    }


def _cost(client: Client, address: Address) -> Cost:
    cache.clear()
    status, cold, statements = _visit(client, address.path)
    _, warm, _ = _visit(client, address.path)
    return Cost(status, cold, warm, statements)


def _visit(client: Client, path: str) -> tuple[int, int, tuple[str, ...]]:
    with CaptureQueriesContext(connection) as seen:
        response: Any = client.get(path)
        if response.streaming:
            b"".join(response.streaming_content)
    asked = tuple(query["sql"] or "" for query in seen.captured_queries)
    return response.status_code, len(asked), asked
