"""What the people of the demo do: through the portal's services, and at the sandbox as payers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from accounts.models import Customer, User
from accounts.selectors import personal_customer
from accounts.services import open_personal_customer, register_person
from billing import catalogue
from billing.models import Dispute, Order, Payment, RailCustomer, Subscription
from billing.money import CREDIT, USD, Money
from billing.services import (
    cancellations,
    credit_packs,
    holds,
    orders,
    plan_changes,
    refunds,
    subscriptions,
)
from billing_project.sandbox_control import STRIPE, Sandbox
from billing_project.timelapse import Timelapse
from common.errors import InvalidInput

RAIL = "card"
PASSWORD = "demo-sandbox-only"  # noqa: S105 - printed for everybody to use
GOOD_CARD = "4242424242424242"
# Can be saved, and declines when it is charged.
BROKE_CARD = "4000000000000341"
PAID = ("paid", "free")


class DemoFailed(Exception):
    """Something went otherwise than the story has it; the message says what."""


class Hands:
    """Acts on one portal and its sandbox; each waits until all it brings about is done."""

    def __init__(self, sandbox: Sandbox, time: Timelapse) -> None:
        self._sandbox = sandbox
        self._time = time

    def someone(self, name: str, email: str) -> Customer:
        """The customer behind an address, signed up the first time."""
        person = User.objects.filter(email=email).first() or register_person(
            email=email, password=PASSWORD, name=name, email_verified=True
        )
        return personal_customer(person) or open_personal_customer(person)

    def has_trial(self, slug: str) -> bool:
        """Whether who never subscribed tries that plan before paying."""
        return bool(catalogue.current().plan(slug).trial_days)

    def sells(self, slug: str, interval: str) -> bool:
        """Whether the catalogue has that plan at such a price."""
        with suppress(InvalidInput):
            return bool(catalogue.current().offer(slug, interval, USD))
        return False

    # -- plans ------------------------------------------------------------------------------------

    def subscribe(
        self, customer: Customer, slug: str, interval: str, card: str = GOOD_CARD
    ) -> Subscription:
        """Order a plan and pay it on the checkout page."""
        self.pay(self._page(subscriptions.start(customer, slug, interval, rail=RAIL)), card)
        return self.plan_of(customer)

    def subscribe_twice(self, customer: Customer, slug: str, interval: str) -> None:
        """Two devices, two checkout pages open at once, and both are paid."""
        pages = [
            self._page(subscriptions.start(customer, slug, interval, rail=RAIL)) for _ in range(2)
        ]
        for page in pages:
            self.pay(page)

    def plan_of(self, customer: Customer) -> Subscription:
        """The subscription that counts."""
        found = subscriptions.current(customer)
        if found is None:
            raise DemoFailed(f"{customer} has no subscription")
        return found

    def change_plan(self, customer: Customer, slug: str, interval: str) -> Money:
        """Have a change quoted and confirm it; returns what it cost at once."""
        quote = plan_changes.quote(customer, slug, interval)
        plan_changes.confirm(customer, quote.token, placed_by=None)
        self.settle()
        return quote.total

    def cancel(self, customer: Customer) -> None:
        """End it with the current period."""
        cancellations.cancel(customer)
        self.settle()

    def resume(self, customer: Customer) -> None:
        """Renew after all."""
        cancellations.resume(customer)
        self.settle()

    def change_card(self, customer: Customer, card: str) -> None:
        """Another card for everything from now on."""
        name = RailCustomer.objects.get(rail=RAIL, customer=customer).external_id
        self._sandbox.post(f"{STRIPE}/customers/{name}/card", card=card)
        self.settle()

    # -- credits ----------------------------------------------------------------------------------

    def buy(self, customer: Customer, package: str) -> None:
        """Buy a credit package."""
        item = credit_packs.sold(catalogue.current().credit_pack(package), USD)
        self.pay(self._page(orders.open_order(customer, item, rail=RAIL)))

    def use(self, customer: Customer, cost: int, *, of: int, what: str) -> None:
        """Hold some credits before work, take what it cost after it."""
        unit = CREDIT.unit_minor
        hold = holds.reserve(customer, Money(of * unit, CREDIT), reference=what)
        holds.capture(customer, hold.pk, cost * unit)

    # -- money that goes back ---------------------------------------------------------------------

    def refund(self, customer: Customer, package: str, amount_minor: int, reason: str) -> None:
        """Staff gives back a part of what a package cost."""
        payment = _payment(customer, package)
        refunds.request(payment.pk, reason=reason, amount_minor=amount_minor)
        self.settle()

    def dispute(self, customer: Customer, package: str) -> None:
        """The payer's bank takes back what a package cost, until it has decided."""
        charge = self._charge_of(_payment(customer, package))
        self._sandbox.post(f"{STRIPE}/charges/{charge}/dispute")
        self.settle()

    def decide(self, customer: Customer, package: str, outcome: str) -> None:
        """The bank decides: won or lost."""
        dispute = Dispute.objects.get(payment=_payment(customer, package))
        self._sandbox.post(f"{STRIPE}/disputes/{dispute.external_id}/settle", outcome=outcome)
        self.settle()

    # -- the payer's side -------------------------------------------------------------------------

    def pay(self, order: Order, card: str = GOOD_CARD) -> None:
        """Do on the order's checkout page what its payer would."""
        answer = self._sandbox.post(f"{STRIPE}/sessions/{order.external_id}/pay", card=card)
        if answer["outcome"] not in PAID:
            raise DemoFailed(f"{order.product_name}: {answer['message']}")
        self.settle()
        order.refresh_from_db()
        if order.delivered_at is None:
            raise DemoFailed(f"{order.product_name} was not delivered: {order.delivery_error}")

    def settle(self) -> None:
        """Wait for webhooks and what follows from them."""
        if not self._time.settle_down():
            raise DemoFailed("some webhooks are not handled: see the inbox in the admin")

    def _page(self, order: Order) -> Order:
        orders.pay_url(order)
        return order

    def _charge_of(self, payment: Payment) -> str:
        books: dict[str, Any] = self._sandbox.get("/_sandbox/books")["stripe"]
        for charge in books["charges"]:
            if charge["payment_intent"] == payment.external_id:
                return str(charge["id"])
        raise DemoFailed(f"the sandbox knows no charge of {payment.external_id}")


def _payment(customer: Customer, package: str) -> Payment:
    return Payment.objects.get(customer=customer, order__product_slug=package)
