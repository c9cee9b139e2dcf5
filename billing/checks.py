"""Start-up checks: what must be true before this app may touch money."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.db import OperationalError

from billing import installed_sql

# Run by processes that serve: web and worker (billing_project.startup), and by `check --database`.
SERVING_TAG = "serving"


@checks.register(SERVING_TAG, checks.Tags.database)
def ledger_functions_are_installed(
    databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """The database has exactly the ledger functions of this code; otherwise says what to do.

    A warning, because ``migrate``, which puts it right, asks first; a process that is about to
    serve stops at it (billing_project.startup). A database that is down is another matter.
    """
    return [
        checks.Warning(
            f"The ledger's SQL functions in database {alias!r} are not those of this code: "
            "run manage.py migrate.",
            id="billing.W001",
        )
        for alias in databases or ()
        if not _is_current(alias)
    ]


def _is_current(alias: str) -> bool:
    try:
        return installed_sql.installed_hash(alias) == installed_sql.expected_hash()
    except OperationalError:
        return True
