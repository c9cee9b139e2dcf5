"""What keys and sessions may do with the API."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.middleware import SESSION_KEY
from accounts.models import Customer, Membership
from accounts.services import api_keys
from tests.accounts.factories import (
    PersonClient,
    customer_of,
    join,
    make_person,
    make_staff,
    make_team,
    signed_in,
)
from tests.common import probe as probes

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.common.probe")]

READ = "/api/probe/limited"  # needs credits:read
ASK = "/api/probe/failing/x"  # a POST that needs credits:read only
PAY = "/api/probe/work"  # needs credits:purchase, which pays


@pytest.fixture(autouse=True)
def probe() -> probes.Probe:
    return probes.reset()


def program(customer: Customer, *scope_names: str, scheme: str = "Bearer") -> APIClient:
    new_key = api_keys.create(customer, created_by=None, name="job", scope_names=scope_names)
    return APIClient(headers={"Authorization": f"{scheme} {new_key.secret}"})


def code_of(response: Any) -> str:
    return str(response.json()["error"]["code"])


def test_a_key_opens_what_its_scopes_name_and_nothing_else() -> None:
    client = program(customer_of(make_person()), "credits:read")

    assert client.get(READ).status_code == 200
    refused = client.post(PAY, {}, format="json")
    assert (refused.status_code, code_of(refused)) == (403, "scope_missing")
    assert "credits:purchase" in refused.json()["error"]["message"]


def test_a_view_without_scopes_is_closed_to_keys_and_open_to_people() -> None:
    user = make_person()

    refused = program(customer_of(user), "credits:read").get("/api/probe/no-scopes")

    assert (refused.status_code, code_of(refused)) == (403, "scope_missing")
    assert signed_in(user).get("/api/probe/no-scopes").status_code == 200


def test_a_key_needs_no_csrf_token() -> None:
    new_key = api_keys.create(
        customer_of(make_person()), created_by=None, name="j", scope_names=["credits:purchase"]
    )
    strict = APIClient(enforce_csrf_checks=True)
    headers = {"Authorization": f"Bearer {new_key.secret}"}

    assert strict.post(PAY, {}, format="json", headers=headers).status_code == 201


def test_the_key_decides_even_in_a_browser_that_is_signed_in(browser: PersonClient) -> None:
    new_key = api_keys.create(
        customer_of(make_person()), created_by=None, name="j", scope_names=["credits:read"]
    )
    headers = {"Authorization": f"Bearer {new_key.secret}"}

    refused = browser.post(PAY, {}, format="json", headers=headers)

    assert code_of(refused) == "scope_missing"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer nonsense", "bearer bp_test_a_b"])
def test_a_wrong_key_is_401_with_a_challenge(header: str) -> None:
    response = APIClient().get(READ, headers={"Authorization": header})

    assert (response.status_code, code_of(response)) == (401, "api_key_invalid")
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("header", ["Basic YTpi", "Token abc", ""])
def test_other_schemes_are_nobody(header: str) -> None:
    response = APIClient().get(READ, headers={"Authorization": header})

    assert (response.status_code, code_of(response)) == (401, "not_authenticated")


def test_the_scheme_is_read_in_any_case() -> None:
    client = program(customer_of(make_person()), "credits:read", scheme="bearer")

    assert client.get(READ).status_code == 200


def test_a_revoked_key_is_401() -> None:
    customer = customer_of(make_person())
    client = program(customer, "credits:read")
    api_keys.revoke(customer.api_keys.get())

    assert code_of(client.get(READ)) == "api_key_invalid"


def test_staff_without_customer_cannot_use_the_customer_api() -> None:
    client = APIClient()
    client.force_login(make_staff(), backend="django.contrib.auth.backends.ModelBackend")

    response = client.get(READ)

    assert (response.status_code, code_of(response)) == (403, "no_customer")


@pytest.mark.parametrize(
    ("role", "status"),
    [(Membership.Role.OWNER, 201), (Membership.Role.BILLING, 201), (Membership.Role.MEMBER, 403)],
)
def test_a_role_that_may_not_pay_only_looks(role: Membership.Role, status: int) -> None:
    team = make_team(make_person())
    browser = signed_in(join(team, role))
    session = browser.session
    session[SESSION_KEY] = str(team.pk)
    session.save()

    asking = {"name": "a", "items": [{"amount": 1}]}
    assert browser.get(READ).status_code == 200
    assert browser.post(ASK, asking, format="json").status_code == 200
    assert browser.post(PAY, {}, format="json").status_code == status


def test_a_switched_off_user_is_nobody(browser: PersonClient) -> None:
    browser.user.is_active = False
    browser.user.save(update_fields=["is_active"])

    assert browser.get(READ).status_code == 401
