"""The victim: a customer with one of everything, each carrying a mark nobody else's things have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest import mock

from allauth.account.models import EmailAddress
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.test import override_settings
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from djstripe.models import Customer as MirroredCustomer

from accounts.models import ApiKey, Customer, Invitation, Membership, User
from accounts.scopes import known
from accounts.services import api_keys, invitations
from billing import ledger
from billing.models import (
    AutoTopUp,
    AutoTopUpConsent,
    Code,
    Dispute,
    DisputeState,
    Email,
    Hold,
    InboundEvent,
    LedgerAccount,
    Lot,
    LotUse,
    Order,
    Payment,
    RailCustomer,
    ReconciliationItem,
    Refund,
    StaffAction,
    Subscription,
    Transfer,
)
from billing.money import CREDIT, USD, Money
from billing.rails.wallet.rail import WalletRail
from billing.selectors.statements import reference_group
from billing.services import (
    disputes,
    holds,
    inbox,
    invoices,
    orders,
    payments,
    plan_changes,
    purchases,
    rails,
    refunds,
    spend_caps,
    subscriptions,
)
from billing.services.plan_changes import Quote
from billing.services.products import Sold
from common import clock
from tests.accounts.factories import customer_of, join, make_person, make_staff, make_team
from tests.billing.fakes import FakeRenewingRail
from tests.factories import make_charge, make_claim, make_difference

EMAIL = "vera.victim@example.com"
NAME = "Vera Victim"
INVITED = "invited.by.vera@example.com"
# Amounts that nothing else here has.
OPEN_PRICE, PAID_PRICE, TAX, STRAY_PRICE, REFUND = 77_31, 83_47, 1_19, 91_13, 3_07
TOP_UP_PRICE = 66_61
HELD_MINOR, USED_MINOR = 123_457_000, 45_678_000
CREDITS_PRICE_MINOR = 14_567_891_000
CAP_MINOR = 876_543_000_000


@dataclass(frozen=True)
class World:
    """The victim's things, by what they are."""

    user: User
    customer: Customer
    api_key: ApiKey
    secret: str
    open_order: Order
    wallet_order: Order
    paid_order: Order
    payment: Payment
    stray: Payment
    refund: Refund
    dispute: Dispute
    hold: Hold
    second_hold: Hold
    account: LedgerAccount
    event: InboundEvent
    difference: ReconciliationItem
    action: StaffAction
    staff: User
    subscription: Subscription
    quote: Quote
    member: Membership
    invitation: Invitation

    def first(self, model: Any) -> str:
        """The id of the victim's first row of a model."""
        lookups: dict[Any, dict[str, Any]] = {
            Transfer: {"target": self.account},
            Lot: {"account": self.account},
            LotUse: {"lot__account": self.account},
            Email: {"customer": self.customer},
        }
        return str(model.objects.filter(**lookups[model]).order_by("pk").first().pk)

    @property
    def shown_to_the_owner(self) -> dict[str, str]:
        """Marks that the victim sees on pages and in answers, by what they are."""
        return {
            "e-mail": EMAIL,
            "name": NAME,
            "open order": str(self.open_order.pk),
            "order in credits": str(self.wallet_order.pk),
            "price in credits": str(self.wallet_order.total),
            "paid order": str(self.paid_order.pk),
            "payment": str(self.payment.pk),
            "stray payment": str(self.stray.pk),
            "payment's id at the provider": self.payment.external_id,
            "hold": str(self.hold.pk),
            "subscription": str(self.subscription.pk),
            "API key": str(self.api_key.pk),
            "API key's prefix": self.api_key.prefix,
            "API key's name": self.api_key.name,
            "open price": str(Money(OPEN_PRICE, USD)),
            "paid total": str(Money(PAID_PRICE + TAX, USD)),
            "stray amount": str(Money(STRAY_PRICE, USD)),
            "refund": str(Money(REFUND, USD)),
            "held": str(Money(HELD_MINOR, CREDIT)),
            "held, as a number": str(HELD_MINOR),
            "used": str(Money(USED_MINOR, CREDIT)),
            "used, as a number": str(USED_MINOR),
            "spend cap": str(Money(CAP_MINOR, CREDIT)),
            "price of auto top-up": str(Money(TOP_UP_PRICE, USD)),
            "reference of a hold": "reference-of-vera",
            "reference of usage": "usage-of-vera",
        }

    @property
    def shown_to_staff(self) -> dict[str, str]:
        """Marks that staff sees as well."""
        return self.shown_to_the_owner | {
            "user": str(self.user.pk),
            "customer": str(self.customer.pk),
            "refund's id": str(self.refund.pk),
            "dispute": "dp_veravictim",
            "customer at Stripe": "cus_veravictim",
            "subscription at the provider": self.subscription.external_id,
            "reason of a refund": "refund-reason-of-vera",
            "reason of a staff action": "staff-reason-of-vera",
            "payload of an event": "payload-of-vera",
            "invited address": INVITED,
        }


def build() -> World:
    """The victim with one of everything. Needs a ``FakeRenewingRail``; it all is committed."""
    user = make_person(EMAIL, name=NAME)
    customer = customer_of(user)
    _mirror(customer)
    new_key = _key(customer, user)
    staff = make_staff()
    paid, payment = _buy(customer, user)
    stray = _stray(paid)
    invoices.issue_due()
    refund = refunds.request(payment.pk, reason="refund-reason-of-vera", amount_minor=REFUND)
    account = _use(customer)
    spend_caps.set_cap(customer, Money(CAP_MINOR, CREDIT), by=user)
    _agree_to_top_up(customer, user)
    subscription = _subscribe(customer, user)
    team = make_team(user, "Team Victory")
    return World(
        user=user,
        customer=customer,
        api_key=new_key.api_key,
        secret=new_key.secret,
        open_order=_open(customer, user),
        wallet_order=_open_in_credits(customer, user),
        paid_order=paid,
        payment=payment,
        stray=stray,
        refund=refund,
        dispute=_dispute(payment),
        hold=_hold(customer),
        second_hold=holds.reserve(customer, Money(1_000, CREDIT)),
        account=account,
        event=_event(),
        difference=make_difference(payment.external_id, ours=str(payment.amount), is_safe=True),
        action=_staff_action(staff, customer),
        staff=staff,
        subscription=subscription,
        quote=plan_changes.quote(customer, "enterprise", "month"),
        member=Membership.objects.get(customer=team, user=join(team, Membership.Role.BILLING)),
        invitation=invitations.invite(team, email=INVITED, role="member", inviter=user),
    )


def beat_ids() -> dict[str, str]:
    """One row of each table of the scheduler."""
    interval = IntervalSchedule.objects.create(every=1, period="days")
    task, _ = PeriodicTask.objects.get_or_create(name="walked", task="x", interval=interval)
    clocked = ClockedSchedule.objects.create(clocked_time=clock.now())
    return {
        "periodictask": str(task.pk),
        "intervalschedule": str(interval.pk),
        "crontabschedule": str(CrontabSchedule.objects.create(minute="1").pk),
        "clockedschedule": str(clocked.pk),
        "solarschedule": str(
            SolarSchedule.objects.create(event="sunrise", latitude=1, longitude=1).pk
        ),
    }


def email_id(world: World) -> str:
    """The row of the victim's log-in address."""
    return str(EmailAddress.objects.get(user=world.user).pk)


def _key(customer: Customer, user: User) -> api_keys.NewKey:
    """A key that may do everything."""
    scope_names = [scope.name for scope in known()]
    key = api_keys.create(customer, created_by=user, name="key-of-vera", scope_names=scope_names)
    api_keys.authenticate(key.secret)  # notes the first use of this minute
    return key


def _buy(customer: Customer, user: User) -> tuple[Order, Payment]:
    item = purchases.custom(PAID_PRICE, rail="card")
    order = orders.open_order(customer, item, rail="card", placed_by=user)
    payment = payments.settle(make_charge(order, tax_minor=TAX, external_id="pi_veravictim"))
    order.refresh_from_db()
    return order, payment


def _agree_to_top_up(customer: Customer, user: User) -> None:
    """Auto top-up that is set up and off: the rail here charges no cards."""
    terms = {"threshold_minor": 1, "price_minor": TOP_UP_PRICE, "monthly_max_minor": TOP_UP_PRICE}
    consent = AutoTopUpConsent.objects.create(
        customer=customer,
        agreed_by=user,
        agreed_by_email=user.email,
        agreed_at=clock.now(),
        text="Yes.",
        **terms,
    )
    wallet = ledger.wallet(customer, CREDIT)
    AutoTopUp.objects.create(customer=customer, wallet=wallet, consent=consent, **terms)


@override_settings(UNAPPLIED_POLICY="hold")
def _stray(order: Order) -> Payment:
    return payments.settle(
        make_charge(order, subtotal_minor=STRAY_PRICE, external_id="pi_verastray")
    )


def _open(customer: Customer, user: User) -> Order:
    item = purchases.custom(OPEN_PRICE, rail="card")
    order = orders.open_order(customer, item, rail="card", placed_by=user)
    orders.pay_url(order)
    return order


def _subscribe(customer: Customer, user: User) -> Subscription:
    rail = rails.named("card")
    assert isinstance(rail, FakeRenewingRail)
    return rail.pay(subscriptions.start(customer, "basic", "month", rail=rail.name, placed_by=user))


def _open_in_credits(customer: Customer, user: User) -> Order:
    """It was placed on another device, before there was a subscription."""
    item = Sold("plan", "basic", "Basic", Money(CREDITS_PRICE_MINOR, CREDIT), {})
    with mock.patch.dict(rails._RAILS, {"wallet": WalletRail()}):
        return orders.open_order(customer, item, rail="wallet", placed_by=user)


def _dispute(payment: Payment) -> Dispute:
    claim = make_claim(
        DisputeState.INQUIRY,
        external_id="dp_veravictim",
        provider_status="warning_needs_response",
        amount_minor=PAID_PRICE,
        withdrawn_minor=0,
        fee_minor=0,
        evidence_due_at=None,
    )
    return disputes.record(payment.pk, claim)


def _hold(customer: Customer) -> Hold:
    return holds.reserve(
        customer,
        Money(HELD_MINOR, CREDIT),
        reference="reference-of-vera",
        idempotency_key="key-of-vera",
    )


def _use(customer: Customer) -> LedgerAccount:
    """The wallet, of which some credits are used up."""
    account = ledger.wallet(customer, CREDIT)
    ledger.spend(
        account,
        USED_MINOR,
        code=Code.USAGE,
        key="use-of-vera",
        group=reference_group(account.owner_id, "usage-of-vera"),
        occurred_at=clock.now() - timedelta(minutes=1),
    )
    return account


def _event() -> InboundEvent:
    inbox.record(
        rail="card",
        external_id="evt_veravictim",
        kind="charge.updated",
        object_id="ch_veravictim",
        payload={"id": "evt_veravictim", "note": "payload-of-vera"},
        occurred_at=clock.now(),
    )
    return InboundEvent.objects.get(external_id="evt_veravictim")


def _staff_action(staff: User, customer: Customer) -> StaffAction:
    LogEntry.objects.create(
        user=staff,
        content_type=ContentType.objects.get_for_model(Customer),
        object_id=str(customer.pk),
        object_repr=NAME,
        action_flag=CHANGE,
        change_message="staff-reason-of-vera",
    )
    return StaffAction.objects.create(
        staff=staff,
        act="credit_adjustment",
        customer=customer,
        subject=f"customer:{customer.pk}",
        reason="staff-reason-of-vera",
    )


def _mirror(customer: Customer) -> None:
    RailCustomer.objects.create(rail="card", customer=customer, external_id="cus_veravictim")
    MirroredCustomer.objects.create(
        id="cus_veravictim",
        livemode=False,
        stripe_data={"id": "cus_veravictim", "email": EMAIL},
    )
