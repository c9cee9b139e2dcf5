"""The portal's worker inside a test: it reads what the sandbox tells and acts on it, right here.

Only the sandbox is a process of its own. Webhooks stay with it; each event of ``GET /v1/events``
is stored and handled by the portal's own services in this process, in order or not, twice or
never. That is quick, and the same seed does the same again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import stripe
from django.db import connections
from django.test import override_settings

from billing import catalogue, tasks
from billing.models import EventState, InboundEvent, Subscription
from billing.rails.card import subscriptions
from billing.rails.card.handlers import HANDLERS
from billing.services import inbox
from common import clock
from tests import live
from tests.end_to_end import till as tills
from tests.end_to_end.till import Till

Event = dict[str, Any]


class Desk:
    """Time, the news it brings, and the hand that acts on them."""

    def __init__(self, till: Till, random: Random, *, hands: int = 1) -> None:
        self.till = till
        self.random = random
        self.hands = hands
        self._last: str | None = None
        self._late: list[Event] = []

    # -- time -------------------------------------------------------------------------------------

    def wait_until(self, moment: datetime) -> None:
        """Let time pass in sandbox and portal until then; a moment that is over changes nothing."""
        seconds = round((moment - clock.now()).total_seconds())
        if seconds > 0:
            self.till.control("clock", advance_seconds=seconds)

    # -- news -------------------------------------------------------------------------------------

    def bring(self, *, orderly: bool = False) -> None:
        """Act on what happened since last time; now and then also on what was lost.

        Orderly news come once, in order, all of them. Else some come, in any order, a few twice,
        a few only with the next news.
        """
        news, self._late = [*self._late, *self._fetch()], []
        if not orderly:
            lost = self.random.choice([0.3, 0.8, 0.9])
            news = [one for one in news if self.random.random() >= lost]
            self.random.shuffle(news)
            news += [one for one in news if self.random.random() < 0.1]
            late = self.random.choice([0, 0, len(news) // 3])
            news, self._late = news[late:], news[:late]
        if self.hands == 1 or orderly:
            for event in news:
                self._act_on(event)
        else:
            with ThreadPoolExecutor(self.hands) as together:
                list(together.map(self._act_apart, news))
        if orderly or self.random.random() < 0.05:
            self.catch_up()
        tasks.sweep()
        if self.hands == 1:
            failed = InboundEvent.objects.filter(state=EventState.FAILED)
            assert [f"{one.kind}: {one.last_error}" for one in failed] == []

    def work(self) -> None:
        """What beat rings for every hour."""
        tasks.keep_subscriptions()

    def _fetch(self) -> list[Event]:
        """The events since last time that the portal acts on, oldest first."""
        cursor: Any = {} if self._last is None else {"ending_before": self._last}
        found = [one.to_dict() for one in stripe.Event.list(limit=100, **cursor).auto_paging_iter()]
        if not cursor:
            found.reverse()
        if found:
            self._last = found[-1]["id"]
        return [one for one in found if one["type"] in HANDLERS]

    def _act_on(self, event: Event) -> None:
        inbox.record(
            rail="card",
            external_id=event["id"],
            kind=event["type"],
            object_id=event["data"]["object"]["id"],
            payload=json.loads(json.dumps(event, default=str)),
            occurred_at=datetime.fromtimestamp(event["created"], UTC),
        )
        stored = InboundEvent.objects.get(external_id=event["id"])
        # dj-stripe's copy is for looking at, and slow: it is taken as made.
        InboundEvent.objects.filter(pk=stored.pk).update(mirrored_at=clock.now())
        if stored.attempts:
            inbox.handle_again(stored.pk)
        inbox.handle(stored.pk)

    def _act_apart(self, event: Event) -> None:
        """The same beside other hands."""
        try:
            with live.unblocked():
                self._act_on(event)
        finally:
            connections.close_all()

    def catch_up(self) -> None:
        """Settle what was lost, as beat and reconciliation do."""
        known = Subscription.objects.filter(rail="card")
        for external_id in known.values_list("external_id", flat=True):
            subscriptions.catch_up(external_id)


@contextmanager
def opened(
    seed: int, *, hands: int = 1, variables: Mapping[str, str] | None = None
) -> Iterator[Desk]:
    """A desk at a sandbox of its own; ``variables`` change the catalogue."""
    with (
        live.Portal(processes=("sandbox",)) as portal,
        tills.at(portal) as till,
        override_settings(CATALOGUE=catalogue.load(variables or {})),
    ):
        till.control("deliveries/hold")
        yield Desk(till, Random(seed), hands=hands)


def first_leap_day(now: datetime) -> datetime:
    """Midnight of the next 29 February that is at least two months away."""
    year = (now + timedelta(days=60)).year
    while True:
        try:
            found = datetime(year, 2, 29, tzinfo=UTC)
        except ValueError:
            pass
        else:
            if found - now > timedelta(days=60):
                return found
        year += 1
