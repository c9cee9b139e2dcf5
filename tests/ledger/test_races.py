"""Many at once on one wallet: real threads on PostgreSQL, no unit too many and none too few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

import pytest

from billing import ledger
from billing.errors import HoldClosed, InDebt, InsufficientFunds, SpendCapReached
from billing.models import Hold, LedgerAccount, Lot, Transfer
from billing.money import USD
from billing.selectors import audit
from common.errors import BillingError
from tests.ledger.conftest import NOW, MakeWallet, buy
from tests.ledger.threads import Job, at_once, shared

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 20
DAY = timedelta(days=1)


def spend(wallet: LedgerAccount, units: int, key: str) -> Transfer:
    return ledger.spend(wallet, units, code="usage", key=key, occurred_at=NOW)


def reserve(wallet: LedgerAccount, units: int, key: str) -> Hold:
    return ledger.reserve(
        wallet, units, code="usage", key=key, deadline_at=NOW + DAY, occurred_at=NOW
    )


def counters(wallet: LedgerAccount) -> tuple[int | None, int | None]:
    wallet.refresh_from_db()
    return wallet.balance_minor, wallet.held_minor


def kinds(answers: Sequence[object]) -> Counter[str]:
    return Counter(type(answer).__name__ for answer in answers)


@pytest.fixture(autouse=True)
def _books_add_up() -> Iterator[None]:
    yield
    assert [str(difference) for difference in audit.differences(at=NOW)] == []


def test_200_holds_and_spends_at_once_never_overspend_by_one_unit(make_wallet: MakeWallet) -> None:
    wallet = make_wallet(1_000)
    buy(wallet, 3, key="a second lot", priority=-1)
    acts: list[Job] = [partial(spend, wallet, 7, f"s{n}") for n in range(100)]
    acts += [partial(reserve, wallet, 7, f"h{n}") for n in range(100)]

    answers = shared(100, acts)  # PostgreSQL is set up for 200 connections

    # 1,003 = 143 × 7 + 2: exactly 143 acts fit.
    assert kinds(answers) == {
        "InsufficientFunds": 57,
        "Transfer": sum(isinstance(answer, Transfer) for answer in answers),
        "Hold": sum(isinstance(answer, Hold) for answer in answers),
    }
    held = 7 * Hold.objects.count()
    assert counters(wallet) == (1_003 - 7 * Transfer.objects.filter(code="usage").count(), held)
    assert wallet.balance_minor == held + 2


def test_one_key_from_many_threads_moves_once(make_wallet: MakeWallet) -> None:
    wallet = make_wallet(100)

    answers = at_once([partial(spend, wallet, 60, "the same")] * THREADS)

    assert len({answer.pk for answer in answers if isinstance(answer, Transfer)}) == 1
    assert kinds(answers) == {"Transfer": THREADS}
    assert counters(wallet) == (40, 0)


def test_one_key_between_house_accounts_moves_once() -> None:
    clearing = ledger.system_account("clearing:card", USD)
    tax = ledger.system_account("tax", USD)
    leg = ledger.Leg(clearing, tax, 99, "tax", "the same")

    answers = at_once([partial(ledger.post, [leg], group="g", occurred_at=NOW)] * THREADS)

    assert kinds(answers) == {"list": THREADS}
    assert Transfer.objects.count() == 1


def test_one_key_for_two_wallets_moves_one_of_them(make_wallet: MakeWallet) -> None:
    wallets = [make_wallet(100) for _ in range(THREADS)]

    answers = at_once([partial(spend, wallet, 60, "the same") for wallet in wallets])

    assert kinds(answers) == {"Transfer": 1, "IdempotencyMismatch": THREADS - 1}


def test_a_cap_of_n_stops_at_n(make_wallet: MakeWallet) -> None:
    wallet = make_wallet(10_000)
    ledger.set_spend_cap(wallet, 500, anchor_at=NOW - DAY, zone="UTC", at=NOW)

    answers = shared(THREADS, [partial(spend, wallet, 7, f"s{n}") for n in range(100)])

    assert kinds(answers) == {"Transfer": 71, "SpendCapReached": 29}
    assert counters(wallet) == (10_000 - 71 * 7, 0)
    assert any(isinstance(answer, SpendCapReached) for answer in answers)


def test_capture_release_and_expiry_of_one_hold_end_in_one_state(make_wallet: MakeWallet) -> None:
    later = NOW + DAY
    for attempt in range(10):
        wallet = make_wallet(100)
        hold = reserve(wallet, 60, f"hold{attempt}")

        captured, released, expired = at_once(
            [
                partial(ledger.capture, hold, 50, key=f"capture{attempt}", occurred_at=later),
                partial(ledger.release, hold.pk, occurred_at=later),
                partial(ledger.expire_holds, occurred_at=later),
            ]
        )

        hold.refresh_from_db()
        if hold.state == "captured":
            assert isinstance(captured, Transfer)
            assert isinstance(released, HoldClosed)
            assert counters(wallet) == (50, 0)
        else:
            assert isinstance(captured, HoldClosed)
            assert isinstance(released, Hold)
            assert expired == (1 if hold.state == "expired" else 0)
            assert counters(wallet) == (100, 0)


def test_batches_in_opposite_orders_do_not_deadlock(make_wallet: MakeWallet) -> None:
    wallets = [make_wallet(40) for _ in range(12)]

    def batch(number: int) -> list[ledger.DebitResult]:
        order = wallets if number % 2 else wallets[::-1]
        owed_on = ["accrued", "debt"][number // 2 % 2]
        debits = [
            ledger.Debit(wallet, 5, "usage", f"b{number}:{wallet.pk}", owed_on=owed_on)
            for wallet in order
        ]
        return ledger.spend_many(debits, occurred_at=NOW)

    answers = at_once([partial(batch, number) for number in range(THREADS)])

    assert kinds(answers) == {"list": THREADS}
    covered = sum(
        result.covered_minor for answer in answers if isinstance(answer, list) for result in answer
    )
    assert covered == 12 * 40
    for wallet in wallets:
        assert counters(wallet) == (0, 0)


def test_settling_what_is_owed_meets_batches_without_deadlock(make_wallet: MakeWallet) -> None:
    wallets = [make_wallet() for _ in range(6)]
    owners = [wallet.owner for wallet in wallets]
    debits = [
        ledger.Debit(wallet, 500, "usage", f"first:{wallet.pk}", owed_on="accrued")
        for wallet in wallets
    ]
    ledger.spend_many(debits, occurred_at=NOW)
    invoiced = ledger.system_account("invoiced", wallets[0].unit)
    owed = [ledger.debt_account(owner, "accrued", wallets[0].unit) for owner in owners if owner]

    def owe(number: int) -> object:
        order = wallets if number % 4 < 2 else wallets[::-1]
        debits = [
            ledger.Debit(wallet, 5, "usage", f"b{number}:{wallet.pk}", owed_on="accrued")
            for wallet in order
        ]
        return ledger.spend_many(debits, occurred_at=NOW)

    def settle(number: int) -> object:
        order = owed if number % 4 < 2 else owed[::-1]
        legs = [
            ledger.Leg(invoiced, account, 5, "apply", f"p{number}:{account.pk}")
            for account in order
        ]
        return ledger.post(legs, group="g", occurred_at=NOW)

    answers = at_once([partial(owe if number % 2 else settle, number) for number in range(THREADS)])

    assert kinds(answers) == {"list": THREADS}
    for account in owed:
        account.refresh_from_db()
        assert account.balance_minor == -500


def test_a_purchase_pays_the_debt_before_anyone_spends_it(make_wallet: MakeWallet) -> None:
    for attempt in range(10):
        wallet = make_wallet()
        ledger.claw_back(wallet, 70, key=f"claw{attempt}", group="g", occurred_at=NOW)

        spent, _ = at_once(
            [
                partial(spend, wallet, 31, f"s{attempt}"),
                partial(buy, wallet, 100, key=f"p{attempt}"),
            ]
        )

        assert isinstance(spent, InDebt | InsufficientFunds)
        assert counters(wallet) == (30, 0)


def test_revenue_is_booked_while_units_are_spent(make_wallet: MakeWallet) -> None:
    wallet = make_wallet(1_000, cost=333)
    acts: list[Job] = [partial(spend, wallet, 7, f"s{n}") for n in range(60)]
    acts += [partial(ledger.recognise, occurred_at=NOW)] * 20

    answers = shared(THREADS, acts)
    ledger.recognise(occurred_at=NOW)

    assert not [answer for answer in answers if isinstance(answer, BillingError)]
    lot = Lot.objects.get()
    assert (lot.used_minor, lot.recognised_minor) == (420, 420 * 333 // 1_000)


def test_a_lot_on_its_last_day_is_reserved_or_expires(make_wallet: MakeWallet) -> None:
    for attempt in range(10):
        wallet = make_wallet(100, expires_at=NOW + DAY)
        key = f"h{attempt}"

        reserved, _ = at_once(
            [
                partial(reserve, wallet, 60, key),
                partial(ledger.expire, occurred_at=NOW + 2 * DAY),
            ]
        )

        if isinstance(reserved, Hold):
            ledger.expire(occurred_at=NOW + 2 * DAY)
            assert counters(wallet) == (60, 60)
        else:
            assert isinstance(reserved, InsufficientFunds)
            assert counters(wallet) == (0, 0)
