"""Faults on demand: rules that befall the next few webhooks or API calls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sandbox.store import Json, Tx
from sandbox.stripe import ids

WEBHOOK_KINDS = ("drop", "duplicate", "delay", "reorder")
KINDS = (*WEBHOOK_KINDS, "api")


@dataclass(slots=True)
class Fate:
    """What happens to one webhook."""

    dropped: bool = False
    times: int = 1
    delay_seconds: float = 0.0
    batch: str | None = None
    batch_complete: bool = False


def type_matches(pattern: str, type: str) -> bool:
    """``*``, an exact type, or a prefix such as ``charge.*``."""
    if pattern.endswith("*"):
        return type.startswith(pattern[:-1])
    return pattern == type


def add(tx: Tx, kind: str, count: int, rule: Json) -> Json:
    """A rule for the next ``count`` matches."""
    if kind == "reorder":
        rule = {**rule, "batch": ids.token(12)}
    id = tx.run(
        "INSERT INTO faults (kind, remaining, rule) VALUES (?, ?, ?)",
        (kind, count, json.dumps(rule)),
    )
    return {"id": id, "kind": kind, "remaining": count, **rule}


def listing(tx: Tx) -> list[Json]:
    """The rules that still have matches left, oldest first."""
    rows = tx.rows("SELECT id, kind, remaining, rule FROM faults ORDER BY id")
    return [
        {"id": row[0], "kind": row[1], "remaining": row[2], **json.loads(row[3])} for row in rows
    ]


def clear(tx: Tx) -> None:
    """Forget all rules; a batch kept back for reordering goes out."""
    tx.run("UPDATE deliveries SET status = 'pending', batch = NULL WHERE batch IS NOT NULL")
    tx.run("DELETE FROM faults")


def webhook_fate(tx: Tx, type: str) -> Fate:
    """Apply every rule about this webhook, using up one match of each."""
    fate = Fate()
    for rule in listing(tx):
        if rule["kind"] not in WEBHOOK_KINDS or not type_matches(rule["type"], type):
            continue
        last = _use_up(tx, rule)
        if rule["kind"] == "drop":
            fate.dropped = True
        elif rule["kind"] == "duplicate":
            fate.times = rule["times"]
        elif rule["kind"] == "delay":
            fate.delay_seconds = rule["delay_seconds"]
        else:
            fate.batch, fate.batch_complete = rule["batch"], last
    return fate


def api_fault(tx: Tx, method: str, path: str) -> Json | None:
    """The oldest rule about this API call, using up one of its matches."""
    for rule in listing(tx):
        if rule["kind"] != "api" or rule["method"] not in ("*", method):
            continue
        if fnmatchcase(path, rule["path"]):
            _use_up(tx, rule)
            return rule
    return None


def _use_up(tx: Tx, rule: Json) -> bool:
    """One match less; True if it was the last."""
    tx.run("UPDATE faults SET remaining = remaining - 1 WHERE id = ?", (rule["id"],))
    tx.run("DELETE FROM faults WHERE id = ? AND remaining <= 0", (rule["id"],))
    return bool(rule["remaining"] <= 1)
