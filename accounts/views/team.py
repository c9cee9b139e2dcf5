"""The team: who belongs to it, and what was changed."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms import RemovalForm, RoleForm, TeamForm
from accounts.http import SignedInRequest, act_required, customer_required
from accounts.middleware import SESSION_KEY
from accounts.models import Customer, Membership
from accounts.roles import Act
from accounts.services import teams
from common.errors import BillingError

EVENTS = 20


@require_safe
@customer_required
def team(request: SignedInRequest) -> HttpResponse:
    """Members, open invitations, and, for owners, the trail; of a person, their teams."""
    customer = request.customer
    context = {
        "is_team": customer.kind == Customer.Kind.TEAM,
        "members": customer.memberships.select_related("user").order_by("pk"),
        "invitations": customer.invitations.pending().order_by("pk"),
        "events": customer.team_events.select_related("actor").order_by("-pk")[:EVENTS],
    }
    return render(request, "accounts/team.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@customer_required
def new(request: SignedInRequest) -> HttpResponse:
    """Open a team, and act for it."""
    form = TeamForm(request.POST or None, initial={"email": request.user.email})
    if request.method == "POST" and form.is_valid():
        try:
            opened = teams.open_team(request.user, **form.cleaned_data)
        except BillingError as refusal:
            form.add_error(None, str(refusal))
        else:
            request.session[SESSION_KEY] = str(opened.pk)
            messages.success(request, _("%(team)s is open.") % {"team": opened})
            return redirect("accounts:team")
    return render(request, "accounts/team_new.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@act_required(Act.TEAM)
def role(request: SignedInRequest, membership_id: int) -> HttpResponse:
    """Give a member another role."""
    member = _member(request, membership_id)
    form = RoleForm(request.POST or None, initial={"role": member.role})
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data["role"]
        try:
            teams.change_role(request.customer, membership_id, chosen, actor=request.user)
        except BillingError as refusal:
            form.add_error("role", str(refusal))
        else:
            messages.success(request, _("Saved."))
            return redirect("accounts:team")
    return render(request, "accounts/team_role.html", {"form": form, "member": member})


@require_http_methods(["GET", "HEAD", "POST"])
@act_required(Act.TEAM)
def remove(request: SignedInRequest, membership_id: int) -> HttpResponse:
    """Ask, then take a member out."""
    member = _member(request, membership_id)
    keys = list(teams.keys_made_by(request.customer, member.user))
    form = RemovalForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        revoke_keys = form.cleaned_data["revoke_keys"]
        try:
            teams.remove(
                request.customer, membership_id, actor=request.user, revoke_keys=revoke_keys
            )
        except BillingError as refusal:
            form.add_error(None, str(refusal))
        else:
            sentence = _("%(person)s does not belong to the team any more.")
            messages.success(request, sentence % {"person": member.user.get_full_name()})
            return redirect("accounts:team")
    context = {"form": form, "member": member, "keys": keys}
    return render(request, "accounts/team_remove.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@customer_required
def leave(request: SignedInRequest) -> HttpResponse:
    """Ask, then end one's own membership."""
    if request.customer.kind != Customer.Kind.TEAM:
        raise teams.NotATeam
    problem = ""
    if request.method == "POST":
        left = request.customer
        try:
            teams.leave(left, request.user)
        except BillingError as refusal:
            problem = str(refusal)
        else:
            request.session.pop(SESSION_KEY, None)
            messages.success(request, _("You do not belong to %(team)s any more.") % {"team": left})
            return redirect("accounts:team")
    return render(request, "accounts/team_leave.html", {"problem": problem})


def _member(request: SignedInRequest, membership_id: int) -> Membership:
    members = Membership.objects.filter(customer=request.customer).select_related("user")
    return get_object_or_404(members, pk=membership_id)
