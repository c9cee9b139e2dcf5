"""The wallet rail: orders paid from credits. Its provider is our own ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext_lazy

from billing.models import Order, Refund
from billing.money import CREDIT
from billing.rails.wallet import paying, reconcile, refunds
from billing.services.rails import (
    Finding,
    Handler,
    PayPage,
    Rail,
    RefundAnswer,
    Repair,
    Tell,
)
from common import clock

# A price in credits is kept that long for somebody who buys credits first.
PAYABLE_FOR = timedelta(days=1)


class WalletRail(Rail):
    """Whatever has a price in credits, paid from the wallet. It does not renew by itself."""

    name = paying.RAIL
    title = gettext_lazy("Credits")
    assets = (CREDIT,)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return _NO_HANDLERS

    def open_pay_page(self, order: Order) -> PayPage:
        """Our own page. It asks nobody."""
        url = settings.PUBLIC_URL + reverse("billing:wallet_pay", args=[order.pk])
        return PayPage(str(order.pk), url, clock.now() + PAYABLE_FOR)

    def send_refund(self, refund: Refund) -> RefundAnswer:
        return refunds.send(refund)

    def find_refund(self, refund: Refund) -> RefundAnswer | None:
        return refunds.find(refund)

    def refresh(self, order: Order) -> None:
        paying.lapse_if_overdue(order)

    def reconcile(self, since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
        return reconcile.find(since, until, tell)

    def look_again(self, kind: str, subject: str) -> Repair | None:
        return reconcile.look_again(kind, subject)


_NO_HANDLERS: Mapping[str, Handler] = {}
