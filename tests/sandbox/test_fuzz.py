"""Whatever is sent, the API answers in Stripe's way and never fails itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.stripe.api import ROUTES
from sandbox.stripe.routes import Route
from tests.sandbox.person import Person
from tests.sandbox.server import API_KEY, Sandbox

KNOWN_IDS = ["pack", "off", "evt_1", "acct_1SandboxPortal01"]
NASTY = [
    *("", "0", "-1", "true", "null", "NaN", "1e3", "9" * 19, "usd", "payment", "x" * 600),
    *("\0", "'; DROP TABLE objects; --", "$.customer", "%", "*", "[", "\U0001f4b8", "http://x/"),
]
VALUES = st.one_of(st.sampled_from(NASTY), st.text(max_size=20), st.integers().map(str))
SUFFIXES = st.sampled_from(["", "[]", "[0]", "[a]", "[0][price]", "[0][price_data][currency]"])


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, str, str]:
    route: Route = draw(st.sampled_from([route for _, route in ROUTES]))
    path = route.path.replace(":id", draw(st.sampled_from([*KNOWN_IDS, "none", "%00", "%f0"])))
    names = draw(st.lists(st.sampled_from(sorted(route.fields)), max_size=5))
    names += route.required if draw(st.booleans()) else ()
    pairs = [(name + draw(SUFFIXES), draw(VALUES)) for name in names]
    form = "&".join(
        f"{quote_plus(name)}={quote_plus(value, errors='replace')}" for name, value in pairs
    )
    return route.method, path, form


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(call=calls())
def test_no_request_makes_the_api_fail(sandbox: Sandbox, call: tuple[str, str, str]) -> None:
    method, path, form = call
    headers = {
        "Authorization": f"Bearer {API_KEY}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    url = path if method == "POST" else f"{path}?{form}"

    answer = sandbox.http.request(
        method, url, content=form if method == "POST" else None, headers=headers
    )

    assert answer.status_code in (200, 400, 402, 404), (call, answer.text)
    body: dict[str, Any] = answer.json()
    assert answer.status_code == 200 or body["error"]["message"]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    form=st.dictionaries(
        st.sampled_from(
            ["action", "email", "card_number", "expiry", "cvc", "name", "method", "quantity"]
        ),
        st.one_of(VALUES, st.sampled_from(["pay", "quantity", "apply", "remove", "bank_debit"])),
    )
)
def test_no_form_makes_the_page_fail(sandbox: Sandbox, form: dict[str, str]) -> None:
    session = sandbox.session(allow_promotion_codes=True)
    text = "&".join(f"{key}={quote_plus(value, errors='replace')}" for key, value in form.items())

    answer: httpx.Response = sandbox.http.post(
        f"/c/pay/{session.id}",
        content=text,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code in (303, 402, 422)


WORDS = ["pay", "pay-saved", "apply", "resume", "default", "remove", "details", "authorised"]
FIELDS = [
    *("action", "id", "email", "name", "phone", "city", "country", "feedback", "outcome", "step"),
    *("card_number", "expiry", "cvc", "method", "promotion_code", "quantity"),
]
FORMS = st.dictionaries(
    st.sampled_from(FIELDS),
    st.one_of(VALUES, st.sampled_from([*WORDS, "4242424242424242", "12/34", "123"])),
)
PLACES = st.sampled_from(["", "/cancel/none", "/payment-methods", "/challenge/none"])


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(form=FORMS, place=PLACES)
def test_no_form_makes_the_pages_of_plans_fail(
    sandbox: Sandbox, form: dict[str, str], place: str
) -> None:
    person = Person(sandbox)
    invoice = person.api.invoices.retrieve(str(person.plan().latest_invoice)).hosted_invoice_url
    setup: Any = {"mode": "setup", "currency": "usd", "success_url": "http://127.0.0.1:1/"}
    saving = sandbox.api().v1.checkout.sessions.create(params=setup)
    text = "&".join(f"{key}={quote_plus(value, errors='replace')}" for key, value in form.items())

    for url in (person.address + place, str(saving.url), str(invoice), f"{invoice}/challenge"):
        answer = sandbox.http.post(
            url, content=text, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code in (200, 303, 402, 404, 422), (url, answer.text)
