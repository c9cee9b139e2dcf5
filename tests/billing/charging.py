"""A provider that keeps cards and charges them, of our own making; and wallets that run low."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from accounts.models import Customer, Membership, User
from billing import ledger, selectors
from billing.errors import RailUnavailable
from billing.models import AutoTopUp, Code, Email, Order
from billing.money import CREDIT, Money
from billing.services import auto_top_ups
from billing.services.auto_top_ups import Terms
from billing.services.charging import ChargeAnswer, ChargingRail, Result
from common import clock
from common.errors import NotFound
from tests.accounts.factories import make_person
from tests.billing.fakes import FakeRail
from tests.factories import make_charge, make_wallet

CARD = "Visa •••• 4242"
UNIT = CREDIT.unit_minor
# Below 500 credits, buy the small package (2,500 for $5), at most $15 a month.
TERMS = Terms(500 * UNIT, "small", 5_00, 15_00)


class FakeChargingRail(FakeRail, ChargingRail):
    """Charges as told. ``made`` is what the provider has, by key; ``asked`` each call for money."""

    def __init__(self) -> None:
        super().__init__()
        self.card: str | None = CARD
        self.why_not = ""
        self.outcome = ChargeAnswer("", Result.PAID)
        self.made: dict[str, ChargeAnswer] = {}
        self.asked: list[str] = []
        self.pages_opened: list[tuple[Customer, str]] = []
        # Before money is taken, with the key: for what happens meanwhile.
        self.meanwhile: Any = lambda order: None

    @property
    def why_not_charging(self) -> str:
        return self.why_not

    def saved_card(self, customer: Customer) -> str | None:
        self._reach()
        return self.card

    def open_saving_page(
        self, customer: Customer, *, reference: str, done_url: str, back_url: str
    ) -> str:
        self._reach()
        self.pages_opened.append((customer, reference))
        return "https://pay.example.com/save"

    def finish_saving(self, customer: Customer, page_id: str) -> None:
        opened = [reference for owner, reference in self.pages_opened if owner == customer]
        if page_id != "cs_done" or not opened:
            raise NotFound
        self.card = CARD
        auto_top_ups.card_saved(customer, reference=opened[-1], card=CARD)

    def charge_saved(self, order: Order) -> ChargeAnswer:
        self._reach()
        self.asked.append(order.provider_key)
        self.meanwhile(order)
        if order.provider_key not in self.made:
            self.made[order.provider_key] = self._answer(order)
        if self.lose_answer:
            self.lose_answer = False
            raise RailUnavailable(key_spent=self.key_spent)
        return self.made[order.provider_key]

    def find_charge(self, order: Order, since: datetime) -> ChargeAnswer | None:
        self._reach()
        ours = [made for key, made in self.made.items() if key.startswith(f"order:{order.pk}:")]
        return ours[0] if ours else None

    def money_taken(self) -> int:
        """Cents that the provider took from cards."""
        return sum(one.charge.amount_minor for one in self.made.values() if one.charge)

    def _answer(self, order: Order) -> ChargeAnswer:
        name = f"pi_{order.pk}"
        if self.outcome.result != Result.PAID:
            return self.outcome
        charge = make_charge(order, external_id=name, occurred_at=clock.now())
        return ChargeAnswer(name, Result.PAID, charge=charge, fee_minor=45, card=CARD)


def declined(**how: Any) -> ChargeAnswer:
    """What a bank says that does not pay."""
    told = {"code": "insufficient_funds", "message": "Your card has insufficient funds."}
    return ChargeAnswer("pi_declined", Result.DECLINED, **(told | how))


def owner(user: User | None = None) -> Membership:
    """A person with their own customer."""
    return Membership.objects.select_related("customer", "user").get(
        user=user or make_person(), customer__kind=Customer.Kind.PERSON
    )


def switched_on(
    membership: Membership | None = None, terms: Terms = TERMS, *, left: int = 1_000
) -> AutoTopUp:
    """Auto top-up that is on, over a wallet of so many credits."""
    member = membership or owner()
    if left:
        make_wallet(customer=member.customer, credits_minor=left * UNIT)
    return auto_top_ups.switch_on(member, terms, words="I agree to what a test says.")


def spend(customer: Customer, whole: int, key: str = "work") -> None:
    """Use up so many credits, past the services that look afterwards."""
    ledger.spend(
        ledger.wallet(customer, CREDIT),
        whole * UNIT,
        code=Code.USAGE,
        key=f"test:{customer.pk}:{key}",
        occurred_at=clock.now(),
    )


def again(row: AutoTopUp) -> AutoTopUp:
    """The row as it is now."""
    return AutoTopUp.objects.select_related("customer", "consent").get(pk=row.pk)


def balance(row: AutoTopUp) -> Money:
    """What its customer can spend."""
    return selectors.credit_balance(row.customer)


def spend_all(row: AutoTopUp, key: str = "all") -> None:
    """Use up what there is."""
    spend(row.customer, balance(row).amount_minor // UNIT, key)


def mails(row: AutoTopUp) -> list[tuple[str, Any]]:
    """What its owner was told, oldest first: kinds with reasons."""
    found = Email.objects.filter(customer=row.customer, kind__startswith="auto_top_up")
    return [(one.kind, one.context.get("reason")) for one in found.order_by("pk")]
