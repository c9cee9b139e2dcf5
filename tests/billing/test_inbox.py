"""The inbox: stored first, acted on once, tried again until it worked, visible meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from billing.models import EventState, InboundEvent
from billing.services import inbox
from common import clock
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    """The only rail there is."""
    fake = FakeRail()
    with only_rail(fake):
        yield fake


def store(external_id: str = "evt_1", kind: str = "thing.happened") -> InboundEvent:
    """An event in the inbox."""
    inbox.record(
        rail="card",
        external_id=external_id,
        kind=kind,
        object_id="thing_1",
        payload={"id": external_id},
        occurred_at=NOW,
    )
    return InboundEvent.objects.get(external_id=external_id)


def test_an_event_is_stored_once() -> None:
    store()

    again = inbox.record(
        rail="card", external_id="evt_1", kind="x", object_id="", payload={}, occurred_at=NOW
    )

    assert again is False
    assert InboundEvent.objects.get().kind == "thing.happened"


def test_a_handler_acts_once(rail: FakeRail) -> None:
    seen: list[str] = []
    rail.acts["thing.happened"] = lambda event: seen.append(event.object_id)
    event = store()

    inbox.handle(event.pk)
    inbox.handle(event.pk)

    event.refresh_from_db()
    assert seen == ["thing_1"]
    assert event.state == EventState.HANDLED


def test_a_kind_nobody_handles_is_kept_as_ignored() -> None:
    event = store(kind="thing.unheard_of")

    inbox.handle(event.pk)

    event.refresh_from_db()
    assert event.state == EventState.IGNORED


def test_a_handler_that_crashes_is_visible_and_tried_again(rail: FakeRail) -> None:
    answers = iter([RuntimeError("not yet"), None])

    def act(_event: InboundEvent) -> None:
        error = next(answers)
        if error:
            raise error

    rail.acts["thing.happened"] = act
    event = store()
    inbox.handle(event.pk)

    event.refresh_from_db()
    assert (event.state, event.attempts) == (EventState.FAILED, 1)
    assert "not yet" in event.last_error
    assert inbox.due_ids() == []
    with clock.travel(timedelta(minutes=1)):
        assert inbox.due_ids() == [event.pk]
        inbox.handle(event.pk)
    event.refresh_from_db()
    assert (event.state, event.last_error) == (EventState.HANDLED, "")


def test_an_event_a_dead_worker_held_comes_back_after_its_lease(rail: FakeRail) -> None:
    rail.acts["thing.happened"] = lambda event: None
    event = store()
    assert inbox._claim(event.pk) is not None

    inbox.handle(event.pk)
    event.refresh_from_db()
    assert event.state == EventState.NEW

    with clock.travel(timedelta(minutes=10)):
        assert inbox.due_ids() == [event.pk]
        inbox.handle(event.pk)
    event.refresh_from_db()
    assert event.state == EventState.HANDLED


def test_handling_again_puts_an_event_back_in_the_queue(rail: FakeRail) -> None:
    seen: list[int] = []
    rail.acts["thing.happened"] = lambda event: seen.append(event.pk)
    event = store()
    inbox.handle(event.pk)

    inbox.handle_again(event.pk)
    inbox.handle(event.pk)

    assert seen == [event.pk, event.pk]


def test_an_event_of_a_rail_that_was_switched_off_waits_for_it(rail: FakeRail) -> None:
    seen: list[str] = []
    rail.acts["thing.happened"] = lambda event: seen.append(event.external_id)
    event = store()
    with only_rail(OtherRail()):
        inbox.handle(event.pk)
        event.refresh_from_db()
        assert event.state == EventState.FAILED
        assert "not available" in event.last_error
        assert inbox.mirror_missing() == 0

    with clock.travel(timedelta(minutes=1)):
        inbox.handle(event.pk)

    assert seen == ["evt_1"]


class OtherRail(FakeRail):
    """Another way to pay."""

    name = "other"


class BlindMirror(FakeRail):
    """A rail whose mirror is broken."""

    broken = True

    def mirror(self, event: InboundEvent) -> None:
        if self.broken:
            raise RuntimeError("mirror broke")


def test_a_broken_mirror_does_not_stop_the_handler_and_is_tried_again() -> None:
    rail = BlindMirror()
    seen: list[str] = []
    rail.acts["thing.happened"] = lambda event: seen.append(event.external_id)
    with only_rail(rail):
        event = store()
        inbox.handle(event.pk)
        event.refresh_from_db()
        assert seen == ["evt_1"]
        assert "mirror broke" in event.mirror_error
        rail.broken = False
        assert inbox.mirror_missing() == 1
    event.refresh_from_db()
    assert event.mirrored_at is not None
    assert event.mirror_error == ""


def test_a_mirror_that_never_takes_an_event_is_left_alone_after_a_day() -> None:
    rail = BlindMirror()
    with only_rail(rail):
        event = store()
        inbox.handle(event.pk)
        rail.broken = False
        yesterday = clock.now() - timedelta(days=1)
        InboundEvent.objects.filter(pk=event.pk).update(received_at=yesterday)

        assert inbox.mirror_missing() == 0
