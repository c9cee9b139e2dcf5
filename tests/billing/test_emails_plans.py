"""E-mails about subscriptions: before something happens, and when something went wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from billing import catalogue
from billing.models import EmailKind, EmailState, Subscription
from billing.rails.wallet.rail import WalletRail
from billing.services import dunning, email_reminders, invoices, prepaid
from common.clock import FrozenClock
from tests.billing.fakes import FakeRenewingRail
from tests.billing.mails import deliver, mail_of, only, said, states
from tests.billing.prepaid import bought, only_subscription, rich
from tests.billing.renewing import subscribed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now")]

DAY = timedelta(days=1)


class TestSubscriptions:
    @pytest.fixture(autouse=True)
    def rail(self, renewing_rail: FakeRenewingRail) -> FakeRenewingRail:
        """The only rail there is."""
        return renewing_rail

    @pytest.fixture
    def subscription(self, rail: FakeRenewingRail) -> Subscription:
        made = subscribed(rail)
        invoices.issue_due()
        deliver()
        return made

    def test_a_renewal_is_announced_seven_days_and_one_day_before(
        self, subscription: Subscription, now: FrozenClock
    ) -> None:
        told = self.days_told(subscription, now)

        assert told == [7, 1]
        said(mail_of(EmailKind.RENEWAL_SOON), "Basic", "$29.99", "20 Dec 2026")

    def test_one_that_is_cancelled_is_not_announced(
        self, subscription: Subscription, rail: FakeRenewingRail, now: FrozenClock
    ) -> None:
        now.at = subscription.period_ends_at - 7 * DAY
        email_reminders.write_due()
        rail.cancel_at_period_end(subscription)  # before the worker came

        assert deliver() == []
        assert states(EmailKind.RENEWAL_SOON) == [EmailState.DROPPED]

    def test_a_week_that_was_slept_through_makes_one_reminder(
        self, subscription: Subscription, now: FrozenClock
    ) -> None:
        now.at = subscription.period_ends_at - timedelta(hours=5)

        email_reminders.write_due()

        assert len(deliver()) == 1

    def test_the_next_period_is_announced_anew(
        self, subscription: Subscription, rail: FakeRenewingRail, now: FrozenClock
    ) -> None:
        self.days_told(subscription, now)
        now.at = subscription.period_ends_at
        renewed = rail.renew(subscription)
        invoices.issue_due()
        deliver()

        assert self.days_told(renewed, now) == [7, 1]

    def test_a_failed_renewal_is_told_at_once_and_on_each_of_its_days(
        self, subscription: Subscription, rail: FakeRenewingRail, now: FrozenClock
    ) -> None:
        now.at = since = subscription.period_ends_at
        rail.fail(subscription)
        said(only(), "Basic", "$29.99", "27 Dec 2026", "/billing/subscription")

        days = []
        for hours in range(0, 24 * 7, 6):
            now.at = since + timedelta(hours=hours)
            dunning.run()
            days += [hours // 24] * len(deliver())
        assert days == [3, 6]  # that of the first day has been told

        now.at = since + 7 * DAY
        dunning.run()
        dunning.run()
        said(only(), "suspended", "Basic")

    def test_one_that_was_paid_meanwhile_is_not_reminded(
        self, subscription: Subscription, rail: FakeRenewingRail, now: FrozenClock
    ) -> None:
        now.at = subscription.period_ends_at
        rail.fail(subscription)
        rail.renew(subscription)
        invoices.issue_due()

        assert ["receipt" in message.subject for message in deliver()] == [True]
        assert states(EmailKind.PAYMENT_FAILED) == [EmailState.DROPPED]

    def test_its_end_is_told_once(
        self, subscription: Subscription, rail: FakeRenewingRail, now: FrozenClock
    ) -> None:
        for _ in range(2):
            rail.delete(subscription)

        said(only(), "Basic ended on 20 Nov 2026")

    def test_a_trial_that_ends_is_announced(self, rail: FakeRenewingRail, now: FrozenClock) -> None:
        with plans(TRIAL_DAYS="14"):
            subscription = subscribed(rail)
        assert subscription.trial_ends_at is not None
        deliver()

        told = []
        for day in range(14):
            now.at = subscription.trial_ends_at - (14 - day) * DAY
            email_reminders.write_due()
            told += [14 - day] * len(deliver())

        assert told == [3, 1]
        said(mail_of(EmailKind.TRIAL_ENDING), "$29.99", "4 Dec 2026")

    def days_told(self, subscription: Subscription, now: FrozenClock) -> list[int]:
        """Days before the end on which a mail went out, asked every six hours."""
        told = []
        for hours in range(24 * 20, 0, -6):
            now.at = subscription.period_ends_at - timedelta(hours=hours)
            email_reminders.write_due()
            told += [hours // 24] * len(deliver())
        return told


class TestPrepaid:
    @pytest.fixture(autouse=True)
    def rail(self, wallet_rail: WalletRail) -> WalletRail:
        """Plans are paid from credits."""
        return wallet_rail

    def test_time_that_ends_is_announced_and_its_end_told(self, now: FrozenClock) -> None:
        customer = rich()
        bought(customer)
        said(only(), "14,995 credits", "Basic")
        ends_at = only_subscription(customer).period_ends_at

        told = []
        for days in (8, 7, 6, 2, 1):
            now.at = ends_at - days * DAY
            email_reminders.write_due()
            told += [days] * len(deliver())
        assert told == [7, 1]
        said(mail_of(EmailKind.PLAN_EXPIRES_SOON), "20 Dec 2026")

        now.at = ends_at
        prepaid.end_over()
        said(only(), "Basic ended on")

    def test_one_more_period_takes_the_reminder_back(self, now: FrozenClock) -> None:
        customer = rich()
        bought(customer)
        deliver()
        now.at = only_subscription(customer).period_ends_at - 7 * DAY
        email_reminders.write_due()
        bought(customer)

        assert [message.subject.startswith("Your receipt") for message in deliver()] == [True]


def plans(**variables: str) -> Any:
    """A catalogue with these variables of the plans."""
    stems = {f"BASIC_{name}": value for name, value in variables.items()}
    return override_settings(CATALOGUE=catalogue.load(stems))
