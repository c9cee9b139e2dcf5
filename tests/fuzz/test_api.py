"""Schemathesis reads what we say of the API and calls it in ways nobody would think of.

No answer is a 5xx that we did not announce, and each is what the document says of it: status,
type and body. As a person in a browser, as a program, as staff and as nobody; with ids that are
theirs, and with made-up ones; while the provider answers and while it does not.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import hypothesis
import pytest
import schemathesis
from django.conf import settings
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client, override_settings
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.accounts.factories import make_staff
from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.billing.staff import MODEL_BACKEND
from tests.factories import make_wallet
from tests.security import table
from tests.security.world import World, build

pytestmark = pytest.mark.django_db(transaction=True)

# Of each caller.
QUICK_CASES, ALL_CASES = 60, 500

load_all_checks()
JUDGED: list[Any] = [
    CHECKS.get_one(name)
    for name in (
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "missing_required_header",
    )
]


@dataclass
class Caller:
    """Who calls: the headers and cookies they bring."""

    name: str
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def rail() -> Iterator[FakeRenewingRail]:
    """The only provider, in this process."""
    with only_rail(FakeRenewingRail()) as fake:
        yield fake


@pytest.fixture
def world(rail: FakeRenewingRail) -> Iterator[World]:
    """Somebody with one of everything, and much to spend."""
    with override_settings(ALLOWED_HOSTS=["localhost"]):  # as Schemathesis calls us
        cache.clear()
        table.prepare()
        built = build()
        make_wallet(customer=built.customer, credits_minor=10**12)
        yield built
        cache.clear()


def nobody(world: World) -> Caller:
    return Caller("nobody")


def program(world: World) -> Caller:
    return Caller("program", {"Authorization": f"Bearer {world.secret}"})


def person(world: World) -> Caller:
    return _browser("person", world.user)


def staff(world: World) -> Caller:
    return _browser("staff", make_staff())


def _browser(name: str, user: Any) -> Caller:
    """Somebody signed in, with the token that changes need."""
    client = Client()
    client.force_login(user, backend=MODEL_BACKEND)
    token = _get_new_csrf_string()
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    cookies = {settings.SESSION_COOKIE_NAME: session, settings.CSRF_COOKIE_NAME: token}
    return Caller(name, {"X-CSRFToken": token}, cookies)


CALLERS = [nobody, program, person, staff]


@pytest.mark.parametrize("who", CALLERS)
def test_every_answer_is_as_the_document_says(
    world: World, rail: FakeRenewingRail, who: Callable[[World], Caller]
) -> None:
    problems = _call(world, rail, who(world), QUICK_CASES)

    assert not problems, "\n\n".join(problems)


@pytest.mark.prove
@pytest.mark.parametrize("who", CALLERS)
def test_every_answer_of_many_is_as_the_document_says(
    world: World, rail: FakeRenewingRail, who: Callable[[World], Caller]
) -> None:
    problems = _call(world, rail, who(world), ALL_CASES)

    assert not problems, "\n\n".join(problems)


def _call(world: World, rail: FakeRenewingRail, caller: Caller, wanted: int) -> list[str]:
    """Make that many calls, every operation in turn; what was wrong with them, each kind once."""
    application = get_wsgi_application()
    # Cases answer from inside this thread, on its connection.
    schema = schemathesis.openapi.from_wsgi("/api/schema?format=json", application)
    schema.config.generation.with_security_parameters = False  # callers bring their own
    operations = [cast("Any", result).ok() for result in schema.get_all_operations()]
    problems: dict[str, str] = {}
    count = 0
    for batch in range(1_000):  # an operation that takes nothing has few cases at a time
        for operation in operations:
            rest = max(1, (wanted - count) // len(operations) + 1)
            count += _try(operation, batch, rest, world, rail, caller, problems)
        if count >= wanted:
            return list(problems.values())
    raise AssertionError(f"{count} calls only")


def _try(
    operation: Any,
    batch: int,
    cases: int,
    world: World,
    rail: FakeRenewingRail,
    caller: Caller,
    problems: dict[str, str],
) -> int:
    """A batch of one operation; returns how many calls that was."""
    valid = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    calls = 0

    @seed(batch)
    @hypothesis.settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(valid, valid, wrong), dice=st.integers(0, 2**16))
    def run(case: Case[Any], dice: int) -> None:
        nonlocal calls
        calls += 1
        if case.meta and case.meta.generation.mode.is_positive:
            _lead(case, world, random.Random(dice))
        rail.down = dice % 8 == 0
        problem = _judge(case, caller)
        if problem:
            problems.setdefault(f"{operation.label}: {problem.splitlines()[0]}", problem)

    with suppress(hypothesis.errors.Unsatisfiable):  # nothing here that could be sent wrongly
        run()
    return calls


def _lead(case: Case[Any], world: World, dice: random.Random) -> None:
    """Half the time name things that are there: what is found is a longer way than what is not."""
    known = {
        "order_id": [world.open_order.pk, world.paid_order.pk, world.wallet_order.pk],
        "hold_id": [world.hold.pk, world.second_hold.pk],
        "invoice_id": [world.payment.invoice.pk],
    }
    if dice.random() < 0.5:
        for name in case.path_parameters or {}:
            if name in known:
                case.path_parameters[name] = str(dice.choice(known[name]))
    words = {
        "package": ["small", "large"], "plan": ["premium", "basic"], "interval": ["month", "year"],
        "rail": ["card"], "token": [world.quote.token], "return_url": ["/billing/"],
    }  # fmt: skip
    if isinstance(case.body, dict) and dice.random() < 0.5:
        for name in case.body:
            if name in words:
                case.body[name] = dice.choice(words[name])


def _judge(case: Case[Any], caller: Caller) -> str:
    """What is wrong with the answer; nothing when all is well."""
    cache.clear()  # rate limits have tests of their own
    try:
        response = case.call(headers=caller.headers, cookies=caller.cookies)
    except Exception as error:  # the application must answer whatever comes
        return f"no answer, but {type(error).__name__}: {error}\n{_said(case)}"
    if response.status_code == 500 or response.status_code > 503:
        return f"{response.status_code}\n{_said(case)}\n{response.text[:500]}"
    try:
        case.validate_response(response, checks=JUDGED)
    except (Exception, BaseExceptionGroup) as error:
        return f"{response.status_code}: {error}\n{_said(case)}"
    return ""


def _said(case: Case[Any]) -> str:
    return json.dumps(
        {"method": case.method, "path": case.formatted_path, "query": case.query,
         "headers": dict(case.headers or {}), "body": case.body}, default=str,
    )[:1500]  # fmt: skip
