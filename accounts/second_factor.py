"""The second factor: what an authenticator app counts from is kept encrypted.

The key is derived from ``SECRET_KEY``. After that was changed, what the keys in
``SECRET_KEY_FALLBACKS`` encrypted is still read.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.totp.forms import ActivateTOTPForm as AllauthActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from allauth.mfa.utils import decrypt, encrypt
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_PURPOSE = b"accounts.second_factor"


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Names the portal in authenticator apps, and encrypts what they share with us."""

    def get_totp_issuer(self) -> str:
        """Whose portal this is."""
        return str(settings.SELLER["name"])

    def encrypt(self, text: str) -> str:
        """Text that only this portal's secret opens again."""
        return _box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """What was encrypted. Raises InvalidToken for anything else."""
        return _box().decrypt(encrypted_text.encode()).decode()


class ActivateTOTPForm(AllauthActivateTOTPForm):  # type: ignore[misc]
    """Setting an app up; the secret waits in the session encrypted, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        session = context.request.session
        waiting = session.get(SECRET_SESSION_KEY)
        super().__init__(*args, **kwargs)
        if self.is_bound and waiting:
            self.secret = self._opened(waiting)
        session[SECRET_SESSION_KEY] = encrypt(self.secret)

    def _opened(self, waiting: str) -> str:
        try:
            return str(decrypt(waiting))
        except InvalidToken:  # the portal's secret was changed meanwhile: a code will not fit
            return str(self.secret)


def _box() -> MultiFernet:
    return _box_of(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=4)
def _box_of(*secrets: str) -> MultiFernet:
    return MultiFernet([Fernet(_key(secret)) for secret in secrets])


def _key(secret: str) -> bytes:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE)
    return base64.urlsafe_b64encode(derive.derive(secret.encode()))
