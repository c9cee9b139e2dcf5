"""The customer portal: its sessions and configurations, and what a person does on its page."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.person import Person
from tests.sandbox.server import Sandbox

FEATURES: Any = {
    "customer_update": {"enabled": True, "allowed_updates": ["address", "tax_id"]},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
    "subscription_update": {"enabled": False},
}


def test_a_session_has_an_address_and_the_default_configuration(
    sandbox: Sandbox, api: stripe.StripeClient
) -> None:
    customer = api.v1.customers.create()
    made: Any = {"customer": customer.id, "return_url": "http://127.0.0.1:1/back"}

    first = api.v1.billing_portal.sessions.create(params=made)
    second = api.v1.billing_portal.sessions.create(params=made)

    assert first.url != second.url
    assert first.url.startswith(f"{sandbox.url}/p/session/test_")
    assert first.configuration == second.configuration
    configuration = api.v1.billing_portal.configurations.retrieve(str(first.configuration))
    assert configuration.is_default
    types = sandbox.event_types()
    assert types.count("billing_portal.configuration.created") == 1
    assert types.count("billing_portal.session.created") == 2


def test_a_configuration_keeps_what_it_was_told(sandbox: Sandbox, api: stripe.StripeClient) -> None:
    name = {"made_by": "portal"}
    made = api.v1.billing_portal.configurations.create(
        params={"features": FEATURES, "metadata": name}
    )

    listed = api.v1.billing_portal.configurations.list(params={"active": True}).data
    changed = api.v1.billing_portal.configurations.update(
        made.id, params={"active": False, "features": {"invoice_history": {"enabled": False}}}
    )

    assert [one.id for one in listed] == [made.id]
    assert made.features.customer_update.allowed_updates == ["address", "tax_id"]
    assert made.features.subscription_cancel.mode == "at_period_end"
    assert not changed.features.invoice_history.enabled
    assert changed.features.payment_method_update.enabled
    assert "billing_portal.configuration.updated" in sandbox.event_types()
    inactive: Any = {"customer": api.v1.customers.create().id, "configuration": made.id}
    with pytest.raises(stripe.InvalidRequestError, match="inactive"):
        api.v1.billing_portal.sessions.create(params=inactive)


def test_it_shows_plan_card_and_invoices_of_this_customer_only(sandbox: Sandbox) -> None:
    person, other = Person(sandbox), Person(sandbox, card="5555555555554444")

    page = person.look()

    assert "no real money" in page
    assert "Premium" in page
    assert "$99.99 per month" in page
    assert "Renews on" in page
    assert "Visa •••• 4242" in page
    assert 'href="http://127.0.0.1:1/back"' in page
    assert person.plan().latest_invoice in page
    assert other.subscription not in page
    assert other.plan().latest_invoice not in page
    assert "Mastercard" not in page


def test_cancelling_ends_the_plan_with_its_period_and_can_be_taken_back(sandbox: Sandbox) -> None:
    person = Person(sandbox)
    assert "Cancel your plan" in person.look(f"/cancel/{person.subscription}")

    person.press(f"/cancel/{person.subscription}")

    plan = person.plan()
    assert (plan.status, plan.cancel_at_period_end) == ("active", True)
    assert "Ends on" in person.look()
    person.press(action="resume", id=person.subscription)
    assert not person.plan().cancel_at_period_end
    assert sandbox.event_types()[-2:] == ["customer.subscription.updated"] * 2


def test_a_configuration_can_end_plans_at_once_and_ask_why(sandbox: Sandbox) -> None:
    reason = {"enabled": True, "options": ["too_expensive", "other"]}
    rules = {"enabled": True, "mode": "immediately", "cancellation_reason": reason}
    made = sandbox.api().v1.billing_portal.configurations.create(
        params={"features": {"subscription_cancel": rules}}  # type: ignore[typeddict-item]
    )
    person = Person(sandbox, configuration=made.id)
    assert "Too expensive" in person.look(f"/cancel/{person.subscription}")

    person.press(f"/cancel/{person.subscription}", feedback="too_expensive")

    plan = person.plan()
    assert plan.status == "canceled"
    assert plan.cancellation_details.feedback == "too_expensive"


def test_a_new_card_becomes_what_everything_is_paid_with(sandbox: Sandbox) -> None:
    person = Person(sandbox)
    (old,) = person.api.customers.payment_methods.list(person.id).data

    assert person.add("5555555555554444").status_code == 303

    assert person.cards() == ["4444", "4242"]
    newest = person.api.customers.payment_methods.list(person.id).data[0].id
    customer: Any = person.api.customers.retrieve(person.id)
    assert customer.invoice_settings.default_payment_method == newest
    assert person.plan().default_payment_method == newest
    person.press(action="default", id=old.id)
    assert person.plan().default_payment_method == old.id
    person.press(action="remove", id=newest)
    assert person.cards() == ["4242"]
    assert "payment_method.detached" in sandbox.event_types()


def test_a_refused_card_is_named_beside_its_field_and_not_saved(sandbox: Sandbox) -> None:
    person = Person(sandbox)

    declined = person.add("4000000000000002")
    invalid = person.add("4242424242424241")

    assert (declined.status_code, invalid.status_code) == (402, 422)
    assert "Your card was declined." in declined.text
    assert "Your card number is invalid." in invalid.text
    assert person.cards() == ["4242"]


@pytest.mark.parametrize(
    ("outcome", "status", "saved"),
    [("authorised", 303, ["3155", "4242"]), ("failed", 402, ["4242"])],
)
def test_the_bank_may_ask_before_a_card_is_saved(
    sandbox: Sandbox, outcome: str, status: int, saved: list[str]
) -> None:
    person = Person(sandbox)
    challenge = person.add("4000002500003155").headers["location"]
    assert "3-D Secure" in sandbox.http.get(challenge).text

    answer = sandbox.http.post(challenge, data={"outcome": outcome})

    assert answer.status_code == status
    assert person.cards() == saved


def test_the_card_that_pays_a_plan_is_not_removed(sandbox: Sandbox) -> None:
    person = Person(sandbox)
    (card,) = person.api.customers.payment_methods.list(person.id).data
    assert f"remove-card-{card.id}" not in person.look()

    answer = person.press(action="remove", id=card.id)

    assert answer.status_code == 422
    assert "Make another one the default first" in answer.text
    assert person.cards() == ["4242"]


def test_nobody_reaches_what_belongs_to_another_customer(sandbox: Sandbox) -> None:
    person, other = Person(sandbox), Person(sandbox)
    (card,) = other.api.customers.payment_methods.list(other.id).data

    answers = [
        person.press(f"/cancel/{other.subscription}"),
        person.press(action="resume", id=other.subscription),
        person.press(action="default", id=card.id),
        person.press(action="remove", id=card.id),
        sandbox.http.get(f"{person.address}/cancel/{other.subscription}"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert not other.plan().cancel_at_period_end
    assert other.cards() == ["4242"]


def test_what_is_not_offered_is_neither_shown_nor_done(sandbox: Sandbox) -> None:
    made = sandbox.api().v1.billing_portal.configurations.create(
        params={"features": {"invoice_history": {"enabled": True}}}
    )
    person = Person(sandbox, configuration=made.id)

    page = person.look()
    refused = [
        person.press(f"/cancel/{person.subscription}"),
        person.add("5555555555554444"),
        person.press(action="details", email="new@example.com"),
    ]

    assert "cancel-plan" not in page
    assert "add-card" not in page
    assert "save-details" not in page
    assert [answer.status_code for answer in refused] == [422] * 3
    assert not person.plan().cancel_at_period_end


def test_billing_details_can_be_changed_as_far_as_allowed(sandbox: Sandbox) -> None:
    made = sandbox.api().v1.billing_portal.configurations.create(params={"features": FEATURES})
    person = Person(sandbox, configuration=made.id)

    person.press(action="details", city="Berlin", country="DE", email="other@example.com")

    customer: Any = person.api.customers.retrieve(person.id)
    assert (customer.address.city, customer.email) == ("Berlin", "buyer@example.com")


def test_a_link_must_be_opened_soon_and_used_or_it_expires(sandbox: Sandbox) -> None:
    person = Person(sandbox)
    unused = person.open()
    person.look()

    sandbox.control("clock", advance_seconds=50 * 60)
    assert sandbox.http.get(unused).status_code == 410
    person.look()
    sandbox.control("clock", advance_seconds=61 * 60)

    answer = sandbox.http.get(person.address)
    assert answer.status_code == 410
    assert 'href="http://127.0.0.1:1/back"' in answer.text
    assert sandbox.http.get("/p/session/test_none").status_code == 404


def test_a_flow_leads_to_its_step_and_on_from_there(sandbox: Sandbox) -> None:
    person = Person(sandbox)
    after = {"type": "redirect", "redirect": {"return_url": "http://127.0.0.1:1/cancelled"}}
    person.address = person.open(
        flow_data={
            "type": "subscription_cancel",
            "subscription_cancel": {"subscription": person.subscription},
            "after_completion": after,
        }
    )

    step = sandbox.http.get(person.address).headers["location"]
    answer = sandbox.http.post(step)

    assert step == f"{person.address}/cancel/{person.subscription}"
    assert answer.headers["location"] == "http://127.0.0.1:1/cancelled"
    assert person.plan().cancel_at_period_end


def test_a_flow_for_a_new_card_can_end_with_a_word_of_thanks(sandbox: Sandbox) -> None:
    person = Person(sandbox)
    thanks = {"type": "hosted_confirmation", "hosted_confirmation": {"custom_message": "Thanks!"}}
    person.address = person.open(
        flow_data={"type": "payment_method_update", "after_completion": thanks}
    )

    assert sandbox.http.get(person.address).headers["location"].endswith("/payment-methods")
    answer = person.add("5555555555554444")

    assert "Thanks!" in answer.text


@pytest.mark.parametrize(
    ("flow", "param"),
    [
        ({"type": "subscription_update"}, "flow_data[type]=subscription_update"),
        ({"type": "subscription_cancel"}, "flow_data[subscription_cancel]"),
        (
            {"type": "subscription_cancel", "subscription_cancel": {"subscription": "sub_none"}},
            "flow_data[subscription_cancel][subscription]",
        ),
        ({}, "flow_data[type]"),
    ],
)
def test_a_flow_that_cannot_be_is_refused_by_name(
    sandbox: Sandbox, flow: dict[str, Any], param: str
) -> None:
    person = Person(sandbox)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        person.open(flow_data=flow or {"after_completion": {"type": "portal_homepage"}})

    assert caught.value.param == param


def test_cancelling_calls_off_a_change_that_was_planned(sandbox: Sandbox) -> None:
    person = Person(sandbox)
    made: Any = {"from_subscription": person.subscription}
    schedule = person.api.subscription_schedules.create(params=made)

    person.press(f"/cancel/{person.subscription}")

    assert person.plan().cancel_at_period_end
    assert person.api.subscription_schedules.retrieve(schedule.id).status == "released"
