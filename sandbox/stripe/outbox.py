"""The outbox: which endpoint is owed which event, and the faults that befall it on the way."""

from __future__ import annotations

import random
import time
from typing import Any

from sandbox.store import Json, Tx
from sandbox.stripe import faults

COLUMNS = (
    "id, event, type, object, endpoint, status, created_at, next_attempt_at, attempts, "
    "response_status, error"
)


def wanting(tx: Tx, type: str) -> list[Json]:
    """The enabled endpoints that asked for events of ``type``."""
    return [
        endpoint
        for endpoint in tx.find("webhook_endpoint", "json_extract(data, '$.status') = 'enabled'")
        if any(faults.type_matches(wanted, type) for wanted in endpoint["enabled_events"])
    ]


def enqueue(tx: Tx, event: Json, endpoints: list[Json]) -> list[int]:
    """Queue the event for the endpoints, as the active faults and the manual mode have it."""
    created = []
    for endpoint in endpoints:
        fate = faults.webhook_fate(tx, event["type"])
        status, batch = "pending", None
        if fate.dropped:
            status = "dropped"
        elif fate.batch is not None:
            status, batch = "held", fate.batch
        elif tx.setting("deliveries") == "held":
            status = "held"
        created += [
            _insert(tx, event, endpoint["id"], status, fate.delay_seconds, batch)
            for _ in range(fate.times)
        ]
        if fate.batch is not None and fate.batch_complete:
            _release_batch(tx, fate.batch)
    return created


def _insert(
    tx: Tx, event: Json, endpoint: str, status: str, delay_seconds: float, batch: str | None
) -> int:
    now = time.time()
    return tx.run(
        "INSERT INTO deliveries (event, type, object, endpoint, status, created_at, "
        "next_attempt_at, batch) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event["id"],
            event["type"],
            event["data"]["object"].get("id"),
            endpoint,
            status,
            now,
            now + delay_seconds,
            batch,
        ),
    )


def _release_batch(tx: Tx, batch: str) -> None:
    """Send a reordered batch, shuffled so that it does not come out as it went in."""
    ids = [row[0] for row in tx.rows("SELECT id FROM deliveries WHERE batch = ?", (batch,))]
    shuffled = random.sample(ids, len(ids))
    if shuffled == ids:
        shuffled.reverse()
    _send_in_order(tx, shuffled)


def _send_in_order(tx: Tx, ids: list[int]) -> None:
    now = time.time()
    for place, id in enumerate(ids):
        tx.run(
            "UPDATE deliveries SET status = 'pending', batch = NULL, next_attempt_at = ? "
            "WHERE id = ?",
            (now + place / 1_000_000, id),
        )


def release(tx: Tx, order: str) -> int:
    """Make everything held pending, in the order asked for; how many that were."""
    rows = tx.rows("SELECT id FROM deliveries WHERE status = 'held' ORDER BY id")
    ids = [row[0] for row in rows]
    if order == "reversed":
        ids.reverse()
    elif order == "shuffled":
        random.shuffle(ids)
    _send_in_order(tx, ids)
    return len(ids)


def under_way(tx: Tx, event: str) -> int:
    """How many deliveries of the event have not ended yet."""
    rows = tx.rows(
        "SELECT count(*) FROM deliveries WHERE event = ? AND status IN ('pending', 'held')",
        (event,),
    )
    return int(rows[0][0])


def listing(tx: Tx, wanted: dict[str, Any]) -> list[Json]:
    """Deliveries, oldest first, that match every field of ``wanted``."""
    names = [name for name in ("status", "type", "event", "object") if wanted.get(name)]
    condition = " AND ".join(f"deliveries.{name} = ?" for name in names) or "1"
    rows = tx.rows(
        f"SELECT {COLUMNS} FROM deliveries WHERE {condition} ORDER BY id",
        [wanted[name] for name in names],
    )
    urls = {one["id"]: one["url"] for one in tx.find("webhook_endpoint")}
    return [{**dict(row), "url": urls.get(row["endpoint"])} for row in rows]


def latest(tx: Tx, count: int) -> list[Json]:
    """The newest deliveries, newest first."""
    rows = tx.rows(f"SELECT {COLUMNS} FROM deliveries ORDER BY id DESC LIMIT ?", (count,))
    return [dict(row) for row in rows]


def counts(tx: Tx) -> dict[str, int]:
    """How many deliveries there are by status."""
    rows = tx.rows("SELECT status, count(*) FROM deliveries GROUP BY status ORDER BY status")
    return {row[0]: row[1] for row in rows}


def delivery(tx: Tx, id: int) -> Json | None:
    """One delivery, or None."""
    rows = tx.rows(f"SELECT {COLUMNS} FROM deliveries WHERE id = ?", (id,))
    return dict(rows[0]) if rows else None


def due(tx: Tx, now: float) -> list[Json]:
    """Pending deliveries whose time has come, in the order they go out."""
    rows = tx.rows(
        f"SELECT {COLUMNS} FROM deliveries WHERE status = 'pending' AND next_attempt_at <= ? "
        "ORDER BY next_attempt_at, id LIMIT 500",
        (now,),
    )
    return [dict(row) for row in rows]


def next_due_at(tx: Tx) -> float | None:
    """When the next pending delivery is due."""
    rows = tx.rows("SELECT min(next_attempt_at) FROM deliveries WHERE status = 'pending'")
    return None if rows[0][0] is None else float(rows[0][0])
