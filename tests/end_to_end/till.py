"""A test's hands at a running portal: it sells, pays at the sandbox, waits, reads the books."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import stripe
from celery import current_app
from django.db.models import Sum
from django.test import override_settings

from accounts.models import Customer
from billing import catalogue, ledger
from billing.models import (
    EventState,
    InboundEvent,
    LedgerAccount,
    Order,
    Payment,
    Refund,
    RefundState,
    Subscription,
    Transfer,
)
from billing.money import CREDIT, USD, Asset
from billing.rails.card import catalogue_sync, client, customers
from billing.services import credit_packs, orders, refunds
from billing_project import env
from common import doorbell
from tests import live
from tests.factories import make_customer

PATIENCE_SECONDS = 90
SANDBOX = "/_sandbox/stripe"
NOT_DONE = (EventState.NEW, EventState.FAILED)

Move = tuple[str, str, int]


@contextmanager
def at(portal: live.Portal) -> Iterator[Till]:
    """Let this process act as part of that portal: its database, its broker, its sandbox."""
    broker, base = current_app.conf.broker_url, stripe.api_base
    settings = {"STRIPE_API_BASE": portal.sandbox_url, "PUBLIC_URL": portal.url}
    try:
        with portal.orm(), override_settings(**settings):
            current_app.conf["broker_url"] = env.broker(portal.redis_url)
            client.configure()
            catalogue_sync._KNOWN.clear()
            yield Till(portal)
    finally:
        current_app.conf["broker_url"] = broker
        client.configure()
    assert stripe.api_base == base


@dataclass(frozen=True, slots=True)
class Till:
    """The acts of a test; each goes through the service that a page or the admin would call."""

    portal: live.Portal

    # -- selling and paying -----------------------------------------------------------------------

    def customer(self) -> Customer:
        """A new customer, unknown to the sandbox until they buy."""
        return make_customer()

    def order(self, customer: Customer | None = None, package: str = "small") -> Order:
        """An open order of a credit package with its checkout page."""
        item = credit_packs.sold(catalogue.current().credit_pack(package), USD)
        order = orders.open_order(customer or self.customer(), item, rail="card")
        orders.pay_url(order)
        return order

    def control(self, path: str, /, **body: Any) -> Any:
        """POST to the control API's Stripe part."""
        return self.portal.sandbox("POST", f"{SANDBOX}/{path}", body)

    def pay(self, session_id: str, **how: Any) -> str:
        """Do on the checkout page what a person would; the outcome's name."""
        return str(self.control(f"sessions/{session_id}/pay", **how)["outcome"])

    def another_session(
        self, order: Order, *, subtotal_minor: int | None = None, customer: Customer | None = None
    ) -> str:
        """A second Checkout Session that names the same order, as no page of ours would make it."""
        names = {"order_id": str(order.pk)}
        session = stripe.checkout.Session.create(
            mode="payment",
            customer=customers.ensure(customer or order.customer),
            client_reference_id=str(order.pk),
            metadata=names,
            payment_intent_data={"metadata": names},
            line_items=[
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "usd",
                        "unit_amount": subtotal_minor or order.subtotal_minor,
                        "product_data": {"name": "The same again"},
                        "tax_behavior": "exclusive",
                    },
                }
            ],
            success_url=f"{self.portal.url}/",
        )
        return session.id

    def buy(self, customer: Customer | None = None, **how: Any) -> Order:
        """An order that is paid and delivered."""
        order = self.order(customer)
        assert self.pay(order.external_id, **how) in ("paid", "free")
        self.settle_down()
        order.refresh_from_db()
        assert order.delivered_at is not None, (order.status, order.delivery_error)
        return order

    def refund(self, payment: Payment, **how: Any) -> Refund:
        """Ask for a refund as the admin does, and wait until the provider's answer is booked."""
        refund = refunds.request(payment.pk, reason="a test asked for it", **how)
        self.settle_down()
        refund.refresh_from_db()
        return refund

    # -- webhooks ---------------------------------------------------------------------------------

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keep webhooks back; what is still held at the end goes out, oldest first."""
        self.control("deliveries/hold")
        try:
            yield
        finally:
            self.control("deliveries/release")

    def held(self, **wanted: str) -> list[dict[str, Any]]:
        """Deliveries that are kept back, oldest first; ``type`` or ``object`` picks some."""
        query = urlencode({"status": "held"} | wanted)
        found: list[dict[str, Any]] = self.control_get(f"deliveries?{query}")["data"]
        return found

    def deliver(self, delivery: dict[str, Any]) -> int | None:
        """Post one delivery now; the portal's HTTP status."""
        answer = self.control(f"deliveries/{delivery['id']}/deliver")
        status: int | None = answer["response_status"]
        return status

    # -- waiting ----------------------------------------------------------------------------------

    def settle_down(self) -> None:
        """Wait until every webhook is delivered and the worker has done all there is to do."""
        rung_at = time.monotonic()

        def quiet() -> bool:
            nonlocal rung_at
            if self.control_get("quiet?timeout_seconds=5")["quiet"] and not self.unfinished():
                return True
            if time.monotonic() - rung_at > 1:  # what beat does every minute
                rung_at = time.monotonic()
                self.sweep()
            return False

        wait_until(quiet, self.unfinished, self.portal)

    def sweep(self) -> None:
        """Ring for what beat rings for every minute."""
        doorbell.ring("billing.sweep")

    def control_get(self, path: str) -> Any:
        """GET from the control API's Stripe part."""
        return self.portal.sandbox("GET", f"{SANDBOX}/{path}")

    def unfinished(self) -> list[str]:
        """What is still to be done, as sentences for a failing test."""
        events = InboundEvent.objects.filter(state__in=NOT_DONE)
        waiting = Refund.objects.filter(state=RefundState.REQUESTED)
        stopping = Subscription.objects.exclude(stop_requested_at=None)
        return [
            *(f"{one} is {one.state}: {one.last_error}" for one in events),
            *(f"refund {one.pk} is to be sent: {one.last_error}" for one in waiting),
            *(f"subscription {one.external_id} is to be stopped" for one in stopping),
        ]

    # -- our books --------------------------------------------------------------------------------

    def balance(self, role: str, asset: Asset = USD) -> int:
        """What an account of the house holds: the sum of its transfers."""
        return _sum_of(ledger.system_account(role, asset))

    def wallet(self, customer: Customer) -> LedgerAccount:
        """The customer's credits, fresh from the database, counter checked against transfers."""
        return _checked(ledger.wallet(customer, CREDIT))

    def spendable(self, customer: Customer) -> int:
        """Credits (smallest unit) in the wallet that no hold pins."""
        wallet = self.wallet(customer)
        return (wallet.balance_minor or 0) - (wallet.held_minor or 0)

    def owed(self, customer: Customer) -> int:
        """Credits (smallest unit) the customer owes."""
        return -(_checked(ledger.debt(customer, CREDIT)).balance_minor or 0)

    def unapplied(self, customer: Customer) -> int:
        """Cents that lie on the customer's unapplied account."""
        return _checked(ledger.balance_account(customer, "unapplied", USD)).balance_minor or 0

    def moves(self, group: str) -> list[Move]:
        """The transfers of one act, in order."""
        rows = Transfer.objects.filter(group=group).select_related("source", "target")
        return [_move(row) for row in rows.order_by("pk")]

    def moves_since(self, mark: int) -> list[Move]:
        """Every transfer after ``mark()``, in order, without the fees."""
        rows = Transfer.objects.filter(pk__gt=mark).exclude(code="fee")
        return [_move(row) for row in rows.select_related("source", "target").order_by("pk")]

    def mark(self) -> int:
        """The newest transfer there is."""
        newest = Transfer.objects.order_by("-pk").values_list("pk", flat=True).first()
        return newest or 0


def wait_until(
    happened: Callable[[], Any], explain: Callable[[], Any], portal: live.Portal | None = None
) -> None:
    """Poll; after a long while fail with what ``explain`` says and what the worker said last."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            said = portal.log("worker")[-3000:] if portal else ""
            raise AssertionError(f"it did not happen: {explain()}\n{said}")
        time.sleep(0.05)


@contextmanager
def refusing_inserts(portal: live.Portal, table: str, when: str = "true") -> Iterator[None]:
    """Let inserts into a table of the portal's database fail, as a broken disk might."""
    with portal.connect() as database:
        database.execute(
            "CREATE FUNCTION test_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'out of order for a test'; END $$"
        )
        database.execute(
            f"CREATE TRIGGER test_refuse BEFORE INSERT ON {table} FOR EACH ROW WHEN ({when}) "
            "EXECUTE FUNCTION test_refuse()"
        )
        try:
            yield
        finally:
            database.execute("DROP FUNCTION test_refuse() CASCADE")


def _move(transfer: Transfer) -> Move:
    return (transfer.source.role, transfer.target.role, transfer.amount_minor)


def _sum_of(account: LedgerAccount) -> int:
    total = Sum("amount_minor")
    came = account.transfers_in.aggregate(total=total)["total"] or 0
    went = account.transfers_out.aggregate(total=total)["total"] or 0
    return int(came - went)


def _checked(account: LedgerAccount) -> LedgerAccount:
    account.refresh_from_db()
    assert account.balance_minor == _sum_of(account), account
    return account
