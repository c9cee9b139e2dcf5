"""``manage.py demo_month``: live a month with a few customers, once. Never outside the sandbox."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.selectors import personal_customer
from billing_project import sandbox_control
from billing_project.demo import month
from billing_project.demo.hands import DemoFailed
from billing_project.demo.stories import DEMO_EMAIL
from billing_project.moving import AlreadyMoving, moving
from billing_project.sandbox_control import SandboxError
from billing_project.timelapse import ClockNotFollowed
from common import clock


class Command(BaseCommand):
    """Lives the demo month unless this database has lived it before."""

    help = (
        "Let a few demo customers subscribe, renew, upgrade, fail, recover, cancel, be refunded and"
        " dispute for a month of the sandbox's time. Once per database; sandbox only."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        """Live it, a line per act, then what came of it."""
        try:
            sandbox = sandbox_control.ours()
            person = User.objects.filter(email=DEMO_EMAIL).first()
            demo = personal_customer(person) if person else None
            if demo is None:
                raise CommandError("Run seed_demo first: it makes the demo customer.")
            if month.was_lived(demo):
                self.stdout.write(
                    f"The demo month was lived before; it is {clock.now():%-d %B %Y} here."
                )
            elif month.was_begun():
                self.stdout.write(
                    "The demo month was begun and broken off. It begins on a new database only:"
                    " stop, remove the folder var, start again."
                )
            else:
                with moving():
                    self._live(sandbox)
        except (SandboxError, ClockNotFollowed, AlreadyMoving, DemoFailed) as problem:
            raise CommandError(f"The demo month broke off: {problem}") from problem

    def _live(self, sandbox: sandbox_control.Sandbox) -> None:
        began, from_day = time.monotonic(), clock.now()
        self._tell(
            "Now a few demo customers live a month; the date here moves on meanwhile."
            " DEMO_MONTH=0 leaves that out."
        )
        happened = month.live(sandbox, self._tell)
        took = time.monotonic() - began
        self._tell(
            f"A month was lived in {took:.0f} s, from {from_day:%-d %B %Y} to"
            f" {clock.now():%-d %B %Y}, which is today here:"
        )
        for line in happened:
            self._tell(f"  {line}")
        self._tell(f"See it as {DEMO_EMAIL} or as staff: {settings.PUBLIC_URL}/admin/")

    def _tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
