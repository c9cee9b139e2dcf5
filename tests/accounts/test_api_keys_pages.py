"""The pages of API keys."""

import re

import pytest
from django.test import Client

from accounts.models import ApiKey, Membership
from accounts.services import api_keys
from tests.accounts.factories import (
    PersonClient,
    acting_for,
    join,
    make_person,
    make_team,
    signed_in,
)

pytestmark = pytest.mark.django_db

KEYS = "/settings/api-keys"
NEW = "/settings/api-keys/new"
SECRET = re.compile(r"bp_test_[A-Za-z0-9]{12}_[A-Za-z0-9]{43}")


def make_key(browser: PersonClient, name: str = "nightly job") -> ApiKey:
    return api_keys.create(
        browser.customer, created_by=browser.user, name=name, scope_names=["credits:read"]
    ).api_key


class TestApiKeys:
    def test_making_a_key_shows_its_secret_once(self, browser: PersonClient) -> None:
        page = browser.post(NEW, {"name": "nightly job", "scope_names": ["credits:read"]})

        found = SECRET.findall(page.content.decode())
        assert len(found) == 1
        assert api_keys.authenticate(found[0]) == ApiKey.objects.get()
        assert "no-store" in page["Cache-Control"]
        listed = browser.get(KEYS).content.decode()
        assert "nightly job" in listed
        assert ApiKey.objects.get().prefix in listed
        assert not SECRET.search(listed)

    def test_the_key_has_what_was_chosen(self, browser: PersonClient) -> None:
        browser.post(
            NEW,
            {"name": "x", "scope_names": ["quota:write", "credits:read"], "lifetime_days": "30"},
        )

        api_key = ApiKey.objects.get()
        assert api_key.scopes == ["credits:read", "quota:write"]
        assert (api_key.customer, api_key.created_by) == (browser.customer, browser.user)
        assert api_key.expires_at is not None
        assert (api_key.expires_at - api_key.created_at).days in (29, 30)

    @pytest.mark.parametrize(
        "form",
        [
            {},
            {"name": "", "scope_names": ["credits:read"]},
            {"name": "x"},
            {"name": "x", "scope_names": ["root"]},
            {"name": "x" * 81, "scope_names": ["credits:read"]},
            {"name": "x\0", "scope_names": ["credits:read"]},
            {"name": "x", "scope_names": ["credits:read"], "lifetime_days": "9999999999"},
            {"name": "x", "scope_names": ["credits:read"], "lifetime_days": "-1"},
        ],
    )
    def test_a_bad_form_makes_nothing(self, browser: PersonClient, form: dict[str, object]) -> None:
        page = browser.post(NEW, form)

        assert page.status_code == 200
        assert not ApiKey.objects.exists()
        assert not SECRET.search(page.content.decode())

    def test_at_the_limit_the_form_says_so(
        self, browser: PersonClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api_keys, "MAX_LIVE_KEYS", 1)
        make_key(browser)

        page = browser.post(NEW, {"name": "x", "scope_names": ["credits:read"]})

        assert page.status_code == 409
        assert "Revoke it first" in page.content.decode()

    def test_names_are_escaped(self, browser: PersonClient) -> None:
        make_key(browser, "<script>alert(1)</script>")

        listed = browser.get(KEYS).content.decode()

        assert "<script>alert" not in listed
        assert "&lt;script&gt;alert" in listed

    def test_revoking_asks_first(self, browser: PersonClient) -> None:
        api_key = make_key(browser)
        url = f"{KEYS}/{api_key.pk}/revoke"

        assert "Revoke “nightly job”?" in browser.get(url).content.decode()
        assert ApiKey.objects.filter(revoked_at=None).exists()

        page = browser.post(url, follow=True)

        assert not ApiKey.objects.filter(revoked_at=None).exists()
        assert "no longer works" in page.content.decode()
        assert "revoked" in page.content.decode()

    def test_revoking_twice_is_harmless(self, browser: PersonClient) -> None:
        api_key = make_key(browser)
        url = f"{KEYS}/{api_key.pk}/revoke"
        browser.post(url, follow=True)

        page = browser.post(url, follow=True)

        assert page.status_code == 200
        assert "no longer works" not in page.content.decode()

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_others_keys_do_not_exist(self, browser: PersonClient, method: str) -> None:
        theirs = make_key(signed_in(), "their secret project")

        response = getattr(browser, method)(f"{KEYS}/{theirs.pk}/revoke")

        assert response.status_code == 404
        assert "their secret project" not in response.content.decode()
        assert "their secret project" not in browser.get(KEYS).content.decode()
        theirs.refresh_from_db()
        assert theirs.revoked_at is None

    def test_a_plain_member_sees_keys_and_cannot_touch_them(self) -> None:
        owner = make_person()
        team = make_team(owner)
        browser = acting_for(team, join(team, Membership.Role.MEMBER))
        api_key = api_keys.create(
            team, created_by=owner, name="team job", scope_names=["credits:read"]
        ).api_key

        listed = browser.get(KEYS).content.decode()

        assert "team job" in listed
        assert "/revoke" not in listed
        assert browser.post(NEW, {"name": "x", "scope_names": ["credits:read"]}).status_code == 403
        assert browser.post(f"{KEYS}/{api_key.pk}/revoke").status_code == 403
        assert ApiKey.objects.get().revoked_at is None

    @pytest.mark.parametrize("path", [KEYS, NEW, "/settings/"])
    def test_the_signed_out_are_sent_to_log_in(self, path: str) -> None:
        assert Client().get(path)["Location"] == f"/accounts/login/?next={path}"

    def test_a_form_needs_its_token(self, browser: PersonClient) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = browser.cookies

        assert strict.post(NEW, {"name": "x", "scope_names": ["credits:read"]}).status_code == 403
        assert not ApiKey.objects.exists()
