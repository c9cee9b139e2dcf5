"""People in every state that a page is designed for: new, waiting, failed, disputed, refunded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings

from accounts.models import User
from billing.models import OrderStatus, Subscription
from billing.services import disputes, invoices, payments, rails, refunds, subscriptions
from common import clock
from tests.accounts.factories import customer_of, make_person
from tests.billing.fakes import FakeRenewingRail
from tests.factories import make_charge, make_claim, make_order, make_payment
from tests.pages.visits import Visitors, addresses, signed_in_browser
from tests.security.table import For
from tests.security.world import World


@dataclass(frozen=True)
class Stop:
    """A page as somebody sees it; the name is that of its picture."""

    name: str
    path: str
    session: str


def stops(world: World) -> Iterator[Stop]:
    """Every page of the portal, then those that look different to people in other states."""
    sessions = {"owner": _session(world.user), "nobody": ""}
    visitors = Visitors(world)
    shown = [one for one in addresses(world) if not one.is_admin and not one.is_api]
    for address in shown:
        for who, client in visitors.of(address):
            if "logout" in address.route and who == "nobody":
                continue
            response = client.get(address.path)
            is_page = b"<main" in getattr(response, "content", b"")
            if is_page and response.status_code < 300:
                yield Stop(f"{who}-{_slug(address.route)}", address.path, sessions[who])
    general = [one.path for one in shown if one.whose is For.PERSON and "<" not in one.route]
    for state, user, paths in _people(world):
        client = signed_in_browser(user)
        for path in [*general, *paths]:
            response = client.get(path)
            if response.status_code < 300 and b"<main" in getattr(response, "content", b""):
                yield Stop(f"{state}-{_slug(path)}", path, _session(user))
    yield Stop("nobody-missing", "/there-is-no-such-page", "")


def _people(world: World) -> Iterator[tuple[str, User, list[str]]]:
    """Somebody of each kind, and the pages that only they have."""
    yield "empty", make_person(name="Nova Newcomer"), []
    troubled = make_person(name="Tess Trouble")
    yield "troubled", troubled, list(_trouble(world, troubled))
    behind = make_person(name="Bea Behind")
    _fall_behind(behind)
    yield "suspended", behind, []


def _trouble(world: World, user: User) -> Iterator[str]:
    """Orders in every state, and money that fits none."""
    customer = customer_of(user)
    for status in (OrderStatus.OPEN, OrderStatus.EXPIRED, OrderStatus.FAILED):
        yield f"/billing/orders/{make_order(customer=customer, status=status).pk}/success"
    late = make_order(customer=customer, expires_at=clock.now() - timedelta(hours=1))
    yield f"/billing/orders/{late.pk}/success"
    paid = [make_payment(make_order(customer=customer), tax_minor=99) for _ in range(4)]
    _ask_back(world, paid[0].pk, 1_00)
    refunds.send(_ask_back(world, paid[1].pk, None))
    disputes.record(paid[2].pk, make_claim())
    payments.settle(make_charge(None, customer=customer))
    invoices.issue_due()
    for payment in paid:
        yield f"/billing/orders/{payment.order_id}/success"
        yield f"/billing/payments/{payment.pk}/receipt"


def _ask_back(world: World, payment_id: UUID, amount_minor: int | None) -> UUID:
    refund = refunds.request(payment_id, reason="asked", amount_minor=amount_minor, by=world.staff)
    return refund.pk


def _fall_behind(user: User) -> None:
    """A subscription whose renewal failed so long ago that it gives nothing any more."""
    rail = rails.named("card")
    assert isinstance(rail, FakeRenewingRail)
    order = subscriptions.start(customer_of(user), "basic", "month", rail=rail.name)
    behind = rail.fail(rail.pay(order))
    long_ago = clock.now() - timedelta(days=60)
    Subscription.objects.filter(pk=behind.pk).update(past_due_since=long_ago)


def _session(user: User) -> str:
    return signed_in_browser(user).cookies[settings.SESSION_COOKIE_NAME].value


def _slug(path: str) -> str:
    """A file's name for a path."""
    plain = "".join(one if one.isalnum() else "-" for one in path.partition("?")[0])
    return "-".join(part for part in plain.split("-") if part)[:60] or "home"
