"""A refund and a delivery for one subscription at the same moment."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import transaction

from billing import catalogue, ledger
from billing.models import LedgerAccount, Refund
from billing.money import CREDIT
from billing.services import refunds, subscriptions
from common import clock
from tests.billing.prepaid import BASIC, bought, differences, only_subscription, rich
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


def test_a_refund_keeps_no_subscription_from_who_pays_from_the_wallet(
    settings: Any,
) -> None:
    settings.CATALOGUE = catalogue.load({"BASIC_INCLUDED_CREDITS": "50"})
    with clock.frozen(NOW):
        customer = rich()
        payment = bought(customer)
        subscription_id = only_subscription(customer).pk
        wallet = ledger.wallet(customer, CREDIT)
        is_held = threading.Event()

        def pay() -> None:
            """The order of locks in which an extension is paid from credits."""
            with transaction.atomic():
                subscriptions.wait_for_turn(customer)
                LedgerAccount.objects.select_for_update().get(pk=wallet.pk)
                is_held.set()
                time.sleep(0.5)
                subscriptions.lock(subscription_id)

        def refund() -> Refund:
            assert is_held.wait(10)
            return refunds.request(payment.pk, reason="asked", forced=True, amount_minor=BASIC)

        answers = at_once([pay, refund])

        assert isinstance(answers[1], Refund)
        assert differences() == []
