"""Where alerts go: e-mail and a Telegram chat, each if it is set."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Protocol

import httpx
from django.conf import settings
from django.core.mail import EmailMessage

from billing_project import env

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0


class Unreachable(Exception):
    """The message did not get there; it is sent again at the next look."""


class Channel(Protocol):
    """One way to reach whoever keeps the portal running."""

    name: str

    def send(self, subject: str, text: str) -> None:
        """Send it now. Raises Unreachable."""


class Email:
    """A mail to all of ALERT_EMAILS."""

    name = "email"

    def send(self, subject: str, text: str) -> None:
        """Send one message to all of them."""
        message = EmailMessage(subject, text, to=settings.ALERT_EMAILS)
        try:
            message.send()
        except OSError as problem:  # SMTP's errors are OSErrors too
            raise Unreachable(type(problem).__name__) from problem


class Telegram:
    """A message of a bot to one chat, over Telegram's Bot API."""

    name = "telegram"

    def send(self, subject: str, text: str) -> None:
        """Call ``sendMessage``. The token is part of the address, so no error may quote that."""
        address = settings.ALERT_TELEGRAM_URL
        if settings.SANDBOX and not env.is_loopback(env.host_of(address)):
            raise Unreachable("the sandbox talks to this machine only")
        try:
            with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=not settings.SANDBOX) as client:
                answer = client.post(
                    f"{address}/bot{settings.ALERT_TELEGRAM_BOT_TOKEN}/sendMessage",
                    json={
                        "chat_id": settings.ALERT_TELEGRAM_CHAT_ID,
                        "text": f"{subject}\n{text}",
                        "link_preview_options": {"is_disabled": True},
                    },
                )
        except httpx.HTTPError as problem:
            raise Unreachable(type(problem).__name__) from None
        if not answer.is_success:
            raise Unreachable(f"Telegram answers {answer.status_code}")


def configured() -> Iterator[Channel]:
    """Those that are set."""
    if settings.ALERT_EMAILS:
        yield Email()
    if settings.ALERT_TELEGRAM_BOT_TOKEN and settings.ALERT_TELEGRAM_CHAT_ID:
        yield Telegram()
