"""How somebody gets in: the password, the second factor, the sessions."""

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.usersessions.models import UserSession
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
@login_required
def security(request: HttpRequest) -> HttpResponse:
    """What guards this log-in, and where to change it."""
    found = Authenticator.objects.filter(user_id=request.user.pk)
    authenticators = {authenticator.type: authenticator for authenticator in found}
    codes = authenticators.get(Authenticator.Type.RECOVERY_CODES)
    context = {
        "app": authenticators.get(Authenticator.Type.TOTP),
        "codes_left": len(RecoveryCodes(codes).get_unused_codes()) if codes else None,
        "session_count": UserSession.objects.filter(user_id=request.user.pk).count(),
    }
    return render(request, "accounts/security.html", context)
