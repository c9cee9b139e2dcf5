"""One act: a call of the API, a button on a page or a tick of the clock, in one transaction."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from sandbox.config import Config
from sandbox.store import Json, Tx
from sandbox.stripe.errors import missing


@dataclass(slots=True)
class Context:
    """What an act needs: its transaction, the sandbox's time, and who asked."""

    tx: Tx
    config: Config
    now: int
    request_id: str | None = None
    idempotency_key: str | None = None

    def need(self, kind: str, id: str, *, param: str | None = None) -> Json:
        """The object; else the 404 of its address, or the 400 of the ``param`` that names it."""
        found = self.tx.get(kind, id)
        if found is None and param is None:
            raise missing(kind, id)
        if found is None:
            raise missing(kind, id, param=str(param), status=400)
        return found

    def setting(self, name: str) -> Any:
        """A setting made by control, else what the environment said."""
        stored = self.tx.setting(name)
        return DEFAULTS[name](self.config) if stored is None else stored

    def settings(self) -> Json:
        """All settings as they are in force."""
        return {name: self.setting(name) for name in DEFAULTS}


DEFAULTS: dict[str, Any] = {
    "tax_bps": lambda config: config.tax_bps,
    "fee_bps": lambda config: config.fee_bps,
    "fee_fixed_minor": lambda config: config.fee_fixed_minor,
    "dispute_fee_minor": lambda config: config.dispute_fee_minor,
    "balance_delay_seconds": lambda config: config.balance_delay_seconds,
    "refund_outcome": lambda config: "succeeded",
    "invoice_finalize_seconds": lambda config: 3600,
    "retry_days": lambda config: [3, 5, 7],
    "after_retries": lambda config: "canceled",
    "deliveries": lambda config: "auto",
    "api": lambda config: "up",
}


def sandbox_now(tx: Tx) -> float:
    """The sandbox's time in seconds: the real one plus what the clock was moved."""
    return time.time() + float(tx.setting("clock_offset_seconds") or 0)


def open_context(
    tx: Tx, config: Config, *, request_id: str | None = None, key: str | None = None
) -> Context:
    """An act that starts now."""
    return Context(tx, config, int(sandbox_now(tx)), request_id, key)


def copied(obj: Json) -> Json:
    """A deep copy of a JSON document."""
    result: Json = json.loads(json.dumps(obj))
    return result
