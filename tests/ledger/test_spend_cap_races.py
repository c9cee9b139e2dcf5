"""A spend cap of N stops at N: a hundred at once on connections of their own, to the unit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from billing import ledger
from billing.errors import SpendCapReached
from billing.models import Hold, HoldState, LedgerAccount, SpendCapPeriod, Transfer
from billing.selectors import audit
from tests.ledger.conftest import NOW, MakeWallet
from tests.ledger.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 100
CAP = 1_000
DAY = timedelta(days=1)
ANCHOR = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
NEXT_MONTH = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)

# Spends some units under a key at a moment; how many the cap let through.
Act = Callable[[LedgerAccount, int, str, datetime], int]


@pytest.fixture(autouse=True)
def _books_add_up() -> Iterator[None]:
    yield
    assert [str(difference) for difference in audit.differences(at=NEXT_MONTH)] == []


def spend(wallet: LedgerAccount, units: int, key: str, at: datetime) -> int:
    ledger.spend(wallet, units, code="usage", key=key, occurred_at=at)
    return units


def reserve(wallet: LedgerAccount, units: int, key: str, at: datetime) -> Hold:
    return ledger.reserve(
        wallet, units, code="usage", key=key, deadline_at=at + DAY, occurred_at=at
    )


def capture(wallet: LedgerAccount, units: int, key: str, at: datetime) -> int:
    """Hold twice as much, take half: what comes back is room for others."""
    hold = reserve(wallet, 2 * units, key, at)
    ledger.capture(hold, units, key=f"{key}:capture", occurred_at=at)
    return units


def release(wallet: LedgerAccount, units: int, key: str, at: datetime) -> int:
    ledger.release(reserve(wallet, units, key, at).pk, occurred_at=at)
    return 0


def batch(wallet: LedgerAccount, units: int, key: str, at: datetime) -> int:
    """As many debits of one unit, in one transaction: each is posted or short."""
    debits = [ledger.Debit(wallet, 1, "usage", f"{key}:{place}") for place in range(units)]
    return sum(one.covered_minor for one in ledger.spend_many(debits, occurred_at=at))


def forced(wallet: LedgerAccount, units: int, key: str, at: datetime) -> int:
    """Usage that happened already."""
    debit = ledger.Debit(wallet, units, "usage", key, owed_on="debt")
    (result,) = ledger.spend_many([debit], occurred_at=at)
    return result.covered_minor + result.owed_minor


ACTS: Sequence[Act] = (spend, capture, release, batch)


def worker(
    wallet: LedgerAccount, name: str, acts: Sequence[Act], moments: Sequence[datetime]
) -> int:
    """Act after act of one customer's program, in an order of its own; how much was spent."""
    dice = random.Random(name)
    spent = 0
    for number in range(12):
        act, at = dice.choice(acts), dice.choice(moments)
        with suppress(SpendCapReached):
            spent += act(wallet, dice.randint(1, 9), f"{name}:{number}", at)
    return spent


def race(
    wallet: LedgerAccount, *, acts: Sequence[Act] = ACTS, moments: Sequence[datetime] = (NOW,)
) -> int:
    """A hundred workers at once; how much they spent together."""
    jobs = [partial(worker, wallet, f"w{n}", acts, moments) for n in range(THREADS)]
    spent = at_once(jobs)
    assert all(isinstance(one, int) for one in spent)
    return sum(spent)


def fill(wallet: LedgerAccount, at: datetime, key: str) -> int:
    """Spend unit by unit until the cap says no; how many there were left."""
    left = 0
    while True:
        (answer,) = at_once([partial(spend, wallet, 1, f"{key}:{left}", at)])
        if isinstance(answer, SpendCapReached):
            assert (answer.used, answer.allowed, answer.wanted) == (CAP, CAP, 1)
            return left
        left += 1


def capped(make_wallet: MakeWallet, units: int = 100_000) -> LedgerAccount:
    wallet = make_wallet(units)
    ledger.set_spend_cap(wallet, CAP, anchor_at=ANCHOR, zone="Europe/Berlin", at=NOW)
    return wallet


def counted(wallet: LedgerAccount) -> list[tuple[datetime, int]]:
    periods = SpendCapPeriod.objects.filter(account=wallet).order_by("starts_at")
    return list(periods.values_list("starts_at", "used_minor"))


def booked(wallet: LedgerAccount) -> int:
    return sum(Transfer.objects.filter(source=wallet).values_list("amount_minor", flat=True))


def test_a_hundred_spends_of_one_unit_each_stop_at_the_cap(make_wallet: MakeWallet) -> None:
    wallet = make_wallet(100_000)
    ledger.set_spend_cap(wallet, 60, anchor_at=ANCHOR, zone="UTC", at=NOW)

    answers = at_once([partial(spend, wallet, 1, f"s{n}", NOW) for n in range(THREADS)])

    assert answers.count(1) == 60
    assert sum(isinstance(answer, SpendCapReached) for answer in answers) == 40
    assert booked(wallet) == 60


def test_spends_holds_and_batches_together_stop_at_the_cap(make_wallet: MakeWallet) -> None:
    wallet = capped(make_wallet)

    spent = race(wallet)

    # More was asked for than the cap, and nothing is held any more: what is left is to the unit.
    assert booked(wallet) == spent <= CAP
    assert fill(wallet, NOW, "rest") == CAP - spent
    assert booked(wallet) == CAP
    assert [used for _, used in counted(wallet)] == [CAP]
    wallet.refresh_from_db()
    assert (wallet.balance_minor, wallet.held_minor) == (100_000 - CAP, 0)


def test_without_releases_they_leave_not_one_unit(make_wallet: MakeWallet) -> None:
    wallet = capped(make_wallet)

    assert race(wallet, acts=(spend, batch)) == CAP == booked(wallet)
    assert fill(wallet, NOW, "rest") == 0


def test_each_month_stops_at_its_own_cap(make_wallet: MakeWallet) -> None:
    wallet = capped(make_wallet)
    last = NEXT_MONTH - timedelta(microseconds=1)

    spent = race(wallet, moments=(last, NEXT_MONTH))
    before, after = fill(wallet, last, "last"), fill(wallet, NEXT_MONTH, "first")

    assert spent + before + after == 2 * CAP == booked(wallet)
    assert counted(wallet) == [(datetime(2026, 2, 15, 9, 0, tzinfo=UTC), CAP), (NEXT_MONTH, CAP)]


def test_holds_count_until_they_are_released_and_then_give_room_back(
    make_wallet: MakeWallet,
) -> None:
    wallet = capped(make_wallet)

    answers = at_once([partial(reserve, wallet, 30, f"h{n}", NOW) for n in range(THREADS)])
    holds = [answer for answer in answers if isinstance(answer, Hold)]
    assert len(holds) == CAP // 30
    assert [used for _, used in counted(wallet)] == [990]

    at_once([partial(ledger.release, hold.pk, occurred_at=NOW) for hold in holds])
    assert [used for _, used in counted(wallet)] == [0]
    assert Hold.objects.filter(state=HoldState.RELEASED).count() == len(holds)
    assert fill(wallet, NOW, "again") == CAP


def test_usage_that_happened_counts_and_is_never_refused(make_wallet: MakeWallet) -> None:
    wallet = capped(make_wallet)
    jobs = [partial(forced, wallet, 7, f"f{n}", NOW) for n in range(20)]
    jobs += [partial(worker, wallet, f"w{n}", (spend, batch), (NOW,)) for n in range(80)]

    answers = at_once(jobs)

    happened, asked = sum(answers[:20]), sum(answers[20:])
    assert happened == 140
    # Those who asked got no unit beyond the cap, whatever else was counted.
    assert asked <= CAP
    assert happened + asked == booked(wallet) >= CAP
    assert [used for _, used in counted(wallet)] == [happened + asked]
    assert isinstance(at_once([partial(spend, wallet, 1, "one more", NOW)])[0], SpendCapReached)


def test_usage_beyond_the_balance_counts_with_what_is_owed(make_wallet: MakeWallet) -> None:
    wallet = capped(make_wallet, units=300)

    answers = at_once([partial(forced, wallet, 20, f"f{n}", NOW) for n in range(THREADS)])

    assert sum(answers) == 2_000
    assert booked(wallet) == 300
    assert [used for _, used in counted(wallet)] == [2_000]
