"""Rehearsals: what an act would do, found out by doing it and taking all of it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import transaction

Result = TypeVar("Result")


def rehearse(act: Callable[[], Result]) -> Result:
    """What ``act`` returns; nothing it wrote stays, and nobody is rung or told.

    Doorbells wait for a commit that never comes, and what notifiers wrote is taken back too. The
    act must call no provider.
    """
    with transaction.atomic():
        result = act()
        transaction.set_rollback(True)
    return result
