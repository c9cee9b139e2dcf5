"""The inbox in the admin: what fails is on top with its error, and is handled again on demand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.urls import reverse

from billing.models import EventState, InboundEvent, StaffAction
from billing.services import inbox
from common import clock
from tests.billing.fakes import FakeRail, only_rail
from tests.billing.staff import Staff, hidden, make_helper, sign_in, words
from tests.factories import NOW

pytestmark = pytest.mark.django_db

LIST = "/admin/billing/inboundevent/"


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    """The only rail there is."""
    fake = FakeRail()
    with only_rail(fake):
        yield fake


@pytest.fixture
def staff() -> Staff:
    """A superuser in the admin."""
    return sign_in()


def store(external_id: str) -> InboundEvent:
    inbox.record(
        rail="card",
        external_id=external_id,
        kind="thing.happened",
        object_id="thing_1",
        payload={"id": external_id},
        occurred_at=NOW,
    )
    return InboundEvent.objects.get(external_id=external_id)


def fail(event: InboundEvent, rail: FakeRail) -> None:
    def act(_event: InboundEvent) -> None:
        raise RuntimeError("the handler broke")

    rail.acts["thing.happened"] = act
    inbox.handle(event.pk)


def url(event: InboundEvent) -> str:
    return reverse("admin:billing_inboundevent_handle_again", args=[event.pk])


def test_what_fails_is_on_top_with_its_error(staff: Staff, rail: FakeRail) -> None:
    broken = store("evt_broken")
    fail(broken, rail)
    rail.acts.clear()
    for number in range(60):
        inbox.handle(store(f"evt_{number}").pk)

    text = words(staff.get(LIST))

    assert "RuntimeError: the handler broke" in text
    assert text.index("evt_broken") < text.index("evt_59")


def test_the_oldest_unhandled_is_shown_with_its_age(staff: Staff) -> None:
    event = store("evt_old")
    InboundEvent.objects.filter(pk=event.pk).update(received_at=clock.now() - timedelta(hours=3))
    store("evt_new")

    assert "2 not handled yet. The oldest came 3\xa0hours ago" in staff.get(LIST).text.replace(
        "\n", " "
    ).replace("      ", "")


def test_a_quiet_inbox_says_nothing(staff: Staff) -> None:
    inbox.handle(store("evt_1").pk)

    assert "not handled yet" not in words(staff.get(LIST))


def test_an_event_goes_back_in_the_queue(staff: Staff, rail: FakeRail) -> None:
    event = store("evt_1")
    fail(event, rail)
    rail.acts["thing.happened"] = lambda _event: None

    answer = staff.act(url(event), reason="the bug is fixed")

    assert answer.status_code == 302
    event.refresh_from_db()
    assert event.state == EventState.NEW
    assert inbox.due_ids() == [event.pk]
    inbox.handle(event.pk)
    event.refresh_from_db()
    assert event.state == EventState.HANDLED


def test_it_is_logged_with_its_reason(staff: Staff, rail: FakeRail) -> None:
    event = store("evt_1")
    fail(event, rail)
    event.refresh_from_db()

    staff.act(url(event), reason="the bug is fixed")

    action = StaffAction.objects.get()
    assert (action.act, action.subject, action.reason) == (
        "handle_again",
        f"event:{event.pk}",
        "the bug is fixed",
    )
    assert action.detail == {"event": "evt_1", "kind": "thing.happened", "was": "failed"}


def test_a_double_click_is_one_act(staff: Staff, rail: FakeRail) -> None:
    event = store("evt_1")
    page = staff.get(url(event))
    staff.post_final(url(event), page)
    inbox.handle(event.pk)

    answer = staff.post_final(url(event), page)

    assert answer.status_code == 302
    event.refresh_from_db()
    assert event.state == EventState.IGNORED  # and not in the queue a second time
    assert StaffAction.objects.count() == 1


def test_several_go_back_at_once(staff: Staff) -> None:
    events = [store(f"evt_{number}") for number in range(3)]
    for event in events:
        inbox.handle(event.pk)
    selected = {"action": "handle_selected", "_selected_action": [event.pk for event in events[:2]]}

    page = staff.post(LIST, selected)
    assert "evt_0" in words(page)
    assert "evt_2" not in words(page)
    answer = staff.post(LIST, {**hidden(page), **selected, "reason": "fixed"}, follow=True)

    assert "2 done." in words(answer)
    assert sorted(inbox.due_ids()) == [event.pk for event in events[:2]]
    assert StaffAction.objects.filter(reason="fixed").count() == 2


def test_several_need_a_reason_too(staff: Staff) -> None:
    event = store("evt_1")
    inbox.handle(event.pk)
    selected = {"action": "handle_selected", "_selected_action": [event.pk]}
    page = staff.post(LIST, selected)

    answer = staff.post(LIST, {**hidden(page), **selected, "reason": ""})

    assert "This field is required." in words(answer)
    assert inbox.due_ids() == []


def test_looking_is_not_handling() -> None:
    event = store("evt_1")
    inbox.handle(event.pk)
    helper = sign_in(make_helper("refund_payment", "adjust_credits", "apply_unapplied"))

    assert helper.get(url(event)).status_code == 403
    assert helper.post(url(event), {"reason": "x"}).status_code == 403
    helper.post(LIST, {"action": "handle_selected", "_selected_action": [event.pk]})
    assert inbox.due_ids() == []
    assert not StaffAction.objects.exists()


def test_a_payload_cannot_write_markup_into_the_page(staff: Staff) -> None:
    inbox.record(
        rail="card",
        external_id="evt_1",
        kind="<script>alert(1)</script>",
        object_id="",
        payload={"note": "<script>alert(2)</script>"},
        occurred_at=NOW,
    )
    event = InboundEvent.objects.get()

    page = staff.get(reverse("admin:billing_inboundevent_change", args=[event.pk]))

    assert "<script>alert" not in page.text + staff.get(LIST).text
