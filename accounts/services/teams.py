"""Teams: opening one, who belongs to it and in which role.

Every change locks the customer's row first, so that the rule that there is always an owner holds
however many act at once; and every change leaves a line in the trail that owners read.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts import selectors
from accounts.models import ApiKey, Customer, Membership, TeamAct, TeamEvent, User
from accounts.roles import Act
from accounts.services import api_keys
from common.errors import Conflict, Forbidden, NotFound

MAX_TEAMS_OWNED = 20


class LastOwner(Conflict):
    code = "last_owner"
    message = _("There has to be an owner. Make somebody else an owner first, or close the team.")


class NotATeam(Conflict):
    code = "not_a_team"
    message = _("This is a personal account. Open a team to work with others.")


@transaction.atomic
def open_team(owner: User, *, name: str, email: str) -> Customer:
    """A new team with this one owner. Raises Conflict for somebody who owns too many already."""
    User.objects.select_for_update().get(pk=owner.pk)
    owned = selectors.memberships(owner).filter(
        customer__kind=Customer.Kind.TEAM, role=Membership.Role.OWNER
    )
    if owned.count() >= MAX_TEAMS_OWNED:
        raise Conflict(_("You own as many teams as one person can."), code="too_many_teams")
    personal = selectors.personal_customer(owner)
    team = Customer.objects.create(
        kind=Customer.Kind.TEAM,
        name=name,
        email=email,
        language=personal.language if personal else "en",
        time_zone=personal.time_zone if personal else "UTC",
    )
    Membership.objects.create(user=owner, customer=team, role=Membership.Role.OWNER)
    note(team, TeamAct.OPENED, actor=owner)
    return team


@transaction.atomic
def change_role(team: Customer, membership_id: int, role: str, *, actor: User) -> Membership:
    """Give a member that role; nothing happens when they have it. Raises LastOwner."""
    lock_as(team, actor, Act.TEAM)
    membership = _member(team, membership_id)
    if membership.role == role:
        return membership
    if membership.role == Membership.Role.OWNER:
        _require_another_owner(team, membership)
    membership.role = Membership.Role(role)
    membership.save(update_fields=["role"])
    note(team, TeamAct.ROLE_CHANGED, actor=actor, subject=membership.user.email, role=role)
    return membership


@transaction.atomic
def remove(team: Customer, membership_id: int, *, actor: User, revoke_keys: bool) -> Membership:
    """Take a member out; keys they made go on working unless they are revoked with it."""
    lock_as(team, actor, Act.TEAM)
    membership = _member(team, membership_id)
    _take_out(team, membership)
    if revoke_keys:
        for api_key in keys_made_by(team, membership.user):
            api_keys.revoke(api_key)
    note(team, TeamAct.REMOVED, actor=actor, subject=membership.user.email, role=membership.role)
    return membership


@transaction.atomic
def leave(team: Customer, user: User) -> None:
    """End one's own membership. Raises LastOwner for the only owner."""
    lock(team)
    if team.kind != Customer.Kind.TEAM:
        raise NotATeam
    membership = Membership.objects.filter(customer=team, user=user).first()
    if membership is None:
        raise NotFound
    _take_out(team, membership)
    note(team, TeamAct.LEFT, actor=user, subject=user.email, role=membership.role)


def keys_made_by(team: Customer, user: User) -> Iterable[ApiKey]:
    """The team's live keys that this user made."""
    keys = ApiKey.objects.filter(customer=team, created_by=user).select_related("created_by")
    return [api_key for api_key in keys.order_by("-id") if api_keys.is_live(api_key)]


def lock(customer: Customer) -> Customer:
    """Let nobody else change who belongs to this customer until the transaction ends."""
    return Customer.objects.select_for_update().get(pk=customer.pk)


def lock_as(team: Customer, actor: User, act: Act) -> None:
    """Lock a team, and check under the lock that the actor still may do this."""
    locked = lock(team)
    if locked.kind != Customer.Kind.TEAM:
        raise NotATeam
    acting = Membership.objects.filter(customer=team, user=actor).first()
    if locked.closed_at is not None or acting is None or not acting.may(act):
        raise Forbidden


def note(
    customer: Customer, act: TeamAct, *, actor: User | None, subject: str = "", role: str = ""
) -> None:
    """Leave a line in the trail."""
    TeamEvent.objects.create(customer=customer, act=act, actor=actor, subject=subject, role=role)


def owners(customer: Customer) -> QuerySet[Membership]:
    """Owners who can still sign in."""
    return active_owners().filter(customer=customer)


def active_owners() -> QuerySet[Membership]:
    """Of every customer, the owners who can still sign in."""
    return Membership.objects.filter(role=Membership.Role.OWNER, user__is_active=True)


def _member(team: Customer, membership_id: int) -> Membership:
    found = Membership.objects.filter(customer=team, pk=membership_id).select_related("user")
    membership = found.first()
    if membership is None:
        raise NotFound
    return membership


def _take_out(team: Customer, membership: Membership) -> None:
    if membership.role == Membership.Role.OWNER:
        _require_another_owner(team, membership)
    membership.delete()


def _require_another_owner(team: Customer, membership: Membership) -> None:
    if not owners(team).exclude(pk=membership.pk).exists():
        raise LastOwner
