"""``manage.py advance_clock 31d``: let time pass in the sandbox, and what it brings happen."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Min

from billing.models import Subscription, SubscriptionStatus
from billing_project import sandbox_control
from billing_project.diary import Diary
from billing_project.moving import AlreadyMoving, moving
from billing_project.sandbox_control import SandboxError
from billing_project.timelapse import ClockNotFollowed, Timelapse
from common import clock

UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
MOST_YEARS = 10
# Stripe leaves a renewal's invoice open for an hour before it charges.
AFTER_RENEWAL = timedelta(hours=2)
BAR_LENGTH = 30


class Command(BaseCommand):
    """Moves the sandbox's clock and the portal's with it, a day at a time."""

    help = (
        "Let time pass in the sandbox: renewals, reminders, expiry and all else that is due happens"
        " on the way. How far: 31d, 12h, 45m, 2w, 1y, or several together, like 1d12h."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("how_far", nargs="?", help="e.g. 31d; units: s m h d w y")
        parser.add_argument(
            "--to-next-renewal", action="store_true", help="until the next subscription has renewed"
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Let "-5d" arrive as what it is, not as an option."""
        super().run_from_argv([f" {one}" if re.match(r"-\d", one) else one for one in argv])

    def handle(
        self, *_: Any, how_far: str | None = None, to_next_renewal: bool = False, **__: Any
    ) -> None:
        """Move, showing how far it has come, and say what happened."""
        if (how_far is None) != to_next_renewal:
            raise CommandError("Say either how far (31d) or --to-next-renewal.")
        begins = clock.now()
        ends = _next_renewal() if how_far is None else target(how_far, begins)
        diary = Diary()
        try:
            sandbox = sandbox_control.ours()
            with moving():
                Timelapse(sandbox).move(ends, on_step=self._bar(begins, ends))
        except (SandboxError, ClockNotFollowed, AlreadyMoving) as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"It is {clock.now():%Y-%m-%d %H:%M} UTC now.")
        for line in diary.lines():
            self.stdout.write(f"  {line}")

    def _bar(self, begins: datetime, ends: datetime) -> Any:
        """What draws the bar: over itself on a terminal, else a line for each tenth."""
        is_terminal = self.stdout.isatty()
        drawn = -1

        def draw(now: datetime) -> None:
            nonlocal drawn
            done = min(round((now - begins) / (ends - begins), 3), 1)
            mark = int(done * 10)
            if not is_terminal and mark == drawn:
                return
            drawn = mark
            full = int(done * BAR_LENGTH)
            bar = "#" * full + "-" * (BAR_LENGTH - full)
            line = f"[{bar}] {now:%Y-%m-%d}"
            over = "\n" if done == 1 or not is_terminal else ""
            self.stdout.write(f"\r{line}" if is_terminal else line, ending=over)
            self.stdout.flush()

        return draw


def target(how_far: str, begins: datetime) -> datetime:
    """The moment that far ahead. Raises CommandError with what is wrong with it."""
    how_far = how_far.strip().lower()
    if how_far.startswith("-"):
        raise CommandError(f"Time goes forward only: {how_far}")
    parts = re.findall(r"([0-9]{1,12})([smhdwy])", how_far)
    if not parts or "".join(map("".join, parts)) != how_far:
        raise CommandError(f"{how_far!r} is no length of time; write 31d, 12h, 45m, 2w or 1y.")
    latest = _years_after(begins, MOST_YEARS)
    ends = begins
    for number, unit in parts:
        count = int(number)
        # Whatever the unit, that many of it are too far, and a larger number might overflow.
        if count > (latest - begins) // UNITS.get(unit, timedelta(days=365)):
            raise CommandError(f"{how_far} is too far: at most {MOST_YEARS} years at once.")
        ends = _years_after(ends, count) if unit == "y" else ends + count * UNITS[unit]
    if ends > latest:
        raise CommandError(f"{how_far} is too far: at most {MOST_YEARS} years at once.")
    if ends == begins:
        raise CommandError(f"{how_far} is no time at all.")
    return ends


def _years_after(moment: datetime, years: int) -> datetime:
    """The same day then; of 29 February the day after, so that a year has always passed."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, month=3, day=1)


def _next_renewal() -> datetime:
    renewing = Subscription.objects.filter(renews=True, cancels_at=None)
    renewing = renewing.exclude(status=SubscriptionStatus.ENDED)
    found = renewing.filter(period_ends_at__gt=clock.now()).aggregate(at=Min("period_ends_at"))
    at: datetime | None = found["at"]
    if at is None:
        raise CommandError("No subscription renews.")
    return at + AFTER_RENEWAL
