"""Everything we hold about a customer, as a ZIP that is sent while it is read.

Nothing is stored: an export leaves no file behind that could leak or would have to expire, and one
of a hundred thousand rows needs no more memory than one of ten. Each app registers what it holds.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from allauth.account.models import EmailAddress
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import translation
from django.utils.translation import gettext_noop

from accounts.models import ApiKey, Customer, Invitation, Membership, TeamEvent
from common import clock

Row = Mapping[str, Any]
Rows = Callable[[Customer], Iterable[Row]]

CHUNK = 2_000
# Rows that are put together before they are compressed.
_BATCH = 500

_SECTIONS: dict[str, Rows] = {}

# In the language of the account's documents.
README = gettext_noop("""\
What this portal holds about {customer}, as of {at}.

Each file has one JSON object per line. Amounts are whole numbers of the smallest unit of their
asset ("amount_minor": 1999 of "USD" is 19.99 dollars; credits have six decimals). Moments are in
UTC. Secrets are not in here: of passwords, API keys and second factors we hold hashes and
encrypted values only.
""")


def register(name: str, rows: Rows) -> None:
    """Add a file to every export: its name, and what gives its rows, a few at a time."""
    _SECTIONS[name] = rows


def names() -> list[str]:
    """The files of an export, in their order."""
    return list(_SECTIONS)


def archive(customer: Customer) -> Iterator[bytes]:
    """The ZIP in pieces, each made when it is asked for."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("README.txt", _readme(customer))
        for name, rows in _SECTIONS.items():
            with target.open(f"{name}.ndjson", "w") as file:
                for lines in _lines(rows(customer)):
                    file.write(lines)
                    yield pipe.take()
            yield pipe.take()
    yield pipe.take()


def _readme(customer: Customer) -> str:
    with translation.override(customer.language):
        text = translation.gettext(README)
    return text.format(customer=customer.pk, at=clock.now().isoformat(timespec="seconds"))


class _Pipe(io.RawIOBase):
    """A file that only grows, and hands out what was written since it was last asked."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


def _lines(rows: Iterable[Row]) -> Iterator[bytes]:
    batch: list[str] = []
    for row in rows:
        batch.append(json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False))
        if len(batch) == _BATCH:
            yield ("\n".join(batch) + "\n").encode()
            batch.clear()
    if batch:
        yield ("\n".join(batch) + "\n").encode()


def _customer(customer: Customer) -> Iterable[Row]:
    return Customer.objects.filter(pk=customer.pk).values(
        "id", "kind", "name", "email", "address", "country", "tax_id", "time_zone", "language",
        "muted_emails", "anchor_at", "allowed_to_owe", "created_at",
    )  # fmt: skip


def _memberships(customer: Customer) -> Iterable[Row]:
    return (
        Membership.objects.filter(customer=customer)
        .order_by("pk")
        .values("user__email", "user__name", "role", "created_at")
        .iterator(CHUNK)
    )


def _log_ins(customer: Customer) -> Iterable[Row]:
    """Of the person itself; how others who act for a customer sign in is their own."""
    if customer.kind != Customer.Kind.PERSON:
        return ()
    addresses: Iterable[Row] = EmailAddress.objects.filter(
        user__memberships__in=Membership.objects.filter(
            customer=customer, role=Membership.Role.OWNER
        )
    ).values(
        "email", "verified", "user__name", "user__language", "user__date_joined",
        "user__last_login",
    )  # fmt: skip
    return addresses


def _api_keys(customer: Customer) -> Iterable[Row]:
    return (
        ApiKey.objects.filter(customer=customer)
        .order_by("pk")
        .values(
            "id",
            "name",
            "prefix",
            "scopes",
            "created_by__email",
            "created_at",
            "last_used_at",
            "expires_at",
            "revoked_at",
        )
        .iterator(CHUNK)
    )


def _invitations(customer: Customer) -> Iterable[Row]:
    return (
        Invitation.objects.filter(customer=customer)
        .order_by("pk")
        .values("email", "role", "created_at", "sent_at", "expires_at", "accepted_at", "revoked_at")
        .iterator(CHUNK)
    )


def _team_events(customer: Customer) -> Iterable[Row]:
    return (
        TeamEvent.objects.filter(customer=customer)
        .order_by("pk")
        .values("act", "actor__email", "subject", "role", "created_at")
        .iterator(CHUNK)
    )


for _name, _rows in {
    "account": _customer,
    "log_in": _log_ins,
    "members": _memberships,
    "api_keys": _api_keys,
    "invitations": _invitations,
    "team_changes": _team_events,
}.items():
    register(_name, _rows)
