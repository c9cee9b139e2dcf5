"""What the database holds, row by row: to tell that nothing changed, or what did."""

from __future__ import annotations

from collections import Counter

from django.db import connection

# Rows of visitors' own sessions come and go with every visit, and hold nothing of the victim's.
_SESSIONS = "django_session"

Rows = Counter[tuple[str, str]]


def take() -> Rows:
    """Every row of every table as text, with its table."""
    names = [
        name
        for name in connection.introspection.table_names()
        if name not in (_SESSIONS, "django_migrations", "auth_permission")
    ]
    selects = [f"SELECT '{name}', t::text FROM \"{name}\" t" for name in names]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(selects))
        return Counter((table, row) for table, row in cursor.fetchall())


def changes(before: Rows, after: Rows) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Rows that are gone (or were changed), and rows that are new."""
    return list((before - after).elements()), list((after - before).elements())
