"""Invitations: a link, good once, for seven days, for the one it was sent to."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from allauth.account.models import EmailAddress
from django.db import connection
from django.test import Client

from accounts.models import Customer, Invitation, Membership, TeamAct, TeamEvent, User
from accounts.services import invitations
from common import clock
from common.errors import BillingError, TooMany
from tests.accounts.factories import (
    PASSWORD,
    PersonClient,
    acting_for,
    join,
    make_person,
    make_team,
    signed_in,
)

pytestmark = pytest.mark.django_db
Role = Membership.Role
INVITE = "/settings/team/invite"
EMAIL = "guest@example.com"


@pytest.fixture
def owner() -> User:
    return make_person("owner@example.com", name="Olga Owner")


@pytest.fixture
def team(owner: User) -> Customer:
    return make_team(owner, "Engines")


def invite(team: Customer, owner: User, email: str = EMAIL, role: str = Role.BILLING) -> Invitation:
    return invitations.invite(team, email=email, role=role, inviter=owner)


def path_of(invitation: Invitation) -> str:
    return f"/settings/invitations/{invitations.token_of(invitation)}"


class TestSending:
    def test_it_is_kept_and_mailed(self, team: Customer, owner: User) -> None:
        form = {"email": "Guest@Example.com", "role": "billing"}

        page = acting_for(team, owner).post(INVITE, form, follow=True)

        invitation = Invitation.objects.get()
        assert (invitation.email, invitation.role) == (EMAIL, "billing")
        assert invitation.expires_at - invitation.sent_at == timedelta(days=7)
        email = team.emails.get(kind="invitation")
        assert email.to_address == EMAIL
        assert email.context["url"].endswith(path_of(invitation))
        assert EMAIL in page.content.decode()
        assert TeamEvent.objects.get().act == TeamAct.INVITED

    def test_the_token_is_not_in_its_row(self, team: Customer, owner: User) -> None:
        invitation = invite(team, owner)

        row = str(Invitation.objects.filter(pk=invitation.pk).values().get())

        assert invitations.token_of(invitation) not in row

    @pytest.mark.parametrize(
        "change", [{"email": "x"}, {"email": ""}, {"role": "god"}, {"role": ""}]
    )
    def test_nonsense_invites_nobody(
        self, team: Customer, owner: User, change: dict[str, str]
    ) -> None:
        page = acting_for(team, owner).post(INVITE, {"email": EMAIL, "role": "member"} | change)

        assert "field-error" in page.content.decode()
        assert not Invitation.objects.exists()

    def test_nobody_is_asked_twice(self, team: Customer, owner: User) -> None:
        invite(team, owner)

        page = acting_for(team, owner).post(INVITE, {"email": EMAIL, "role": "member"})

        assert "has an invitation already" in page.content.decode()
        assert Invitation.objects.count() == 1

    def test_who_belongs_to_it_is_not_asked(self, team: Customer, owner: User) -> None:
        member = join(team, Role.MEMBER)

        page = acting_for(team, owner).post(INVITE, {"email": member.email, "role": "owner"})

        assert "belongs to the team already" in page.content.decode()

    def test_one_that_is_too_old_makes_room(self, team: Customer, owner: User) -> None:
        old = invite(team, owner)
        with clock.frozen(clock.now() + timedelta(days=8)):
            invite(team, owner)

        old.refresh_from_db()
        assert old.revoked_at is not None
        assert Invitation.objects.pending().count() == 1

    def test_a_team_asks_so_many_at_a_time(
        self, team: Customer, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(invitations, "MAX_PENDING", 1)
        invite(team, owner)

        page = acting_for(team, owner).post(INVITE, {"email": "b@example.com", "role": "member"})

        assert "Too many invitations" in page.content.decode()

    def test_taking_back_and_asking_again_floods_nobody(self, team: Customer, owner: User) -> None:
        for _ in range(3):
            invitation = invite(team, owner)
            invitations.revoke(team, invitation.pk, actor=owner)

        page = acting_for(team, owner).post(INVITE, {"email": EMAIL, "role": "member"})

        assert "enough for one day" in page.content.decode()
        with clock.frozen(clock.now() + timedelta(days=1, seconds=1)):
            assert invite(team, owner).sent_count == 1

    def test_one_person_asks_so_many_a_day(
        self, team: Customer, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(invitations, "MAX_A_DAY", 1)
        invite(team, owner)
        other_team = make_team(owner)

        with pytest.raises(TooMany):
            invite(other_team, owner, email="b@example.com")


class TestSendingAgain:
    def test_it_makes_a_new_link_and_ends_the_old(self, team: Customer, owner: User) -> None:
        invitation = invite(team, owner)
        old = path_of(invitation)
        with clock.frozen(clock.now() + timedelta(days=8)):
            acting_for(team, owner).post(f"/settings/team/invitations/{invitation.pk}/send-again")

            invitation.refresh_from_db()
            assert path_of(invitation) != old
            assert Client().get(old).status_code == 404
            assert Client().get(path_of(invitation)).status_code == 200
        assert team.emails.filter(kind="invitation").count() == 2

    def test_not_every_minute(self, team: Customer, owner: User) -> None:
        invitation = invite(team, owner)

        page = acting_for(team, owner).post(
            f"/settings/team/invitations/{invitation.pk}/send-again", follow=True
        )

        assert "sent a moment ago" in page.content.decode()
        assert team.emails.filter(kind="invitation").count() == 1

    def test_not_for_ever(
        self, team: Customer, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(invitations, "MAX_SENT", 1)
        invitation = invite(team, owner)

        page = acting_for(team, owner).post(
            f"/settings/team/invitations/{invitation.pk}/send-again", follow=True
        )

        assert "sent often enough" in page.content.decode()


class TestTakingBack:
    def test_it_asks_and_then_ends_the_link(self, team: Customer, owner: User) -> None:
        invitation = invite(team, owner)
        browser = acting_for(team, owner)
        url = f"/settings/team/invitations/{invitation.pk}/revoke"

        asked = browser.get(url).content.decode()
        still = Client().get(path_of(invitation)).status_code
        browser.post(url)

        assert EMAIL in asked
        assert still == 200
        assert Client().get(path_of(invitation)).status_code == 404
        assert browser.post(url).status_code == 404

    @pytest.mark.parametrize("act", ["revoke", "send-again"])
    def test_others_invitations_do_not_exist(
        self, team: Customer, owner: User, browser: PersonClient, act: str
    ) -> None:
        invitation = invite(team, owner)
        their_team = make_team(browser.user)
        their_browser = acting_for(their_team, browser.user)

        their_browser.post(f"/settings/team/invitations/{invitation.pk}/{act}")

        invitation.refresh_from_db()
        assert (invitation.revoked_at, invitation.sent_count) == (None, 1)


class TestJoining:
    def test_a_stranger_with_the_link_learns_little(self, team: Customer, owner: User) -> None:
        page = Client().get(path_of(invite(team, owner)))

        text = page.content.decode()
        assert "o…@example.com invites you to join <strong>Engines</strong>" in text
        assert "g…@example.com" in text
        for secret in (owner.email, owner.name, EMAIL):
            assert secret not in text
        assert "no-store" in page["Cache-Control"]

    def test_the_one_who_was_asked_joins_by_a_button(self, team: Customer, owner: User) -> None:
        invitation = invite(team, owner)
        browser = signed_in(make_person(EMAIL))

        asked = browser.get(path_of(invitation)).content.decode()
        before = Membership.objects.filter(user=browser.user, customer=team).exists()
        page = browser.post(path_of(invitation), follow=True)

        assert ">Join<" in asked
        assert not before
        assert "You belong to Engines now." in page.content.decode()
        assert Membership.objects.get(user=browser.user, customer=team).role == Role.BILLING
        assert TeamEvent.objects.filter(act=TeamAct.JOINED, subject=EMAIL).exists()

    def test_it_works_once(self, team: Customer, owner: User) -> None:
        invitation = invite(team, owner)
        browser = signed_in(make_person(EMAIL))
        browser.post(path_of(invitation))
        Membership.objects.filter(user=browser.user, customer=team).delete()

        again = browser.post(path_of(invitation))

        assert again.status_code == 404
        assert not Membership.objects.filter(user=browser.user, customer=team).exists()

    def test_anybody_else_with_the_link_does_not_join(
        self, team: Customer, owner: User, browser: PersonClient
    ) -> None:
        invitation = invite(team, owner)

        asked = browser.get(path_of(invitation)).content.decode()
        answer = browser.post(path_of(invitation))

        assert ">Join<" not in asked
        assert "g…@example.com" in asked
        assert answer.status_code == 403
        assert not Membership.objects.filter(user=browser.user, customer=team).exists()

    def test_an_address_that_was_only_claimed_is_not_enough(
        self, team: Customer, owner: User, browser: PersonClient
    ) -> None:
        """Somebody asked to change their log-in to the invited address and never confirmed it."""
        invitation = invite(team, owner)
        EmailAddress.objects.create(user=browser.user, email=EMAIL, verified=False)

        assert browser.post(path_of(invitation)).status_code == 403

    def test_who_has_no_account_signs_up_and_comes_back(self, team: Customer, owner: User) -> None:
        invitation = invite(team, owner)
        client = Client()
        page = client.get(path_of(invitation)).content.decode()
        assert f"/accounts/signup/?next={path_of(invitation).replace('/', '%2F')}" in page

        form = {
            "email": EMAIL,
            "password1": PASSWORD,
            "password2": PASSWORD,
            "next": path_of(invitation),
        }
        after = client.post("/accounts/signup/", form)
        client.post(path_of(invitation))

        user = User.objects.get(email=EMAIL)
        assert after["Location"] == path_of(invitation)
        assert Membership.objects.filter(user=user, customer=team).exists()
        assert EmailAddress.objects.get(user=user).verified  # the link went there

    def test_too_old_is_too_late(self, team: Customer, owner: User) -> None:
        invitation = invite(team, owner)
        browser = signed_in(make_person(EMAIL))

        with clock.frozen(clock.now() + timedelta(days=7, seconds=1)):
            page = browser.get(path_of(invitation))
            answer = browser.post(path_of(invitation))

        assert (page.status_code, answer.status_code) == (404, 404)
        assert "Ask for a new one" in page.content.decode()

    def test_an_owner_who_is_asked_as_a_member_stays_an_owner(
        self, team: Customer, owner: User
    ) -> None:
        user = make_person(EMAIL)
        invitation = invite(team, owner, role=Role.MEMBER)
        Membership.objects.create(user=user, customer=team, role=Role.OWNER)

        invitations.accept(invitations.token_of(invitation), user)

        assert Membership.objects.get(user=user, customer=team).role == Role.OWNER

    @pytest.mark.parametrize("token", ["x", "0" * 64, "%00", "é"])
    def test_a_made_up_link_is_none(self, token: str) -> None:
        assert Client().get(f"/settings/invitations/{token}").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_of_many_clicks_at_once_one_joins() -> None:
    owner, user = make_person(), make_person(EMAIL)
    team = make_team(owner)
    token = invitations.token_of(invite(team, owner))
    start = Barrier(4)

    def go(_number: int) -> bool:
        start.wait()
        try:
            invitations.accept(token, user)
            return True
        except BillingError:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        joined = list(pool.map(go, range(4)))

    assert sorted(joined) == [False, False, False, True]
    assert Membership.objects.filter(user=user, customer=team).count() == 1
    assert TeamEvent.objects.filter(act=TeamAct.JOINED).count() == 1
