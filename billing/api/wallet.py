"""What can be bought, what there is, and how it came to be."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from accounts.scopes import CREDITS_READ
from billing import catalogue, selectors
from billing.api.base import CustomerRequest, parsed
from billing.api.inputs import MAX_AMOUNT_MINOR, HistoryQuery
from billing.api.shapes import ConfigShape, CreditsShape, HistoryShape
from billing.money import CREDIT, Asset, Money
from billing.selectors import Filters
from billing.services import holds, rails
from common.api import ApiView


class Config(ApiView):
    """What can be bought here, in which ways, and within which limits."""

    required_scopes = (CREDITS_READ,)

    @extend_schema(operation_id="billing_config", responses=ConfigShape, tags=["billing"])
    def get(self, request: CustomerRequest) -> Response:
        """Ways to pay, packages, rates, limits, and how amounts are counted."""
        return Response(ConfigShape(_config()).data)


class Credits(ApiView):
    """The balance."""

    required_scopes = (CREDITS_READ,)

    @extend_schema(operation_id="billing_credits", responses=CreditsShape, tags=["billing"])
    def get(self, request: CustomerRequest) -> Response:
        """What can be spent, what is held, what is owed, and when it expires."""
        balance = selectors.balance(request.customer)
        answer = {
            "spendable": balance.spendable,
            "held": balance.held,
            "debt": balance.debt,
            "lots": selectors.lots(request.customer),
            "other": selectors.other_balances(request.customer),
        }
        return Response(CreditsShape(answer).data)


class History(ApiView):
    """The statement."""

    required_scopes = (CREDITS_READ,)

    @extend_schema(
        operation_id="billing_credits_history",
        parameters=[HistoryQuery],
        responses=HistoryShape,
        tags=["billing"],
    )
    def get(self, request: CustomerRequest) -> Response:
        """Every movement of credits, newest first, with the balance after each."""
        query = parsed(HistoryQuery, request.query_params)
        page = selectors.statement(
            selectors.wallet(request.customer),
            limit=query["limit"],
            cursor=query["cursor"],
            filters=Filters.for_days(
                kind=query["kind"],
                since=query["since"],
                until=query["until"],
                zone=request.customer.zone,
            ),
        )
        answer = {"results": page.rows, "next_cursor": page.next_cursor}
        return Response(HistoryShape(answer).data)


def _config() -> dict[str, Any]:
    """Only what this deployment has: a rail that is off leaves no trace."""
    sold = catalogue.current()
    on = rails.available()
    taken = list(dict.fromkeys(unit for rail in on for unit in rail.assets))
    custom_unit = sold.custom_min.asset
    return {
        "rails": [
            {"name": rail.name, "title": rail.title, "assets": [unit.code for unit in rail.assets]}
            for rail in on
        ],
        "packages": _packages(taken),
        "rates": [_rate(unit) for unit in taken if sold.has_rate(unit)],
        "custom_amount": (
            {"min": sold.custom_min, "max": sold.custom_max} if custom_unit in taken else None
        ),
        "holds": {
            "units": [unit.code for unit in holds.UNITS],
            "max_amount_minor": MAX_AMOUNT_MINOR,
            "min_ttl_seconds": holds.MIN_TTL_SECONDS,
            "max_ttl_seconds": holds.MAX_TTL_SECONDS,
            "default_ttl_seconds": holds.DEFAULT_TTL_SECONDS,
        },
        "assets": list(dict.fromkeys([CREDIT, *taken, *holds.UNITS])),
    }


def _packages(taken: list[Asset]) -> list[dict[str, Any]]:
    return [
        {
            "slug": pack.slug,
            "name": pack.name,
            "credits": pack.credits,
            "prices": [price for price in pack.prices if price.asset in taken],
            "expires_days": pack.expires_days,
        }
        for pack in catalogue.current().credit_packs
        if any(price.asset in taken for price in pack.prices)
    ]


def _rate(unit: Asset) -> dict[str, Money]:
    one = Money(unit.unit_minor, unit)
    return {"price": one, "credits": catalogue.current().credits_for(one, slug="rate").credits}
