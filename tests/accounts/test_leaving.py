"""Taking one's data away, and closing an account."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.test import Client

from accounts.models import ApiKey, Customer, Membership, TeamAct, TeamEvent, User
from accounts.services import api_keys, closing, exports, invitations, teams
from accounts.tasks import forget_closed
from common import clock
from common.errors import Forbidden
from tests.accounts.factories import (
    PASSWORD,
    PersonClient,
    acting_for,
    confirm,
    customer_of,
    join,
    make_person,
    make_staff,
    make_team,
    signed_in,
)

pytestmark = pytest.mark.django_db
EXPORT, CLOSE = "/settings/export", "/settings/close"
Role = Membership.Role


def unpacked(answer: Any) -> dict[str, list[dict[str, Any]]]:
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        assert archive.testzip() is None
        return {
            name.removesuffix(".ndjson"): [
                json.loads(line) for line in archive.read(name).decode().splitlines()
            ]
            for name in archive.namelist()
            if name.endswith(".ndjson")
        }


class TestExport:
    def test_it_holds_everything_and_no_secret(self) -> None:
        user = make_person("ada@example.com", name="Ada")
        browser = signed_in(user)
        new_key = api_keys.create(
            browser.customer, created_by=user, name="job", scope_names=["credits:read"]
        )
        confirm(browser)

        answer = browser.post(EXPORT)
        files = unpacked(answer)

        assert answer["Content-Type"] == "application/zip"
        assert "attachment" in answer["Content-Disposition"]
        assert "no-store" in answer["Cache-Control"]
        assert set(files) == set(exports.names())
        assert files["account"][0]["email"] == "ada@example.com"
        assert files["log_in"][0]["verified"] is True
        assert files["members"][0]["role"] == "owner"
        assert files["api_keys"][0]["prefix"] == new_key.api_key.prefix
        for secret in (new_key.secret, new_key.api_key.secret_hash, user.password):
            assert secret not in json.dumps(files)

    def test_it_holds_nothing_of_others(self, browser: PersonClient) -> None:
        make_person("vera@example.com", name="Vera")
        confirm(browser)

        assert "vera" not in json.dumps(unpacked(browser.post(EXPORT))).lower()

    def test_owners_of_the_team_see_that_it_was_taken(self, browser: PersonClient) -> None:
        confirm(browser)
        unpacked(browser.post(EXPORT))

        assert TeamEvent.objects.get(act=TeamAct.EXPORTED).actor == browser.user
        assert "Last taken on" in browser.get(EXPORT).content.decode()

    def test_it_asks_who_it_is_first(self, browser: PersonClient) -> None:
        answer = browser.post(EXPORT)

        assert answer["Location"] == "/accounts/reauthenticate/?next=%2Fsettings%2Fexport"

    @pytest.mark.parametrize("path", [EXPORT, CLOSE])
    @pytest.mark.parametrize("role", [Role.BILLING, Role.MEMBER])
    def test_only_owners(self, path: str, role: Role) -> None:
        team = make_team(make_person())
        browser = acting_for(team, join(team, role))
        confirm(browser)

        assert browser.get(path).status_code == 403
        assert browser.post(path, {"email": browser.user.email}).status_code == 403

    def test_not_without_end(self, browser: PersonClient) -> None:
        confirm(browser)
        for _ in range(6):
            unpacked(browser.post(EXPORT))

        page = browser.post(EXPORT)

        assert page.status_code == 429
        assert "Enough for now" in page.content.decode()

    def test_a_large_one_is_made_a_piece_at_a_time(
        self, browser: PersonClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = 0

        def rows(_customer: Customer) -> Any:
            nonlocal asked
            for number in range(100_000):
                asked += 1
                yield {"number": number, "text": str(hash(str(number)))}

        monkeypatch.setattr(exports, "_SECTIONS", {"many": rows})
        pieces = exports.archive(browser.customer)

        biggest = len(next(pieces))
        asked_at_first = asked
        whole = io.BytesIO()
        for piece in exports.archive(browser.customer):
            biggest = max(biggest, len(piece))
            whole.write(piece)

        assert asked_at_first <= 1_000
        assert biggest < 100_000
        with zipfile.ZipFile(whole) as archive:
            assert archive.read("many.ndjson").count(b"\n") == 100_000


class TestClosing:
    def test_the_page_says_what_is_lost_and_what_stays(self, browser: PersonClient) -> None:
        confirm(browser)

        page = browser.get(CLOSE).content.decode()

        assert "What is lost" in page
        assert "All API keys" in page
        assert "Invoices, as the law wants it" in page

    @pytest.mark.parametrize("typed", ["", "somebody@example.com", "x"])
    def test_nothing_is_closed_without_the_address(self, browser: PersonClient, typed: str) -> None:
        confirm(browser)

        page = browser.post(CLOSE, {"email": typed, "csrfmiddlewaretoken": "x"})

        assert "field-error" in page.content.decode()
        assert User.objects.get(pk=browser.user.pk).is_active

    def test_nothing_is_closed_without_the_password(self, browser: PersonClient) -> None:
        answer = browser.post(CLOSE, {"email": browser.user.email})

        assert answer["Location"].startswith("/accounts/reauthenticate/")
        assert User.objects.get(pk=browser.user.pk).is_active

    @pytest.mark.django_db(transaction=True)
    def test_it_ends_log_in_sessions_and_keys_at_once(self) -> None:
        user = make_person("ada@example.com")
        here, there = Client(), Client()
        for client in (here, there):
            client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
        customer = customer_of(user)
        new_key = api_keys.create(
            customer, created_by=user, name="job", scope_names=["credits:read"]
        )
        confirm(here)

        page = here.post(CLOSE, {"email": " Ada@Example.com "}, follow=True)

        assert "Your account is closed" in page.content.decode()
        assert there.get("/billing/")["Location"].startswith("/accounts/login/")
        assert not UserSession.objects.filter(user=user).exists()
        assert api_keys.authenticate(new_key.secret) is None
        again = Client().post("/accounts/login/", {"login": user.email, "password": PASSWORD})
        assert again["Location"] == "/accounts/inactive/"
        customer.refresh_from_db()
        assert customer.closed_at is not None

    def test_no_key_is_made_for_or_works_on_a_closed_account(self) -> None:
        owner = make_person()
        team = make_team(owner)
        new_key = api_keys.create(team, created_by=owner, name="job", scope_names=["credits:read"])
        closing.close(team, owner)

        with pytest.raises(Forbidden):
            api_keys.create(team, created_by=owner, name="late", scope_names=["credits:read"])
        ApiKey.objects.filter(pk=new_key.api_key.pk).update(revoked_at=None)
        assert api_keys.authenticate(new_key.secret) is None

    def test_the_only_owner_of_a_team_cannot(self, browser: PersonClient) -> None:
        make_team(browser.user, "Engines")
        confirm(browser)

        asked = browser.get(CLOSE).content.decode()
        answer = browser.post(CLOSE, {"email": browser.user.email})

        assert "You are the only owner of Engines." in asked
        assert answer.status_code == 409
        assert User.objects.get(pk=browser.user.pk).is_active

    def test_a_member_of_teams_leaves_them(self) -> None:
        team = make_team(make_person())
        user = join(team, Role.BILLING)

        closing.close(customer_of(user), user)

        assert not team.memberships.filter(user=user).exists()
        assert TeamEvent.objects.filter(customer=team, act=TeamAct.LEFT).exists()

    def test_an_owner_closes_a_team_and_stays_a_person(self) -> None:
        owner = make_person()
        team = make_team(owner, "Engines")
        other = join(team, Role.OWNER)
        browser = acting_for(team, owner)
        invitation = invitations.invite(
            team, email="guest@example.com", role="member", inviter=owner
        )
        confirm(browser)

        page = browser.post(CLOSE, {"email": owner.email}, follow=True)

        assert "Engines is closed." in page.content.decode()
        assert User.objects.get(pk=owner.pk).is_active
        assert (
            signed_in(other).post("/settings/switch", {"customer_id": team.pk}).status_code == 404
        )
        invitation.refresh_from_db()
        assert invitation.revoked_at is not None

    def test_staff_do_not_close_themselves(self) -> None:
        user = make_person()
        User.objects.filter(pk=user.pk).update(is_staff=True)
        user.refresh_from_db()

        with pytest.raises(closing.CannotClose):
            closing.close(customer_of(user), user)


class TestComingBack:
    def test_staff_open_it_again_within_thirty_days(self) -> None:
        user = make_person("ada@example.com")
        customer = customer_of(user)
        closing.close(customer, user)
        staff = Client()
        staff.force_login(make_staff(), backend="django.contrib.auth.backends.ModelBackend")
        form = {"action": "reopen", "_selected_action": [str(customer.pk)]}

        staff.post("/admin/accounts/customer/", form)

        client = Client()
        client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
        assert client.get("/settings/").status_code == 200

    def test_before_thirty_days_everything_is_kept(self) -> None:
        user = make_person("ada@example.com", name="Ada")
        closing.close(customer_of(user), user)

        with clock.frozen(clock.now() + timedelta(days=29)):
            forgotten = forget_closed()

        assert forgotten == 0
        assert customer_of(user).email == "ada@example.com"

    def test_after_thirty_days_names_are_taken_out(self) -> None:
        user = make_person("ada@example.com", name="Ada")
        customer = customer_of(user)
        Customer.objects.filter(pk=customer.pk).update(
            address="Main Street 1", tax_id="DE123456789", country="DE"
        )
        closing.close(customer, user)

        with clock.frozen(clock.now() + timedelta(days=30, seconds=1)):
            forgotten = [forget_closed(), forget_closed()]

        assert forgotten == [1, 0]
        customer.refresh_from_db()
        user.refresh_from_db()
        kept = json.dumps([str(vars(customer)), str(vars(user))])
        for name in ("ada@example.com", "Ada", "Main Street", "DE123456789"):
            assert name not in kept
        assert customer.country == "DE"  # what taxes were counted by
        assert not EmailAddress.objects.filter(user=user).exists()
        assert not closing.reopen(customer, actor=None)

    def test_somebody_who_helped_with_it_keeps_their_own_log_in(self) -> None:
        user, helper = make_person(), make_person("vera@example.com", name="Vera")
        customer = customer_of(user)
        Membership.objects.create(user=helper, customer=customer, role=Role.MEMBER)
        whole = io.BytesIO(b"".join(exports.archive(customer)))
        with zipfile.ZipFile(whole) as archive:
            assert b"vera@example.com" not in archive.read("log_in.ndjson")
        closing.close(customer, user)

        with clock.frozen(clock.now() + timedelta(days=31)):
            assert forget_closed() == 1

        helper.refresh_from_db()
        assert (helper.email, helper.name) == ("vera@example.com", "Vera")
        assert helper.has_usable_password()

    def test_one_that_staff_open_again_at_that_moment_is_kept(self) -> None:
        user = make_person("ada@example.com")
        customer = customer_of(user)
        closing.close(customer, user)

        def open_again(closed: Customer) -> list[closing.Obstacle]:
            closing.reopen(closed, actor=None)
            return []

        late = clock.now() + closing.GRACE + timedelta(days=1)
        part = {"test": closing.Part(obstacles=open_again)}
        with mock.patch.dict(closing._PARTS, part), clock.frozen(late):
            assert forget_closed() == 0

        assert User.objects.get(pk=user.pk).email == "ada@example.com"

    def test_the_address_is_free_again_then(self) -> None:
        user = make_person("ada@example.com")
        closing.close(customer_of(user), user)
        with clock.frozen(clock.now() + timedelta(days=31)):
            forget_closed()

        assert make_person("ada@example.com").pk != user.pk

    def test_a_team_loses_its_members_then(self) -> None:
        owner = make_person("ada@example.com")
        team = make_team(owner, "Engines")
        teams.note(team, TeamAct.INVITED, actor=owner, subject="guest@example.com")
        closing.close(team, owner)

        with clock.frozen(clock.now() + timedelta(days=31)):
            forget_closed()

        team.refresh_from_db()
        assert (team.name, team.memberships.count()) == ("", 0)
        assert not team.team_events.exclude(subject="").exists()
        assert User.objects.get(pk=owner.pk).email == "ada@example.com"
