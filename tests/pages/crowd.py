"""Much of everything: what a portal holds after a while, most of it of one customer."""

from __future__ import annotations

from datetime import timedelta

from accounts.models import Customer, Membership
from accounts.services import api_keys
from billing import ledger
from billing.models import Code
from billing.money import CREDIT, Money
from billing.services import adjustments, disputes, holds, inbox, invoices, payments, refunds
from billing.services import rails as rail_registry
from billing.services import subscriptions as subscribing
from billing.services.staff import Note
from common import clock
from common.ids import uuid7
from tests.accounts.factories import customer_of, join, make_person, make_team
from tests.billing.fakes import FakeRenewingRail
from tests.factories import make_charge, make_claim, make_difference, make_order, make_payment
from tests.security.world import World


def fill(world: World, times: int) -> None:
    """Give the world's customer ``times`` more of everything, and as many to others."""
    team = make_team(world.user, name="A team of many")
    for _ in range(times):
        _live_on(world, world.customer)
        stranger = make_person(name="Somebody else")
        _live_on(world, customer_of(stranger))
        _subscribe(customer_of(stranger))
        join(team, Membership.Role.MEMBER)
        make_team(world.user, name="Another team")
        api_keys.create(
            world.customer, created_by=world.user, name="a key", scope_names=["credits:read"]
        )
    invoices.issue_due()


def _live_on(world: World, customer: Customer) -> None:
    """One of each thing that happens to a customer."""
    paid = make_payment(make_order(customer=customer), tax_minor=99)
    make_payment(make_order(customer=customer), discount_minor=1_00)
    make_order(customer=customer)
    payments.settle(make_charge(None, customer=customer))
    _use(customer)
    refund = refunds.request(paid.pk, reason="asked", amount_minor=1_00, by=world.staff)
    refunds.send(refund.pk)
    disputed = make_payment(make_order(customer=customer))
    disputes.record(disputed.pk, make_claim())
    note = Note(world.staff, "sorry", f"note:{uuid7()}")
    adjustments.grant(note, customer, Money(3_000_000, CREDIT), promotional=True)
    inbox.record(
        rail="card",
        external_id=f"evt_{uuid7()}",
        kind="thing.happened",
        object_id="thing",
        payload={"a": 1},
        occurred_at=clock.now(),
    )
    make_difference(paid.external_id)


def _use(customer: Customer) -> None:
    """Some credits spent, some held, some that will expire."""
    wallet = ledger.wallet(customer, CREDIT)
    now = clock.now()
    number = uuid7()
    ledger.grant(
        wallet,
        5_000_000,
        code=Code.PROMOTION,
        key=f"test:gift:{number}",
        group=f"test:gift:{number}",
        occurred_at=now,
        origin=f"test:gift:{number}",
        expires_at=now + timedelta(days=20),
    )
    ledger.spend(
        wallet,
        7_000_000,
        code=Code.USAGE,
        key=f"test:use:{number}",
        group=f"ref:{customer.pk}:{number}",
        occurred_at=now,
    )
    holds.reserve(customer, Money(1_000_000, CREDIT), reference=f"work-{number}")


def _subscribe(customer: Customer) -> None:
    """A live subscription of the rail that is there."""
    rail = rail_registry.named("card")
    assert isinstance(rail, FakeRenewingRail)
    rail.pay(subscribing.start(customer, "basic", "month", rail=rail.name))
