"""Faults on demand."""

from __future__ import annotations

import time

import httpx
import pytest
import stripe

from tests.sandbox.server import API_KEY, Listener, Sandbox
from tests.sandbox.test_webhooks import BOUGHT


def names(sandbox: Sandbox) -> list[str | None]:
    return [one.name for one in sandbox.api().v1.customers.list().data]


def test_a_dropped_webhook_never_comes(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.control("faults", kind="drop", type="checkout.session.*")
    sandbox.paid()
    sandbox.paid()
    sandbox.until_quiet()

    assert listener.types().count("checkout.session.completed") == 1
    assert [one["type"] for one in sandbox.deliveries(status="dropped")] == [BOUGHT[3]]
    assert sandbox.look("stripe/faults")["data"] == []
    assert sandbox.event_types().count("checkout.session.completed") == 2


def test_a_duplicated_webhook_comes_as_often_as_told(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.control("faults", kind="duplicate", type="charge.succeeded", times=3)
    sandbox.paid()
    sandbox.until_quiet()

    charges = [one for one in listener.got if one.event["type"] == "charge.succeeded"]
    assert len(charges) == 3
    assert len({one.event["id"] for one in charges}) == 1


def test_a_delayed_webhook_comes_after_later_ones(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.control("faults", kind="delay", type="payment_intent.created", delay_seconds=0.4)
    sandbox.paid()
    sandbox.until_quiet()

    assert listener.types() == [*BOUGHT[1:], BOUGHT[0]]


def test_reordered_webhooks_come_shuffled_and_complete(
    sandbox: Sandbox, listener: Listener
) -> None:
    sandbox.control("faults", kind="reorder", count=4)
    sandbox.paid()
    sandbox.until_quiet()

    assert sorted(listener.types()) == sorted(BOUGHT)
    assert listener.types() != BOUGHT


def test_clearing_the_faults_lets_a_kept_batch_go(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.control("faults", kind="reorder", count=10)
    sandbox.paid()
    assert listener.got == []

    assert sandbox.http.delete("/_sandbox/stripe/faults").status_code == 200
    sandbox.until_quiet()

    assert sorted(listener.types()) == sorted(BOUGHT)


def test_a_failure_before_the_work_does_nothing(sandbox: Sandbox) -> None:
    sandbox.control("faults", kind="api", method="POST", path="/v1/customers", answer="500")

    with pytest.raises(stripe.APIError):
        sandbox.api().v1.customers.create(params={"name": "A"})

    assert names(sandbox) == []


def test_a_failure_after_the_work_has_done_it(sandbox: Sandbox) -> None:
    sandbox.control("faults", kind="api", path="/v1/customers", answer="500", when="after")

    with pytest.raises(stripe.APIError):
        sandbox.api().v1.customers.create(params={"name": "A"})

    assert names(sandbox) == ["A"]


def test_a_500_is_what_its_idempotency_key_remembers(sandbox: Sandbox) -> None:
    sandbox.control("faults", kind="api", path="/v1/customers", answer="500", when="after")
    create = sandbox.api().v1.customers.create

    for _ in range(2):
        with pytest.raises(stripe.APIError):
            create(params={"name": "A"}, options={"idempotency_key": "k"})

    assert names(sandbox) == ["A"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_cut_connection_the_same_key_does_it_once(sandbox: Sandbox, when: str) -> None:
    sandbox.control("faults", kind="api", path="/v1/customers", answer="cut", when=when)
    create = sandbox.api().v1.customers.create

    with pytest.raises(stripe.APIConnectionError):
        create(params={"name": "A"}, options={"idempotency_key": "k"})
    assert names(sandbox) == (["A"] if when == "after" else [])

    assert create(params={"name": "A"}, options={"idempotency_key": "k"}).name == "A"
    assert names(sandbox) == ["A"]


def test_the_library_gets_over_a_cut_by_itself(sandbox: Sandbox) -> None:
    sandbox.control("faults", kind="api", path="/v1/customers", answer="cut", when="after")

    made = sandbox.api(retries=2).v1.customers.create(params={"name": "A"})

    assert made.name == "A"
    assert names(sandbox) == ["A"]


def test_too_many_requests_is_not_remembered(sandbox: Sandbox) -> None:
    sandbox.control("faults", kind="api", answer=429)
    create = sandbox.api().v1.customers.create

    with pytest.raises(stripe.RateLimitError):
        create(params={"name": "A"}, options={"idempotency_key": "k"})

    assert create(params={"name": "A"}, options={"idempotency_key": "k"}).name == "A"


def test_a_fault_hits_only_the_calls_it_names(sandbox: Sandbox) -> None:
    sandbox.control("faults", kind="api", method="POST", path="/v1/refunds*", answer="500")
    session = sandbox.paid()
    refunds = sandbox.api().v1.refunds

    assert refunds.list().data == []
    with pytest.raises(stripe.APIError):
        refunds.create(params={"payment_intent": str(session.payment_intent)})
    assert refunds.create(params={"payment_intent": str(session.payment_intent)}).id


def test_a_slow_call_answers_late(sandbox: Sandbox) -> None:
    sandbox.control("faults", kind="api", answer="ok", delay_seconds=0.3)

    began = time.monotonic()
    sandbox.api().v1.balance.retrieve()

    assert time.monotonic() - began >= 0.3


def test_the_api_can_be_down_and_come_back(sandbox: Sandbox) -> None:
    api = sandbox.api().v1
    sandbox.control("settings", api="down")
    with pytest.raises(stripe.APIError) as caught:
        api.balance.retrieve()
    assert caught.value.http_status == 503
    sandbox.control("settings", api="cut")
    with pytest.raises(stripe.APIConnectionError):
        api.balance.retrieve()

    sandbox.control("settings", api="up")

    assert api.balance.retrieve().livemode is False


def test_checkout_and_webhooks_go_on_while_the_api_is_down(
    sandbox: Sandbox, listener: Listener
) -> None:
    session = sandbox.session()
    sandbox.control("settings", api="down")

    assert sandbox.submit(session).status_code == 303
    sandbox.until_quiet()

    assert listener.types() == BOUGHT


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"kind": "drop", "count": 0}),
        ("faults", {"kind": "reorder"}),
        ("faults", {"kind": "imagined"}),
        ("faults", {}),
        ("faults", {"kind": "drop", "more": 1}),
        ("faults", {"kind": "api", "answer": "200"}),
        ("settings", {"tax_bps": 10_001}),
        ("settings", {"tax_bps": "much"}),
        ("settings", {"tax_bps": True}),
        ("settings", {"tax_bps": None}),
        ("settings", {"balance_delay_seconds": "nan"}),
        ("settings", {"api": "sideways"}),
        ("clock", {"advance_seconds": -1}),
        ("sessions/cs_none/tax", {}),
        ("deliveries/release", {"order": "upwards"}),
    ],
)
def test_control_refuses_what_makes_no_sense(
    sandbox: Sandbox, path: str, body: dict[str, object]
) -> None:
    before = sandbox.look("stripe/settings")

    answer = sandbox.http.post(f"/_sandbox/stripe/{path}", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert sandbox.look("stripe/settings") == before
    assert sandbox.look("stripe/faults")["data"] == []


@pytest.mark.parametrize("body", [b"[]", b"{", b'"x"', b"\xff", b"[" * 100_000])
def test_control_refuses_what_is_no_json_object(sandbox: Sandbox, body: bytes) -> None:
    assert sandbox.http.post("/_sandbox/stripe/settings", content=body).status_code == 400


def test_control_answers_404_for_what_is_not_there(sandbox: Sandbox) -> None:
    for path in ("sessions/cs_none/pay", "refunds/re_none/settle", "events/evt_none/resend"):
        answer: httpx.Response = sandbox.http.post(
            f"/_sandbox/stripe/{path}", json={"outcome": "failed"} if "settle" in path else {}
        )
        assert answer.status_code == 404


def test_reset_forgets_everything_but_the_environment(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.control("settings", tax_bps=1900, deliveries="held")
    sandbox.control("faults", kind="drop", count=5)
    sandbox.paid()

    sandbox.http.post("/_sandbox/reset", json={})

    assert sandbox.event_types() == []
    assert sandbox.look("stripe/settings")["tax_bps"] == 0
    assert sandbox.look("stripe/faults")["data"] == []
    listener.got.clear()
    sandbox.api().v1.customers.create()
    sandbox.until_quiet()
    assert listener.types() == ["customer.created"]
    assert API_KEY not in sandbox.log()


def test_the_control_page_does_by_form_what_the_api_does(sandbox: Sandbox) -> None:
    sandbox.control("settings", refund_outcome="pending")
    sandbox.api().v1.refunds.create(params={"payment_intent": str(sandbox.paid().payment_intent)})
    form = {"kind": "drop", "type": "*", "count": "3", "delay_seconds": ""}
    assert sandbox.http.post("/_sandbox/stripe/faults", data=form).headers["location"] == "/"

    page = sandbox.http.get("/").text

    assert "<td>drop</td><td>3</td>" in page
    assert "Refund" in page
    assert "They agree with the balance transactions." in page
    assert sandbox.http.post("/_sandbox/stripe/faults/clear", data={"x": ""}).status_code == 303
    assert sandbox.look("stripe/faults")["data"] == []


def test_a_session_that_becomes_free_calls_its_payment_off(sandbox: Sandbox) -> None:
    api = sandbox.api().v1
    coupon = api.coupons.create(params={"percent_off": 100})
    api.promotion_codes.create(
        params={"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "FREE"}
    )
    session = sandbox.session(allow_promotion_codes=True)
    pay = f"sessions/{session.id}/pay"
    assert sandbox.control(pay, card="4000000000000002")["outcome"] == "declined"

    assert sandbox.control(pay, promotion_code="FREE")["outcome"] == "free"

    assert [one.status for one in api.payment_intents.list().data] == ["canceled"]
