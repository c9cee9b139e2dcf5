"""Webhooks at the live portal: what is refused changes nothing, what is stored is acted on once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from billing.models import EventState, InboundEvent, Lot, Order, Payment, Transfer
from billing.money import CREDIT
from tests.end_to_end import books, post
from tests.end_to_end.till import Till, refusing_inserts, wait_until

MEGABYTE = 1_048_576
PACK = 2_500 * CREDIT.unit_minor


def everything(till: Till) -> dict[str, int]:
    """How many rows there are of what a webhook may change."""
    models = (InboundEvent, Order, Payment, Transfer, Lot)
    return {model.__name__: model.objects.count() for model in models}


@pytest.fixture
def paid(till: Till) -> Iterator[tuple[Order, dict[str, Any]]]:
    """An order that is paid at the sandbox, and the webhook of it that is kept back."""
    order = till.order()
    till.settle_down()
    with till.holding():
        till.pay(order.external_id)
        [delivery] = till.held(type="checkout.session.completed", object=order.external_id)
        yield order, delivery
    till.settle_down()
    assert till.spendable(order.customer) == PACK
    assert Payment.objects.filter(order=order).count() == 1
    books.assert_agree(till)


def event_of(till: Till, delivery: dict[str, Any]) -> dict[str, Any]:
    """The whole event behind a delivery, as the sandbox would send it."""
    import stripe

    return dict(stripe.Event.retrieve(delivery["event"]).to_dict())


class TestRefused:
    """Bodies that are answered with an error and leave no trace."""

    @pytest.fixture
    def unchanged(self, till: Till) -> Iterator[None]:
        """Fails the test if it changed anything."""
        till.settle_down()
        before = everything(till)
        yield
        assert everything(till) == before

    @pytest.fixture
    def body(self, till: Till, paid: tuple[Order, dict[str, Any]], unchanged: None) -> bytes:
        """What would deliver 2,500 credits if it were believed."""
        return json.dumps(event_of(till, paid[1])).encode()

    def test_a_forged_event(self, till: Till, body: bytes) -> None:
        header = post.signature("whsec_somebody_elses_secret", body)

        assert post.send(till.portal, body, header)[0] == 400

    @pytest.mark.parametrize(
        "header", [None, "", "t=1,v1=", "nonsense", "t=abc,v1=00", "t=9999999999,v0=11", "v1=,t=,"]
    )
    def test_an_event_without_a_signature(
        self, till: Till, body: bytes, header: str | None
    ) -> None:
        assert post.send(till.portal, body, header)[0] == 400

    def test_a_stale_event(self, till: Till, body: bytes) -> None:
        header = post.signature(till.portal.webhook_secret, body, age_seconds=400)

        assert post.send(till.portal, body, header)[0] == 400

    def test_a_truncated_event(self, till: Till, body: bytes) -> None:
        header = post.signature(till.portal.webhook_secret, body)

        assert post.send(till.portal, body[: len(body) // 2], header)[0] == 400

    def test_an_event_of_which_a_byte_changed(self, till: Till, body: bytes) -> None:
        header = post.signature(till.portal.webhook_secret, body)

        assert post.send(till.portal, body.replace(b'"500"', b'"501"') + b" ", header)[0] == 400

    @pytest.mark.usefixtures("unchanged")
    def test_an_oversized_event(self, till: Till) -> None:
        assert post.announce(till.portal, MEGABYTE + 1) == 413

    @pytest.mark.usefixtures("unchanged")
    def test_an_oversized_event_that_does_not_say_how_long_it_is(self, till: Till) -> None:
        body = json.dumps(post.an_event(padding="x" * MEGABYTE)).encode()
        header = post.signature(till.portal.webhook_secret, body)

        assert post.send(till.portal, body, header, chunked=True)[0] in (400, 413)

    @pytest.mark.usefixtures("unchanged")
    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"null", b'"event"', b"\xff\xfe", b"{}", b"[" * 100_000]
    )
    def test_a_signed_body_that_is_no_event(self, till: Till, body: bytes) -> None:
        header = post.signature(till.portal.webhook_secret, body)

        assert post.send(till.portal, body, header)[0] == 400

    @pytest.mark.usefixtures("unchanged")
    @pytest.mark.parametrize(
        "changes",
        [
            {"id": None},
            {"id": "evt_" + "x" * 200},
            {"id": ""},
            {"type": 7},
            {"type": "x" * 100},
            {"created": "yesterday"},
            {"created": 10**30},
            {"data": {}},
            {"data": {"object": "cs_test"}},
            {"livemode": None},
            {"object": "charge"},
        ],
        ids=str,
    )
    def test_a_signed_event_of_the_wrong_shape(self, till: Till, changes: dict[str, Any]) -> None:
        assert post.send_signed(till.portal, post.an_event(**changes))[0] == 400

    def test_an_event_of_the_live_mode(self, till: Till, body: bytes) -> None:
        event = json.loads(body) | {"livemode": True}

        status, answer = post.send_signed(till.portal, event)

        assert (status, "live mode" in answer) == (400, True)

    @pytest.mark.usefixtures("unchanged")
    def test_a_thin_event_of_the_second_api(self, till: Till) -> None:
        thin = {
            "id": "evt_test_65",
            "object": "v2.core.event",
            "type": "v1.billing.meter.error_report_triggered",
            "livemode": False,
            "created": "2026-11-20T12:00:00.000Z",
            "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/x"},
        }

        assert post.send_signed(till.portal, thin)[0] == 400


def test_an_event_of_a_kind_we_do_not_know_is_stored_and_ignored(till: Till) -> None:
    event = post.an_event("issuing_card.created")
    before = everything(till)

    assert post.send_signed(till.portal, event)[0] == 200

    till.settle_down()
    stored = InboundEvent.objects.get(external_id=event["id"])
    assert stored.state == EventState.IGNORED
    assert everything(till) == before | {"InboundEvent": before["InboundEvent"] + 1}


def test_an_event_about_an_object_that_does_not_exist_is_kept_and_shown(till: Till) -> None:
    event = post.an_event()

    assert post.send_signed(till.portal, event)[0] == 200

    stored = InboundEvent.objects.get(external_id=event["id"])
    wait_until(lambda: _state(stored) == EventState.FAILED, lambda: _state(stored), till.portal)
    assert "No such checkout.session" in stored.last_error
    stored.delete()


def test_a_text_that_postgresql_cannot_hold_is_stored_all_the_same(till: Till) -> None:
    event = post.an_event("issuing_card.created", account="a\0b \\u0000 \ud800")

    assert post.send_signed(till.portal, event)[0] == 200

    assert InboundEvent.objects.filter(external_id=event["id"]).exists()
    till.settle_down()


def test_the_same_event_many_times_at_once_is_one_payment(
    till: Till, paid: tuple[Order, dict[str, Any]]
) -> None:
    event = event_of(till, paid[1])

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post.send_signed(till.portal, event)[0], range(16)))

    assert answers == [200] * 16
    assert InboundEvent.objects.filter(external_id=event["id"]).count() == 1


def test_with_stripe_down_events_are_stored_and_handled_when_it_returns(
    till: Till, paid: tuple[Order, dict[str, Any]]
) -> None:
    order, delivery = paid
    till.control("settings", api="down")
    try:
        assert till.deliver(delivery) == 200
        event = InboundEvent.objects.get(external_id=delivery["event"])
        wait_until(lambda: _state(event) == EventState.FAILED, lambda: _state(event), till.portal)
        assert "cannot be reached" in event.last_error
        order.refresh_from_db()
        assert order.is_open
    finally:
        till.control("settings", api="up")

    wait_until(lambda: _swept(till, event) == EventState.HANDLED, till.unfinished, till.portal)
    order.refresh_from_db()
    assert order.delivered_at is not None


def test_a_handler_that_crashes_is_tried_again_until_it_succeeds(
    till: Till, paid: tuple[Order, dict[str, Any]]
) -> None:
    order, delivery = paid
    event_id = delivery["event"]
    with refusing_inserts(till.portal, "billing_payment"):
        assert till.deliver(delivery) == 200
        event = InboundEvent.objects.get(external_id=event_id)

        wait_until(lambda: _swept(till, event) and event.attempts >= 2, till.unfinished)

        assert event.state == EventState.FAILED
        assert "out of order for a test" in event.last_error
        assert not Payment.objects.filter(order=order).exists()

    wait_until(lambda: _swept(till, event) == EventState.HANDLED, till.unfinished, till.portal)
    assert event.last_error == ""
    order.refresh_from_db()
    assert order.delivered_at is not None


def test_a_failing_delivery_leaves_the_order_paid_and_is_tried_again(
    till: Till, paid: tuple[Order, dict[str, Any]]
) -> None:
    order, delivery = paid
    with refusing_inserts(till.portal, "billing_lot"):
        till.deliver(delivery)
        event = InboundEvent.objects.get(external_id=delivery["event"])
        wait_until(lambda: _state(event) == EventState.HANDLED, till.unfinished, till.portal)

        order.refresh_from_db()
        assert (order.status, order.delivered_at) == ("paid", None)
        assert "out of order for a test" in order.delivery_error
        assert Payment.objects.filter(order=order).count() == 1

    wait_until(lambda: _delivered(till, order), lambda: order.delivery_error, till.portal)
    assert order.delivery_error == ""


def test_a_failing_mirror_does_not_hold_up_the_money_and_is_tried_again(
    till: Till, paid: tuple[Order, dict[str, Any]]
) -> None:
    order, delivery = paid
    with refusing_inserts(till.portal, "djstripe_event"):
        till.deliver(delivery)
        event = InboundEvent.objects.get(external_id=delivery["event"])
        wait_until(lambda: _state(event) == EventState.HANDLED, till.unfinished, till.portal)

        order.refresh_from_db()
        assert order.delivered_at is not None
        assert event.mirrored_at is None
        assert "out of order for a test" in event.mirror_error

    wait_until(lambda: _swept(till, event) and event.mirrored_at, lambda: event.mirror_error)
    assert event.mirror_error == ""


def test_with_redis_down_events_are_stored_at_once_and_found_by_the_sweeper(
    till: Till, paid: tuple[Order, dict[str, Any]]
) -> None:
    order, delivery = paid
    till.portal.stop_redis()
    try:
        began = time.monotonic()
        assert till.deliver(delivery) == 200
        assert time.monotonic() - began < 5
        event = InboundEvent.objects.get(external_id=delivery["event"])
        assert event.state == EventState.NEW
    finally:
        till.portal.start_redis()

    wait_until(lambda: _swept(till, event) == EventState.HANDLED, till.unfinished, till.portal)
    order.refresh_from_db()
    assert order.delivered_at is not None


def _state(event: InboundEvent) -> str:
    event.refresh_from_db()
    return event.state


def _swept(till: Till, event: InboundEvent) -> str:
    """The event's state; rings for the sweeper as beat does."""
    till.sweep()
    time.sleep(0.3)
    return _state(event)


def _delivered(till: Till, order: Order) -> bool:
    till.sweep()
    time.sleep(0.3)
    order.refresh_from_db()
    return order.delivered_at is not None
