"""What a letter looks like: a mail of plain text and HTML that say the same."""

from __future__ import annotations

from email.utils import formataddr, parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from billing.models import Email, EmailKind
from billing.services import emails, letters
from billing.services.letters import Letter


def message(email: Email, letter: Letter, *, to: str) -> EmailMultiAlternatives:
    """The letter as a mail in the active language, with headers that no name can break."""
    made = EmailMultiAlternatives(
        letter.subject,
        text(email, letter),
        from_email=_sender(),
        to=[to],
        reply_to=[settings.SELLER["email"]] if settings.SELLER["email"] else None,
        headers=_headers(email),
    )
    made.attach_alternative(html(email, letter), "text/html")
    for file in letter.attachments:
        made.attach(file.name, file.content, file.mime_type)
    return made


def text(email: Email, letter: Letter) -> str:
    """For programs that show no HTML, and people who want none."""
    return render_to_string("emails/letter.txt", _context(email, letter)).strip() + "\n"


def html(email: Email, letter: Letter) -> str:
    """For all others."""
    return render_to_string("emails/letter.html", _context(email, letter))


def _context(email: Email, letter: Letter) -> dict[str, object]:
    return {
        "letter": letter,
        "language": translation.get_language(),
        "brand": letters.brand(),
        "home_url": letters.address("/"),
        "seller_lines": [
            line for name in ("name", "address") for line in _lines(settings.SELLER[name])
        ],
        "why": _why(email),
        "settings_url": letters.link("accounts:notifications") if _can_be_muted(email) else "",
        "is_sandbox": settings.SANDBOX,
    }


def _lines(told: str) -> list[str]:
    return [line.strip() for line in told.splitlines() if line.strip()]


def _why(email: Email) -> str:
    """Why it came to this address."""
    said = {"brand": letters.brand(), "account": letters.name(str(email.customer))}
    if email.kind == EmailKind.INVITATION:
        return _("You get this e-mail because somebody entered your address at %(brand)s.") % said
    return (
        _("You get this e-mail because you receive the bills of %(account)s at %(brand)s.") % said
    )


def _headers(email: Email) -> dict[str, str]:
    host = settings.PUBLIC_URL.partition("://")[2].partition(":")[0]
    headers = {
        # The same however often it is sent: mail programs tell by it that it is the same.
        "Message-ID": f"<{email.pk}@{host}>",
        # Out-of-office programs answer nobody who says this.
        "Auto-Submitted": "auto-generated",
    }
    if _can_be_muted(email):
        headers["List-Unsubscribe"] = f"<{letters.link('accounts:notifications')}>"
    return headers


def _can_be_muted(email: Email) -> bool:
    return email.kind not in emails.MUST_BE_SENT


def _sender() -> str:
    """The sender's address under the seller's name, unless the setting names one."""
    known_name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return formataddr((known_name or letters.brand(), address))
