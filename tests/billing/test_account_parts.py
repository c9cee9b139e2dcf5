"""What billing tells the settings pages: an end is refused while money waits, an export has all."""

import io
import json
import tracemalloc
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from accounts.models import Customer, Membership
from accounts.services import closing, exports, notifications
from accounts.tasks import forget_closed
from billing import ledger
from billing.models import (
    AutoTopUpCharge,
    Code,
    Dispute,
    DisputeState,
    EmailKind,
    Payment,
    Refund,
    RefundState,
    Subscription,
)
from billing.money import CREDIT, Money
from billing.services import (
    account_parts,
    auto_top_up_charges,
    auto_top_ups,
    emails,
    holds,
    orders,
    payments,
    purchases,
    refunds,
    subscriptions,
)
from billing.services.charging import ChargeAnswer, Result
from billing.tasks import sweep, top_up
from common import clock
from common.errors import Forbidden
from tests.accounts.factories import confirm, customer_of, make_person, signed_in
from tests.billing.charging import TERMS, FakeChargingRail, declined, switched_on
from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.factories import make_charge, make_wallet

pytestmark = pytest.mark.django_db


def obstacles(customer: Customer) -> str:
    return " ".join(one.sentence for one in account_parts.obstacles(customer))


def bought(customer: Customer) -> Payment:
    item = purchases.custom(50_00, rail="card")
    with only_rail(FakeRenewingRail()):
        order = orders.open_order(customer, item, rail="card", placed_by=None)
        return payments.settle(make_charge(order))


def subscribed(customer: Customer) -> Subscription:
    rail = FakeRenewingRail()
    with only_rail(rail):
        order = subscriptions.start(customer, "basic", "month", rail=rail.name, placed_by=None)
        return rail.pay(order)


def files_of(customer: Customer) -> dict[str, list[dict[str, Any]]]:
    whole = io.BytesIO(b"".join(exports.archive(customer)))
    with zipfile.ZipFile(whole) as archive:
        return {
            name.removesuffix(".ndjson"): [
                json.loads(line) for line in archive.read(name).decode().splitlines()
            ]
            for name in archive.namelist()
            if name.endswith(".ndjson")
        }


class TestObstacles:
    def test_there_are_none_for_who_never_paid(self) -> None:
        assert obstacles(customer_of(make_person())) == ""

    def test_a_plan_that_renews_has_to_be_cancelled(self) -> None:
        customer = customer_of(make_person())
        subscription = subscribed(customer)
        before = obstacles(customer)

        Subscription.objects.filter(pk=subscription.pk).update(
            cancels_at=subscription.period_ends_at
        )

        assert "renews by itself" in before
        assert obstacles(customer) == ""

    def test_debt_has_to_be_paid(self) -> None:
        customer = customer_of(make_person())
        wallet = ledger.wallet(customer, CREDIT)
        debit = ledger.Debit(wallet, 5_000_000, code=Code.USAGE, key="k", owed_on="debt")
        ledger.spend_many([debit], occurred_at=clock.now())

        assert "You owe 5 credits" in obstacles(customer)

    @override_settings(UNAPPLIED_POLICY="hold")
    def test_money_that_fits_no_order_has_to_go_back(self) -> None:
        customer = customer_of(make_person())
        payment = bought(customer)
        assert payment.order is not None

        payments.settle(make_charge(payment.order, subtotal_minor=7_77, external_id="pi_twice"))

        assert "$7.77 that you paid fits no order" in obstacles(customer)

    def test_a_dispute_and_a_refund_under_way_have_to_end(self) -> None:
        customer = customer_of(make_person())
        payment = bought(customer)
        with only_rail(FakeRenewingRail()):
            refund = refunds.request(payment.pk, reason="asked", amount_minor=1_00)
        Dispute.objects.create(
            rail="card",
            external_id="dp_1",
            payment=payment,
            state=DisputeState.OPEN,
            provider_status="needs_response",
            amount_minor=50_00,
            opened_at=clock.now(),
        )
        before = obstacles(customer)

        Dispute.objects.filter(external_id="dp_1").update(state=DisputeState.WON)
        Refund.objects.filter(pk=refund.pk).update(state=RefundState.SUCCEEDED)

        assert "disputed at the bank" in before
        assert "A refund is on its way" in before
        assert obstacles(customer) == ""

    def test_a_charge_of_auto_top_up_under_way_has_to_end(self) -> None:
        with only_rail(FakeChargingRail()) as rail:
            row = switched_on(left=499)
            rail.outcome = ChargeAnswer("pi_1", Result.UNDER_WAY)
            top_up()
            before = obstacles(row.customer)

            charge = AutoTopUpCharge.objects.get()
            auto_top_up_charges.record(charge.order_id, declined())

        assert "under way" in before
        assert obstacles(row.customer) == ""

    def test_the_page_refuses_and_says_where(self) -> None:
        user = make_person()
        browser = signed_in(user)
        subscribed(browser.customer)
        confirm(browser)

        page = browser.get("/settings/close").content.decode()
        answer = browser.post("/settings/close", {"email": user.email})

        assert 'href="/billing/subscription/cancel"' in page
        assert 'name="email"' not in page
        assert answer.status_code == 409
        user.refresh_from_db()
        assert user.is_active


class TestLosses:
    def test_credits_and_a_paid_plan_are_named(self) -> None:
        customer = customer_of(make_person())
        make_wallet(customer=customer, credits_minor=1_500_000_000)
        subscribed(customer)

        told = " ".join(account_parts.losses(customer))

        assert "1,500 credits" in told
        assert "Basic" in told

    def test_credits_that_are_set_aside_for_work_are_lost_with_the_rest(self) -> None:
        customer = customer_of(make_person())
        make_wallet(customer=customer, credits_minor=1_500_000_000)
        holds.reserve(customer, Money(500_000_000, CREDIT), idempotency_key="job", ttl_seconds=3600)

        assert "1,500 credits" in " ".join(account_parts.losses(customer))

    def test_nothing_is_lost_by_who_has_nothing(self) -> None:
        assert list(account_parts.losses(customer_of(make_person()))) == []


class TestAfterwards:
    def test_rows_of_money_stay(self) -> None:
        user = make_person("ada@example.com")
        customer = customer_of(user)
        payment = bought(customer)
        closing.close(customer, user)

        with clock.frozen(clock.now() + timedelta(days=31)):
            assert forget_closed() == 1

        payment.refresh_from_db()
        assert payment.customer == customer
        assert "ada@example.com" not in json.dumps(files_of(customer)["emails"])

    def test_one_that_money_came_to_is_left_for_staff(self) -> None:
        user = make_person("ada@example.com")
        customer = customer_of(user)
        closing.close(customer, user)
        with override_settings(UNAPPLIED_POLICY="hold"):
            payment = bought(customer)
            assert payment.order is not None
            payments.settle(make_charge(payment.order, external_id="pi_twice"))

        with clock.frozen(clock.now() + timedelta(days=31)):
            assert forget_closed() == 0

        customer.refresh_from_db()
        assert customer.email == "ada@example.com"

    def test_an_order_that_is_paid_after_closing_is_left_for_staff(self) -> None:
        user = make_person("ada@example.com")
        customer = customer_of(user)
        closing.close(customer, user)
        customer.refresh_from_db()

        with clock.frozen(clock.now() + timedelta(days=1)):
            payment = bought(customer)
        with clock.frozen(clock.now() + timedelta(days=31)):
            assert forget_closed() == 0
            assert "after the account was closed" in obstacles(customer)

        Payment.objects.filter(pk=payment.pk).update(
            refunding_minor=payment.amount_minor, refunded_minor=payment.amount_minor
        )
        assert obstacles(customer) == ""

    def test_a_plan_that_is_paid_after_closing_does_not_renew(self) -> None:
        user = make_person()
        customer = customer_of(user)
        rail = FakeRenewingRail()
        with only_rail(rail):
            order = subscriptions.start(customer, "basic", "month", rail=rail.name)
            closing.close(customer, user)
            rail.pay(order)
            sweep()

        subscription = Subscription.objects.get(customer=customer)
        assert subscription.ended_at is not None
        assert [name for name, _ in rail.calls] == ["stop"]
        assert "after the account was closed" in obstacles(Customer.objects.get(pk=customer.pk))

    def test_auto_top_up_is_switched_on_for_no_closed_account(self) -> None:
        user = make_person()
        member = Membership.objects.select_related("customer", "user").get(user=user)
        closing.close(member.customer, user)

        with only_rail(FakeChargingRail()), pytest.raises(Forbidden):
            auto_top_ups.switch_on(member, TERMS, words="I agree, too late.")


class TestExport:
    def test_every_file_can_be_made(self) -> None:
        customer = customer_of(make_person())
        payment = bought(customer)
        subscribed(customer)

        files = files_of(customer)

        assert files["payments"][-1]["amount_minor"] >= 0
        assert str(payment.pk) in {row["id"] for row in files["payments"]}
        assert {row["product_kind"] for row in files["orders"]} == {"credit_pack", "plan"}
        assert files["credit_lots"][0]["remaining_minor"] == 25_000_000_000
        assert files["subscriptions"][0]["plan_slug"] == "basic"
        assert files["subscription_periods"]
        assert {row["code"] for row in files["transfers"]} >= {"purchase"}

    def test_it_has_nothing_of_others(self) -> None:
        theirs = customer_of(make_person())
        subscribed(theirs)
        bought(theirs)

        files = files_of(customer_of(make_person()))

        money = set(files) - {"account", "log_in", "members"}
        assert {name: files[name] for name in money if files[name]} == {}

    def test_many_transfers_need_little_memory(self) -> None:
        customer = customer_of(make_person())
        wallet = make_wallet(customer=customer, credits_minor=10_000_000)
        for start in range(0, 20_000, 1_000):
            debits = [
                ledger.Debit(wallet, 1, code=Code.USAGE, key=f"k{number}")
                for number in range(start, start + 1_000)
            ]
            ledger.spend_many(debits, occurred_at=clock.now())

        tracemalloc.start()
        size = sum(len(piece) for piece in exports.archive(customer))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert size > 50_000
        assert peak < 16_000_000


def test_the_page_offers_the_kinds_of_e_mail_there_are() -> None:
    offered = {choice.kind: choice.can_be_muted for choice in notifications.choices()}

    assert offered == {choice.kind: choice.can_be_muted for choice in emails.choices()}
    assert offered[EmailKind.RECEIPT] is False
