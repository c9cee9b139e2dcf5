"""Every address that answers a GET, with somebody who may see it: found by itself.

Routes come from the walk's table (tests/security/table.py), which no route can be missing from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.test import Client

from accounts.models import User
from tests.billing.staff import MODEL_BACKEND
from tests.security import table
from tests.security.table import For
from tests.security.world import World

# Where django-allauth keeps how somebody signed in, and when.
AUTHENTICATED = "account_authentication_methods"


@dataclass(frozen=True)
class Address:
    """A path with its query, and for whom it is."""

    route: str
    path: str
    whose: For

    @property
    def is_admin(self) -> bool:
        """Whether it is one of the admin's."""
        return self.route.startswith("admin/")

    @property
    def is_api(self) -> bool:
        """Whether programs call it."""
        return self.route.startswith("api/")


def addresses(world: World) -> list[Address]:
    """Every address of the URL table that answers a GET, with the world's ids in it."""
    return list(_addresses(world))


def _addresses(world: World) -> Iterator[Address]:
    for step in table.walked(world):
        entry = step.entry
        if not entry.reads or entry.whose is For.PROVIDER:
            continue
        path = f"{step.path}?{entry.query}" if entry.query else step.path
        yield Address(step.route, path, entry.whose)


class Visitors:
    """The world's owner, its staff and a stranger, each in their browser."""

    def __init__(self, world: World) -> None:
        self.nobody = Client()
        self.owner = signed_in_browser(world.user)
        self.staff = signed_in_browser(world.staff)

    def of(self, address: Address) -> list[tuple[str, Client]]:
        """Who sees it, by name; what is for anybody, somebody who is signed in sees too."""
        if address.whose is For.STAFF or address.is_admin:
            return [("staff", self.staff)]
        if address.whose is For.ANYBODY:
            return [("nobody", self.nobody), ("owner", self.owner)]
        return [("owner", self.owner)]


def signed_in_browser(user: User) -> Client:
    """A browser of somebody who has just given their password, as some pages want."""
    client = Client()
    client.force_login(user, backend=MODEL_BACKEND)
    session = client.session
    session[AUTHENTICATED] = [{"method": "password", "at": time.time(), "email": user.email}]
    session.save()
    return client
