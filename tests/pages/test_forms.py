"""Every form of every page refuses bad input next to the field, and keeps what was typed.

Forms are found by reading the pages as a browser would. What is bad follows from what the page
itself says of a field: its type, its choices, its length, whether it is required.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client, override_settings

from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.pages import forms
from tests.pages.forms import CHOSEN, Control, Form, Reader
from tests.pages.visits import Address, Visitors, addresses
from tests.security import table
from tests.security.world import World, build

pytestmark = pytest.mark.django_db

LONG, NUL, EMOJI = "x" * 20_000, "a\0b", "🦄"
HUGE, NEGATIVE, HTML = "9" * 400, "-1", "<script>alert(1)</script>"
# The scheduler's tables bring their own forms, which fail on some of this; only staff sees them.
OTHER_PEOPLES = "admin/django_celery_beat/"
NO_CHOICE = "no-such-choice"
# Values that make a form whole, where the page leaves a field empty.
FILLED = {"email": "somebody@example.com", "number": "5", "password": "correct horse battery"}


@pytest.fixture
def world() -> Iterator[World]:
    """Somebody with one of everything, on a portal with one rail; no rate limits."""
    with only_rail(FakeRenewingRail()), override_settings(ACCOUNT_RATE_LIMITS=False):
        table.prepare()
        cache.clear()
        yield build()
        cache.clear()


@dataclass(frozen=True)
class Found:
    """A form, where it was found and who looks at it."""

    address: Address
    name: str
    client: Client
    form: Form


def test_every_form_refuses_bad_input_next_to_the_field(world: World) -> None:
    found = list(_forms(world, admin=False))

    problems = sorted({problem for one in found for problem in _try(one)})

    assert len({(one.form.action, *one.form.controls) for one in found}) > 15
    assert not problems, "\n".join(problems)


@pytest.mark.prove
def test_no_form_of_the_admin_fails_on_bad_input(world: World) -> None:
    found = list(_forms(world, admin=True))

    problems = sorted({problem for one in found for problem in _try(one)})

    assert len(found) > 15
    assert not problems, "\n".join(problems)


def _forms(world: World, *, admin: bool) -> Iterator[Found]:
    """Each form that changes something, once."""
    visitors = Visitors(world)
    seen = set()
    for address in addresses(world):
        if address.is_api or "logout" in address.route or address.is_admin != admin:
            continue
        if address.route.startswith(OTHER_PEOPLES):
            continue
        for name, client in visitors.of(address):
            response: Any = client.get(address.path)
            if not response.get("Content-Type", "").startswith("text/html"):
                continue
            for form in forms.read(address.path, response.content.decode()).forms:
                kind = (urlsplit(form.action).path, name, *sorted(form.controls))
                if form.method == "post" and kind not in seen:
                    seen.add(kind)
                    yield Found(address, name, client, form)


def _try(found: Found) -> Iterator[str]:
    """Every field with everything that is bad for it."""
    for control in found.form.typed():
        for what, value, must_refuse in _bad(control):
            answer = _post(found, control, value)
            where = f"{found.name} {found.form.action} {control.name}: {what}"
            yield from _judge(found, control, value, answer, where, must_refuse=must_refuse)


def _bad(control: Control) -> Iterator[tuple[str, list[str] | None, bool]]:
    """What to send instead, and whether it may never be taken."""
    if control.kind in CHOSEN:
        is_one = len(control.choices) == 1 and control.kind == "checkbox"
        for value in (NO_CHOICE, NUL, HUGE, HTML):
            yield value[:20], [value], not is_one
        if control.is_required and not (control.kind == "select" and "" not in control.choices):
            yield "missing", None, True
        return
    is_number = control.is_decimal or control.kind in ("date", "number")
    if control.is_required:
        yield "missing", None, True
        yield "empty", [""], True
        yield "blank", ["   "], control.kind != "password"
    is_shaped = is_number or control.kind == "email"
    too_long = control.max_length is not None and control.max_length < len(LONG)
    yield "too long", [LONG], is_shaped or too_long
    yield "NUL", [NUL], control.kind != "password"
    for what, value in (("emoji", EMOJI), ("HTML", HTML), ("huge", HUGE), ("negative", NEGATIVE)):
        yield what, [value], is_shaped or (too_long and len(value) > (control.max_length or 0))


def _post(found: Found, control: Control, value: list[str] | None) -> Any:
    """Send the form with one field spoilt; what it did is undone."""
    data = found.form.sent()
    for one in found.form.typed():
        if not any(data.get(one.name, [])) and one.kind not in CHOSEN:
            data[one.name] = [FILLED.get(one.kind, "5" if one.is_decimal else "words")]
    if value is None:
        data.pop(control.name, None)
    else:
        data[control.name] = value
    cookies: Any = found.client.cookies.copy()
    cache.clear()
    found.client.raise_request_exception = False
    try:
        with transaction.atomic():
            answer = found.client.post(found.form.action, data)
            transaction.set_rollback(True)
    finally:
        found.client.cookies = cookies
    return answer


def _judge(
    found: Found,
    control: Control,
    value: list[str] | None,
    answer: Any,
    where: str,
    *,
    must_refuse: bool,
) -> Iterator[str]:
    if answer.status_code >= 500:
        yield f"{where}: {answer.status_code}"
        return
    if found.address.is_admin or not must_refuse:
        return
    if answer.status_code in (301, 302, 303):
        yield f"{where}: taken, goes to {answer['Location'][:60]}"
        return
    page = forms.read(found.form.action, answer.content.decode())
    form = _same(page, found.form)
    if form is None:
        yield f"{where}: {answer.status_code} without the form"
        return
    shown = form.controls[control.name]
    if not _error_of(page, shown):
        yield f"{where}: {answer.status_code}, and no error next to the field"
    is_kept = control.kind not in ("password", *CHOSEN) and value not in (None, [NUL], ["   "])
    if is_kept and shown.values[:1] != value:
        yield f"{where}: what was typed is lost"


def _same(page: Reader, form: Form) -> Form | None:
    """The form on the page that comes back."""
    names = {one.name for one in form.typed()}
    same = (one for one in page.forms if names == {typed.name for typed in one.typed()})
    return next(same, None)


def _error_of(page: Reader, shown: Control) -> str:
    """The text that stands by the field and says what is wrong."""
    ids = [one for one in shown.described_by.split() if one.endswith("_error")]
    ids += [f"id_{shown.name}_error"]
    return " ".join(page.by_id.get(one, "").strip() for one in ids).strip()
