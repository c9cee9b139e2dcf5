"""Refusals that a customer may read, each with a machine-readable code.

A service raises a ``BillingError`` for everything it expects to refuse; anything else is a bug and
crashes. Views and the API turn these into one error shape (``common.api``) or a page.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Fields = Mapping[str, Sequence[str]]


class BillingError(Exception):
    """A refusal with a sentence for the customer.

    Subclasses set ``code`` (stable, snake_case), ``status`` (HTTP) and a default ``message``.
    ``fields`` names what is wrong with single inputs, ``details`` holds figures for programs.
    """

    code = "refused"
    status = 400
    message: "StrOrPromise" = _("This is not possible.")

    def __init__(
        self,
        message: "StrOrPromise | None" = None,
        *,
        code: str | None = None,
        status: int | None = None,
        fields: Fields | None = None,
    ) -> None:
        if message is not None:
            self.message = message
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        self.fields: dict[str, list[str]] = {
            name: list(sentences) for name, sentences in (fields or {}).items()
        }
        super().__init__(self.message)

    def __str__(self) -> str:
        return str(self.message)

    @property
    def details(self) -> dict[str, Any]:
        """What a program may want to know beside the code; JSON, empty unless a subclass tells."""
        return {}


class InvalidInput(BillingError):
    """The caller sent something that can never work as it is."""

    code = "invalid_input"
    message: "StrOrPromise" = _("Some of what was sent is not valid.")


class NotSignedIn(BillingError):
    """Nobody is signed in, or the API key is not known."""

    code = "not_authenticated"
    status = 401
    message: "StrOrPromise" = _("Sign in first.")


class PaymentRequired(BillingError):
    """The customer cannot pay for this with what there is."""

    code = "payment_required"
    status = 402
    message: "StrOrPromise" = _("There is not enough to pay for this.")


class Forbidden(BillingError):
    """The caller is known and may not do this."""

    code = "forbidden"
    status = 403
    message: "StrOrPromise" = _("You may not do this.")


class NotFound(BillingError):
    """Nothing of that name exists for this customer."""

    code = "not_found"
    status = 404
    message: "StrOrPromise" = _("There is no such thing here.")


class Conflict(BillingError):
    """It would have worked at another moment, in another state."""

    code = "conflict"
    status = 409
    message: "StrOrPromise" = _("This conflicts with the current state.")


class Unprocessable(BillingError):
    """Well-formed, and still contradicts what was said before."""

    code = "unprocessable"
    status = 422
    message: "StrOrPromise" = _("This cannot be processed.")


class TooMany(BillingError):
    """Asked too often, or for too much at once."""

    code = "too_many"
    status = 429
    message: "StrOrPromise" = _("Too many requests. Try again a little later.")


class Unavailable(BillingError):
    """Something we depend on does not answer; the same call may work later."""

    code = "unavailable"
    status = 503
    message: "StrOrPromise" = _("This is not available right now. Try again a little later.")
