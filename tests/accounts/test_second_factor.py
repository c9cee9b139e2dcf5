"""The second factor: set-up, log-in with a code of the app or a recovery code, and its guards."""

import re
import time
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    SECRET_SESSION_KEY,
    format_hotp_value,
    hotp_value,
)
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client, override_settings

from accounts.models import User
from accounts.second_factor import SecondFactorAdapter
from tests.accounts.factories import PASSWORD, confirm, make_person, make_staff

pytestmark = pytest.mark.django_db(transaction=True)

ACTIVATE = "/accounts/2fa/totp/activate/"
CODES = "/accounts/2fa/recovery-codes/"
LOGIN = "/accounts/login/"
AUTHENTICATE = "/accounts/2fa/authenticate/"


def code_of(secret: str) -> str:
    """What an authenticator app shows now, and for some seconds more."""
    left = 30 - time.time() % 30
    if left < 5:
        time.sleep(left)
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))


def log_in(client: Client, user: User, **more: str) -> Any:
    return client.post(LOGIN, {"login": user.email, "password": PASSWORD} | more)


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def shown_secret(page: str) -> str:
    found = re.search(r'id="totp-key"[^>]* value="([A-Z2-7]+)"', page)
    assert found
    return found[1]


def set_up(user: User) -> tuple[str, list[str]]:
    """Switch the second factor on as a browser does; the app's key, and the recovery codes."""
    client = Client()
    log_in(client, user)
    confirm(client)
    secret = shown_secret(client.get(ACTIVATE).content.decode())
    answer = client.post(ACTIVATE, {"code": code_of(secret)})
    assert answer["Location"] == CODES, answer.content.decode()
    codes = re.findall(r">(\d{8})</li>", client.get(CODES).content.decode())
    cache.clear()  # a code is good once: the next log-in would have to wait for the next one
    return secret, codes


@pytest.fixture
def user() -> User:
    return make_person("ada@example.com")


@pytest.fixture
def protected(user: User) -> tuple[str, list[str]]:
    """The user's second factor is on."""
    return set_up(user)


class TestSettingUp:
    def test_it_asks_for_the_password_first(self, user: User) -> None:
        client = Client()
        log_in(client, user)

        answer = client.get(ACTIVATE)

        assert answer["Location"].startswith("/accounts/reauthenticate/")

    def test_a_right_code_switches_it_on_and_gives_ten_recovery_codes(
        self, user: User, protected: tuple[str, list[str]]
    ) -> None:
        types = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))

        assert types == {"totp", "recovery_codes"}
        assert len(set(protected[1])) == 10

    def test_a_wrong_code_switches_nothing_on(self, user: User) -> None:
        client = Client()
        log_in(client, user)
        confirm(client)
        client.get(ACTIVATE)

        page = client.post(ACTIVATE, {"code": "000000"}).content.decode()

        assert "field-error" in page
        assert not Authenticator.objects.exists()

    def test_after_a_wrong_code_the_same_key_is_shown(self, user: User) -> None:
        client = Client()
        log_in(client, user)
        confirm(client)
        before = shown_secret(client.get(ACTIVATE).content.decode())

        after = shown_secret(client.post(ACTIVATE, {"code": "000000"}).content.decode())

        assert before == after
        assert client.post(ACTIVATE, {"code": code_of(after)})["Location"] == CODES

    def test_nothing_of_it_is_stored_in_the_clear(
        self, user: User, protected: tuple[str, list[str]]
    ) -> None:
        secret, codes = protected
        stored = str(list(Authenticator.objects.values()))
        sessions = str([session.get_decoded() for session in Session.objects.all()])

        for text in (secret, *codes):
            assert text not in stored
            assert text not in sessions

    def test_the_key_waits_in_the_session_encrypted(self, user: User) -> None:
        client = Client()
        log_in(client, user)
        confirm(client)
        secret = shown_secret(client.get(ACTIVATE).content.decode())

        waiting = client.session[SECRET_SESSION_KEY]

        assert secret not in waiting
        assert SecondFactorAdapter().decrypt(waiting) == secret

    def test_who_has_not_confirmed_an_address_cannot(self) -> None:
        client = Client()
        user = make_person(verified=False)
        log_in(client, user)
        confirm(client)

        assert client.get(ACTIVATE)["Location"] == "/accounts/2fa/"

    def test_there_are_no_keys_or_passkeys_half_built(self, user: User) -> None:
        assert Client().get("/accounts/2fa/webauthn/").status_code == 404


class TestLoggingIn:
    def test_the_password_alone_does_not_let_in(
        self, user: User, protected: tuple[str, list[str]]
    ) -> None:
        client = Client()

        answer = log_in(client, user)

        assert answer["Location"] == AUTHENTICATE
        assert not is_signed_in(client)
        assert client.get("/billing/")["Location"].startswith(LOGIN)

    def test_a_code_of_the_app_lets_in(self, user: User, protected: tuple[str, list[str]]) -> None:
        client = Client()
        log_in(client, user)

        client.post(AUTHENTICATE, {"code": code_of(protected[0])})

        assert is_signed_in(client)

    def test_a_code_of_the_app_works_once(
        self, user: User, protected: tuple[str, list[str]]
    ) -> None:
        first, second = Client(), Client()
        code = code_of(protected[0])
        for client in (first, second):
            log_in(client, user)
            client.post(AUTHENTICATE, {"code": code})

        assert is_signed_in(first)
        assert not is_signed_in(second)

    def test_a_recovery_code_lets_in_once(
        self, user: User, protected: tuple[str, list[str]]
    ) -> None:
        first, second = Client(), Client()
        for client in (first, second):
            log_in(client, user)
            client.post(AUTHENTICATE, {"code": protected[1][3]})

        assert is_signed_in(first)
        assert not is_signed_in(second)
        assert "9 recovery codes are left" in first.get("/settings/security").content.decode()

    def test_guessing_is_slowed_down(self, user: User, protected: tuple[str, list[str]]) -> None:
        client = Client()
        log_in(client, user)
        for number in range(12):
            client.post(AUTHENTICATE, {"code": f"{number:06}"})

        page = client.post(AUTHENTICATE, {"code": code_of(protected[0])})

        assert not is_signed_in(client)
        assert page.status_code in (200, 429)

    def test_it_goes_on_to_where_one_wanted(
        self, user: User, protected: tuple[str, list[str]]
    ) -> None:
        client = Client()
        log_in(client, user, next="/settings/team")

        answer = client.post(AUTHENTICATE, {"code": code_of(protected[0])})

        assert answer["Location"] == "/settings/team"

    def test_a_new_password_does_not_go_around_it(
        self, user: User, protected: tuple[str, list[str]]
    ) -> None:
        user.set_password("another battery staple")
        user.save(update_fields=["password"])
        client = Client()

        client.post(LOGIN, {"login": user.email, "password": "another battery staple"})

        assert not is_signed_in(client)


class TestStaff:
    def test_the_admin_does_not_go_around_it(self) -> None:
        staff = make_staff()
        EmailAddress.objects.create(user=staff, email=staff.email, primary=True, verified=True)
        secret, _codes = set_up(staff)
        client = Client()

        direct = client.post("/admin/login/", {"username": staff.email, "password": PASSWORD})
        opened = client.get("/admin/")
        log_in(client, staff, next="/admin/")
        halfway = client.get("/admin/", follow=True)
        answer = client.post(AUTHENTICATE, {"code": code_of(secret)})

        assert direct["Location"].startswith(LOGIN)
        assert opened["Location"].startswith("/admin/login/")
        assert "Site administration" not in halfway.content.decode()
        assert answer["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200

    def test_staff_take_it_from_who_lost_everything(
        self, user: User, protected: tuple[str, list[str]]
    ) -> None:
        staff = Client()
        staff.force_login(make_staff(), backend="django.contrib.auth.backends.ModelBackend")
        form = {"action": "remove_second_factor", "_selected_action": [str(user.pk)]}

        staff.post("/admin/accounts/user/", form)

        assert not Authenticator.objects.filter(user=user).exists()
        assert not UserSession.objects.filter(user=user).exists()
        assert LogEntry.objects.get().get_change_message() == "Removed the second factor."

    @pytest.mark.parametrize("path", ["mfa/authenticator/", "usersessions/usersession/"])
    def test_secrets_have_no_page_there(self, path: str) -> None:
        staff = Client()
        staff.force_login(make_staff(), backend="django.contrib.auth.backends.ModelBackend")

        assert staff.get(f"/admin/{path}").status_code == 404


class TestSwitchingOff:
    def test_it_ends_the_recovery_codes_too(
        self, user: User, protected: tuple[str, list[str]]
    ) -> None:
        client = Client()
        log_in(client, user)
        client.post(AUTHENTICATE, {"code": code_of(protected[0])})
        confirm(client)

        client.post("/accounts/2fa/totp/deactivate/")

        assert not Authenticator.objects.exists()


class TestTheKey:
    def test_what_a_former_secret_encrypted_is_still_read(self) -> None:
        adapter = SecondFactorAdapter()
        with override_settings(SECRET_KEY="former" * 10):
            box = adapter.encrypt("JBSWY3DPEHPK3PXP")

        with override_settings(SECRET_KEY_FALLBACKS=["former" * 10]):
            assert adapter.decrypt(box) == "JBSWY3DPEHPK3PXP"


class TestSessions:
    def test_others_can_be_ended(self, user: User) -> None:
        here, there = Client(), Client()
        for client in (here, there):
            log_in(client, user)

        page = here.get("/accounts/sessions/").content.decode()
        here.post("/accounts/sessions/")

        assert "End all other sessions" in page
        assert here.get("/settings/security").status_code == 200
        assert there.get("/settings/security")["Location"].startswith(LOGIN)

    def test_nobody_sees_or_ends_anothers(self, user: User) -> None:
        theirs, mine = Client(headers={"user-agent": "theirs"}), Client()
        log_in(theirs, make_person())
        log_in(mine, user)

        page = mine.get("/accounts/sessions/").content.decode()
        mine.post("/accounts/sessions/")

        assert "theirs" not in page
        assert theirs.get("/settings/security").status_code == 200
