"""API views for tests of the plumbing: they count, wait, fail and refuse on demand."""

import threading
from dataclasses import dataclass, field
from typing import Any, cast

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.http import Http404, HttpResponse
from django.urls import URLPattern, path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey
from accounts.scopes import CREDITS_PURCHASE, CREDITS_READ
from billing_project.urls import (  # noqa: F401
    handler400,
    handler403,
    handler404,
    handler500,
)
from billing_project.urls import urlpatterns as portal_urls
from common.api import ApiView
from common.errors import Conflict, InvalidInput, Unavailable
from common.idempotency import Idempotency
from common.pagination import KeysetPagination


@dataclass
class Probe:
    """What the views did, and what they wait for."""

    calls: list[str | None] = field(default_factory=list)
    gate: threading.Event | None = None
    entered: threading.Event = field(default_factory=threading.Event)
    outcome: Any = None
    in_transaction: list[bool] = field(default_factory=list)


probe = Probe()


def reset() -> Probe:
    """Forget what earlier tests did."""
    probe.__dict__.update(Probe().__dict__)
    return probe


class Work(ApiView):
    """Counts its calls and answers with their number, or does what the test asked for."""

    required_scopes = (CREDITS_PURCHASE,)

    def post(self, request: Request) -> Response:
        probe.calls.append(self.cause)
        probe.in_transaction.append(connection.in_atomic_block)
        number = len(probe.calls)
        probe.entered.set()
        if probe.gate is not None:
            assert probe.gate.wait(10)
        if isinstance(probe.outcome, Exception):
            raise probe.outcome
        if isinstance(probe.outcome, int):
            return Response({"call": number}, status=probe.outcome)
        return Response({"call": number, "echo": request.data}, status=201)


class Careful(Work):
    idempotency = Idempotency.REQUIRED


class Secretive(Work):
    idempotency = Idempotency.OFF


class NoScopes(ApiView):
    def get(self, request: Request) -> Response:
        return Response({})


class Nested(serializers.Serializer[Any]):
    amount = serializers.IntegerField(min_value=1)


class Body(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=5)
    items = Nested(many=True)


class Failing(ApiView):
    """Raises what the path names."""

    required_scopes = (CREDITS_READ,)

    def get(self, request: Request, kind: str) -> Response:
        errors: dict[str, Exception] = {
            "bug": RuntimeError("the password is hunter2"),
            "missing": Http404("secret table name"),
            "denied": PermissionDenied("secret reason"),
            "conflict": Conflict("Somebody was faster."),
            "invalid": InvalidInput(fields={"amount": ["Too small."]}),
            "model": ValidationError({"name": ["Taken."], "__all__": ["All wrong."]}),
            "unavailable": Unavailable(),
        }
        raise errors[kind]

    def post(self, request: Request, kind: str) -> Response:
        Body(data=request.data).is_valid(raise_exception=True)
        return Response({})


class KeyPages(KeysetPagination):
    ordering = ("-created_at", "-id")
    max_limit = 100


class Keys(ApiView):
    required_scopes = (CREDITS_READ,)

    def get(self, request: Request) -> Response:
        pages = KeyPages()
        rows = pages.paginate_queryset(ApiKey.objects.all(), request)
        return pages.get_paginated_response([row.name for row in rows])


class Limited(ApiView):
    required_scopes = (CREDITS_READ,)
    throttle_scope = "probe"

    def get(self, request: Request) -> Response:
        return Response({})


def crash(request: Any) -> HttpResponse:
    """A page with a bug."""
    raise RuntimeError("the password is hunter2")


def refuse(request: Any) -> HttpResponse:
    """A page that refuses."""
    raise Conflict("Somebody was faster.")


urlpatterns = [
    path("api/probe/work", Work.as_view()),
    path("api/probe/careful", Careful.as_view()),
    path("api/probe/secretive", Secretive.as_view()),
    path("api/probe/no-scopes", NoScopes.as_view()),
    path("api/probe/failing/<str:kind>", Failing.as_view()),
    path("api/probe/keys", Keys.as_view()),
    path("api/probe/limited", Limited.as_view()),
    path("api/probe/crash", crash),
    path("probe/crash", crash),
    path("probe/refuse", refuse),
    *cast("list[URLPattern]", portal_urls),
]
