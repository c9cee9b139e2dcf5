"""Every page of the admin opens with data, in as many queries for many rows as for few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection, models, transaction
from django.db.models import ProtectedError
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse

from accounts.models import Customer, Membership
from billing import ledger
from billing.models import (
    AutoTopUp,
    Code,
    Dispute,
    Email,
    Hold,
    InboundEvent,
    Invoice,
    LedgerAccount,
    Lot,
    LotUse,
    Order,
    Payment,
    ReconciliationItem,
    ReconciliationRun,
    Refund,
    StaffAction,
    Subscription,
    SubscriptionPeriod,
    Transfer,
    UnappliedPayment,
)
from billing.money import CREDIT, Money
from billing.services import (
    adjustments,
    auto_top_up_charges,
    auto_top_ups,
    disputes,
    inbox,
    invoices,
    orders,
    payments,
    plan_offers,
    refunds,
)
from billing.services.staff import Note
from common import clock
from tests.accounts.factories import make_person, signed_in
from tests.billing.charging import TERMS, FakeChargingRail
from tests.billing.fakes import FakeRail, FakeRenewingRail, only_rail
from tests.billing.staff import MODEL_BACKEND, Staff, make_helper, sign_in, words
from tests.factories import (
    NOW,
    make_charge,
    make_claim,
    make_customer,
    make_difference,
    make_order,
    make_payment,
)

pytestmark = pytest.mark.django_db

MODELS: list[type[models.Model]] = [
    Customer, Order, Payment, UnappliedPayment, Refund, LedgerAccount, Transfer, Lot, LotUse, Hold,
    InboundEvent, StaffAction, Dispute, ReconciliationRun, ReconciliationItem,
    Subscription, SubscriptionPeriod, Invoice, Email, AutoTopUp,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _far_side() -> Iterator[None]:
    """A provider that answers; money that fits nothing waits."""
    with only_rail(FakeRail()), override_settings(UNAPPLIED_POLICY="hold"):
        yield


@pytest.fixture
def staff() -> Staff:
    """A superuser in the admin."""
    return sign_in()


def make_everything(staff: Staff, customer: Customer | None = None) -> Customer:
    """One row or more of each kind, all of one customer."""
    customer = customer or make_customer()
    paid = make_payment(make_order(customer=customer), tax_minor=99)
    wallet = ledger.wallet(customer, CREDIT)
    ledger.spend(wallet, 7_000_000, code=Code.USAGE, key=f"u:{paid.pk}", occurred_at=NOW)
    ledger.reserve(
        wallet,
        5_000_000,
        code=Code.USAGE,
        key=f"h:{paid.pk}",
        deadline_at=None,
        occurred_at=NOW,
    )
    refund = refunds.request(paid.pk, reason="asked", amount_minor=1_00, by=staff.user)
    refunds.send(refund.pk)
    payments.settle(make_charge(None, customer=customer))
    disputes.record(make_payment(make_order(customer=customer)).pk, make_claim(evidence_due_at=NOW))
    invoices.issue_due()
    note = Note(staff.user, "sorry", f"note:{paid.pk}")
    adjustments.grant(note, customer, Money(3_000_000, CREDIT), promotional=True)
    inbox.record(
        rail="card",
        external_id=f"evt_{paid.pk}",
        kind="thing.happened",
        object_id="thing",
        payload={"a": 1},
        occurred_at=NOW,
    )
    with clock.frozen(NOW):
        make_difference(paid.external_id)
    make_subscription(customer)
    make_auto_top_up(customer)
    return customer


def make_auto_top_up(customer: Customer) -> None:
    """Auto top-up of a member of this customer's, with a charge."""
    user = make_person()
    member = Membership.objects.create(user=user, customer=customer, role="owner")
    with only_rail(FakeChargingRail()):
        row = auto_top_ups.switch_on(member, TERMS, words="Yes.")
        AutoTopUp.objects.filter(pk=row.pk).update(threshold_minor=10**15)
        auto_top_up_charges.look(row.pk)


def make_subscription(customer: Customer) -> Subscription:
    """A subscription whose first period is paid."""
    with only_rail(FakeRenewingRail()) as rail:
        offer = plan_offers.find("basic", "month", rail.assets)
        item = plan_offers.sold(offer, renews=True)
        return rail.pay(orders.open_order(customer, item, rail=rail.name))


def pages_of(model: type[models.Model]) -> list[str]:
    """The list and the page of one row."""
    name = f"{model._meta.app_label}_{model._meta.model_name}"
    row = model._default_manager.order_by("pk").last()
    assert row is not None
    listed = reverse(f"admin:{name}_changelist")
    return [listed, reverse(f"admin:{name}_change", args=[row.pk])]


def queries(browser: Client, url: str) -> int:
    """How many queries a page takes."""
    with CaptureQueriesContext(connection) as seen:
        assert browser.get(url).status_code == 200
    return len(seen)


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_pages_open_with_data(staff: Staff, model: type[models.Model]) -> None:
    make_everything(staff)

    for url in pages_of(model):
        assert staff.get(url).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_more_rows_take_no_more_queries(staff: Staff, model: type[models.Model]) -> None:
    customer = make_everything(staff)
    urls = [pages_of(model)[0], reverse("admin:accounts_customer_change", args=[customer.pk])]
    for url in urls:
        staff.get(url)  # content types are read once in a process
    few = [queries(staff, url) for url in urls]
    for _ in range(3):
        make_everything(staff, customer)
        make_everything(staff)

    many = [queries(staff, url) for url in urls]

    assert many == few


def test_the_first_page_says_what_needs_attention(staff: Staff) -> None:
    make_everything(staff)
    order = make_order()
    make_payment(order)
    Order.objects.filter(pk=order.pk).update(delivered_at=None)

    text = words(staff.get("/admin/"))

    assert "1 Events not handled" in text
    assert "1 Orders paid, not delivered" in text
    assert "1 Unapplied payments" in text
    assert "1 Disputes to answer evidence due 2026-11-20" in text
    assert "1 Differences with providers differences found at 2026-11-20 12:00 UTC" in text
    assert "Latest payments" in text
    assert "Granted credits" in text


def test_the_sidebar_groups_what_there_is(staff: Staff) -> None:
    text = words(staff.get("/admin/"))

    for title in ("Money", "Customers", "Operations", "Unapplied money", "Inbox", "Staff actions"):
        assert title in text


def test_a_customers_page_shows_all_of_their_money(staff: Staff) -> None:
    customer = make_everything(staff)

    text = words(staff.get(reverse("admin:accounts_customer_change", args=[customer.pk])))

    for heading in (
        "Wallets and debts", "Lots, next to burn first", "Statement", "Orders", "Payments",
        "Refunds", "Staff actions",
    ):  # fmt: skip
        assert heading in text
    assert "Small credit pack" in text
    assert "-7 credits" in text
    assert "$5.99" in text
    assert "Granted credits" in text


def test_a_customers_page_shows_money_only_to_those_who_may_look() -> None:
    customer = make_everything(sign_in())
    helper = sign_in(make_helper())
    helper.user.user_permissions.remove(
        *helper.user.user_permissions.filter(content_type__app_label="billing")
    )

    text = words(helper.get(reverse("admin:accounts_customer_change", args=[customer.pk])))
    listed = words(helper.get(reverse("admin:accounts_customer_changelist")))

    assert customer.email in text
    assert customer.email in listed
    assert "Wallets and debts" not in text
    assert "Statement" not in text
    assert "credits" not in text + listed


def test_nobodys_customer_page_is_not_there(staff: Staff) -> None:
    assert staff.get("/admin/accounts/customer/nonsense/change/").status_code == 404


def test_the_statement_goes_on_page_by_page(staff: Staff) -> None:
    customer = make_customer()
    wallet = ledger.wallet(customer, CREDIT)
    for number in range(1, 61):
        ledger.grant(
            wallet,
            1_000_000,
            code=Code.PROMOTION,
            key=f"g{number}",
            group=f"g{number}",
            occurred_at=NOW,
            origin="test",
            promotional=True,
        )
    url = reverse("admin:billing_ledgeraccount_statement", args=[wallet.pk])

    first = staff.get(url)
    older = staff.get(url + _older(first.text))

    assert "60 credits" in words(first)
    assert "10 credits" in words(older)
    assert "11 credits" not in words(older)
    assert staff.get(url, {"cursor": "forged"}).status_code == 302


def _older(page: str) -> str:
    start = page.index("?cursor=")
    return page[start : page.index('"', start)]


def test_the_houses_accounts_show_their_sum_and_lead_to_their_transfers(staff: Staff) -> None:
    make_payment()
    clearing = LedgerAccount.objects.get(role="clearing:card")

    assert "-$5.00" in words(staff.get("/admin/billing/ledgeraccount/?kind__exact=system"))
    for page in ("statement", "transfers"):
        url = reverse(f"admin:billing_ledgeraccount_{page}", args=[clearing.pk])
        assert "clearing:card" in words(staff.get(url, follow=True))


@pytest.mark.parametrize(
    ("model", "term"),
    [
        ("order", lambda payment: payment.order.pk),
        ("order", lambda payment: payment.customer.email.upper()),
        ("payment", lambda payment: payment.external_id),
        ("payment", lambda payment: payment.pk),
        ("payment", lambda payment: payment.order.pk),
        ("payment", lambda payment: payment.customer.pk),
        ("refund", lambda payment: payment.refunds.get().pk),
        ("refund", lambda payment: payment.external_id),
        ("ledgeraccount", lambda payment: payment.customer.email),
        ("transfer", lambda payment: f"order:{payment.order.pk}"),
        ("lot", lambda payment: f"order:{payment.order.pk}"),
        ("hold", lambda payment: f"h:{payment.pk}"),
        ("inboundevent", lambda payment: f"evt_{payment.pk}"),
        ("staffaction", lambda payment: payment.customer.email),
        ("dispute", lambda payment: payment.customer.email),
        ("reconciliationitem", lambda payment: payment.external_id),
    ],
)
def test_searching_finds_it_by_address_id_and_reference(
    staff: Staff, model: str, term: Callable[[Any], Any]
) -> None:
    customer = make_everything(staff)
    make_everything(staff)
    wanted = str(term(Payment.objects.get(customer=customer, tax_minor=99)))

    found = staff.get(f"/admin/billing/{model}/", {"q": wanted})
    nothing = staff.get(f"/admin/billing/{model}/", {"q": wanted[:-1] + "x@"})

    assert (
        0
        < len(found.context["cl"].result_list)
        < len(apps.get_model("billing", model)._default_manager.all())
    )
    assert len(nothing.context["cl"].result_list) == 0


@pytest.mark.parametrize("model", MODELS)
def test_every_filter_opens(staff: Staff, model: type[models.Model]) -> None:
    make_everything(staff)
    listed = pages_of(model)[0]
    page = staff.get(listed)
    links = [
        choice["query_string"]
        for spec in page.context["cl"].filter_specs
        for choice in spec.choices(page.context["cl"])
        if "query_string" in choice
    ]

    for link in links:
        assert staff.get(listed + link).status_code == 200, link


def test_nothing_of_the_money_core_is_added_changed_or_deleted(staff: Staff) -> None:
    make_everything(staff)
    registered = [model for model in admin.site._registry if model._meta.app_label == "billing"]
    assert len(registered) == len(MODELS) - 1

    for model in registered:
        listed, page = pages_of(model)
        assert staff.post(listed + "add/", {}).status_code == 403
        assert staff.post(page, {}).status_code == 403
        assert staff.post(page.replace("change/", "delete/"), {"post": "yes"}).status_code == 403
        assert "delete_selected" not in staff.get(listed).text


def mirrored() -> list[type[models.Model]]:
    """The models of dj-stripe that the admin shows."""
    return [model for model in admin.site._registry if model._meta.app_label == "djstripe"]


def test_copies_of_stripes_objects_are_only_looked_at(staff: Staff) -> None:
    assert len(mirrored()) > 30

    for model in mirrored():
        listed = reverse(f"admin:djstripe_{model._meta.model_name}_changelist")
        page = staff.get(listed)
        assert page.status_code == 200, listed
        assert 'name="action"' not in page.text, listed
        assert staff.get(listed + "add/").status_code == 403, listed


def test_secrets_and_calls_of_dj_stripe_are_not_in_the_admin(staff: Staff) -> None:
    shown = {model._meta.model_name for model in mirrored()}

    assert not shown & {"apikey", "webhookendpoint"}
    with pytest.raises(NoReverseMatch):  # where it cancels subscriptions and the like
        reverse("admin:djstripe_custom_action", args=["_cancel", "subscription"])
    assert staff.get("/admin/djstripe/apikey/").status_code == 404


def test_a_customer_with_money_cannot_be_deleted(staff: Staff) -> None:
    customer = make_everything(staff)

    answer = staff.post(
        reverse("admin:accounts_customer_delete", args=[customer.pk]), {"post": "yes"}
    )

    assert answer.status_code == 403
    with pytest.raises(ProtectedError):
        customer.delete()


def test_a_member_of_staff_who_acted_cannot_be_deleted(staff: Staff) -> None:
    make_everything(staff)

    answer = staff.post(
        reverse("admin:accounts_user_delete", args=[staff.user.pk]), {"post": "yes"}
    )

    assert answer.status_code == 403
    with pytest.raises(ProtectedError):
        staff.user.delete()


def test_there_are_no_rights_to_grant_that_nobody_can_use() -> None:
    wrong = Permission.objects.filter(
        content_type__app_label="billing", codename__regex="^(add|change|delete)_"
    )

    assert list(wrong.values_list("codename", flat=True)) == []


def test_ordinary_users_and_strangers_are_sent_away(staff: Staff) -> None:
    customer = make_everything(staff)
    acts = [
        reverse("admin:billing_payment_refund", args=[Payment.objects.first().pk]),  # type: ignore[union-attr]
        reverse("admin:accounts_customer_grant_credits", args=[customer.pk]),
        reverse("admin:billing_inboundevent_handle_again", args=[InboundEvent.objects.get().pk]),
    ]
    person = signed_in().user
    browser = Client()

    for visitor in (None, person):
        if visitor:
            browser.force_login(visitor, backend=MODEL_BACKEND)
        for url in [*acts, *(url for model in MODELS for url in pages_of(model)), "/admin/"]:
            for answer in (browser.get(url), browser.post(url, {"reason": "x"})):
                assert answer.status_code in (302, 403), url
                assert customer.email not in answer.text


def test_the_log_of_staff_actions_is_final(staff: Staff) -> None:
    make_everything(staff)
    action = StaffAction.objects.get()

    for act in (
        lambda: StaffAction.objects.update(reason="another"),
        lambda: StaffAction.objects.all().delete(),
        lambda: action.save(update_fields=["reason"]),
    ):
        with (
            pytest.raises(DatabaseError, match="the log of staff actions is final"),
            transaction.atomic(),
        ):
            act()
    assert StaffAction.objects.get().reason == "sorry"
