"""The walk's table: for every route who it is for, and how to reach it with the victim's ids.

A route without an entry fails the walk. So does an entry without a route.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.http import int_to_base36

from accounts.models import Customer
from accounts.services.invitations import token_of
from billing.models import Email, Lot, LotUse, Transfer
from common import ids
from tests.security.world import World, beat_ids, email_id


class For(Enum):
    """Who may see an answer of it."""

    ANYBODY = "anybody"
    PERSON = "people who are signed in, each their own"
    CALLER = "people and programs, each their own"
    STAFF = "staff"
    PROVIDER = "providers who sign what they send"


Fill = Callable[[World], Mapping[str, object]]


def _nothing(_world: World) -> Mapping[str, object]:
    return {}


@dataclass(frozen=True)
class Entry:
    """How a route is walked.

    ``fill`` gives the victim's ids for its parameters, ``body`` what a POST of the owner holds
    (None: the owner does not POST there). ``query`` goes with a GET. ``reads`` says whether the
    owner's GET shows something.
    """

    whose: For
    fill: Fill = _nothing
    body: Fill | None = None
    query: str = ""
    path: str = ""
    reads: bool = True
    # A POST makes a thing of the caller's own: new rows, none of them about the victim.
    makes_own: bool = False
    # A POST ends the caller's session, and is left to the tests of logging out.
    ends_session: bool = False


def _key(world: World) -> Mapping[str, object]:
    return {"key_id": world.api_key.pk}


def _member(world: World) -> Mapping[str, object]:
    return {"membership_id": world.member.pk}


def _invitation(world: World) -> Mapping[str, object]:
    return {"invitation_id": world.invitation.pk}


def _open_order(world: World) -> Mapping[str, object]:
    return {"order_id": world.open_order.pk}


def _wallet_order(world: World) -> Mapping[str, object]:
    return {"order_id": world.wallet_order.pk}


def _invoice(world: World) -> Mapping[str, object]:
    return {"invoice_id": world.payment.invoice.pk}


def _paid_order(world: World) -> Mapping[str, object]:
    return {"order_id": world.paid_order.pk}


def _hold(world: World) -> Mapping[str, object]:
    return {"hold_id": world.hold.pk}


def _second_hold(world: World) -> Mapping[str, object]:
    return {"hold_id": world.second_hold.pk}


def _subscription(world: World) -> Mapping[str, object]:
    return {"subscription": world.subscription.pk}


def _quoted(world: World) -> Mapping[str, object]:
    """A yes to a change that the victim was quoted."""
    return {"plan": "enterprise", "interval": "month", "token": world.quote.token}


_PUBLIC = Entry(For.ANYBODY)
_OWN_PAGE = Entry(For.PERSON)
_READ = Entry(For.CALLER)

PORTAL: dict[str, Entry] = {
    "": _PUBLIC,
    "favicon.ico": _PUBLIC,
    "health": _PUBLIC,
    "healthz": _PUBLIC,
    "ready": _PUBLIC,
    "metrics": _PUBLIC,
    "api/schema": _PUBLIC,
    "api/docs": _PUBLIC,
    "api/webhooks/stripe": Entry(For.PROVIDER, reads=False),
    "settings/": _OWN_PAGE,
    "settings/language": Entry(
        For.ANYBODY, body=lambda _: {"language": "en"}, reads=False, makes_own=True
    ),
    "settings/theme": Entry(For.ANYBODY, body=lambda _: {"theme": "night"}, reads=False),
    "settings/switch": Entry(
        For.PERSON, body=lambda world: {"customer_id": world.customer.pk}, reads=False
    ),
    "settings/security": _OWN_PAGE,
    "settings/billing-details": _OWN_PAGE,
    "settings/notifications": Entry(For.PERSON, body=_nothing, makes_own=True),
    # The victim acts for themselves: their team is managed by those who act for it.
    "settings/team": _OWN_PAGE,
    "settings/team/new": _OWN_PAGE,
    "settings/team/leave": Entry(For.PERSON, reads=False),
    "settings/team/invite": Entry(For.PERSON, reads=False),
    "settings/team/members/<int:membership_id>/role": Entry(For.PERSON, _member, reads=False),
    "settings/team/members/<int:membership_id>/remove": Entry(For.PERSON, _member, reads=False),
    "settings/team/invitations/<uuid:invitation_id>/send-again": Entry(
        For.PERSON, _invitation, reads=False
    ),
    "settings/team/invitations/<uuid:invitation_id>/revoke": Entry(
        For.PERSON, _invitation, reads=False
    ),
    "settings/invitations/<str:token>": Entry(
        For.ANYBODY, lambda world: {"token": token_of(world.invitation)}
    ),
    "settings/export": Entry(For.PERSON, body=_nothing),
    "settings/close": Entry(For.PERSON, body=lambda world: {"email": world.user.email}),
    "settings/closed": _PUBLIC,
    "settings/api-keys": _OWN_PAGE,
    "settings/api-keys/new": Entry(
        For.PERSON,
        body=lambda _: {"name": "another", "scope_names": ["credits:read"]},
        makes_own=True,
    ),
    "settings/api-keys/<uuid:key_id>/revoke": Entry(For.PERSON, _key, _nothing),
    "billing/": _OWN_PAGE,
    "billing/buy": Entry(For.PERSON, body=lambda _: {"package": "small"}, makes_own=True),
    "billing/buy/quote": Entry(For.PERSON, query="amount=5"),
    # The victim has a subscription: a second one is refused, so the owner does not order.
    "billing/plans": _OWN_PAGE,
    "billing/subscription": _OWN_PAGE,
    "billing/subscription/change": Entry(
        For.PERSON, _nothing, _quoted, query="plan=enterprise&interval=month"
    ),
    "billing/subscription/cancel": Entry(For.PERSON, body=_subscription),
    "billing/success": Entry(For.PERSON, reads=False),
    "billing/cancel": Entry(For.PERSON, reads=False),
    "billing/subscription/resume": Entry(For.PERSON, body=_nothing, reads=False),
    "billing/subscription/portal": Entry(For.PERSON, body=_nothing, reads=False),
    "billing/spending": Entry(For.PERSON, body=lambda _: {"cap": "900000"}, makes_own=True),
    "billing/spending/off": Entry(For.PERSON, body=_nothing, makes_own=True),
    "billing/auto-top-up": _OWN_PAGE,
    "billing/auto-top-up/off": Entry(For.PERSON, body=_nothing, reads=False),
    # The rail here charges no saved cards, so the owner saves none.
    "billing/auto-top-up/card": Entry(For.PERSON, reads=False),
    "billing/auto-top-up/saved": Entry(For.PERSON, reads=False),
    "billing/upgrade": Entry(For.PERSON, query="reason=spend_cap"),
    "billing/transactions": _OWN_PAGE,
    "billing/invoices": _OWN_PAGE,
    "billing/invoices.csv": _OWN_PAGE,
    "billing/invoices/<uuid:invoice_id>/pdf": Entry(For.PERSON, _invoice),
    "billing/statement": _OWN_PAGE,
    "billing/statement.csv": _OWN_PAGE,
    "billing/orders/<uuid:order_id>/success": Entry(For.PERSON, _paid_order),
    "billing/orders/<uuid:order_id>/cancelled": Entry(For.PERSON, _open_order),
    "billing/orders/<uuid:order_id>/pay": Entry(For.PERSON, _open_order, _nothing, reads=False),
    # The victim has a subscription: this second one is shown, and not paid.
    "billing/orders/<uuid:order_id>/wallet": Entry(For.PERSON, _wallet_order),
    "billing/payments/<uuid:payment_id>/receipt": Entry(
        For.PERSON, lambda world: {"payment_id": world.payment.pk}
    ),
    "api/billing/config": _READ,
    "api/billing/credits": _READ,
    "api/billing/credits/history": _READ,
    "api/billing/credits/purchase": Entry(
        For.CALLER, body=lambda _: {"package": "small"}, reads=False, makes_own=True
    ),
    "api/billing/auto-top-up": _READ,
    "api/billing/spend-cap": _READ,
    "api/billing/transactions": _READ,
    "api/billing/invoices": _READ,
    "api/billing/invoices/<uuid:invoice_id>/pdf": Entry(For.CALLER, _invoice),
    "api/billing/invoices/preview": Entry(
        For.CALLER, body=lambda _: {"package": "small"}, reads=False
    ),
    "api/billing/orders/<uuid:order_id>": Entry(For.CALLER, _open_order),
    "api/billing/orders/<uuid:order_id>/pay": Entry(For.CALLER, _wallet_order, reads=False),
    "api/billing/entitlements": _READ,
    "api/billing/plans": _READ,
    "api/billing/subscription": _READ,
    "api/billing/portal": Entry(For.CALLER, body=_nothing),
    "api/billing/subscribe": Entry(For.CALLER, reads=False),
    "api/billing/upgrade": Entry(For.CALLER, _nothing, _quoted, reads=False),
    "api/billing/cancel": Entry(For.CALLER, body=_nothing, reads=False),
    "api/billing/resume": Entry(For.CALLER, body=_nothing, reads=False),
    "api/quota/holds": Entry(
        For.CALLER, body=lambda _: {"amount_minor": 1}, reads=False, makes_own=True
    ),
    "api/quota/holds/<uuid:hold_id>": Entry(For.CALLER, _hold),
    "api/quota/holds/<uuid:hold_id>/capture": Entry(For.CALLER, _hold, _nothing, reads=False),
    "api/quota/holds/<uuid:hold_id>/release": Entry(
        For.CALLER, _second_hold, _nothing, reads=False
    ),
}


def _reset_path(world: World) -> str:
    """A reset link of the victim's with a made-up key: the real one is known to them alone."""
    return f"accounts/password/reset/key/{int_to_base36(world.user.pk.int)}-made-up/"


# django-allauth's. Links that were mailed to the victim are secrets, so their keys are made up.
ALLAUTH: dict[str, Entry] = {
    "accounts/login/": _PUBLIC,
    "accounts/logout/": Entry(For.ANYBODY, ends_session=True),
    "accounts/inactive/": _PUBLIC,
    "accounts/signup/": _PUBLIC,
    "accounts/reauthenticate/": _OWN_PAGE,
    "accounts/email/": _OWN_PAGE,
    "accounts/confirm-email/": _PUBLIC,
    "accounts/password/change/": _OWN_PAGE,
    "accounts/password/set/": _OWN_PAGE,
    "accounts/password/reset/": _PUBLIC,
    "accounts/login/code/confirm/": _PUBLIC,
    "accounts/^confirm-email/(?P<key>[-:\\w]+)/$": Entry(
        For.ANYBODY, path="accounts/confirm-email/made-up/"
    ),
    "accounts/password/reset/key/done/": _PUBLIC,
    "accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": Entry(
        For.ANYBODY, path="accounts/password/reset/key/1-made-up/"
    ),
    "accounts/password/reset/done/": _PUBLIC,
    "accounts/2fa/": _OWN_PAGE,
    "accounts/2fa/authenticate/": _PUBLIC,
    "accounts/2fa/reauthenticate/": _OWN_PAGE,
    "accounts/2fa/totp/activate/": _OWN_PAGE,
    # The victim has no second factor.
    "accounts/2fa/totp/deactivate/": Entry(For.PERSON, reads=False),
    "accounts/2fa/recovery-codes/": Entry(For.PERSON, reads=False),
    "accounts/2fa/recovery-codes/generate/": _OWN_PAGE,
    "accounts/2fa/recovery-codes/download/": Entry(For.PERSON, reads=False),
    "accounts/sessions/": Entry(For.PERSON, makes_own=True),
}


def _act(fill: Fill, **fields: str) -> Entry:
    """A page on which staff acts; outsiders send a complete form."""

    def body(_world: World) -> Mapping[str, object]:
        return {"key": str(ids.uuid7()), "reason": "because", "confirmed": "yes", **fields}

    return Entry(For.STAFF, fill, body)


def _object(of: Callable[[World], object]) -> Fill:
    return lambda world: {"object_id": of(world)}


_CUSTOMER = _object(lambda world: world.customer.pk)
_SUBSCRIPTION = _object(lambda world: world.subscription.pk)
_STRAY = _object(lambda world: world.stray.pk)

# What the admin has beside the pages of each model.
ADMIN: dict[str, Entry] = {
    "admin/": Entry(For.STAFF),
    "api/admin/revenue": Entry(For.STAFF, query="from=2026-01-01"),
    "admin/figures/": Entry(For.STAFF),
    "admin/figures/<slug:slug>/": Entry(For.STAFF, lambda _: {"slug": "received"}),
    "admin/figures/<slug:slug>.csv": Entry(For.STAFF, lambda _: {"slug": "received"}),
    "admin/search/": Entry(For.STAFF, query="s=vera"),
    "admin/login/": _PUBLIC,
    "admin/logout/": Entry(For.ANYBODY, ends_session=True, reads=False),
    "admin/password_change/": Entry(For.STAFF),
    "admin/password_change/done/": Entry(For.STAFF),
    "admin/autocomplete/": Entry(
        For.STAFF,
        query="term=vera&app_label=accounts&model_name=membership&field_name=customer",
    ),
    "admin/jsi18n/": Entry(For.ANYBODY),
    "admin/r/<path:content_type_id>/<path:object_id>/": Entry(
        For.STAFF,
        lambda world: {
            "content_type_id": ContentType.objects.get_for_model(Customer).pk,
            "object_id": world.customer.pk,
        },
        reads=False,
    ),
    "admin/(?P<url>.*)$": Entry(For.STAFF, path="admin/nowhere", reads=False),
    "admin/accounts/user/<id>/password/": Entry(For.STAFF, lambda world: {"id": world.user.pk}),
    "admin/accounts/customer/<path:object_id>/grant/": _act(_CUSTOMER, amount="5"),
    "admin/accounts/customer/<path:object_id>/take/": _act(_CUSTOMER, amount="5"),
    "admin/billing/inboundevent/<path:object_id>/handle-again/": _act(
        _object(lambda world: world.event.pk)
    ),
    "admin/billing/email/<path:object_id>/send-again/": _act(
        _object(lambda world: world.first(Email))
    ),
    "admin/billing/reconciliationrun/run-now/": _act(_nothing, rail="card", since="2026-01-01"),
    "admin/billing/reconciliationrun/<path:object_id>/repair-safe/": _act(
        _object(lambda world: world.difference.run_id)
    ),
    "admin/billing/reconciliationrun/<path:object_id>/csv/": Entry(
        For.STAFF, _object(lambda world: world.difference.run_id)
    ),
    "admin/billing/reconciliationitem/<path:object_id>/repair/": _act(
        _object(lambda world: world.difference.pk)
    ),
    "admin/billing/ledgeraccount/<path:object_id>/statement/": Entry(
        For.STAFF, _object(lambda world: world.account.pk)
    ),
    "admin/billing/ledgeraccount/<path:object_id>/transfers/": Entry(
        For.STAFF, _object(lambda world: world.account.pk)
    ),
    "admin/billing/payment/<path:object_id>/refund/": _act(
        _object(lambda world: world.payment.pk), share="unspent"
    ),
    "admin/billing/subscription/<path:object_id>/end-later/": _act(_SUBSCRIPTION),
    "admin/billing/subscription/<path:object_id>/end/": _act(_SUBSCRIPTION),
    "admin/billing/subscription/<path:object_id>/refresh/": _act(_SUBSCRIPTION),
    "admin/billing/unappliedpayment/<path:object_id>/assign/": _act(
        _STRAY, customer="vera.victim@example.com"
    ),
    "admin/billing/unappliedpayment/<path:object_id>/apply/": _act(_STRAY),
    "admin/billing/unappliedpayment/<path:object_id>/refund/": _act(_STRAY, share="unspent"),
}

# The victim's row of each model that has pages in the admin.
ROWS: dict[str, Callable[[World], object]] = {
    "account/emailaddress": email_id,
    "accounts/user": lambda world: world.user.pk,
    "accounts/apikey": lambda world: world.api_key.pk,
    "accounts/customer": lambda world: world.customer.pk,
    "billing/staffaction": lambda world: world.action.pk,
    "billing/email": lambda world: world.first(Email),
    "billing/inboundevent": lambda world: world.event.pk,
    "billing/ledgeraccount": lambda world: world.account.pk,
    "billing/transfer": lambda world: world.first(Transfer),
    "billing/lot": lambda world: world.first(Lot),
    "billing/lotuse": lambda world: world.first(LotUse),
    "billing/hold": lambda world: world.hold.pk,
    "billing/order": lambda world: world.paid_order.pk,
    "billing/autotopup": lambda world: world.customer.auto_top_up.pk,
    "billing/payment": lambda world: world.payment.pk,
    "billing/unappliedpayment": lambda world: world.stray.pk,
    "billing/invoice": lambda world: world.payment.invoice.pk,
    "billing/refund": lambda world: world.refund.pk,
    "billing/dispute": lambda world: world.dispute.pk,
    "billing/subscription": lambda world: world.subscription.pk,
    "billing/subscriptionperiod": lambda world: world.subscription.periods.get().pk,
    "billing/reconciliationrun": lambda world: world.difference.run_id,
    "billing/reconciliationitem": lambda world: world.difference.pk,
    "djstripe/customer": lambda _: "cus_veravictim",
}

_MODEL_PAGE = re.compile(
    r"admin/(?P<model>\w+/\w+)/(add/|(?P<one><path:object_id>/)(history/|delete/|change/)?)?"
)
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Walked:
    """A route with the path and the body it is walked with."""

    route: str
    entry: Entry
    path: str
    body: Mapping[str, object] | None = field(default=None)

    @property
    def is_model_page(self) -> bool:
        """Whether it is one of the pages that the admin has for every model."""
        return _MODEL_PAGE.fullmatch(self.route) is not None

    @property
    def is_mirror(self) -> bool:
        """Whether it shows a copy of the provider's objects."""
        return self.route.startswith("admin/djstripe/")


def routes() -> list[str]:
    """Every route of the URL table, those of included tables and of the admin too."""
    return list(_under(get_resolver(), ""))


def entry_of(route: str) -> Entry | None:
    """What the table says of a route; None when it was forgotten."""
    entry = PORTAL.get(route) or ALLAUTH.get(route) or ADMIN.get(route)
    if entry is not None:
        return entry
    if route.startswith("admin/^(?P<app_label>"):  # names the apps that have pages there
        return Entry(For.STAFF, path="admin/billing/")
    page = _MODEL_PAGE.fullmatch(route)
    if page is None:
        return None
    model = page["model"]
    row = ROWS.get(model)
    if row is not None:
        return Entry(For.STAFF, _object(row) if page["one"] else _nothing)
    if model.startswith("django_celery_beat/"):
        return Entry(For.STAFF, _object(lambda _: _beat(model)) if page["one"] else _nothing)
    if model.startswith("djstripe/"):
        # One model of the mirror stands for the others: they share their admin class.
        return Entry(For.STAFF, _object(lambda _: "none"), reads=not page["one"])
    return None


def forgotten_entries() -> set[str]:
    """Entries for routes that are not there any more."""
    there = set(routes())
    pages = {match["model"] for route in there if (match := _MODEL_PAGE.fullmatch(route))}
    listed = {*PORTAL, *ALLAUTH, *ADMIN}
    return (listed - there) | (set(ROWS) - pages)


def walked(world: World) -> Iterator[Walked]:
    """Every route with the victim's ids in it."""
    for route in dict.fromkeys(routes()):
        entry = entry_of(route)
        if entry is None:
            raise AssertionError(f"{route!r} is not in the walk's table (tests/security/table.py)")
        path = entry.path or _PARAMETER.sub(_value(entry.fill(world)), route)
        if route.startswith("accounts/^password/reset/key/"):
            path = _reset_path(world)
        body = entry.body(world) if entry.body else None
        yield Walked(route, entry, f"/{path}", body)


def _under(resolver: URLResolver, prefix: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from _under(pattern, route)


def _value(values: Mapping[str, object]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        return str(values[match[1]])

    return replace


def _beat(model: str) -> Any:
    return _BEAT[model.removeprefix("django_celery_beat/")]


_BEAT: dict[str, str] = {}


def prepare() -> None:
    """Make the rows that belong to nobody."""
    _BEAT.clear()
    _BEAT.update(beat_ids())
