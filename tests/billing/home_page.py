"""The staff home for tests: a business to look at, and what its pages and files say."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import timedelta
from typing import Any

from accounts.models import Customer
from billing import catalogue, ledger
from billing.admin.figures import FIGURES
from billing.models import Code, Payment
from billing.money import CREDIT, XTR
from billing.services import credit_packs, disputes, orders, payments, refunds
from common.clock import FrozenClock
from tests.billing.fakes import FakeRenewingRail
from tests.billing.renewing import earn, subscribed, upgraded
from tests.factories import make_charge, make_claim, make_customer, make_order, make_payment

HOME = "/admin/"


def business(rail: FakeRenewingRail, now: FrozenClock) -> Customer:
    """A month of two subscribers, credits in two currencies, a refund and a dispute."""
    subscribed(rail)
    bigger = subscribed(rail, "premium")
    upgraded(bigger, "enterprise")
    customer = make_customer(email="=cmd@example.com")
    make_payment(make_order(customer=customer), tax_minor=99)
    wallet = ledger.wallet(customer, CREDIT)
    ledger.spend(wallet, 1_000_000_000, code=Code.USAGE, key=f"u:{customer.pk}", occurred_at=now.at)
    refund = refunds.request(
        Payment.objects.get(customer=customer).pk, reason="asked", amount_minor=1_00
    )
    refunds.send(refund.pk)
    disputes.record(make_payment(make_order()).pk, make_claim())
    item = credit_packs.sold(catalogue.current().credit_pack("pkg_100"), XTR)
    stars = orders.open_order(make_customer(), item, rail="card")
    payments.settle(make_charge(stars, asset=XTR))
    now.move(timedelta(days=20))
    ledger.recognise(occurred_at=now.at)
    earn()
    return customer


def figures_of(page: Any) -> dict[str, str]:
    """What each card of the home says, on one line, by the figure's title."""
    cards = re.findall(r"<article.*?</article>", page.text, re.DOTALL)
    told = [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", card)).split()) for card in cards]
    titles = sorted((figure.title for figure in FIGURES.values()), key=len, reverse=True)
    found = {}
    for text in told:
        title = next(title for title in titles if text.startswith(title))
        said = text.removeprefix(title).removesuffix("Rows CSV Definition").strip()
        found[title] = said
    return found


def rows_of(response: Any) -> list[list[str]]:
    """The lines of a CSV answer."""
    assert response.status_code == 200
    text = b"".join(response.streaming_content).decode()
    return list(csv.reader(io.StringIO(text)))
