"""Refusals, in the shape and with the codes Stripe uses."""

from __future__ import annotations

from typing import Any

from sandbox.store import Json


class StripeError(Exception):
    """An answer other than 200. ``saved`` tells whether an idempotency key remembers it.

    ``details`` are further fields of the answer, such as ``decline_code`` and ``payment_intent``.
    ``keeps`` says that what was done before stays done: an attempt that a bank declined was made.
    """

    keeps = False

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        saved: bool = True,
        details: Json | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.saved = saved
        self.details = details or {}

    def body(self) -> Json:
        """The JSON body of the answer."""
        error: Json = {"message": self.message, "type": self.type}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param is not None:
            error["param"] = self.param
        return {"error": error | self.details}


def bad_param(
    message: str, param: str, code: str | None = None, *, saved: bool = False
) -> StripeError:
    """A parameter cannot be used. Found before any work began, so no idempotency key keeps it."""
    return StripeError(message, code=code, param=param, saved=saved)


def card_error(decline: tuple[str, str, str], **details: Any) -> StripeError:
    """The bank said no: ``decline`` is (code, decline_code, message)."""
    code, decline_code, message = decline
    details = {"decline_code": decline_code, **details}
    return StripeError(message, status=402, type="card_error", code=code, details=details)


def not_modelled(param: str) -> StripeError:
    """Stripe knows this parameter, the sandbox does not act on it and says so."""
    return bad_param(
        f"The sandbox does not model '{param}' (see sandbox/README.md).",
        param,
        "sandbox_not_modelled",
    )


def missing(kind: str, id: str, *, param: str = "id", status: int = 404) -> StripeError:
    """There is no such object."""
    name = NAMES.get(kind, kind.replace("_", " "))
    return StripeError(
        f"No such {name}: '{id}'", status=status, code="resource_missing", param=param
    )


NAMES = {
    "checkout.session": "checkout.session",
    "payment_intent": "payment_intent",
    "payment_method": "PaymentMethod",
    "promotion_code": "promotion code",
    "webhook_endpoint": "webhook endpoint",
}
