"""``request.customer`` and who may pass."""

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from accounts.http import SignedInRequest, customer_required, paying_role_required
from accounts.middleware import SESSION_KEY
from accounts.models import Membership
from billing_project.urls import urlpatterns as portal_urls
from tests.accounts.factories import (
    PersonClient,
    join,
    make_person,
    make_staff,
    make_team,
    signed_in,
)

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


@customer_required
def whoami(request: SignedInRequest) -> HttpResponse:
    role = request.membership.role
    return HttpResponse(f"{request.customer.pk} {request.customer.pk} {role}")


@paying_role_required
def pay(request: SignedInRequest) -> HttpResponse:
    return HttpResponse("paid")


urlpatterns = [path("plain", plain), path("whoami", whoami), path("pay", pay), *portal_urls]


def test_a_view_sees_whom_the_user_acts_for(browser: PersonClient) -> None:
    assert browser.get("/whoami").content.decode().split()[0] == str(browser.customer.pk)


def test_the_chosen_team_is_kept_in_the_session(browser: PersonClient) -> None:
    team = make_team(browser.user)
    session = browser.session
    session[SESSION_KEY] = str(team.pk)
    session.save()

    assert browser.get("/whoami").content.decode().split()[0] == str(team.pk)


@pytest.mark.parametrize("junk", ["", "x", None, 7, ["a"]])
def test_a_broken_choice_is_ignored(browser: PersonClient, junk: object) -> None:
    session = browser.session
    session[SESSION_KEY] = junk
    session.save()

    assert browser.get("/whoami").status_code == 200


def test_who_does_not_ask_for_the_customer_pays_no_query(browser: PersonClient) -> None:
    with CaptureQueriesContext(connection) as plainly:
        browser.get("/plain")
    with CaptureQueriesContext(connection) as asking:
        browser.get("/whoami")

    assert not [query for query in plainly if "accounts_membership" in query["sql"]]
    assert len([query for query in asking if "accounts_membership" in query["sql"]]) == 1


def test_the_signed_out_are_sent_to_log_in() -> None:
    response = Client().get("/whoami")

    assert response.status_code == 302
    assert response["Location"] == "/accounts/login/?next=/whoami"


def test_staff_without_customer_are_sent_to_the_admin() -> None:
    client = Client()
    client.force_login(make_staff(), backend="django.contrib.auth.backends.ModelBackend")

    assert client.get("/whoami")["Location"] == "/admin/"


def test_a_user_without_customer_reads_why() -> None:
    user = make_person()
    browser = signed_in(user)
    Membership.objects.filter(user=user).delete()

    response = browser.get("/whoami")

    assert response.status_code == 403
    assert "no customer" in response.content.decode()


def test_a_plain_member_may_look_and_not_pay() -> None:
    team = make_team(make_person())
    browser = signed_in(join(team, Membership.Role.MEMBER))
    session = browser.session
    session[SESSION_KEY] = str(team.pk)
    session.save()

    assert browser.get("/whoami").status_code == 200
    assert browser.get("/pay").status_code == 403


def test_an_owner_may_pay(browser: PersonClient) -> None:
    assert browser.get("/pay").content == b"paid"
