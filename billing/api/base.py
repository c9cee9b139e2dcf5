"""What the API views of billing share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from accounts.models import Customer, User
from common.idempotency import HEADER


class CustomerRequest(Request):
    """A request that passed ``ForCustomer``. Only a type."""

    customer: Customer


def parsed(shape: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """What was sent, as ``shape`` wants it; anything else is refused, field by field."""
    form = shape(data=data)
    form.is_valid(raise_exception=True)
    values: dict[str, Any] = form.validated_data
    return values


def refusal(*codes: str) -> OpenApiResponse:
    """How the OpenAPI document describes a refusal with one of these codes."""
    schema = {"$ref": "#/components/schemas/Error"}
    return OpenApiResponse(schema, description="Refused: " + ", ".join(f"`{c}`" for c in codes))


def user_of(request: Request) -> User | None:
    """The person behind the call; None when it is a program."""
    caller: Any = request.user
    return caller if isinstance(caller, User) else None


def idempotency_key(request: Request) -> str | None:
    """The caller's own name for this act; ``IdempotentView`` has checked it."""
    key = request.headers.get(HEADER)
    return key.strip() if key else None
