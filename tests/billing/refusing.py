"""The portal with pages that run into limits, as pages of apps to come do."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from accounts.http import SignedInRequest, customer_required
from billing import ledger
from billing.errors import LimitReached
from billing.models import Code
from billing.money import CREDIT
from billing.services import entitlements
from billing_project.urls import (  # noqa: F401
    handler400,
    handler403,
    handler404,
    handler500,
)
from billing_project.urls import (
    urlpatterns as portal,
)
from common import clock


@customer_required
def deploying(request: SignedInRequest) -> HttpResponse:
    entitlements.require_room(request.customer, "deploys", used=1)
    return HttpResponse()


@customer_required
def hooking(request: SignedInRequest) -> HttpResponse:
    entitlements.require(request.customer, "webhooks")
    return HttpResponse()


@customer_required
def spending(request: SignedInRequest) -> HttpResponse:
    wallet = ledger.wallet(request.customer, CREDIT)
    ledger.spend(wallet, 7_000_000, code=Code.USAGE, key="k", occurred_at=clock.now())
    return HttpResponse()


def anybody(request: HttpRequest) -> HttpResponse:
    raise LimitReached(reason="requests", used=1, allowed=1, wanted=1)


urlpatterns = [
    path("refusing/deploying", deploying),
    path("refusing/hooking", hooking),
    path("refusing/spending", spending),
    path("refusing/anybody", anybody),
    *portal,
]
