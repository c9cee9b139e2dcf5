"""The month: day after day, what the stories have for it, and all that falls due in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from accounts.models import Customer, User
from billing import ledger
from billing.models import Code, LedgerAccount, Transfer
from billing.money import CREDIT
from billing_project.demo.hands import DemoFailed, Hands
from billing_project.demo.stories import DEMO_EMAIL, STORIES, Act, acts
from billing_project.diary import Diary
from billing_project.sandbox_control import Sandbox
from billing_project.timelapse import Timelapse
from common import clock
from common.errors import BillingError

# The longest month, and the hours that a renewal's invoice waits before it is charged.
LASTS = timedelta(days=31, hours=6)
# Given to the demo customer at the end; the transfer's key says that the month was lived.
GIFT_CREDITS = 100

Tell = Callable[[str], None]


def was_lived(demo: Customer) -> bool:
    """Whether the month came to its end in this database."""
    return Transfer.objects.filter(key__startswith=_key(demo)).exists()


def was_begun() -> bool:
    """Whether somebody of the stories is here already, the demo customer aside."""
    others = [story.email for story in STORIES if story.email != DEMO_EMAIL]
    return User.objects.filter(email__in=others).exists()


def live(sandbox: Sandbox, tell: Tell) -> list[str]:
    """Live the month, once; what happened in it, in sentences.

    Raises SandboxError, ClockNotFollowed and DemoFailed.
    """
    time = Timelapse(sandbox)
    hands = Hands(sandbox, time)
    begins, diary = clock.now(), Diary()
    for act in acts(hands):
        time.move(begins + timedelta(days=act.day))
        if act.says:
            tell(f"{clock.now():%d %b}  {act.says}")
        _do(act)
    time.move(begins + LASTS)
    lines = diary.lines()
    _give(hands.someone("Demo customer", DEMO_EMAIL))
    return lines


def _do(act: Act) -> None:
    try:
        act.do()
    except BillingError as refusal:
        raise DemoFailed(f"{act.says or 'work'}: {refusal.message}") from refusal


def _give(demo: Customer) -> LedgerAccount:
    wallet = ledger.wallet(demo, CREDIT)
    ledger.grant(
        wallet,
        GIFT_CREDITS * CREDIT.unit_minor,
        code=Code.PROMOTION,
        key=_key(demo),
        group=_key(demo),
        occurred_at=clock.now(),
        origin="demo",
        promotional=True,
    )
    return wallet


def _key(demo: Customer) -> str:
    return f"demo:{demo.pk}:month"
