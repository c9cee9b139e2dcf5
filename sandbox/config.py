"""What the environment says, read once at start-up."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


class BadConfig(Exception):
    """A variable cannot be used; the message names it."""


def is_loopback(url: str) -> bool:
    """Whether ``url`` is http(s) and stays on this machine."""
    try:
        parts = urlsplit(url)
        hostname = parts.hostname
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and hostname in LOOPBACK


@dataclass(frozen=True, slots=True)
class Config:
    """The sandbox's start-up settings; amounts in the smallest unit, rates in basis points."""

    port: int = 8431
    public_url: str = "http://127.0.0.1:8431"
    db: Path = Path("var/sandbox.db")
    clock_file: Path = Path("var/sandbox.db.clock")
    webhook_url: str | None = None
    webhook_secret: str = ""
    tax_bps: int = 0
    fee_bps: int = 290
    fee_fixed_minor: int = 30
    dispute_fee_minor: int = 1500
    balance_delay_seconds: float = 0.0
    retry_seconds: tuple[float, ...] = RETRY_SECONDS


def from_env(env: Mapping[str, str] = os.environ) -> Config:
    """Read the ``SANDBOX_*`` variables. Raises BadConfig naming the first one that is wrong."""
    port = _integer(env, "SANDBOX_PORT", 8431, 0, 65535)
    webhook_url = env.get("SANDBOX_WEBHOOK_URL") or None
    secret = env.get("SANDBOX_WEBHOOK_SECRET", "")
    if webhook_url and not is_loopback(webhook_url):
        raise BadConfig("SANDBOX_WEBHOOK_URL must be an address of this machine (loopback)")
    if webhook_url and not secret:
        raise BadConfig("SANDBOX_WEBHOOK_SECRET must be set with SANDBOX_WEBHOOK_URL")
    public_url = (env.get("SANDBOX_URL") or f"http://127.0.0.1:{port}").rstrip("/")
    if not is_loopback(public_url):
        raise BadConfig("SANDBOX_URL must be an address of this machine (loopback)")
    db = Path(env.get("SANDBOX_DB") or "var/sandbox.db")
    return Config(
        port=port,
        public_url=public_url,
        db=db,
        clock_file=Path(env.get("SANDBOX_CLOCK") or f"{db}.clock"),
        webhook_url=webhook_url,
        webhook_secret=secret,
        tax_bps=_integer(env, "SANDBOX_TAX_BPS", 0, 0, 10_000),
        fee_bps=_integer(env, "SANDBOX_FEE_BPS", 290, 0, 10_000),
        fee_fixed_minor=_integer(env, "SANDBOX_FEE_FIXED", 30, 0, 1_000_000),
        dispute_fee_minor=_integer(env, "SANDBOX_DISPUTE_FEE", 1500, 0, 1_000_000),
        balance_delay_seconds=_number(env, "SANDBOX_BALANCE_DELAY", 0.0),
        retry_seconds=_pauses(env),
    )


def _integer(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    try:
        value = int(env.get(name) or default)
    except ValueError:
        raise BadConfig(f"{name} must be a whole number") from None
    if not low <= value <= high:
        raise BadConfig(f"{name} must be between {low} and {high}")
    return value


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(env.get(name) or default)
    except ValueError:
        raise BadConfig(f"{name} must be a number of seconds") from None


def _pauses(env: Mapping[str, str]) -> tuple[float, ...]:
    given = env.get("SANDBOX_RETRY_SECONDS")
    if not given:
        return RETRY_SECONDS
    try:
        pauses = tuple(float(part) for part in given.split(","))
    except ValueError:
        raise BadConfig("SANDBOX_RETRY_SECONDS must be seconds separated by commas") from None
    if min(pauses) < 0.01:
        raise BadConfig("SANDBOX_RETRY_SECONDS must be at least 0.01 each")
    return pauses
