"""Making, checking and revoking API keys."""

import hashlib
import re
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import scopes
from accounts.models import ApiKey, Customer, User
from common import clock, notifiers
from common.errors import Conflict, Forbidden, InvalidInput

MAX_LIVE_KEYS = 25
LAST_USED_PRECISION = timedelta(minutes=1)

_ALPHABET = string.ascii_letters + string.digits
_LOOKUP_LENGTH = 12
# 62 ** 43 > 2 ** 256
_SECRET_LENGTH = 43
_NO_HASH = "0" * 64
_SECRET = re.compile(
    rf"bp_(live|test)_[a-zA-Z0-9]{{{_LOOKUP_LENGTH}}}_[a-zA-Z0-9]{{{_SECRET_LENGTH}}}"
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its secret, which exists only in this answer."""

    api_key: ApiKey
    secret: str = field(repr=False)


@transaction.atomic
def create(
    customer: Customer,
    *,
    created_by: User | None,
    name: str,
    scope_names: Iterable[str],
    expires_at: datetime | None = None,
) -> NewKey:
    """A new key for the customer; its secret is in the answer and nowhere else.

    Raises InvalidInput for an unknown scope, none at all, or a past expiry, Conflict when the
    customer has as many live keys as it may have, and Forbidden when it was closed meanwhile.
    """
    granted = _checked_scopes(scope_names)
    name = name.strip()
    if not name:
        raise InvalidInput(fields={"name": [_("Give the key a name.")]})
    if expires_at is not None and expires_at <= clock.now():
        raise InvalidInput(fields={"expires_at": [_("This moment has passed.")]})
    _lock_for_one_more(customer)
    prefix, secret = _new_secret()
    api_key = ApiKey.objects.create(
        customer=customer,
        created_by=created_by,
        name=name,
        prefix=prefix,
        secret_hash=_hash(secret),
        scopes=granted,
        expires_at=expires_at,
    )
    notifiers.tell("api_key_created", api_key)
    return NewKey(api_key, secret)


def revoke(api_key: ApiKey) -> bool:
    """Make the key useless from now on; False when it already was."""
    revoked_at = clock.now()
    changed = ApiKey.objects.filter(pk=api_key.pk, revoked_at=None).update(revoked_at=revoked_at)
    if changed:
        api_key.revoked_at = revoked_at
    return bool(changed)


def authenticate(secret: str) -> ApiKey | None:
    """The live key of this secret with its customer, or None without saying why.

    A key dies with its revocation, its expiry, its customer's closing, and when the user who made
    it may no longer sign in.
    """
    if not _SECRET.fullmatch(secret):
        return None
    prefix = secret.rpartition("_")[0]
    api_key = ApiKey.objects.select_related("customer", "created_by").filter(prefix=prefix).first()
    known_hash = api_key.secret_hash if api_key else _NO_HASH
    matches = secrets.compare_digest(known_hash, _hash(secret))
    if api_key is None or not matches or not is_live(api_key):
        return None
    if api_key.customer.closed_at is not None:
        return None
    _note_use(api_key)
    return api_key


def is_live(api_key: ApiKey) -> bool:
    """Whether this key would be accepted now."""
    if api_key.revoked_at is not None:
        return False
    if api_key.expires_at is not None and api_key.expires_at <= clock.now():
        return False
    return api_key.created_by is None or api_key.created_by.is_active


def _lock_for_one_more(customer: Customer) -> None:
    """Lock the customer, so that the limit holds in a race; see ``create`` for what is raised."""
    if Customer.objects.select_for_update().get(pk=customer.pk).closed_at is not None:
        raise Forbidden
    if _live(customer).count() >= MAX_LIVE_KEYS:
        raise Conflict(
            ngettext(
                "There can be %(count)s key at a time. Revoke it first.",
                "There can be %(count)s keys at a time. Revoke one first.",
                MAX_LIVE_KEYS,
            )
            % {"count": MAX_LIVE_KEYS}
        )


def _checked_scopes(names: Iterable[str]) -> list[str]:
    wanted = set(names)
    unknown = sorted(wanted - {scope.name for scope in scopes.known()})
    if unknown:
        raise InvalidInput(
            fields={"scopes": [_("Unknown: %(names)s.") % {"names": ", ".join(unknown)}]}
        )
    if not wanted:
        raise InvalidInput(fields={"scopes": [_("Choose at least one.")]})
    return [scope.name for scope in scopes.known() if scope.name in wanted]


def _new_secret() -> tuple[str, str]:
    """``bp_live_<lookup>`` and ``bp_live_<lookup>_<secret>`` (``bp_test_`` in the sandbox)."""
    mode = "test" if settings.SANDBOX else "live"
    prefix = f"bp_{mode}_{_random(_LOOKUP_LENGTH)}"
    return prefix, f"{prefix}_{_random(_SECRET_LENGTH)}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _live(customer: Customer) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(customer=customer, revoked_at=None).filter(
        Q(expires_at=None) | Q(expires_at__gt=clock.now())
    )


def _note_use(api_key: ApiKey) -> None:
    """Write the last use, at most once a minute."""
    now = clock.now()
    before = now - LAST_USED_PRECISION
    if api_key.last_used_at is None or api_key.last_used_at <= before:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=before)
        ApiKey.objects.filter(stale, pk=api_key.pk).update(last_used_at=now)
