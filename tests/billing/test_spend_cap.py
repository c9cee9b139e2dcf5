"""The monthly spend cap: what counts, who sets it, what programs and owners are told of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Customer
from billing import catalogue, ledger, selectors, tasks
from billing.errors import SpendCapReached
from billing.models import Code, Email, LedgerAccount
from billing.money import CREDIT, USD, Money
from billing.rails.wallet import paying
from billing.rails.wallet.rail import WalletRail
from billing.services import holds, spend_caps
from common import clock
from common.errors import BillingError, InvalidInput
from tests.billing.callers import Bell, code_of, member_who_only_looks, program, send
from tests.billing.fakes import only_rail
from tests.billing.prepaid import BASIC, ONE, ordered
from tests.factories import NOW, make_customer, make_wallet

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/billing/spend-cap"
HOLDS = "/api/quota/holds"
CAP = Money(500 * ONE, CREDIT)
# Months of a customer of the factories begin on the 20th at noon.
RESETS_AT = datetime(2026, 12, 20, 12, 0, tzinfo=UTC)
MONTH = timedelta(days=31)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def wallet() -> LedgerAccount:
    """A customer's wallet with 100,000 credits."""
    return make_wallet(credits_minor=100_000 * ONE)


@pytest.fixture
def customer(wallet: LedgerAccount) -> Customer:
    """Its owner, with a cap of 500 credits."""
    assert wallet.owner is not None
    spend_caps.set_cap(wallet.owner, CAP, by=None)
    return wallet.owner


def spend(wallet: LedgerAccount, credits_minor: int, key: str, **terms: Any) -> None:
    told: dict[str, Any] = {"code": Code.USAGE, "occurred_at": clock.now()} | terms
    ledger.spend(wallet, credits_minor, key=key, **told)


def put(client: Any, body: Any) -> Any:
    return client.put(PATH, body, format="json")


# -- what counts ----------------------------------------------------------------------------------


def test_it_tells_cap_use_and_when_it_counts_anew_in_one_query(
    wallet: LedgerAccount, customer: Customer
) -> None:
    spend(wallet, 120 * ONE, "a")
    holds.reserve(customer, Money(30 * ONE, CREDIT))

    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = selectors.spend_cap(customer)

    assert len(queries) == 1
    assert (found.cap, found.used, found.held) == (
        CAP,
        Money(150 * ONE, CREDIT),
        Money(30 * ONE, CREDIT),
    )
    assert found.left == Money(350 * ONE, CREDIT)
    assert (found.starts_at, found.resets_at) == (NOW, RESETS_AT)
    assert (found.percent, found.is_reached) == (30, False)


def test_without_one_nothing_limits(wallet: LedgerAccount) -> None:
    assert wallet.owner is not None
    spend(wallet, 99_000 * ONE, "a")

    found = selectors.spend_cap(wallet.owner)

    assert (found.cap, found.left, found.is_reached) == (None, None, False)
    assert found.resets_at == RESETS_AT


def test_a_customer_without_a_wallet_has_none_and_may_set_one() -> None:
    customer = make_customer()

    assert selectors.spend_cap(customer).cap is None
    assert spend_caps.set_cap(customer, CAP, by=None).cap == CAP


def test_a_new_cap_counts_what_was_spent_since_the_month_began(wallet: LedgerAccount) -> None:
    assert wallet.owner is not None
    spend(wallet, 700 * ONE, "a")

    found = spend_caps.set_cap(wallet.owner, CAP, by=None)

    assert (found.used, found.left) == (Money(700 * ONE, CREDIT), Money(0, CREDIT))
    assert (found.is_reached, found.is_exceeded, found.percent) == (True, True, 100)


def test_the_next_month_begins_with_nothing_used(wallet: LedgerAccount, customer: Customer) -> None:
    spend(wallet, 500 * ONE, "a")

    with clock.frozen(RESETS_AT):
        found = selectors.spend_cap(customer)
        spend(wallet, 500 * ONE, "b")

    assert found.used == Money(0, CREDIT)
    assert found.resets_at == datetime(2027, 1, 20, 12, 0, tzinfo=UTC)


def test_lifting_it_lets_everything_through(wallet: LedgerAccount, customer: Customer) -> None:
    spend(wallet, 500 * ONE, "a")

    spend_caps.lift(customer, by=None)
    spend_caps.lift(customer, by=None)

    spend(wallet, 1_000 * ONE, "b")
    assert selectors.spend_cap(customer).cap is None


@pytest.mark.parametrize("minor", [-1, spend_caps.MAX_CAP.amount_minor + 1])
def test_no_cap_is_below_nothing_or_beyond_any_month(customer: Customer, minor: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        spend_caps.set_cap(customer, Money(minor, CREDIT), by=None)

    assert list(refused.value.fields) == ["amount_minor"]
    assert selectors.spend_cap(customer).cap == CAP


def test_a_cap_is_of_credits(customer: Customer) -> None:
    with pytest.raises(InvalidInput):
        spend_caps.set_cap(customer, Money(500, USD), by=None)


def test_its_worth_is_what_the_credits_cost() -> None:
    assert catalogue.current().worth(CAP) == Money(1_00, USD)
    assert catalogue.current().worth(Money(1_250_000, CREDIT)) == Money(0, USD)
    assert catalogue.current().worth(Money(12_500_000, CREDIT)) == Money(2, USD)


def test_months_are_told_whether_or_not_there_was_a_cap(wallet: LedgerAccount) -> None:
    assert wallet.owner is not None
    spend(wallet, 100 * ONE, "a", occurred_at=NOW - timedelta(seconds=1))
    spend(wallet, 20 * ONE, "b")
    spend(wallet, 7 * ONE, "c", code=Code.ADJUSTMENT)
    holds.reserve(wallet.owner, Money(30 * ONE, CREDIT))

    with CaptureQueriesContext(connection) as queries:
        months = selectors.spent_months(wallet.owner)

    assert len(queries) <= 2
    assert [month.spent.amount_minor // ONE for month in months] == [0, 0, 0, 0, 100, 20]
    assert (months[-1].starts_at, months[-1].ends_at) == (NOW, RESETS_AT)
    assert all(one.ends_at == two.starts_at for one, two in itertools.pairwise(months))


# -- over the API ---------------------------------------------------------------------------------


def test_a_program_sets_reads_and_lifts_it(wallet: LedgerAccount) -> None:
    assert wallet.owner is not None
    caller = program(wallet.owner, "credits:read", "spending:write")
    spend(wallet, 100 * ONE, "a")

    before = caller.get(PATH).json()
    set_to = put(caller, {"amount_minor": CAP.amount_minor})
    read = caller.get(PATH).json()
    lifted = put(caller, {"amount_minor": None})

    assert (before["cap"], before["used"], before["left"]) == (None, None, None)
    assert set_to.status_code == 200
    assert set_to.json() == read
    assert read["cap"] == {
        "amount_minor": CAP.amount_minor,
        "asset": "CREDIT",
        "display": "500 credits",
    }
    assert read["worth"]["display"] == "$1.00"
    assert read["used"]["amount_minor"] == 100 * ONE
    assert read["left"]["amount_minor"] == 400 * ONE
    assert (read["is_reached"], read["resets_at"]) == (False, "2026-12-20T12:00:00Z")
    assert (lifted.status_code, lifted.json()["cap"]) == (200, None)


def test_a_cap_below_what_is_used_is_taken_and_said_so(wallet: LedgerAccount) -> None:
    assert wallet.owner is not None
    spend(wallet, 100 * ONE, "a")

    answer = put(program(wallet.owner, "spending:write"), {"amount_minor": 40 * ONE})

    assert answer.status_code == 200
    assert answer.json()["is_reached"] is True
    assert answer.json()["left"]["amount_minor"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"amount_minor": -1},
        {"amount_minor": 10**15 + 1},
        {"amount_minor": 10**400},
        {"amount_minor": "500"},
        {"amount_minor": 1.5},
        {"amount_minor": True},
        {"amount_minor": [500]},
        {"amount_minor": 500, "currency": "USD"},
    ],
)
def test_bad_caps_are_refused_by_the_field_and_change_nothing(
    customer: Customer, body: dict[str, Any]
) -> None:
    answer = put(program(customer, "spending:write"), body)

    assert answer.status_code == 400
    assert set(answer.json()["error"]["fields"]) <= {"amount_minor", "currency"}
    assert selectors.spend_cap(customer).cap == CAP


def test_who_may_spend_may_not_lift_the_cap_by_that(customer: Customer) -> None:
    caller = program(customer, "quota:write", "credits:purchase", "credits:read")

    answer = put(caller, {"amount_minor": None})

    assert (answer.status_code, code_of(answer)) == (403, "scope_missing")
    assert selectors.spend_cap(customer).cap == CAP


def test_a_member_who_only_looks_sees_it_and_leaves_it() -> None:
    looking, team = member_who_only_looks()
    spend_caps.set_cap(team, CAP, by=None)

    assert looking.get(PATH).json()["cap"]["amount_minor"] == CAP.amount_minor
    assert code_of(put(looking, {"amount_minor": None})) == "role_insufficient"
    assert selectors.spend_cap(team).cap == CAP


def test_a_hold_beyond_it_is_402_and_names_cap_use_and_reset(
    wallet: LedgerAccount, customer: Customer
) -> None:
    spend(wallet, 480 * ONE, "a")

    answer = send(program(customer, "quota:write"), HOLDS, {"amount_minor": 30 * ONE})

    assert (answer.status_code, code_of(answer)) == (402, "spend_cap_reached")
    details = answer.json()["error"]["details"]
    assert details.pop("upgrade_url").endswith("/billing/upgrade?reason=spend_cap&need=10000000")
    assert details == {
        "limit": "spend_cap",
        "used": 480 * ONE,
        "allowed": 500 * ONE,
        "wanted": 30 * ONE,
        "asset": "CREDIT",
        "resets_at": "2026-12-20T12:00:00+00:00",
    }


def test_too_few_credits_and_debt_name_their_figures() -> None:
    wallet = make_wallet(credits_minor=10 * ONE)
    assert wallet.owner is not None
    caller = program(wallet.owner, "quota:write")

    short = send(caller, HOLDS, {"amount_minor": 30 * ONE}).json()["error"]
    ledger.claw_back(wallet, 25 * ONE, key="c", group="g", occurred_at=NOW)
    owing = send(caller, HOLDS, {"amount_minor": 1}).json()["error"]

    assert short["code"] == "insufficient_funds"
    assert short["details"]["allowed"] == 10 * ONE
    assert short["details"]["wanted"] == 30 * ONE
    assert owing["code"] == "in_debt"
    assert owing["details"]["used"] == 15 * ONE


# -- the month's e-mail ---------------------------------------------------------------------------


def letters(customer: Customer) -> list[Email]:
    found = Email.objects.filter(customer=customer, kind="spend_cap_reached")
    return list(found.order_by("context__until"))


def refused(customer: Customer, credits_minor: int) -> BillingError:
    with pytest.raises(BillingError) as told:
        holds.reserve(customer, Money(credits_minor, CREDIT))
    return told.value


def ring(bell: Bell) -> int:
    """Run what was rung for; how often."""
    found = [args for name, args in bell.rung() if name == spend_caps.TELL_TASK]
    for args in found:
        tasks.tell_spend_cap(*args)
    return len(found)


def test_a_refusal_is_told_of_once_a_month(
    wallet: LedgerAccount, customer: Customer, bell: Bell
) -> None:
    spend(wallet, 480 * ONE, "a")

    refused(customer, 30 * ONE)
    refused(customer, 30 * ONE)
    rung = ring(bell)
    tasks.tell_spend_caps()
    with clock.frozen(RESETS_AT + timedelta(days=1)):
        refused(customer, 501 * ONE)
        ring(bell)

    assert rung == 1
    first, second = letters(customer)
    assert first.context == {"cap_minor": 500 * ONE, "until": RESETS_AT.isoformat()}
    assert second.context["until"] == "2027-01-20T12:00:00+00:00"


def test_an_order_paid_from_credits_tells_it_too(
    wallet: LedgerAccount, customer: Customer, bell: Bell
) -> None:
    with only_rail(WalletRail()):
        order = ordered(customer)
        with pytest.raises(BillingError):
            paying.pay(customer, order.pk)

    assert CAP.amount_minor < BASIC
    assert ring(bell) == 1
    assert len(letters(customer)) == 1


def test_a_cap_that_is_used_up_is_told_of_though_nothing_was_refused(
    wallet: LedgerAccount, customer: Customer
) -> None:
    others = make_wallet(credits_minor=1_000 * ONE)
    assert others.owner is not None
    spend_caps.set_cap(others.owner, CAP, by=None)
    spend(others, 499 * ONE, "b")
    debit = ledger.Debit(wallet, 900 * ONE, Code.USAGE, "a", owed_on="debt")
    ledger.spend_many([debit], occurred_at=NOW)

    tasks.tell_spend_caps()
    tasks.tell_spend_caps()

    assert len(letters(customer)) == 1
    assert letters(others.owner) == []


def test_nothing_is_told_of_a_cap_that_was_lifted_or_a_month_that_is_over(
    wallet: LedgerAccount, customer: Customer
) -> None:
    spend(wallet, 500 * ONE, "a")

    assert not spend_caps.tell(customer.pk, NOW)
    spend_caps.lift(customer, by=None)
    assert not spend_caps.tell(customer.pk, RESETS_AT)
    tasks.tell_spend_caps()

    assert letters(customer) == []


def test_a_cap_of_nothing_is_no_news_each_month(customer: Customer, bell: Bell) -> None:
    spend_caps.set_cap(customer, Money(0, CREDIT), by=None)

    tasks.tell_spend_caps()
    assert letters(customer) == []

    refused(customer, 1)
    ring(bell)
    assert len(letters(customer)) == 1


def test_figures_of_any_size_and_moment_come_back_with_the_refusal() -> None:
    anchor_at = datetime(2026, 1, 31, 23, 59, 59, 120000, tzinfo=UTC)
    owner = make_customer(time_zone="Asia/Kathmandu", anchor_at=anchor_at)
    wallet = make_wallet(customer=owner, credits_minor=2**63 - 1)
    spend_caps.set_cap(owner, spend_caps.MAX_CAP, by=None)

    with pytest.raises(SpendCapReached) as told:
        spend(wallet, 2**63 - 1, "all")

    assert (told.value.wanted, told.value.used) == (2**63 - 1, 0)
    assert told.value.resets_at == selectors.spend_cap(owner).resets_at
