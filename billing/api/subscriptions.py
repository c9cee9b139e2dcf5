"""Plans, the subscription, and what can be done with it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from accounts.http import PortalRequest, RoleInsufficient
from accounts.scopes import SUBSCRIPTION_READ, SUBSCRIPTION_WRITE
from billing import selectors
from billing.api.base import CustomerRequest, parsed, refusal, user_of
from billing.api.inputs import NothingInput
from billing.api.shapes import OrderShape
from billing.api.subscription_inputs import (
    PortalInput,
    PortalQuery,
    SubscribeInput,
    UpgradeInput,
)
from billing.api.subscription_shapes import (
    PlansShape,
    StandingShape,
    SubscriptionShape,
    UpgradeShape,
    UrlShape,
)
from billing.models import Subscription
from billing.services import (
    cancellations,
    orders,
    plan_changes,
    plan_menu,
    subscriptions,
)
from billing.services.plan_changes import QUOTE_LASTS, Outcome, Quote
from common.api import ApiView

HOME = "/billing/subscription"
_TAGS = ["subscriptions"]
# What cancelling and resuming answer.
_ENDING_OR_NOT = {
    200: SubscriptionShape,
    404: refusal("no_subscription"),
    409: refusal("change_not_possible"),
    503: refusal("rail_unavailable"),
}


class TheSubscription(ApiView):
    """The customer's subscription."""

    required_scopes = (SUBSCRIPTION_READ,)

    @extend_schema(operation_id="billing_subscription", responses=StandingShape, tags=_TAGS)
    def get(self, request: CustomerRequest) -> Response:
        """The subscription that counts, where it stands and what happens next; null if none."""
        return Response(StandingShape(plan_menu.overview(request.customer)).data)


class Plans(ApiView):
    """What can be subscribed to."""

    required_scopes = (SUBSCRIPTION_READ,)

    @extend_schema(operation_id="billing_plans", responses=PlansShape, tags=_TAGS)
    def get(self, request: CustomerRequest) -> Response:
        """Every plan with its limits, features and prices for each interval and way to pay."""
        have = plan_menu.overview(request.customer)
        return Response(PlansShape({"plans": plan_menu.cards(have)}).data)


class Portal(ApiView):
    """The provider's own page for cards and invoices."""

    required_scopes = (SUBSCRIPTION_WRITE,)
    throttle_scope = "checkout"

    @extend_schema(
        operation_id="billing_portal",
        parameters=[PortalQuery],
        responses={
            200: UrlShape,
            409: refusal("change_not_possible"),
            503: refusal("rail_unavailable"),
        },
        tags=_TAGS,
    )
    def get(self, request: CustomerRequest) -> Response:
        """Where cards are changed and invoices are seen; the address is good for a short while."""
        _require_paying(request)
        return self._answer(request, parsed(PortalQuery, request.query_params)["return_url"])

    @extend_schema(
        operation_id="billing_portal_open",
        request=PortalInput,
        responses={
            200: UrlShape,
            409: refusal("change_not_possible"),
            503: refusal("rail_unavailable"),
        },
        tags=_TAGS,
    )
    def post(self, request: CustomerRequest) -> Response:
        """The same, for callers who would rather not GET what makes a new page each time."""
        return self._answer(request, parsed(PortalInput, request.data)["return_url"])

    def _answer(self, request: CustomerRequest, return_url: str) -> Response:
        url = plan_menu.self_service_url(request.customer, back=return_url or HOME)
        return Response(UrlShape({"url": url}).data)


class Subscribe(ApiView):
    """Ordering a plan."""

    required_scopes = (SUBSCRIPTION_WRITE,)
    throttle_scope = "checkout"

    @extend_schema(
        operation_id="billing_subscribe",
        request=SubscribeInput,
        responses={
            201: OrderShape,
            400: refusal(
                "invalid_input", "unknown_plan", "not_sold_that_way", "rail_not_available"
            ),
            409: refusal("already_subscribed"),
            503: refusal("rail_unavailable"),
        },
        tags=_TAGS,
    )
    def post(self, request: CustomerRequest) -> Response:
        """Order a plan; send the customer to `pay_url`.

        On a rail that does not renew, ordering the plan one has adds a period. When the provider
        is out of reach the answer is 503: repeat it with the same Idempotency-Key to go on with
        the same order.
        """
        wanted = parsed(SubscribeInput, request.data)
        order = subscriptions.start(
            request.customer,
            wanted["plan"],
            wanted["interval"],
            rail=wanted["rail"],
            placed_by=user_of(request),
            return_url=wanted["return_url"],
            cause=self.claim.key_id if self.claim else None,
        )
        orders.pay_url(order)
        return Response(OrderShape(selectors.purchase(request.customer, order.pk)).data, status=201)


class Upgrade(ApiView):
    """Changing the plan, up or down."""

    required_scopes = (SUBSCRIPTION_WRITE,)
    throttle_scope = "checkout"

    @extend_schema(
        operation_id="billing_upgrade",
        request=UpgradeInput,
        responses={
            200: UpgradeShape,
            400: refusal("invalid_input", "unknown_plan", "not_sold_that_way"),
            402: refusal("payment_declined"),
            404: refusal("no_subscription"),
            409: refusal("change_not_possible", "quote_outdated"),
            503: refusal("rail_unavailable"),
        },
        tags=_TAGS,
    )
    def post(self, request: CustomerRequest) -> Response:
        """Change the plan: ask with `preview`, then confirm with the `token` of that quote.

        What is better, or the same for longer, begins now and charges the difference; anything
        else begins when the current period ends. Exactly what was quoted is charged: when that is
        no longer true the answer is 409 `quote_outdated` and nothing changes.
        """
        wanted = parsed(UpgradeInput, request.data)
        customer = request.customer
        if wanted["preview"]:
            quote = plan_changes.quote(customer, wanted["plan"], wanted["interval"])
            return Response(UpgradeShape(_of_quote(quote)).data)
        plan_menu.require_quoted(wanted["token"], wanted["plan"], wanted["interval"])
        outcome = plan_changes.confirm(customer, wanted["token"], placed_by=user_of(request))
        return Response(UpgradeShape(_of_outcome(request, outcome)).data)


class Cancel(ApiView):
    """Not renewing."""

    required_scopes = (SUBSCRIPTION_WRITE,)

    @extend_schema(
        operation_id="billing_cancel",
        request=NothingInput,
        responses=_ENDING_OR_NOT,
        tags=_TAGS,
    )
    def post(self, request: CustomerRequest) -> Response:
        """Let the subscription end with what is paid; repeating it changes nothing."""
        parsed(NothingInput, request.data)
        return _answer(cancellations.cancel(request.customer))


class Resume(ApiView):
    """Going on after all."""

    required_scopes = (SUBSCRIPTION_WRITE,)

    @extend_schema(
        operation_id="billing_resume",
        request=NothingInput,
        responses=_ENDING_OR_NOT,
        tags=_TAGS,
    )
    def post(self, request: CustomerRequest) -> Response:
        """Let it go on as it is: takes back a cancellation, or a change that is still to come."""
        parsed(NothingInput, request.data)
        subscription = cancellations.resume(request.customer)
        if subscription.next_plan_slug:
            subscription = plan_changes.keep_plan(request.customer)
        return _answer(subscription)


def _require_paying(request: CustomerRequest) -> None:
    """A member who only looks gets no page on which cards are changed, by GET either."""
    if user_of(request) is None:
        return
    membership = cast("PortalRequest", request).membership
    if not membership or not membership.may_pay:
        raise RoleInsufficient


def _answer(subscription: Subscription) -> Response:
    return Response(SubscriptionShape(selectors.subscription_row(subscription)).data)


def _of_quote(quote: Quote) -> dict[str, Any]:
    told = {one.name: getattr(quote, one.name) for one in fields(quote)} | {
        "parts": [{"title": title, "amount": amount} for title, amount in quote.parts],
        "expires_at": quote.at + QUOTE_LASTS,
    }
    return {
        "quote": told,
        "when": quote.when,
        "subscription": selectors.subscription_row(quote.subscription),
        "order": None,
    }


def _of_outcome(request: CustomerRequest, outcome: Outcome) -> dict[str, Any]:
    order = None
    if outcome.order is not None:
        orders.pay_url(outcome.order)
        order = selectors.purchase(request.customer, outcome.order.pk)
    return {
        "quote": None,
        "when": outcome.when,
        "subscription": selectors.subscription_row(outcome.subscription),
        "order": order,
    }
