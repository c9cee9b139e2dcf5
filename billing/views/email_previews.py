"""E-mails to look at, while DEBUG is on: each kind in each language, as HTML and as text."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.http import require_safe

from billing.models import Email
from billing.services import letter_forms
from billing.views import email_samples

# Styles stand inline in mails, and nothing else may be loaded.
_MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_FORMS = {"html": letter_forms.html, "txt": letter_forms.text}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What there is to look at."""
    context = {
        "names": list(email_samples.SAMPLES),
        "languages": settings.LANGUAGES,
        "forms": list(_FORMS),
    }
    return render(request, "emails/previews.html", context)


@require_safe
def preview(_request: HttpRequest, name: str, language: str, form: str) -> HttpResponse:
    """One e-mail, as a mail program would get it."""
    found = email_samples.find(name)
    if found is None or language not in dict(settings.LANGUAGES) or form not in _FORMS:
        raise Http404
    kind, make = found
    customer = email_samples.customer(language)
    with translation.override(language):
        letter = make(customer)
        written = _FORMS[form](Email(kind=kind, customer=customer), letter)
    if form == "txt":
        written = f"{letter.subject}\n\n{written}"
    mime_type = "text/html" if form == "html" else "text/plain"
    return HttpResponse(
        written,
        content_type=f"{mime_type}; charset=utf-8",
        headers={"Content-Security-Policy": _MAIL_POLICY},
    )
