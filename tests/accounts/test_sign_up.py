"""Signing up, confirming, logging in and out, resetting: as a browser does it."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings

from accounts.models import Customer, User
from tests.accounts.factories import (
    PASSWORD,
    PersonClient,
    confirm,
    customer_of,
    make_person,
    make_staff,
)

SIGNUP = "/accounts/signup/"
LOGIN = "/accounts/login/"
RESET = "/accounts/password/reset/"
mandatory = override_settings(ACCOUNT_EMAIL_VERIFICATION="mandatory")


def sign_up(client: Client, email: str = "ada@example.com", **changes: str) -> Any:
    form = {"email": email, "password1": PASSWORD, "password2": PASSWORD, "name": "Ada"}
    return client.post(SIGNUP, form | changes)


def log_in(client: Client, email: str = "ada@example.com", password: str = PASSWORD) -> Any:
    return client.post(LOGIN, {"login": email, "password": password})


def link_in(message: mail.EmailMessage) -> str:
    """The path of the only link in a message."""
    found = re.findall(r"http://[^/\s]+(/accounts/\S+)", str(message.body))
    assert len(found) == 1
    return str(found[0])


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


@pytest.mark.django_db(transaction=True)
class TestSignUp:
    def test_it_makes_a_user_with_a_customer(self) -> None:
        client = Client()

        response = sign_up(client, "Ada@Example.com")

        user = User.objects.get()
        customer = customer_of(user)
        assert response.status_code == 302
        assert is_signed_in(client)
        assert (user.email, user.name) == ("ada@example.com", "Ada")
        assert user.check_password(PASSWORD)
        assert not user.is_staff
        assert (customer.email, customer.name) == ("ada@example.com", "Ada")

    @mandatory
    def test_where_confirmation_is_mandatory_nobody_is_let_in_before_it(self) -> None:
        client = Client()

        page = client.get(sign_up(client)["Location"])

        assert "We sent you a message" in page.content.decode()
        assert not is_signed_in(client)
        log_in(client)
        assert not is_signed_in(client)

    @mandatory
    def test_the_link_in_the_message_confirms(self) -> None:
        client = Client()
        sign_up(client)
        link = link_in(mail.outbox[0])

        asked = client.get(link).content.decode()
        unconfirmed = EmailAddress.objects.get().verified
        client.post(link)
        log_in(client)

        assert "ada@example.com" in asked
        assert not unconfirmed
        assert EmailAddress.objects.get().verified
        assert is_signed_in(client)

    def test_a_forged_link_confirms_nothing(self) -> None:
        client = Client()
        sign_up(client)

        page = client.get("/accounts/confirm-email/forged:link/")

        assert "too old" in page.content.decode()
        assert not EmailAddress.objects.get().verified

    @mandatory
    @pytest.mark.parametrize("spelling", ["ada@example.com", "ADA@example.com"])
    def test_a_taken_address_looks_like_a_free_one(self, spelling: str) -> None:
        make_person("ada@example.com")

        taken = sign_up(Client(), spelling, name="Mallory")
        free = sign_up(Client(), "bob@example.com")

        assert (taken.status_code, taken["Location"]) == (free.status_code, free["Location"])
        assert User.objects.count() == Customer.objects.count() == 2
        assert not User.objects.filter(name="Mallory").exists()
        assert "already" in str(mail.outbox[0].body)

    @pytest.mark.parametrize(
        "changes",
        [
            {"email": ""},
            {"email": "nonsense"},
            {"email": "a\0@example.com"},
            {"email": "a" * 250 + "@example.com"},
            {"password1": "short", "password2": "short"},
            {"password1": "password123", "password2": "password123"},
            {"password1": "ada@example.com", "password2": "ada@example.com"},
            {"password2": "something else"},
            {"name": "x" * 151},
            {"name": "a\0b"},
        ],
    )
    def test_nonsense_makes_nobody(self, changes: dict[str, str]) -> None:
        page = sign_up(Client(), **({"email": "ada@example.com"} | changes))

        assert page.status_code == 200
        assert "field-error" in page.content.decode()
        assert not User.objects.exists()
        assert not Customer.objects.exists()

    def test_nobody_makes_themselves_staff(self) -> None:
        sign_up(Client(), is_staff="on", is_superuser="on", is_active="")

        user = User.objects.get()
        assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)

    def test_a_redirect_to_a_stranger_is_not_followed(self) -> None:
        for target in ("https://evil.example.com/", "//evil.example.com", "javascript:alert(1)"):
            client = Client()
            response = sign_up(client, f"a{len(target)}@example.com", next=target)

            assert "evil" not in response["Location"]
            assert "javascript" not in response["Location"]


@pytest.mark.django_db
def test_a_failure_half_way_leaves_nobody() -> None:
    # The far side of the transaction: the last row that sign-up writes cannot be written.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_membership ADD CONSTRAINT no CHECK (false)")
    client = Client(raise_request_exception=False)

    response = sign_up(client)

    assert response.status_code == 500
    assert not User.objects.exists()
    assert not Customer.objects.exists()
    assert not EmailAddress.objects.exists()


@mandatory
@pytest.mark.django_db(transaction=True)
def test_of_many_sign_ups_for_one_address_one_wins_and_nobody_crashes() -> None:
    barrier = Barrier(4)

    def try_it(number: int) -> Any:
        client = Client(REMOTE_ADDR=f"10.0.0.{number}")
        barrier.wait(10)
        try:
            return sign_up(client)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = [future.result(30) for future in [pool.submit(try_it, n) for n in range(4)]]

    assert {(answer.status_code, answer["Location"]) for answer in answers} == {
        (302, "/accounts/confirm-email/")
    }
    assert User.objects.count() == Customer.objects.count() == EmailAddress.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestLogIn:
    def test_the_address_is_taken_in_any_case(self) -> None:
        make_person("ada@example.com")
        client = Client()

        response = log_in(client, "ADA@Example.com")

        assert response["Location"] == "/billing/"
        assert is_signed_in(client)

    def test_staff_without_customer_go_to_the_admin(self) -> None:
        staff = make_staff()
        EmailAddress.objects.create(user=staff, email=staff.email, verified=True, primary=True)

        assert log_in(Client(), staff.email)["Location"] == "/admin/"

    def test_the_admin_sends_to_the_same_log_in(self) -> None:
        response = Client().get("/admin/", follow=True)

        assert response.redirect_chain[-1][0].startswith(LOGIN)

    def test_an_ordinary_user_is_not_let_into_the_admin(self, browser: PersonClient) -> None:
        response = browser.get("/admin/", follow=True)

        assert response.status_code == 403

    def test_wrong_passwords_and_unknown_people_look_the_same(self) -> None:
        make_person("ada@example.com")
        switched_off = make_person("bob@example.com")
        User.objects.filter(pk=switched_off.pk).update(is_active=False)

        pages = [
            log_in(Client(), email, "wrong").content.decode()
            for email in ("ada@example.com", "nobody@example.com", "bob@example.com")
        ]

        errors = {tuple(re.findall(r"note-bad.*?</div>", page, re.DOTALL)) for page in pages}
        assert len(errors) == 1
        assert "not correct" in errors.pop()[0]

    def test_a_switched_off_user_is_not_let_in(self) -> None:
        user = make_person("ada@example.com")
        User.objects.filter(pk=user.pk).update(is_active=False)
        client = Client()

        log_in(client)

        assert not is_signed_in(client)

    def test_guessing_is_slowed_down(self) -> None:
        make_person("ada@example.com")
        for _ in range(6):
            log_in(Client(), password="wrong")

        client = Client()
        page = log_in(client)

        assert not is_signed_in(client)
        assert "Too many" in page.content.decode()

    def test_sign_ups_are_limited_per_address_of_the_caller(self) -> None:
        codes = [sign_up(Client(), f"p{n}@example.com").status_code for n in range(21)]

        assert codes[:20] == [302] * 20
        assert codes[20] == 429

    def test_reset_messages_are_limited(self) -> None:
        make_person("ada@example.com")
        for _ in range(7):
            Client().post(RESET, {"email": "ada@example.com"})

        assert len(mail.outbox) == 5

    def test_logging_out_takes_a_post(self, browser: PersonClient) -> None:
        browser.get("/accounts/logout/")
        still = is_signed_in(browser)

        response = browser.post("/accounts/logout/")

        assert still
        assert response["Location"] == LOGIN
        assert not is_signed_in(browser)

    def test_a_log_in_changes_the_session_key(self) -> None:
        make_person("ada@example.com")
        client = Client()
        session = client.session
        session["x"] = 1
        session.save()
        before = session.session_key

        log_in(client)

        assert client.session.session_key != before


@pytest.mark.django_db(transaction=True)
class TestReset:
    def test_the_link_sets_a_new_password_once(self) -> None:
        user = make_person("ada@example.com")
        client = Client()
        client.post(RESET, {"email": "ADA@example.com"})
        link = link_in(mail.outbox[0])

        form_url = client.get(link)["Location"]
        form = {"password1": "a new passphrase", "password2": "a new passphrase"}
        client.post(form_url, form)
        cache.clear()

        user.refresh_from_db()
        assert user.check_password("a new passphrase")
        assert "used before" in Client().get(link, follow=True).content.decode()

    def test_a_stranger_s_address_gets_the_same_page(self) -> None:
        make_person("ada@example.com")

        known = Client().post(RESET, {"email": "ada@example.com"}, follow=True)
        unknown = Client().post(RESET, {"email": "nobody@example.com"}, follow=True)

        strip = re.compile(r'csrfmiddlewaretoken" value="\w+"|X-CSRFToken[^}]+')
        assert strip.sub("", known.content.decode()) == strip.sub("", unknown.content.decode())

    def test_a_forged_link_sets_nothing(self) -> None:
        page = Client().get("/accounts/password/reset/key/1-set-password/", follow=True)

        assert "used before" in page.content.decode()


@pytest.mark.django_db(transaction=True)
class TestChange:
    def test_a_new_address_counts_once_it_is_confirmed(self, browser: PersonClient) -> None:
        old = browser.user.email
        confirm(browser)
        browser.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
        before = User.objects.get().email
        browser.post(link_in(mail.outbox[0]))

        user = User.objects.get()
        assert before == old
        assert user.email == customer_of(user).email == "new@example.com"
        assert EmailAddress.objects.get().email == "new@example.com"

    def test_a_billing_address_set_on_purpose_stays(self, browser: PersonClient) -> None:
        Customer.objects.update(email="books@example.com")

        confirm(browser)
        browser.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
        browser.post(link_in(mail.outbox[0]))

        assert User.objects.get().email == "new@example.com"
        assert Customer.objects.get().email == "books@example.com"

    def test_a_log_in_that_was_never_confirmed_stays_until_the_new_one_is(self) -> None:
        client = Client()
        sign_up(client, "typo@example.com")
        confirm(client)
        client.post("/accounts/email/", {"email": "second@example.com", "action_add": ""})
        client.post("/accounts/email/", {"email": "third@example.com", "action_add": ""})

        before = User.objects.get().email
        waiting = set(EmailAddress.objects.values_list("email", flat=True))
        client.post(link_in(mail.outbox[-1]))

        assert before == "typo@example.com"
        assert waiting == {"typo@example.com", "third@example.com"}
        assert User.objects.get().email == Customer.objects.get().email == "third@example.com"
        assert EmailAddress.objects.get().verified

    def test_a_stolen_session_changes_no_address(self, browser: PersonClient) -> None:
        answer = browser.post("/accounts/email/", {"email": "thief@example.com", "action_add": ""})

        assert answer["Location"].startswith("/accounts/reauthenticate/")
        assert not EmailAddress.objects.filter(email="thief@example.com").exists()

    def test_the_log_in_itself_cannot_be_removed(self, browser: PersonClient) -> None:
        EmailAddress.objects.update(primary=False, verified=False)
        confirm(browser)
        browser.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})

        browser.post("/accounts/email/", {"email": browser.user.email, "action_remove": ""})

        assert User.objects.get().email == browser.user.email
        assert EmailAddress.objects.filter(email=browser.user.email).exists()

    def test_a_change_can_be_called_off(self, browser: PersonClient) -> None:
        confirm(browser)
        browser.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
        browser.post("/accounts/email/", {"email": "new@example.com", "action_remove": ""})

        browser.post(link_in(mail.outbox[0]))

        assert User.objects.get().email == browser.user.email

    def test_an_address_somebody_took_meanwhile_is_not_taken_over(
        self, browser: PersonClient
    ) -> None:
        confirm(browser)
        browser.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
        User.objects.create_user("new@example.com")

        browser.post(link_in(mail.outbox[0]))

        assert "Unable to confirm" in browser.get("/settings/").content.decode()
        assert User.objects.get(pk=browser.user.pk).email == browser.user.email
        old = EmailAddress.objects.get(email=browser.user.email)
        assert (old.primary, old.verified) == (True, True)
        assert not EmailAddress.objects.get(email="new@example.com").verified

    @pytest.mark.parametrize("email", ["nonsense", "a" * 250 + "@example.com", "a\0@example.com"])
    def test_nonsense_is_no_new_address(self, browser: PersonClient, email: str) -> None:
        confirm(browser)
        page = browser.post("/accounts/email/", {"email": email, "action_add": ""})

        assert page.status_code == 200
        assert "field-error" in page.content.decode()
        assert EmailAddress.objects.count() == 1

    def test_the_password_changes_only_with_the_old_one(self, browser: PersonClient) -> None:
        url = "/accounts/password/change/"
        new = {"password1": "a new passphrase", "password2": "a new passphrase"}

        browser.post(url, new | {"oldpassword": "wrong"})
        refused = User.objects.get().check_password(PASSWORD)
        browser.post(url, new | {"oldpassword": PASSWORD})

        assert refused
        assert User.objects.get().check_password("a new passphrase")
        assert is_signed_in(browser)


PAGES = [
    LOGIN,
    SIGNUP,
    RESET,
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/done/",
    "/accounts/confirm-email/",
    "/accounts/inactive/",
]
SIGNED_IN_PAGES = [
    "/accounts/logout/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/reauthenticate/",
    "/settings/",
    "/settings/api-keys",
    "/settings/api-keys/new",
]


def assert_in_our_layout(content: str) -> None:
    assert "SANDBOX – no real money moves" in content
    assert 'name="viewport"' in content
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", content)
    assert not re.search(r"<style|\sstyle=|\son\w+=", content)


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
def test_pages_for_everybody_wear_our_layout(path: str) -> None:
    page = Client().get(path)

    assert page.status_code == 200
    assert_in_our_layout(page.content.decode())
    assert "Sign up" in page.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("path", SIGNED_IN_PAGES)
def test_pages_for_the_signed_in_wear_our_layout(browser: PersonClient, path: str) -> None:
    page = browser.get(path)

    assert page.status_code == 200
    assert_in_our_layout(page.content.decode())
    assert "Log out" in page.content.decode()


@pytest.mark.django_db(transaction=True)
@override_settings(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_PORT=9)
def test_a_mail_server_that_is_down_breaks_nothing_and_tells_nothing() -> None:
    make_person("ada@example.com")

    signed_up = sign_up(Client(), "bob@example.com")
    known = Client().post(RESET, {"email": "ada@example.com"})
    unknown = Client().post(RESET, {"email": "nobody@example.com"})

    assert signed_up.status_code == known.status_code == unknown.status_code == 302
    assert User.objects.filter(email="bob@example.com").exists()


@pytest.mark.django_db
def test_outside_the_sandbox_there_is_no_banner() -> None:
    with override_settings(SANDBOX=False):
        page = Client().get(LOGIN).content.decode()

    assert "SANDBOX" not in page
