"""Every URL with the victim's ids, as everybody who might try.

First as the owner (and as staff), which proves that the ids are right and that the marks show;
then as those whom it is none of their business: they see no mark, and nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from django.test import override_settings
from django.urls import resolve
from rest_framework.test import APIClient

from accounts.middleware import SESSION_KEY
from accounts.models import User
from accounts.scopes import known
from accounts.services import api_keys
from tests.accounts.factories import PASSWORD, make_person, signed_in
from tests.billing.callers import text_of
from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.factories import make_wallet
from tests.security import fingerprint, table
from tests.security.table import For, Walked
from tests.security.world import EMAIL, World, build

pytestmark = pytest.mark.django_db(transaction=True)

BACKEND = "django.contrib.auth.backends.ModelBackend"
WRITES = ("post", "put", "patch", "delete")
GONE = frozenset({301, 302, 303, 400, 401, 403, 404, 405, 415})


@pytest.fixture(autouse=True)
def _unlimited() -> Iterator[None]:
    """The walk is faster than people; rate limits have tests of their own."""
    cache.clear()
    with override_settings(ACCOUNT_RATE_LIMITS=False):
        yield
    cache.clear()


@pytest.fixture
def world() -> Iterator[World]:
    """The victim, on a portal with one rail."""
    with only_rail(FakeRenewingRail()):
        table.prepare()
        yield build()


@dataclass
class Visit:
    """One request and what came of it."""

    what: str
    status: int
    text: str

    def marks(self, world: World, *, known_before: str) -> list[str]:
        """The victim's marks in the answer that the caller did not bring along."""
        marks = world.shown_to_staff.items()
        return [name for name, mark in marks if mark in self.text and mark not in known_before]


class Caller:
    """Somebody who walks."""

    # What they may see of the whole table.
    allowed: ClassVar[frozenset[For]] = frozenset({For.ANYBODY})

    def __init__(self, world: World) -> None:
        self.client = APIClient(raise_request_exception=False)
        self.enter(world)

    def enter(self, world: World) -> None:
        """Sign in, or not."""

    def visit(self, method: str, step: Walked) -> Visit:
        """Send one request, with a body where the method has one."""
        path = step.path
        if method in ("get", "head"):
            response = getattr(self.client, method)(f"{path}?{step.entry.query}")
        else:
            is_api = path.startswith("/api/")
            response = getattr(self.client, method)(
                path, dict(step.body or {}), format="json" if is_api else "multipart"
            )
        headers = "\n".join(f"{name}: {value}" for name, value in response.items())
        cookies = response.cookies.output()
        cache.clear()
        return Visit(
            f"{method.upper()} {path}",
            response.status_code,
            f"{headers}\n{cookies}\n{text_of(response)}",
        )


class Nobody(Caller):
    """Not signed in at all."""


class AnotherCustomer(Caller):
    """A person with a customer of their own, whose session names the victim's as well."""

    allowed = frozenset({For.ANYBODY, For.PERSON, For.CALLER})

    def enter(self, world: World) -> None:
        self.client = signed_in(make_person("another@example.com", name="Another"))
        make_wallet(customer=self.client.customer, credits_minor=1000)
        session = self.client.session
        session[SESSION_KEY] = str(world.customer.pk)
        session.save()


class AnotherProgram(Caller):
    """A program of another customer with every scope there is."""

    allowed = frozenset({For.ANYBODY, For.CALLER})

    def enter(self, world: World) -> None:
        customer = signed_in().customer
        make_wallet(customer=customer, credits_minor=1000)
        new_key = api_keys.create(
            customer, created_by=None, name="x", scope_names=[scope.name for scope in known()]
        )
        self.use(new_key.secret)

    def use(self, secret: str) -> None:
        """Show a key from now on; its first use is noted before the walk begins."""
        api_keys.authenticate(secret)
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")


class ProgramWithoutScopes(AnotherProgram):
    """A program of the victim's own whose key may do none of this."""

    allowed = frozenset({For.ANYBODY})

    def enter(self, world: World) -> None:
        new_key = api_keys.create(
            world.customer, created_by=None, name="y", scope_names=["usage:write"]
        )
        self.use(new_key.secret)


class ProgramWithRevokedKey(AnotherProgram):
    """A program of the victim's whose key was revoked."""

    allowed = frozenset({For.ANYBODY})

    def enter(self, world: World) -> None:
        new_key = api_keys.create(
            world.customer,
            created_by=None,
            name="z",
            scope_names=[scope.name for scope in known()],
        )
        self.use(new_key.secret)
        api_keys.revoke(new_key.api_key)


class StaffWithoutRights(Caller):
    """Staff who was given no permission on anything."""

    allowed = frozenset({For.ANYBODY, For.PERSON, For.STAFF})

    def enter(self, world: World) -> None:
        clerk = User.objects.create_user("clerk@example.com", PASSWORD, is_staff=True)
        EmailAddress.objects.create(user=clerk, email=clerk.email, primary=True, verified=True)
        self.client.force_login(clerk, backend=BACKEND)


class Owner(Caller):
    """The victim in their browser."""

    def enter(self, world: World) -> None:
        self.client.force_login(world.user, backend=BACKEND)


class OwnProgram(AnotherProgram):
    """The victim's program with every scope."""

    def enter(self, world: World) -> None:
        self.use(world.secret)


class Staff(Caller):
    """Staff with every right."""

    def enter(self, world: World) -> None:
        self.client.force_login(world.staff, backend=BACKEND)


# -- the table ------------------------------------------------------------------------------------


def test_no_url_can_be_forgotten() -> None:
    assert [route for route in table.routes() if table.entry_of(route) is None] == []
    assert table.forgotten_entries() == set()
    assert len(table.routes()) == len(set(table.routes()))


def test_each_path_leads_to_its_own_route(world: World) -> None:
    for step in table.walked(world):
        assert resolve(step.path).route.replace("^", "") == step.route.replace("^", ""), step.path


# -- who may --------------------------------------------------------------------------------------


def _owned(world: World, *audiences: For) -> list[Walked]:
    return [step for step in table.walked(world) if step.entry.whose in audiences]


def _works(visit: Visit, problems: list[str]) -> None:
    if not 200 <= visit.status < 400:
        problems.append(f"{visit.what}: {visit.status}")


def test_the_owner_reaches_what_is_theirs_and_sees_it(world: World) -> None:
    owner = Owner(world)
    steps = _owned(world, For.PERSON, For.CALLER)
    problems: list[str] = []
    seen: set[str] = set()

    for step in steps:
        if step.entry.reads:
            visit = owner.visit("get", step)
            _works(visit, problems)
            seen |= set(visit.marks(world, known_before=""))
    for step in steps:
        if step.body is not None:
            _works(owner.visit("post", step), problems)

    assert problems == []
    assert set(world.shown_to_the_owner) - seen == set()


def test_the_owners_program_reaches_what_is_theirs(world: World) -> None:
    program = OwnProgram(world)
    problems: list[str] = []

    for step in _owned(world, For.CALLER):
        if step.entry.reads:
            _works(program.visit("get", step), problems)
        if step.body is not None:
            _works(program.visit("post", step), problems)

    assert problems == []


def test_staff_reaches_every_page_of_the_admin(world: World) -> None:
    staff = Staff(world)
    problems: list[str] = []
    seen: set[str] = set()

    for step in _owned(world, For.STAFF):
        if step.entry.reads:
            visit = staff.visit("get", step)
            # Some models have no page for adding, changing or deleting: 403 for everybody.
            if visit.status != 403:
                _works(visit, problems)
            seen |= set(visit.marks(world, known_before=step.path))

    assert problems == []
    assert {"e-mail", "customer", "customer at Stripe", "payload of an event"} <= seen
    assert {"reason of a staff action", "reason of a refund", "paid total"} <= seen


# -- who may not ----------------------------------------------------------------------------------


OUTSIDERS: list[type[Caller]] = [
    Nobody,
    AnotherCustomer,
    AnotherProgram,
    ProgramWithoutScopes,
    ProgramWithRevokedKey,
    StaffWithoutRights,
]


@pytest.mark.parametrize("outsider", OUTSIDERS)
def test_an_outsider_sees_nothing_and_changes_nothing(
    world: World, outsider: Callable[[World], Caller]
) -> None:
    caller = outsider(world)
    problems: list[str] = []

    before = fingerprint.take()
    for step in table.walked(world):
        for method in _methods(step):
            problems += _judge(world, caller, step, caller.visit(method, step))
        if step.is_mirror:
            continue  # one of many alike: what they change shows at the next that is not
        after = fingerprint.take()
        problems += _changes(world, caller, step, before, after)
        before = after

    assert problems == []


def test_the_victim_is_no_staff(world: World) -> None:
    victim = Owner(world)
    problems: list[str] = []

    before = fingerprint.take()
    for step in _owned(world, For.STAFF):
        for method in _methods(step):
            visit = victim.visit(method, step)
            if visit.status not in GONE:
                problems.append(f"{visit.what}: {visit.status}")
    lost, new = fingerprint.changes(before, fingerprint.take())

    assert problems == []
    assert (lost, new) == ([], [])


def test_the_fingerprint_sees_a_single_bit(world: World) -> None:
    before = fingerprint.take()

    world.open_order.return_url = "/"
    world.open_order.save(update_fields=["return_url"])

    lost, new = fingerprint.changes(before, fingerprint.take())
    assert [(name, EMAIL in row) for name, row in lost + new] == [("billing_order", False)] * 2


def _methods(step: Walked) -> tuple[str, ...]:
    if step.entry.ends_session:
        return ("get",)
    if step.is_model_page:
        return ("get", "post")  # the admin guards its pages whatever the method
    return ("get", "head", *WRITES)


def _judge(world: World, caller: Caller, step: Walked, visit: Visit) -> list[str]:
    problems = []
    brought = f"{step.path}?{step.entry.query}" + _text(step.body)
    marks = visit.marks(world, known_before=brought)
    if marks:
        problems.append(f"{visit.what} shows {marks}")
    if visit.status >= 500:
        problems.append(f"{visit.what}: {visit.status}")
    if visit.status not in GONE and not _may(caller, step):
        problems.append(f"{visit.what}: {visit.status}")
    return problems


def _may(caller: Caller, step: Walked) -> bool:
    """Whether the caller gets an answer: what is open to them and not named by the victim's ids.

    Staff without rights gets pages of the admin too, empty of what they may not see.
    """
    whose = step.entry.whose
    is_own = "<" not in step.route or whose in (For.ANYBODY, For.STAFF)
    return whose in caller.allowed and is_own


def _changes(
    world: World,
    caller: Caller,
    step: Walked,
    before: fingerprint.Rows,
    after: fingerprint.Rows,
) -> list[str]:
    lost, new = fingerprint.changes(before, after)
    if step.entry.makes_own and step.entry.whose in caller.allowed:
        theirs = (str(world.customer.pk), str(world.user.pk))
        lost = [(name, row) for name, row in lost if _is_anybodys(row, theirs)]
        new = [(name, row) for name, row in new if _is_anybodys(row, theirs)]
    return [f"{step.path} changed {name}: {row[:200]}" for name, row in lost + new]


def _is_anybodys(row: str, owners: tuple[str, ...]) -> bool:
    return any(owner in row for owner in owners)


def _text(body: Mapping[str, Any] | None) -> str:
    return " ".join(str(value) for value in (body or {}).values())
