"""People of a team who act at the same moment: real threads, each with its own connection."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from accounts.models import ApiKey, Customer, Membership, TeamAct, TeamEvent
from accounts.services import api_keys, closing, invitations, teams
from common.errors import BillingError, Forbidden
from tests.accounts.factories import customer_of, join, make_person, make_team
from tests.ledger.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)
Role = Membership.Role
ROUNDS = 5


def refusals(answers: list[Any]) -> list[BillingError]:
    return [one for one in answers if isinstance(one, BillingError)]


def test_two_owners_who_demote_each_other_leave_one() -> None:
    for _ in range(ROUNDS):
        first = make_person()
        team = make_team(first)
        second = join(team, Role.OWNER)
        mine, theirs = (Membership.objects.get(customer=team, user=who) for who in (first, second))

        answers = at_once(
            [
                partial(teams.change_role, team, theirs.pk, Role.MEMBER, actor=first),
                partial(teams.change_role, team, mine.pk, Role.MEMBER, actor=second),
            ]
        )

        assert len(refusals(answers)) == 1
        assert teams.owners(team).count() == 1


def test_two_owners_who_both_go_leave_one() -> None:
    for _ in range(ROUNDS):
        first = make_person()
        team = make_team(first)
        second = join(team, Role.OWNER)

        answers = at_once(
            [
                partial(teams.leave, team, first),
                partial(closing.close, customer_of(second), second),
            ]
        )

        assert len(refusals(answers)) == 1
        assert teams.owners(team).count() == 1


def test_an_account_that_is_closed_twice_at_once_is_closed_once() -> None:
    owner = make_person()
    team = make_team(owner)

    answers = at_once([partial(closing.close, team, owner)] * 4)

    assert [type(one) for one in refusals(answers)] == [Forbidden] * 3
    assert TeamEvent.objects.filter(customer=team, act=TeamAct.CLOSED).count() == 1


def test_a_team_that_is_closed_keeps_no_key_that_was_made_meanwhile() -> None:
    for _ in range(ROUNDS):
        owner = make_person()
        team = make_team(owner)

        at_once(
            [
                partial(closing.close, team, owner),
                partial(
                    api_keys.create,
                    team,
                    created_by=owner,
                    name="job",
                    scope_names=["credits:read"],
                ),
            ]
        )

        assert not ApiKey.objects.filter(customer=team, revoked_at=None).exists()


def test_nobody_joins_a_team_that_is_closed_at_that_moment() -> None:
    for _ in range(ROUNDS):
        owner, guest = make_person(), make_person()
        team = make_team(owner)
        asked = invitations.invite(team, email=guest.email, role=Role.OWNER, inviter=owner)
        token = invitations.token_of(asked)

        answers = at_once(
            [partial(closing.close, team, owner), partial(invitations.accept, token, guest)]
        )

        joined = Membership.objects.filter(customer=team, user=guest).exists()
        assert joined is (not refusals(answers))
        assert Customer.objects.get(pk=team.pk).closed_at is not None


def test_a_link_that_is_followed_twice_at_once_joins_once() -> None:
    owner, guest = make_person(), make_person()
    team = make_team(owner)
    asked = invitations.invite(team, email=guest.email, role=Role.BILLING, inviter=owner)
    token = invitations.token_of(asked)

    answers = at_once([partial(invitations.accept, token, guest)] * 4)

    assert [type(one) for one in refusals(answers)] == [invitations.InvitationGone] * 3
    assert TeamEvent.objects.filter(customer=team, act=TeamAct.JOINED).count() == 1
