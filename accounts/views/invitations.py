"""Invitations: sending them, taking them back, and saying yes."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms import InvitationForm
from accounts.http import SignedInRequest, act_required
from accounts.middleware import SESSION_KEY
from accounts.models import Customer, Invitation, Membership, User
from accounts.roles import Act
from accounts.services import invitations, teams
from common.errors import BillingError


@require_http_methods(["GET", "HEAD", "POST"])
@act_required(Act.TEAM)
def invite(request: SignedInRequest) -> HttpResponse:
    """Ask somebody to join the team."""
    if request.customer.kind != Customer.Kind.TEAM:
        raise teams.NotATeam
    form = InvitationForm(request.POST or None, initial={"role": Membership.Role.MEMBER})
    if request.method == "POST" and form.is_valid():
        try:
            sent = invitations.invite(request.customer, inviter=request.user, **form.cleaned_data)
        except BillingError as refusal:
            form.add_error("email", str(refusal))
        else:
            messages.success(
                request, _("An invitation is on its way to %(email)s.") % {"email": sent.email}
            )
            return redirect("accounts:team")
    return render(request, "accounts/team_invite.html", {"form": form})


@require_POST
@act_required(Act.TEAM)
def send_again(request: SignedInRequest, invitation_id: UUID) -> HttpResponse:
    """Send a new link."""
    try:
        sent = invitations.send_again(request.customer, invitation_id, actor=request.user)
    except BillingError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(
            request, _("An invitation is on its way to %(email)s.") % {"email": sent.email}
        )
    return redirect("accounts:team")


@require_http_methods(["GET", "HEAD", "POST"])
@act_required(Act.TEAM)
def revoke(request: SignedInRequest, invitation_id: UUID) -> HttpResponse:
    """Ask, then take an invitation back."""
    pending = Invitation.objects.filter(customer=request.customer).pending()
    invitation = get_object_or_404(pending, pk=invitation_id)
    if request.method != "POST":
        context = {"invitation": invitation}
        return render(request, "accounts/invitation_revoke.html", context)
    invitations.revoke(request.customer, invitation_id, actor=request.user)
    messages.success(
        request, _("The invitation of %(email)s is taken back.") % {"email": invitation.email}
    )
    return redirect("accounts:team")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """Who asks, into what; a yes of the one who was asked, signed in, joins."""
    invitation = invitations.find(token)
    user = request.user if isinstance(request.user, User) else None
    if request.method == "POST" and user is not None:
        membership = invitations.accept(token, user)
        request.session[SESSION_KEY] = str(membership.customer_id)
        messages.success(request, _("You belong to %(team)s now.") % {"team": membership.customer})
        return redirect("accounts:team")
    inviter = invitation.invited_by
    context = {
        "invitation": invitation,
        "inviter": _masked(inviter.email) if inviter else "",
        "invited": _masked(invitation.email),
        "fits": user is not None and invitations.is_for(invitation, user),
        "next": urlencode({REDIRECT_FIELD_NAME: request.path}),
    }
    return render(request, "accounts/invitation.html", context)


def _masked(email: str) -> str:
    """Enough of an address to know it by, not enough to learn it: ``a…@example.com``."""
    name, _at, domain = email.partition("@")
    return f"{name[:1]}…@{domain}"
