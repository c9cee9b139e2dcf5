"""``Idempotency-Key``: a caller repeats a POST without repeating its work.

The key is claimed and committed before the view works and answered after it. Between the two lies
a lease: a repeat meanwhile is refused with 409, and after it (the process died) a repeat takes
over and works again. So that a death between work and answer does not do the work twice, a view
hands ``claim.cause`` to the service it calls: it is the same through every attempt.
"""

import enum
import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpResponse

from common import clock, ids
from common.errors import Conflict, InvalidInput, Unprocessable
from common.models import IdempotencyKey

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
RETENTION = timedelta(hours=24)
# Longer than any request may take (each outside call is bounded well below it).
LEASE = timedelta(minutes=2)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("Content-Type", "Content-Language", "Location", "Cache-Control")


class Idempotency(enum.Enum):
    """Whether a POST listens to the header, insists on it, or must not store its answer."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class KeyInvalid(InvalidInput):
    code = "idempotency_key_invalid"
    message = f"{HEADER} must be 1 to 255 visible ASCII characters without spaces."


class KeyMissing(InvalidInput):
    code = "idempotency_key_missing"
    message = f"This call moves value: send an {HEADER} header, a new one for each intent."


class KeyReused(Unprocessable):
    code = "idempotency_key_reused"
    message = f"This {HEADER} was used for a different request."


class KeyInFlight(Conflict):
    code = "idempotency_key_in_flight"
    message = "The first request with this key is still being worked on. Try again shortly."
    wait = 1


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do the work of one key, until the lease is over."""

    key_id: uuid.UUID
    attempt_id: uuid.UUID

    @property
    def cause(self) -> str:
        """Names this act for the ledger or an order: equal through every attempt at it."""
        return f"api:{self.key_id}"

    def answer(self, response: HttpResponse) -> None:
        """Keep ``response`` as the answer for good, unless another attempt has taken over."""
        headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
        self._mine().update(
            status=response.status_code,
            headers=headers,
            body=response.content,
            answered_at=clock.now(),
        )

    def release(self) -> None:
        """Let the next request with this key try again."""
        self._mine().update(lease_until=clock.now())

    def _mine(self) -> Any:
        return IdempotencyKey.objects.filter(
            pk=self.key_id, attempt_id=self.attempt_id, answered_at=None
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """An answer that was given before."""

    status: int
    headers: dict[str, str]
    body: bytes

    def response(self) -> HttpResponse:
        """The first answer again, marked as a repetition."""
        response = HttpResponse(self.body, status=self.status, headers=self.headers)
        response[REPLAYED_HEADER] = "true"
        return response


def claim(*, owner_id: uuid.UUID, key: str, method: str, path: str, body: bytes) -> Claim | Replay:
    """Claim ``key`` for this request, once among all callers, and commit the claim.

    Raises KeyInvalid, KeyReused (the key came with another request) and KeyInFlight.
    """
    if not _KEY.fullmatch(key):
        raise KeyInvalid
    fingerprint = _fingerprint(method, path, body)
    now = clock.now()
    IdempotencyKey.objects.filter(owner_id=owner_id, key=key, expires_at__lte=now).delete()
    fresh = IdempotencyKey(
        owner_id=owner_id,
        key=key,
        method=method,
        path=path[:2048],
        fingerprint=fingerprint,
        attempt_id=ids.uuid7(),
        lease_until=now + LEASE,
        expires_at=now + RETENTION,
    )
    try:
        with transaction.atomic():
            fresh.save(force_insert=True)
    except IntegrityError:
        return _join(owner_id=owner_id, key=key, fingerprint=fingerprint, now=now)
    return Claim(fresh.pk, fresh.attempt_id)


def purge_expired(*, batch_size: int = 5_000) -> int:
    """Delete keys past their retention, in batches; returns how many went."""
    purged = 0
    while True:
        expired = IdempotencyKey.objects.filter(expires_at__lte=clock.now())
        batch = expired.order_by("expires_at").values("pk")[:batch_size]
        deleted, _ = IdempotencyKey.objects.filter(
            pk__in=list(batch.values_list("pk", flat=True))
        ).delete()
        purged += deleted
        if deleted < batch_size:
            return purged


def _join(*, owner_id: uuid.UUID, key: str, fingerprint: str, now: datetime) -> Claim | Replay:
    """Meet the row that is there: replay its answer, wait for it, or take it over."""
    row = IdempotencyKey.objects.filter(owner_id=owner_id, key=key).first()
    if row is None:
        raise KeyInFlight  # purged between our two statements; the next try starts anew
    if row.fingerprint != fingerprint:
        raise KeyReused
    if row.answered_at is not None and row.status is not None:
        return Replay(row.status, row.headers, bytes(row.body))
    if row.lease_until > now:
        raise KeyInFlight
    attempt_id = ids.uuid7()
    taken = IdempotencyKey.objects.filter(
        pk=row.pk, attempt_id=row.attempt_id, answered_at=None
    ).update(attempt_id=attempt_id, lease_until=now + LEASE)
    if not taken:
        raise KeyInFlight
    return Claim(row.pk, attempt_id)


def _fingerprint(method: str, path: str, body: bytes) -> str:
    digest = hashlib.sha256()
    for part in (method.encode(), path.encode(), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
