"""Closing an account: what is in the way of it, what is lost, and the act.

A closed account can be opened again by staff for 30 days. Then ``forget_due`` takes out what names
people; rows of money, and invoices with the buyer they were issued to, stay as the law wants them.
Each app registers what stands in the way and what would be lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import selectors
from accounts.models import ApiKey, Customer, Invitation, Membership, TeamAct, TeamEvent, User
from accounts.roles import Act
from accounts.services import teams
from common import clock
from common.errors import Conflict, Forbidden

logger = logging.getLogger(__name__)

GRACE = timedelta(days=30)
NOBODY = "closed.invalid"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that has to be settled first, and where."""

    sentence: str
    url: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What one app says of closing."""

    obstacles: Callable[[Customer], Iterable[Obstacle]] = field(default=lambda _customer: ())
    losses: Callable[[Customer], Iterable[str]] = field(default=lambda _customer: ())
    close: Callable[[Customer], None] = field(default=lambda _customer: None)
    # Takes out what names people, when there is no way back any more.
    forget: Callable[[Customer], None] = field(default=lambda _customer: None)


class CannotClose(Conflict):
    code = "account_cannot_close"


_PARTS: dict[str, Part] = {}


def register(name: str, part: Part) -> None:
    """Add an app's part."""
    _PARTS[name] = part


def obstacles(customer: Customer, user: User) -> list[Obstacle]:
    """Everything that is in the way of this user's closing this customer."""
    found = [one for part in _PARTS.values() for one in part.obstacles(customer)]
    if customer.kind == Customer.Kind.PERSON:
        found += _personal_obstacles(user)
    return found


def losses(customer: Customer) -> list[str]:
    """What would be lost, a sentence each."""
    return [sentence for part in _PARTS.values() for sentence in part.losses(customer)]


@transaction.atomic
def close(customer: Customer, user: User) -> None:
    """Close a team, or a person's account with the log-in. Raises CannotClose, Forbidden."""
    locked = teams.lock(customer)
    User.objects.select_for_update().get(pk=user.pk)
    acting = Membership.objects.filter(customer=customer, user=user).first()
    if locked.closed_at is not None or acting is None or not acting.may(Act.CLOSE):
        raise Forbidden
    in_the_way = obstacles(customer, user)
    if in_the_way:
        raise CannotClose(in_the_way[0].sentence)
    now = clock.now()
    teams.note(customer, TeamAct.CLOSED, actor=user)
    _close_customer(customer, now)
    if customer.kind == Customer.Kind.PERSON:
        _close_user(user, now)


@transaction.atomic
def reopen(customer: Customer, *, actor: User | None) -> bool:
    """Undo a closing within its 30 days; False when there is nothing to undo any more.

    Keys stay revoked, and teams that the person left stay left.
    """
    locked = teams.lock(customer)
    if locked.closed_at is None or is_forgotten(locked.email):
        return False
    Customer.objects.filter(pk=customer.pk).update(closed_at=None)
    if locked.kind == Customer.Kind.PERSON:
        closed = User.objects.filter(memberships__customer=customer, closed_at__isnull=False)
        User.objects.filter(pk__in=[user.pk for user in closed]).update(
            closed_at=None, is_active=True
        )
    teams.note(customer, TeamAct.REOPENED, actor=actor)
    return True


def forget_due() -> int:
    """Take what names people out of accounts that were closed 30 days ago; how many.

    One that money came to meanwhile is left, and logged for staff.
    """
    until = clock.now() - GRACE
    due = Customer.objects.filter(closed_at__lte=until).exclude(email__endswith=f"@{NOBODY}")
    forgotten = 0
    for customer in due.order_by("closed_at"):
        waiting = [one for part in _PARTS.values() for one in part.obstacles(customer)]
        if waiting:
            logger.warning("closed account holds something", extra={"customer": str(customer.pk)})
            continue
        forgotten += _forget(customer)
    return forgotten


def is_forgotten(email: str) -> bool:
    """Whether that address stands for one that was taken out."""
    return email.endswith(f"@{NOBODY}")


def _personal_obstacles(user: User) -> list[Obstacle]:
    found = []
    if user.is_staff:
        found.append(Obstacle(_("Members of staff are switched off by other staff.")))
    others = teams.active_owners().filter(customer=OuterRef("customer")).exclude(user=user)
    mine = selectors.memberships(user).filter(
        customer__kind=Customer.Kind.TEAM, role=Membership.Role.OWNER
    )
    for membership in mine.exclude(Exists(others)):
        sentence = _("You are the only owner of %(team)s. Make somebody else one, or close it.")
        where = reverse("accounts:team"), _("See your teams")
        found.append(Obstacle(sentence % {"team": membership.customer}, *where))
    return found


def _close_customer(customer: Customer, now: datetime) -> None:
    for part in _PARTS.values():
        part.close(customer)
    Customer.objects.filter(pk=customer.pk).update(closed_at=now)
    ApiKey.objects.filter(customer=customer, revoked_at=None).update(revoked_at=now)
    Invitation.objects.filter(customer=customer).pending().update(revoked_at=now)


def _close_user(user: User, now: datetime) -> None:
    for membership in selectors.memberships(user).filter(customer__kind=Customer.Kind.TEAM):
        teams.leave(membership.customer, user)
    User.objects.filter(pk=user.pk).update(is_active=False, closed_at=now)
    end_sessions(user)


def end_sessions(user: User) -> None:
    """Sign the user out everywhere."""
    for session in UserSession.objects.filter(user=user):
        session.end()


@transaction.atomic
def _forget(customer: Customer) -> bool:
    """False for one that staff opened again meanwhile."""
    if teams.lock(customer).closed_at is None:
        return False
    if customer.kind == Customer.Kind.PERSON:
        # Whom staff let act for this person has a log-in of their own.
        owner = Membership.objects.filter(customer=customer, role=Membership.Role.OWNER)
        for user in User.objects.filter(memberships__in=owner, closed_at__isnull=False):
            _forget_user(user)
    else:
        Membership.objects.filter(customer=customer).delete()
    for part in _PARTS.values():
        part.forget(customer)
    Invitation.objects.filter(customer=customer).delete()
    TeamEvent.objects.filter(customer=customer).update(subject="")
    # The country stays: it is what taxes were counted by.
    Customer.objects.filter(pk=customer.pk).update(
        name="", email=f"{customer.pk.hex}@{NOBODY}", address="", tax_id=""
    )
    return True


def _forget_user(user: User) -> None:
    EmailAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    UserSession.objects.filter(user=user).delete()
    TeamEvent.objects.filter(subject=user.email).update(subject="")
    user.set_unusable_password()
    user.name, user.email = "", f"{user.pk.hex}@{NOBODY}"
    user.save(update_fields=["name", "email", "password"])
