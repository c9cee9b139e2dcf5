"""State: one SQLite file, one writer at a time, kept across restarts.

Providers keep their objects as JSON documents in ``objects`` (what the API shows in ``data``, what
it must not show in ``private``); the outbox of webhooks and the faults have tables of their own.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    created INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0,
    data TEXT NOT NULL,
    private TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (kind, json_extract(data, '$.customer'));
CREATE INDEX IF NOT EXISTS objects_by_intent
    ON objects (kind, json_extract(data, '$.payment_intent'));
CREATE INDEX IF NOT EXISTS objects_by_charge ON objects (kind, json_extract(data, '$.charge'));
CREATE INDEX IF NOT EXISTS objects_by_source ON objects (kind, json_extract(data, '$.source'));
CREATE INDEX IF NOT EXISTS objects_by_email ON objects (kind, json_extract(data, '$.email'));
CREATE INDEX IF NOT EXISTS objects_by_status ON objects (kind, json_extract(data, '$.status'));
CREATE INDEX IF NOT EXISTS objects_by_lookup_key
    ON objects (kind, json_extract(data, '$.lookup_key'));

CREATE INDEX IF NOT EXISTS objects_by_invoice ON objects (kind, json_extract(data, '$.invoice'));
CREATE INDEX IF NOT EXISTS objects_by_subscription
    ON objects (kind, json_extract(data, '$.parent.subscription_details.subscription'));
CREATE INDEX IF NOT EXISTS objects_by_due
    ON objects (kind, json_extract(private, '$.due_at'))
    WHERE json_extract(private, '$.due_at') IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_balance_due
    ON objects (kind, json_extract(private, '$.balance_due_at'))
    WHERE json_extract(private, '$.balance_due_at') IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_expiry
    ON objects (kind, json_extract(data, '$.expires_at'))
    WHERE json_extract(data, '$.status') = 'open';

CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created INTEGER NOT NULL
);

CREATE INDEX IF NOT EXISTS idempotency_by_age ON idempotency (created);

CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    type TEXT NOT NULL,
    object TEXT,
    endpoint TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at REAL NOT NULL,
    next_attempt_at REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    response_status INTEGER,
    error TEXT,
    batch TEXT
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (status, next_attempt_at);
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event);

CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    remaining INTEGER NOT NULL,
    rule TEXT NOT NULL
);
"""
TABLES = ("objects", "settings", "idempotency", "deliveries", "faults")


class Tx:
    """What can be done to the state inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self.connection.execute(sql, args).fetchall()

    def run(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Execute a statement; the id of the row it inserted, else 0."""
        return self.connection.execute(sql, args).lastrowid or 0

    def insert(self, obj: Json, private: Json | None = None, *, created: int | None = None) -> None:
        """Keep a new object under its own ``object`` kind and ``id``.

        ``created`` is for kinds that do not show when they were.
        """
        self.run(
            "INSERT INTO objects (kind, id, created, data, private) VALUES (?, ?, ?, ?, ?)",
            (
                obj["object"],
                obj["id"],
                obj["created"] if created is None else created,
                json.dumps(obj),
                json.dumps(private or {}),
            ),
        )

    def get(self, kind: str, id: str) -> Json | None:
        """The object as stored, or None if there is none or it was deleted."""
        return self._document("data", kind, id)

    def private(self, kind: str, id: str) -> Json:
        """What the sandbox knows of the object and the API does not show."""
        return self._document("private", kind, id) or {}

    def _document(self, column: str, kind: str, id: str) -> Json | None:
        found = self.rows(
            f"SELECT {column} FROM objects WHERE kind = ? AND id = ? AND NOT deleted", (kind, id)
        )
        document: Json | None = json.loads(found[0][0]) if found else None
        return document

    def save(self, obj: Json) -> None:
        """Overwrite a stored object."""
        self.run(
            "UPDATE objects SET data = ? WHERE kind = ? AND id = ?",
            (json.dumps(obj), obj["object"], obj["id"]),
        )

    def save_private(self, kind: str, id: str, private: Json) -> None:
        """Overwrite what is known of an object and not shown."""
        self.run(
            "UPDATE objects SET private = ? WHERE kind = ? AND id = ?",
            (json.dumps(private), kind, id),
        )

    def delete(self, kind: str, id: str) -> None:
        """Hide the object; its id is not used again."""
        self.run("UPDATE objects SET deleted = 1 WHERE kind = ? AND id = ?", (kind, id))

    def find(self, kind: str, where: str = "1", args: Sequence[Any] = ()) -> list[Json]:
        """Objects of ``kind``, oldest first, that the SQL condition ``where`` lets through."""
        sql = f"SELECT data FROM objects WHERE kind = ? AND NOT deleted AND ({where}) ORDER BY seq"
        return [json.loads(row[0]) for row in self.rows(sql, (kind, *args))]

    def latest(self, kind: str, count: int) -> list[Json]:
        """The newest objects of ``kind``, newest first."""
        sql = "SELECT data FROM objects WHERE kind = ? AND NOT deleted ORDER BY seq DESC LIMIT ?"
        return [json.loads(row[0]) for row in self.rows(sql, (kind, count))]

    def setting(self, name: str) -> Any:
        """A stored setting, or None."""
        found = self.rows("SELECT value FROM settings WHERE name = ?", (name,))
        return json.loads(found[0][0]) if found else None

    def set_setting(self, name: str, value: Any) -> None:
        """Store a setting over what was there."""
        self.run("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def forget_everything(self) -> None:
        """Empty every table."""
        for table in TABLES:
            self.run(f"DELETE FROM {table}")


class Store:
    """The file and its lock. Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.executescript(SCHEMA)
        self.listeners: list[Callable[[], None]] = []

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """All or nothing, one at a time; listeners hear of it after the commit."""
        with self.lock:
            self.connection.execute("BEGIN IMMEDIATE")
            before = self.connection.total_changes
            try:
                yield Tx(self.connection)
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")
            changed = self.connection.total_changes != before
        if changed:
            for listener in self.listeners:
                listener()

    def close(self) -> None:
        """Release the file."""
        with self.lock:
            self.connection.close()
