"""Idempotency keys: the first answer under a key is the answer for a day."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.store import Json, Tx
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError

KEPT_SECONDS = 24 * 3600
MAX_LENGTH = 255


class InFlight:
    """The keys whose first request has not been answered yet."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def claim(self, key: str | None) -> Iterator[None]:
        """Hold the key while its request runs. Raises the 409 of a key that is held already."""
        if key is None:
            yield
            return
        with self._lock:
            if key in self._keys:
                raise StripeError(
                    "There is currently another in-progress request using this Idempotent Key. "
                    "Please try again later.",
                    status=409,
                    type="idempotency_error",
                    code="idempotency_key_in_use",
                    saved=False,
                )
            self._keys.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard(key)


def fingerprint(method: str, path: str, params: Json) -> str:
    """What a request asks for; the order of its parameters does not matter."""
    plain = json.dumps([method, path, params], sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def remembered(tx: Tx, key: str, request: str, now: int) -> tuple[int, Json, str] | None:
    """(status, body, request id) of the first answer under this key, or None.

    Raises StripeError when the key was used with other parameters.
    """
    tx.run("DELETE FROM idempotency WHERE created <= ?", (now - KEPT_SECONDS,))
    rows = tx.rows("SELECT * FROM idempotency WHERE key = ?", (key,))
    if not rows:
        return None
    if rows[0]["request"] != request:
        raise StripeError(
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}' if you meant to execute a "
            "different request.",
            type="idempotency_error",
            saved=False,
        )
    return rows[0]["status"], json.loads(rows[0]["body"]), rows[0]["request_id"]


def remember(context: Context, request: str, status: int, body: Json) -> None:
    """Keep the answer for those who ask again under the act's key."""
    context.tx.run(
        "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
        (
            context.idempotency_key,
            request,
            context.request_id,
            status,
            json.dumps(body),
            context.now,
        ),
    )
