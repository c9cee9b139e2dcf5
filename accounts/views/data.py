"""A customer's data: taking it away, and closing the account."""

from __future__ import annotations

import math
from typing import cast

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts import selectors
from accounts.forms import CloseForm
from accounts.http import SignedInRequest, act_required, confirmation_required
from accounts.middleware import SESSION_KEY
from accounts.models import Customer, TeamAct
from accounts.roles import Act
from accounts.services import closing, exports, teams
from common import clock, throttling
from common.errors import TooMany


@require_http_methods(["GET", "HEAD", "POST"])
@act_required(Act.EXPORT)
@confirmation_required
def export(request: SignedInRequest) -> HttpResponse:
    """Say what an export holds; a POST sends it, while it is read."""
    customer = request.customer
    if request.method != "POST":
        last = customer.team_events.filter(act=TeamAct.EXPORTED).select_related("actor")
        context = {"files": exports.names(), "last": last.order_by("-pk").first()}
        return render(request, "accounts/export.html", context)
    wait = throttling.seconds_to_wait("export", str(customer.pk))
    if wait is not None:
        minutes = math.ceil(wait / 60)
        raise TooMany(_("Enough for now. Try again in %(count)s minutes.") % {"count": minutes})
    teams.note(customer, TeamAct.EXPORTED, actor=request.user)
    response = StreamingHttpResponse(exports.archive(customer), content_type="application/zip")
    name = f"data-{clock.now().astimezone(customer.zone):%Y-%m-%d}.zip"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    # Not an HttpResponse by type, and served like one.
    return cast("HttpResponse", response)


@require_http_methods(["GET", "HEAD", "POST"])
@act_required(Act.CLOSE)
@confirmation_required
def close(request: SignedInRequest) -> HttpResponse:
    """What would be lost and what stays; then, with the address typed, close."""
    customer = request.customer
    form = CloseForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        closing.close(customer, request.user)
        return _after(request)
    context = {
        "form": form,
        "is_team": customer.kind == Customer.Kind.TEAM,
        "obstacles": closing.obstacles(customer, request.user),
        "losses": closing.losses(customer),
        "grace_days": closing.GRACE.days,
    }
    return render(request, "accounts/close.html", context)


def _after(request: SignedInRequest) -> HttpResponse:
    if request.customer.kind == Customer.Kind.TEAM:
        request.session.pop(SESSION_KEY, None)
        closed = {"team": request.customer}
        messages.success(request, _("%(team)s is closed.") % closed)
        mine = selectors.current_membership(request.user)
        return redirect("accounts:team" if mine else "accounts:security")
    logout(request)
    return redirect("accounts:closed")


@require_safe
def closed(request: HttpRequest) -> HttpResponse:
    """Good-bye; it names nobody, so anybody may read it."""
    return render(request, "accounts/closed.html", {"grace_days": closing.GRACE.days})
