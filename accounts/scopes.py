"""What an API key may do: a registry that every app adds its own scopes to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """One thing a key may be allowed.

    ``pays`` marks what can move value: a signed-in member needs a role that may pay for it.
    """

    name: str
    title: str
    pays: bool = False

    def __str__(self) -> str:
        return self.name


_REGISTRY: dict[str, Scope] = {}


def register(name: str, title: str, *, pays: bool = False) -> Scope:
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


CREDITS_READ = register("credits:read", "See balance, history and transactions")
CREDITS_PURCHASE = register("credits:purchase", "Start purchases of credits", pays=True)
SUBSCRIPTION_READ = register("subscription:read", "See plans and the subscription")
SUBSCRIPTION_WRITE = register(
    "subscription:write", "Subscribe, change the plan and cancel", pays=True
)
QUOTA_WRITE = register("quota:write", "Reserve, capture and release quota", pays=True)
USAGE_WRITE = register("usage:write", "Report usage", pays=True)
