"""The only door to the environment: typed readers that name the variable they refuse."""

from __future__ import annotations

import os
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from billing_project.paths import BASE_DIR

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_DATABASE_SCHEMES = frozenset({"postgres", "postgresql", "psql", "pgsql"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ConfigurationError(ImproperlyConfigured):
    """A variable is missing or cannot mean anything; the message begins with its name."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name


def read_file() -> None:
    """Take from ENV_FILE (default ``.env``, empty for none) what is not set already."""
    name = os.environ.get("ENV_FILE", ".env")
    if name and (BASE_DIR / name).is_file():
        environ.Env.read_env(BASE_DIR / name)


def text(name: str, default: str | None = None) -> str:
    """The variable, or ``default`` when it is unset or empty; without a default it is required."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise ConfigurationError(name, "is required and not set")
    return default


def some(names: tuple[str, ...]) -> dict[str, str]:
    """Those of ``names`` that are set, as they are; their reader checks them."""
    return {name: os.environ[name] for name in names if os.environ.get(name, "").strip()}


def flag(name: str, *, default: bool) -> bool:
    """A yes or no."""
    value = text(name, "").lower()
    if not value:
        return default
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ConfigurationError(name, f"{value!r} is neither yes (1) nor no (0)")


def integer(name: str, default: int, *, minimum: int, maximum: int | None = None) -> int:
    """A whole number within its bounds."""
    value = text(name, str(default))
    try:
        number = int(value)
    except ValueError:
        raise ConfigurationError(name, f"{value!r} is not a whole number") from None
    if number < minimum or (maximum is not None and number > maximum):
        bounds = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise ConfigurationError(name, f"{number} must be {bounds}")
    return number


def decimal(name: str, default: str, *, minimum: str, maximum: str) -> Decimal:
    """A decimal number within its bounds."""
    value = text(name, default)
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ConfigurationError(name, f"{value!r} is not a number") from None
    if not number.is_finite() or not Decimal(minimum) <= number <= Decimal(maximum):
        raise ConfigurationError(name, f"{value} must be from {minimum} to {maximum}")
    return number


def choice(name: str, options: tuple[str, ...], default: str) -> str:
    """One of ``options``."""
    value = text(name, default)
    if value not in options:
        raise ConfigurationError(name, f"{value!r} is none of {', '.join(options)}")
    return value


def words(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """A comma-separated list."""
    value = text(name, ",".join(default))
    return [word.strip() for word in value.split(",") if word.strip()]


def file(name: str, default: str) -> Path:
    """A file, which need not be there; a relative name counts from the project's folder."""
    return BASE_DIR / text(name, default)


def url(name: str, default: str | None = None) -> str:
    """An absolute http(s) address without a path, e.g. https://billing.example.com."""
    value = text(name, default).rstrip("/")
    parts = _split(name, value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
        raise ConfigurationError(name, f"{value!r} is not an address like https://host[:port]")
    return value


def host_of(address: str) -> str:
    """The host name in an address."""
    return urlsplit(address).hostname or ""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    return host.strip("[]") in _LOOPBACK


def database(name: str) -> dict[str, Any]:
    """A PostgreSQL address as Django's settings want it."""
    value = text(name)
    parts = _split(name, value)
    if parts.scheme not in _DATABASE_SCHEMES or not parts.path.strip("/"):
        raise ConfigurationError(
            name, "is not a PostgreSQL address like postgresql://user:password@host:5432/name"
        )
    return dict(environ.Env.db_url_config(value))


def redis(name: str) -> str:
    """A Redis address: redis://, rediss:// or, for a socket, unix://."""
    value = text(name)
    parts = _split(name, value)
    has_place = bool(parts.path) if parts.scheme == "unix" else bool(parts.hostname)
    if parts.scheme not in {"redis", "rediss", "unix"} or not has_place:
        raise ConfigurationError(name, "is not a Redis address like redis://host:6379/0")
    return value


def email(name: str, default: str | None) -> dict[str, Any]:
    """How mail is sent, as the EMAIL_* settings want it, e.g. smtp+tls://user:password@host:587."""
    value = text(name, default)
    try:
        settings = dict(environ.Env.email_url_config(value))
    except (KeyError, ValueError, ImproperlyConfigured):
        raise ConfigurationError(name, "is not a mail address like smtp+tls://host:587") from None
    if settings.get("EMAIL_FILE_PATH"):
        # The library cuts the first slash off and makes the folder depend on where one stands.
        settings["EMAIL_FILE_PATH"] = _split(name, value).path
    return settings


def _split(name: str, value: str) -> Any:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises when it is not a number
    except ValueError:
        raise ConfigurationError(name, "is not a well-formed address") from None
    return parts


def broker(redis_url: str) -> str:
    """The same Redis in Celery's spelling."""
    if redis_url.startswith("unix://"):
        path, _, query = redis_url.removeprefix("unix://").partition("?")
        number = dict(parse_qsl(query)).get("db", "0")
        return f"redis+socket://{path}?virtual_host={number}"
    return redis_url


def require_loopback(name: str, hosts: list[str]) -> None:
    """Refuse hosts that others could reach: the sandbox is for this machine only."""
    for host in hosts:
        if not is_loopback(host):
            raise ConfigurationError(name, f"{host!r} is not this machine, as SANDBOX=1 demands")


def secret(name: str, *, longest_guess: int) -> str:
    """A secret of ours, or empty; one that could be guessed is refused."""
    value = text(name, "")
    if value and len(value) <= longest_guess:
        raise ConfigurationError(name, f"is too short; take more than {longest_guess} characters")
    return value


def emails(name: str) -> list[str]:
    """A comma-separated list of mail addresses."""
    found = words(name)
    for address in found:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
            raise ConfigurationError(name, f"{address!r} is not a mail address")
    return found


def dsn(name: str) -> str:
    """Where errors are reported to, https://key@host/project, or empty."""
    value = text(name, "")
    parts = _split(name, value)
    is_good = parts.scheme in {"http", "https"} and parts.username and parts.hostname
    if value and not (is_good and parts.path.strip("/")):
        raise ConfigurationError(name, "is not an address like https://key@host/project")
    return value


def stripe_key(name: str, kind: str, default: str, *, sandbox: bool) -> str:
    """A Stripe key of that kind (``sk`` takes restricted keys too) or empty."""
    value = text(name, default)
    kinds = "sk|rk" if kind == "sk" else kind
    if value and not re.fullmatch(rf"({kinds})_(test|live)_[a-zA-Z0-9]{{24,}}", value):
        raise ConfigurationError(name, f"is not a Stripe key ({kind}_test_… or {kind}_live_…)")
    if sandbox and "_live_" in value:
        raise ConfigurationError(name, "is a live key; SANDBOX=1 takes test keys only")
    return value


def webhook_secret(name: str, default: str, *, card_rail: str) -> str:
    """The secret Stripe signs webhooks with; required as soon as the card rail has its key."""
    value = text(name, default)
    if value and not value.startswith("whsec_"):
        raise ConfigurationError(name, "is not a webhook signing secret (whsec_…)")
    if card_rail and not value:
        raise ConfigurationError(name, "is required with STRIPE_SECRET_KEY")
    return value
