"""What an API key may do: a registry that every app adds its own scopes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, slots=True)
class Scope:
    """One thing a key may be allowed.

    ``pays`` marks what can move value: a signed-in member needs a role that may pay for it.
    """

    name: str
    title: StrOrPromise
    pays: bool = False

    def __str__(self) -> str:
        return self.name


_REGISTRY: dict[str, Scope] = {}


def register(name: str, title: StrOrPromise, *, pays: bool = False) -> Scope:
    """Add a scope (``noun:verb``) that keys can be given; each name once."""
    scope = Scope(name, title, pays)
    if _REGISTRY.setdefault(name, scope) != scope:
        raise ValueError(f"scope {name!r} is registered twice with different meanings")
    return scope


def known() -> tuple[Scope, ...]:
    """Every scope, in the order of registration."""
    return tuple(_REGISTRY.values())


def find(name: str) -> Scope | None:
    """The scope of that name, or None."""
    return _REGISTRY.get(name)


CREDITS_READ = register("credits:read", _("See balance, history and transactions"))
CREDITS_PURCHASE = register("credits:purchase", _("Start purchases of credits"), pays=True)
SUBSCRIPTION_READ = register("subscription:read", _("See plans and the subscription"))
SUBSCRIPTION_WRITE = register(
    "subscription:write", _("Subscribe, change the plan and cancel"), pays=True
)
QUOTA_WRITE = register("quota:write", _("Reserve, capture and release quota"), pays=True)
USAGE_WRITE = register("usage:write", _("Report usage"), pays=True)
SPENDING_WRITE = register("spending:write", _("Set or lift the monthly spend cap"), pays=True)
