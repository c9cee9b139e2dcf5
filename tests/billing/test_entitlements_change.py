"""Whatever changes what a customer may do is seen by the very next question."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from unittest import mock

import pytest

from accounts.models import Customer
from billing import selectors
from billing.models import DisputeState, Payment, Subscription, SubscriptionStatus
from billing.rails.wallet import paying
from billing.rails.wallet.rail import WalletRail
from billing.selectors import Entitlements
from billing.services import (
    disputes,
    dunning,
    plan_changes,
    prepaid,
    rails,
    refunds,
    subscriptions,
)
from billing.services.disputes import Claim
from billing.services.rails import RefundAnswer
from common.clock import FrozenClock
from tests.billing.fakes import FakeRenewingRail
from tests.billing.prepaid import bought, ordered, rich
from tests.factories import NOW, make_customer

DAY = timedelta(days=1)

# The cache is for answers outside transactions, so these tests commit.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("now")]


@pytest.fixture(autouse=True)
def rail(renewing_rail: FakeRenewingRail) -> Iterator[FakeRenewingRail]:
    """Cards, and the wallet."""
    with mock.patch.dict(rails._RAILS, {"wallet": WalletRail()}):
        yield renewing_rail


def subscribed(rail: FakeRenewingRail, customer: Customer, plan: str = "basic") -> Subscription:
    return rail.pay(subscriptions.start(customer, plan, "month", rail="card"))


def asked(customer: Customer) -> Entitlements:
    return selectors.entitlements(customer)


def told(payment: Payment, state: DisputeState, *, back: int = 0) -> None:
    disputes.record(
        payment.pk,
        Claim(
            external_id="dp_1",
            state=state,
            provider_status=str(state),
            reason="fraudulent",
            amount_minor=payment.amount_minor,
            withdrawn_minor=payment.amount_minor,
            reinstated_minor=back,
            fee_minor=0,
            opened_at=NOW,
            evidence_due_at=None,
        ),
    )


def test_subscribing_failing_suspending_and_paying(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    customer = make_customer()
    seen = [asked(customer).plan.slug]
    subscription = subscribed(rail, customer)
    seen.append(asked(customer).plan.slug)
    now.at = subscription.period_ends_at
    rail.fail(subscription)
    seen.append(asked(customer).plan.slug)
    now.move(6 * DAY)
    seen.append(asked(customer).plan.slug)
    # The same moment as far as the answer knows: only the suspension changes it.
    now.move(DAY - timedelta(microseconds=1))
    asked(customer)
    now.move(timedelta(microseconds=1))
    dunning.run()
    seen.append(asked(customer).plan.slug)
    rail.renew(subscription)
    seen.append(asked(customer).plan.slug)
    rail.delete(subscription)
    seen.append(asked(customer).plan.slug)

    assert seen == ["free", "basic", "basic", "basic", "free", "basic", "free"]


def test_upgrading_by_card(rail: FakeRenewingRail) -> None:
    customer = make_customer()
    subscribed(rail, customer)
    before = asked(customer).plan.slug
    quote = plan_changes.quote(customer, "premium", "month")

    plan_changes.confirm(customer, quote.token, placed_by=None)

    assert (before, asked(customer).plan.slug) == ("basic", "premium")


def test_upgrading_and_ending_prepaid_time(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    seen = [asked(customer).plan.slug]
    order = plan_changes.confirm(
        customer, plan_changes.quote(customer, "premium", "month").token, placed_by=None
    ).order
    assert order is not None
    paying.pay(customer, order.pk)
    seen.append(asked(customer).plan.slug)
    now.move(31 * DAY)
    prepaid.end_over()
    seen.append(asked(customer).plan.slug)

    assert seen == ["basic", "premium", "free"]


def test_extending_moves_the_end(now: FrozenClock) -> None:
    customer = rich(anchor_at=NOW)
    bought(customer)
    now.at = NOW + 30 * DAY - timedelta(seconds=2)
    asked(customer)

    paying.pay(customer, ordered(customer).pk)
    now.move(timedelta(seconds=2))

    assert asked(customer).plan.slug == "basic"


def test_refunds_asked_for_failed_and_booked(rail: FakeRenewingRail, now: FrozenClock) -> None:
    customer = make_customer()
    subscription = subscribed(rail, customer)
    payment = Payment.objects.get(customer=customer)
    seen = []
    first = refunds.request(payment.pk, reason="asked")
    seen.append(asked(customer).plan.slug)
    refunds.record(first.pk, RefundAnswer("re_1", "failed", "no"))
    seen.append(asked(customer).plan.slug)
    second = refunds.request(payment.pk, reason="asked")
    refunds.record(second.pk, RefundAnswer("re_2", "succeeded"))
    seen.append(asked(customer).plan.slug)
    refunds.record(second.pk, RefundAnswer("re_2", "failed", "bounced"))
    seen.append(asked(customer).plan.slug)

    assert seen == ["free", "basic", "free", "basic"]
    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ACTIVE


def test_disputes_opened_won_and_lost(rail: FakeRenewingRail) -> None:
    customer = make_customer()
    subscribed(rail, customer)
    payment = Payment.objects.get(customer=customer)
    seen = [asked(customer).plan.slug]
    told(payment, DisputeState.OPEN)
    seen.append(asked(customer).plan.slug)
    told(payment, DisputeState.WON, back=payment.amount_minor)
    seen.append(asked(customer).plan.slug)

    other = make_customer()
    subscribed(rail, other)
    asked(other)
    payment = Payment.objects.get(customer=other)
    disputes.record(
        payment.pk,
        Claim("dp_2", DisputeState.LOST, "lost", "x", payment.amount_minor, 0, 0, 0, NOW, None),
    )
    seen.append(asked(other).plan.slug)

    assert seen == ["basic", "free", "basic", "free"]


def test_refunding_an_extension_moves_the_end_back(now: FrozenClock) -> None:
    customer = rich(anchor_at=NOW)
    bought(customer)
    extension = bought(customer)
    now.at = NOW + 30 * DAY - timedelta(seconds=2)
    asked(customer)

    refunds.request(extension.pk, reason="asked")
    refunds.send(refunds.due_ids()[0])

    assert asked(customer).valid_until == NOW + 30 * DAY
    now.move(timedelta(seconds=2))
    assert asked(customer).plan.slug == "free"
