"""A refund and a delivery for one subscription at the same moment."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import transaction

from billing.models import Refund
from billing.services import refunds, subscriptions
from common import clock
from tests.billing.prepaid import bought, differences, only_subscription, rich
from tests.factories import NOW
from tests.ledger.threads import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("wallet_rail")]


def test_a_refund_waits_for_who_holds_the_subscription_and_keeps_no_period_from_them() -> None:
    with clock.frozen(NOW):
        customer = rich()
        payment = bought(customer)
        subscription_id = only_subscription(customer).pk
        is_held = threading.Event()

        def deliver() -> None:
            """The order of locks in which a change of plan is delivered."""
            with transaction.atomic():
                subscription = subscriptions.lock(subscription_id)
                is_held.set()
                time.sleep(0.5)
                list(subscription.periods.select_for_update())

        def refund() -> Refund:
            assert is_held.wait(10)
            return refunds.request(payment.pk, reason="asked")

        answers = at_once([deliver, refund])

        assert isinstance(answers[1], Refund)
        assert differences() == []
