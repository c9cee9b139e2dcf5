"""Invitations: asking somebody at an address, and their joining.

The link in the e-mail holds a token that is made from the portal's secret, the invitation and how
often it was sent; its row has the SHA-256 only, and the outbox forgets the link once it is sent. To
join one needs the link *and* to be signed in with the address it was sent to: a link that is
forwarded, logged or leaked lets nobody else in. Following a link that went to one's own log-in
address proves that address, as the confirmation message would.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from accounts.models import Customer, Invitation, Membership, TeamAct, User
from accounts.models.teams import LIFETIME
from accounts.roles import Act
from accounts.services import teams
from common import clock, ids, notifiers
from common.errors import Conflict, Forbidden, NotFound, TooMany

MAX_PENDING = 50
MAX_SENT = 5
# Invitations of one person in a day, and of those to one address: nobody is flooded from here.
MAX_A_DAY, MAX_A_DAY_TO_ONE = 50, 3
RESEND_AFTER = timedelta(minutes=10)


class InvitationGone(NotFound):
    code = "invitation_gone"
    message = _("This invitation was used, taken back or is too old. Ask for a new one.")


class AddressDiffers(Forbidden):
    code = "invitation_for_another_address"
    message = _("This invitation went to another address than the one you are signed in with.")


@transaction.atomic
def invite(team: Customer, *, email: str, role: str, inviter: User) -> Invitation:
    """Ask somebody to join in that role, by e-mail.

    Raises Conflict for who belongs to the team or has been asked already, TooMany for floods.
    """
    teams.lock_as(team, inviter, Act.TEAM)
    email = email.strip().lower()
    if Membership.objects.filter(customer=team, user__email=email).exists():
        raise Conflict(_("This person belongs to the team already."), code="already_a_member")
    pending = Invitation.objects.filter(customer=team).pending()
    if pending.open().filter(email=email).exists():
        raise Conflict(_("This address has an invitation already."), code="already_invited")
    pending.filter(email=email).update(revoked_at=clock.now())  # too old
    if pending.count() >= MAX_PENDING:
        raise TooMany(_("Too many invitations are open. Take one back first."))
    now = clock.now()
    _refuse_floods(inviter, email, now)
    invitation = Invitation(
        id=ids.uuid7(),
        customer=team,
        email=email,
        role=role,
        invited_by=inviter,
        created_at=now,
        sent_at=now,
        expires_at=now + LIFETIME,
    )
    invitation.token_hash = _hash(token_of(invitation))
    invitation.save(force_insert=True)
    _send(invitation, inviter)
    teams.note(team, TeamAct.INVITED, actor=inviter, subject=email, role=role)
    return invitation


@transaction.atomic
def send_again(team: Customer, invitation_id: UUID, *, actor: User) -> Invitation:
    """Send a new link, good for another seven days; the old one ends. Raises TooMany."""
    teams.lock_as(team, actor, Act.TEAM)
    invitation = _pending(team, invitation_id)
    now = clock.now()
    if invitation.sent_count >= MAX_SENT:
        raise TooMany(_("This was sent often enough. Take it back, and invite again later."))
    if invitation.sent_at + RESEND_AFTER > now:
        raise TooMany(_("This was sent a moment ago. Try again in a few minutes."))
    invitation.sent_count += 1
    invitation.sent_at, invitation.expires_at = now, now + LIFETIME
    invitation.token_hash = _hash(token_of(invitation))
    invitation.save(update_fields=["sent_count", "sent_at", "expires_at", "token_hash"])
    _send(invitation, actor)
    teams.note(team, TeamAct.INVITED_AGAIN, actor=actor, subject=invitation.email)
    return invitation


@transaction.atomic
def revoke(team: Customer, invitation_id: UUID, *, actor: User) -> Invitation:
    """Take an invitation back: its link ends now."""
    teams.lock_as(team, actor, Act.TEAM)
    invitation = _pending(team, invitation_id)
    invitation.revoked_at = clock.now()
    invitation.save(update_fields=["revoked_at"])
    teams.note(team, TeamAct.INVITATION_REVOKED, actor=actor, subject=invitation.email)
    return invitation


def find(token: str) -> Invitation:
    """The invitation of a link that can be accepted now. Raises InvitationGone."""
    found = Invitation.objects.open().filter(token_hash=_hash(token), customer__closed_at=None)
    invitation = found.select_related("customer", "invited_by").first()
    if invitation is None:
        raise InvitationGone
    return invitation


def is_for(invitation: Invitation, user: User) -> bool:
    """Whether it went to the user's log-in, or to another address they have confirmed."""
    confirmed = EmailAddress.objects.filter(user=user, email=invitation.email, verified=True)
    return user.email == invitation.email or confirmed.exists()


@transaction.atomic
def accept(token: str, user: User) -> Membership:
    """Join, once. Who belongs to the team already keeps their role.

    Raises InvitationGone, and AddressDiffers for anybody but the one who was asked.
    """
    teams.lock(find(token).customer)
    invitation = find(token)
    if not is_for(invitation, user):
        raise AddressDiffers
    EmailAddress.objects.filter(user=user, email=user.email, verified=False).filter(
        email=invitation.email
    ).update(verified=True)
    membership, is_new = Membership.objects.get_or_create(
        user=user, customer=invitation.customer, defaults={"role": invitation.role}
    )
    invitation.accepted_at, invitation.accepted_by = clock.now(), user
    invitation.save(update_fields=["accepted_at", "accepted_by"])
    if is_new:
        teams.note(
            invitation.customer,
            TeamAct.JOINED,
            actor=user,
            subject=user.email,
            role=membership.role,
        )
    return membership


def token_of(invitation: Invitation) -> str:
    """The token of the link that was sent last."""
    message = f"{invitation.pk}:{invitation.sent_count}"
    return salted_hmac("accounts.invitation", message, algorithm="sha256").hexdigest()


def link(invitation: Invitation) -> str:
    """The address to follow, as it stands in the e-mail."""
    path = reverse("accounts:invitation", args=[token_of(invitation)])
    return f"{settings.PUBLIC_URL}{path}"


def _send(invitation: Invitation, inviter: User) -> None:
    notifiers.write(
        notifiers.Letter(
            kind="invitation",
            customer=invitation.customer,
            key=f"invitation:{invitation.pk}:{invitation.sent_count}",
            context={
                "invitation": str(invitation.pk),
                "team": str(invitation.customer),
                "inviter": inviter.get_full_name(),
                "role": invitation.role,
                "url": link(invitation),
                "until": invitation.expires_at.isoformat(),
            },
            to=invitation.email,
            language=inviter.language or invitation.customer.language,
        )
    )


def _refuse_floods(inviter: User, email: str, now: datetime) -> None:
    today = Invitation.objects.filter(created_at__gt=now - timedelta(days=1))
    by_inviter = today.filter(invited_by=inviter).count() >= MAX_A_DAY
    if by_inviter or today.filter(email=email).count() >= MAX_A_DAY_TO_ONE:
        raise TooMany(_("That is enough for one day. Invite again tomorrow."))


def _pending(team: Customer, invitation_id: UUID) -> Invitation:
    found = Invitation.objects.filter(customer=team, pk=invitation_id).pending()
    invitation = found.select_related("customer").first()
    if invitation is None:
        raise NotFound
    return invitation


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
