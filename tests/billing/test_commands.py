"""The commands: sync_catalogue, reconcile, seed_demo."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command
from django.test import Client, override_settings

from accounts.models import Customer, User
from accounts.selectors import personal_customer
from billing import selectors
from billing.models import Lot, Transfer
from billing.money import CREDIT, Money
from billing.services.rails import Finding, Repair
from common import clock
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import NOW

pytestmark = pytest.mark.django_db


class TellingRail(FakeRail):
    """A provider whose catalogue and books are what the test says."""

    changes: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.changes = []

    def sync_catalogue(self) -> list[str]:
        self._reach()
        changes, self.changes = self.changes, []
        return changes


@pytest.fixture
def rail() -> Iterator[TellingRail]:
    """The only rail there is."""
    fake = TellingRail()
    with only_rail(fake):
        yield fake


def said(*command: str) -> str:
    """What a command prints."""
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_sync_catalogue_says_what_it_changed_and_then_that_nothing_differs(
    rail: TellingRail,
) -> None:
    rail.changes = ["product credit_pack_small made", "price credit_pack_small_usd set to $5.00"]

    assert said("sync_catalogue").splitlines() == [
        "card: product credit_pack_small made",
        "card: price credit_pack_small_usd set to $5.00",
    ]
    assert said("sync_catalogue") == "card: up to date\n"


@pytest.mark.parametrize("command", ["sync_catalogue", "reconcile"])
def test_a_provider_that_cannot_be_reached_is_one_clear_line(
    rail: TellingRail, command: str
) -> None:
    rail.down = True

    with pytest.raises(CommandError) as refusal:
        said(command)

    assert str(refusal.value) == (
        "card: The payment provider cannot be reached at the moment. Please try again."
    )
    assert refusal.value.returncode == 1


def difference(rail: FakeRail, subject: str, *, is_safe: bool) -> Repair:
    """A payment that nobody told us of; repairing it ends the difference."""
    finding = Finding(
        "payment_missing", subject, "Nobody told us.", theirs="$5.00", is_safe=is_safe, remedy="Do."
    )
    made = Repair(finding, lambda: rail.differences.remove(made))
    rail.differences.append(made)
    return made


def test_reconcile_names_what_it_repaired(rail: TellingRail) -> None:
    difference(rail, "pi_1", is_safe=True)

    assert said("reconcile") == (
        "card: payment_missing pi_1: Nobody told us. theirs $5.00 (repaired)\n"
    )
    assert said("reconcile") == "card: nothing differs\n"


def test_reconcile_fails_when_something_is_left(rail: TellingRail) -> None:
    difference(rail, "pi_1", is_safe=True)
    difference(rail, "pi_2", is_safe=False)
    out = io.StringIO()

    with pytest.raises(CommandError, match=r"^card: 1 not repaired$"):
        call_command("reconcile", stdout=out)

    assert "payment_missing pi_2: Nobody told us. theirs $5.00 (NOT REPAIRED: " in out.getvalue()


def test_reconcile_can_only_name(rail: TellingRail) -> None:
    difference(rail, "pi_1", is_safe=True)

    with pytest.raises(CommandError, match=r"^card: 1 not repaired$"):
        said("reconcile", "--dry-run")

    assert len(rail.differences) == 1


def test_reconcile_says_when_nothing_differs(rail: TellingRail) -> None:
    assert said("reconcile") == "card: nothing differs\n"


@pytest.mark.parametrize(("options", "hours"), [([], 48), (["--hours", "6"], 6)])
def test_reconcile_looks_back_as_far_as_told(
    rail: TellingRail, options: list[str], hours: int
) -> None:
    with clock.frozen(NOW):
        said("reconcile", *options)

    assert rail.asked_for is not None
    assert rail.asked_for[0] == NOW - timedelta(hours=hours)


@pytest.mark.parametrize("hours", ["0", "-1", "many"])
def test_reconcile_refuses_hours_that_are_none(rail: TellingRail, hours: str) -> None:
    with pytest.raises(CommandError, match="is not a number of hours"):
        said("reconcile", f"--hours={hours}")


def test_seed_demo_makes_people_who_can_sign_in() -> None:
    lines = said("seed_demo").splitlines()

    assert [line.split()[:2] for line in lines] == [
        ["customer", "demo@example.com"],
        ["staff", "staff@example.com"],
    ]
    for line in lines:
        _, email, password = line.split()
        answer = Client().post("/accounts/login/", {"login": email, "password": password})
        assert answer.status_code == 302, email
        assert EmailAddress.objects.get(email=email).verified
    staff = User.objects.get(email="staff@example.com")
    assert (staff.is_superuser, staff.is_staff) == (True, True)


def test_seed_demo_welcomes_with_credits_that_were_not_bought() -> None:
    said("seed_demo")

    customer = personal_customer(User.objects.get(email="demo@example.com"))
    assert customer is not None
    assert selectors.credit_balance(customer) == Money(500_000_000, CREDIT)
    assert Lot.objects.get().promotional


def _count() -> tuple[int, ...]:
    counted: list[Callable[[], int]] = [
        User.objects.count,
        Customer.objects.count,
        EmailAddress.objects.count,
        Transfer.objects.count,
    ]
    return tuple(count() for count in counted)


def test_seed_demo_again_changes_nothing() -> None:
    first, before = said("seed_demo"), _count()

    again = said("seed_demo")

    assert again == first
    assert _count() == before == (2, 1, 2, 1)


def test_seed_demo_does_not_show_a_password_that_is_not_theirs_any_more() -> None:
    said("seed_demo")
    person = User.objects.get(email="demo@example.com")
    person.set_password("a secret of mine")
    person.save(update_fields=["password"])

    customer, _staff = said("seed_demo").splitlines()

    assert customer.endswith("(its password was changed)")
    person.refresh_from_db()
    assert person.check_password("a secret of mine")


def test_seed_demo_works_in_the_sandbox_only() -> None:
    with override_settings(SANDBOX=False), pytest.raises(CommandError, match="sandbox only"):
        said("seed_demo")

    assert not User.objects.exists()
