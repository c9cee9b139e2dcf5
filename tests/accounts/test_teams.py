"""Teams: who belongs to them, who may change that, and that there always is an owner."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection
from django.test import Client

from accounts.middleware import SESSION_KEY
from accounts.models import ApiKey, Customer, Membership, TeamAct, TeamEvent
from accounts.roles import ALLOWED, Act
from accounts.services import api_keys, teams
from common.errors import BillingError, Conflict, Forbidden, NotFound
from tests.accounts.factories import (
    PersonClient,
    acting_for,
    customer_of,
    join,
    make_person,
    make_team,
    signed_in,
)

pytestmark = pytest.mark.django_db
Role = Membership.Role
TEAM = "/settings/team"


def member_of(team: Customer, role: Role = Role.MEMBER) -> Membership:
    return Membership.objects.get(customer=team, user=join(team, role))


class TestRoles:
    def test_the_table_knows_every_role(self) -> None:
        assert set(ALLOWED) == set(Role.values)

    @pytest.mark.parametrize(
        ("role", "acts"),
        [
            (Role.OWNER, set(Act)),
            (Role.BILLING, {Act.PAY, Act.KEYS, Act.DETAILS}),
            (Role.MEMBER, set()),
        ],
    )
    def test_each_role_may_what_it_says(self, role: Role, acts: set[Act]) -> None:
        membership = Membership(role=role)

        assert {act for act in Act if membership.may(act)} == acts
        assert membership.may_pay == (Act.PAY in acts)

    @pytest.mark.parametrize("role", [Role.BILLING, Role.MEMBER])
    @pytest.mark.parametrize("method", ["get", "post"])
    @pytest.mark.parametrize("path", ["invite", "members/{}/role", "members/{}/remove"])
    def test_only_owners_manage_the_team(self, role: Role, method: str, path: str) -> None:
        team = make_team(make_person())
        target = member_of(team)
        browser = acting_for(team, join(team, role))

        answer = getattr(browser, method)(
            f"{TEAM}/{path.format(target.pk)}", {"role": "owner", "email": "x@example.com"}
        )

        assert answer.status_code == 403
        target.refresh_from_db()
        assert target.role == Role.MEMBER
        assert not team.invitations.exists()

    def test_the_services_ask_for_themselves(self) -> None:
        team = make_team(make_person())
        target = member_of(team)
        mallory = join(team, Role.BILLING)

        with pytest.raises(Forbidden):
            teams.change_role(team, target.pk, Role.OWNER, actor=mallory)
        with pytest.raises(Forbidden):
            teams.remove(team, target.pk, actor=mallory, revoke_keys=False)
        with pytest.raises(Forbidden):
            teams.remove(team, target.pk, actor=make_person(), revoke_keys=False)


class TestOpening:
    def test_anybody_opens_a_team_and_acts_for_it(self, browser: PersonClient) -> None:
        form = {"name": "Engines", "email": "engines@example.com"}

        page = browser.post(f"{TEAM}/new", form, follow=True)

        team = Customer.objects.get(kind=Customer.Kind.TEAM)
        assert (team.name, team.email) == ("Engines", "engines@example.com")
        assert team.memberships.get().role == Role.OWNER
        assert browser.session[SESSION_KEY] == str(team.pk)
        assert "Engines is open." in page.content.decode()

    @pytest.mark.parametrize("change", [{"name": ""}, {"email": "x"}, {"name": "x" * 151}])
    def test_nonsense_opens_nothing(self, browser: PersonClient, change: dict[str, str]) -> None:
        page = browser.post(f"{TEAM}/new", {"name": "A", "email": "a@example.com"} | change)

        assert "field-error" in page.content.decode()
        assert not Customer.objects.filter(kind=Customer.Kind.TEAM).exists()

    def test_nobody_opens_them_without_end(
        self, browser: PersonClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(teams, "MAX_TEAMS_OWNED", 1)
        make_team(browser.user)

        page = browser.post(f"{TEAM}/new", {"name": "B", "email": "b@example.com"})

        assert "as many teams as one person can" in page.content.decode()
        assert Customer.objects.filter(kind=Customer.Kind.TEAM).count() == 1


class TestMembers:
    def test_the_page_shows_members_and_to_owners_what_was_changed(self) -> None:
        owner = make_person("owner@example.com")
        team = make_team(owner)
        member = member_of(team)
        teams.change_role(team, member.pk, Role.BILLING, actor=owner)

        of_owner = acting_for(team, owner).get(TEAM).content.decode()
        of_member = acting_for(team, member.user).get(TEAM).content.decode()

        for page in (of_owner, of_member):
            assert "owner@example.com" in page
            assert member.user.email in page
        assert f"Role changed: {member.user.email}" in of_owner
        assert "Role changed" not in of_member
        assert "Remove" not in of_member

    def test_a_person_alone_is_no_team(self, browser: PersonClient) -> None:
        page = browser.get(TEAM).content.decode()

        assert "Open a team" in page
        assert browser.get(f"{TEAM}/invite").status_code == 409
        assert browser.get(f"{TEAM}/leave").status_code == 409

    def test_an_owner_changes_a_role(self) -> None:
        owner = make_person()
        team = make_team(owner)
        member = member_of(team)

        acting_for(team, owner).post(f"{TEAM}/members/{member.pk}/role", {"role": "owner"})

        member.refresh_from_db()
        assert member.role == Role.OWNER
        event = TeamEvent.objects.get(act=TeamAct.ROLE_CHANGED)
        assert (event.actor, event.subject, event.role) == (owner, member.user.email, "owner")

    def test_an_unknown_role_changes_nothing(self) -> None:
        owner = make_person()
        team = make_team(owner)
        member = member_of(team)

        page = acting_for(team, owner).post(f"{TEAM}/members/{member.pk}/role", {"role": "god"})

        assert "field-error" in page.content.decode()
        member.refresh_from_db()
        assert member.role == Role.MEMBER

    def test_members_of_other_teams_do_not_exist(self) -> None:
        owner = make_person()
        team = make_team(owner)
        theirs = member_of(make_team(make_person()))
        browser = acting_for(team, owner)

        for act in ("role", "remove"):
            answer = browser.post(f"{TEAM}/members/{theirs.pk}/{act}", {"role": "owner"})
            assert answer.status_code == 404
        with pytest.raises(NotFound):
            teams.remove(team, theirs.pk, actor=owner, revoke_keys=True)

    def test_who_is_removed_acts_for_it_no_more(self) -> None:
        owner = make_person()
        team = make_team(owner, "Engines")
        member = member_of(team, Role.BILLING)
        browser = acting_for(team, member.user)

        teams.remove(team, member.pk, actor=owner, revoke_keys=False)

        assert "Engines" not in browser.get(TEAM).content.decode()
        assert browser.post("/settings/switch", {"customer_id": team.pk}).status_code == 404

    def test_keys_of_who_is_removed_are_shown_and_belong_to_the_team(self) -> None:
        owner = make_person()
        team = make_team(owner)
        member = member_of(team, Role.BILLING)
        made = api_keys.create(
            team, created_by=member.user, name="their job", scope_names=["credits:read"]
        )
        browser = acting_for(team, owner)
        url = f"{TEAM}/members/{member.pk}/remove"

        asked = browser.get(url).content.decode()
        browser.post(url, {})

        assert "their job" in asked
        assert api_keys.authenticate(made.secret) is not None
        assert "its maker left" in browser.get("/settings/api-keys").content.decode()

    def test_keys_of_who_is_removed_can_be_revoked_with_them(self) -> None:
        owner = make_person()
        team = make_team(owner)
        member = member_of(team, Role.BILLING)
        made = api_keys.create(
            team, created_by=member.user, name="job", scope_names=["credits:read"]
        )
        elsewhere = api_keys.create(
            customer_of(member.user), created_by=member.user, name="x", scope_names=["credits:read"]
        )

        acting_for(team, owner).post(f"{TEAM}/members/{member.pk}/remove", {"revoke_keys": "on"})

        assert api_keys.authenticate(made.secret) is None
        assert api_keys.authenticate(elsewhere.secret) is not None
        assert ApiKey.objects.get(pk=made.api_key.pk).revoked_at is not None


class TestTheLastOwner:
    def test_cannot_leave(self) -> None:
        owner = make_person()
        team = make_team(owner)
        join(team, Role.BILLING)

        page = acting_for(team, owner).post(f"{TEAM}/leave")

        assert "There has to be an owner" in page.content.decode()
        assert Membership.objects.filter(customer=team, user=owner).exists()

    def test_cannot_be_demoted_or_removed(self) -> None:
        owner = make_person()
        team = make_team(owner)
        own = Membership.objects.get(customer=team)
        browser = acting_for(team, owner)

        demoted = browser.post(f"{TEAM}/members/{own.pk}/role", {"role": "member"})
        removed = browser.post(f"{TEAM}/members/{own.pk}/remove", {})

        for page in (demoted, removed):
            assert "There has to be an owner" in page.content.decode()
        own.refresh_from_db()
        assert own.role == Role.OWNER

    def test_may_leave_once_there_is_another(self) -> None:
        owner = make_person()
        team = make_team(owner)
        join(team, Role.OWNER)

        page = acting_for(team, owner).post(f"{TEAM}/leave", follow=True)

        assert "You do not belong to A team any more." in page.content.decode()
        assert not Membership.objects.filter(customer=team, user=owner).exists()

    def test_an_owner_who_may_not_sign_in_does_not_count(self) -> None:
        owner = make_person()
        team = make_team(owner)
        gone = join(team, Role.OWNER)
        gone.is_active = False
        gone.save(update_fields=["is_active"])

        with pytest.raises(teams.LastOwner):
            teams.leave(team, owner)

    def test_nobody_leaves_themselves(self, browser: PersonClient) -> None:
        with pytest.raises(Conflict):
            teams.leave(browser.customer, browser.user)


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_leave_at_once_leave_one_behind() -> None:
    first, second = make_person(), make_person()
    for _ in range(5):
        team = make_team(first)
        Membership.objects.create(user=second, customer=team, role=Role.OWNER)
        start = Barrier(2)

        def go(user: object, team: Customer = team, start: Barrier = start) -> bool:
            start.wait()
            try:
                teams.leave(team, user)  # type: ignore[arg-type]
                return True
            except BillingError:
                return False
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            left = list(pool.map(go, [first, second]))

        assert sorted(left) == [False, True]
        assert teams.owners(team).count() == 1


def test_the_signed_out_are_sent_to_log_in() -> None:
    for path in (TEAM, f"{TEAM}/new", f"{TEAM}/invite", f"{TEAM}/leave"):
        assert Client().get(path)["Location"] == f"/accounts/login/?next={path}"


def test_the_menu_says_where_one_is() -> None:
    page = signed_in().get(f"{TEAM}/new").content.decode()

    assert '<a href="/settings/team" aria-current="true">Team</a>' in page
