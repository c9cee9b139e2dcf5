"""The staff home of a grown business: half a million transfers, and no figure is kept in stock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from django.db import connection

from accounts.models import Customer
from billing import ledger
from billing.models import LedgerAccount, Transfer
from billing.money import CREDIT, USD
from billing.selectors.liability import liability
from billing.selectors.mrr import recurring
from billing.selectors.revenue import revenue, revenue_rows
from billing.selectors.spans import Span
from billing.selectors.takings import takings
from common import clock
from tests.billing.home_page import HOME, figures_of
from tests.billing.staff import sign_in
from tests.factories import NOW

CUSTOMERS, MONTHS, BOOKINGS, DEBITS = 1_000, 12, 10, 400
PRICE = 29_99

# Rows as a year of subscriptions leaves them, without living it: each month of each customer is
# an order, a payment, a period and ten bookings of revenue; beside them credits are used.
FILL = """
SET LOCAL session_replication_role = replica;
CREATE TEMPORARY TABLE months ON COMMIT DROP AS
    SELECT c.id AS customer_id, n, gen_random_uuid() AS order_id, gen_random_uuid() AS period_id,
           %(now)s::timestamptz - make_interval(days => 30 * ({months} - n)) AS starts_at
    FROM accounts_customer c, generate_series(0, {months} - 1) n;
CREATE TEMPORARY TABLE subs ON COMMIT DROP AS
    SELECT id AS customer_id, gen_random_uuid() AS id FROM accounts_customer;

INSERT INTO billing_subscription (id, customer_id, rail, external_id, subject, plan_slug, interval,
    asset, price_minor, status, renews, anchor_at, time_zone, period_starts_at, period_ends_at,
    next_plan_slug, next_interval, reminders, frozen_by, is_duplicate, started_at, heard)
SELECT id, customer_id, 'card', id::text, 'plan', 'basic', 'month', 'USD', {price}, 'active', true,
       %(now)s, 'UTC', %(now)s, %(now)s::timestamptz + interval '30 days', '', '', 0, '{{}}', false,
       %(now)s, 0
FROM subs;
INSERT INTO billing_order (id, customer_id, rail, product_kind, product_slug, product_name,
    snapshot, asset, subtotal_minor, discount_minor, tax_minor, status, from_unapplied,
    external_id, pay_url, spent_keys, return_url, paid_at, delivered_at, delivery_attempts,
    delivery_error, created_at)
SELECT order_id, customer_id, 'card', 'plan', 'basic', 'Basic', '{{"interval": "month"}}', 'USD',
       {price}, 0, 0, 'paid', false, '', '', 0, '', starts_at, starts_at, 1, '', starts_at
FROM months;
INSERT INTO billing_payment (id, rail, external_id, customer_id, order_id, asset, amount_minor,
    tax_minor, unapplied_reason, refunding_minor, refunded_minor, refunded_tax_minor, occurred_at,
    settled_at)
SELECT gen_random_uuid(), 'card', order_id::text, customer_id, order_id, 'USD', {price}, 0, '', 0,
       0, 0, starts_at, starts_at
FROM months ORDER BY starts_at;
INSERT INTO billing_subscriptionperiod (id, subscription_id, source, kind, plan_slug, interval,
    starts_at, ends_at, billed_until_at, order_id, asset, cost_minor, carried_in_minor,
    carried_out_minor, recognised_minor, refunded_minor, revenue_bookings, recognised_at,
    revoked_by, created_at)
SELECT m.period_id, s.id, m.order_id::text, 'paid', 'basic', 'month', m.starts_at,
       m.starts_at + interval '30 days', m.starts_at + interval '30 days', m.order_id, 'USD',
       {price}, 0, 0, 2990, 0, 10, m.starts_at, '{{}}', m.starts_at
FROM months m JOIN subs s USING (customer_id);
INSERT INTO billing_transfer
    (source_id, target_id, amount_minor, code, key, group_key, occurred_at, created_at)
SELECT * FROM (
    SELECT {deferred}, {sales}, 299, 'recognise', format('period:%%s:sales:%%s', period_id, d),
           format('period:%%s:revenue', period_id),
           starts_at + make_interval(days => d * 30 / {bookings}) AS at, now()
    FROM months, generate_series(0, {bookings} - 1) d
    UNION ALL
    SELECT {issued}, {consumed}, 1, 'usage', format('use:%%s:%%s', customer_id, d), 'g',
           %(now)s::timestamptz - make_interval(secs => d * 31536000.0 / {debits}), now()
    FROM subs, generate_series(1, {debits}) d) rows ORDER BY at;
SET LOCAL session_replication_role = origin;
SELECT brin_summarize_new_values('transfer_by_day');
ANALYZE billing_transfer; ANALYZE billing_payment; ANALYZE billing_order;
ANALYZE billing_subscriptionperiod; ANALYZE billing_subscription
"""


@pytest.fixture
def grown(db: None) -> Iterator[None]:
    """A year of a thousand subscribers."""
    Customer.objects.bulk_create(Customer(email=f"{n}@example.com") for n in range(CUSTOMERS))
    house = {
        role: ledger.system_account(role, asset).pk
        for role, asset in [
            ("deferred", USD), ("sales", USD), ("issued", CREDIT), ("consumed", CREDIT),
        ]
    }  # fmt: skip
    fill = FILL.format(months=MONTHS, bookings=BOOKINGS, debits=DEBITS, price=PRICE, **house)
    with connection.cursor() as cursor:
        cursor.execute(fill, {"now": NOW})
    with clock.frozen(NOW):
        yield


@pytest.mark.prove
def test_figures_of_half_a_million_transfers_are_read_while_somebody_waits(
    grown: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Transfer.objects.count() == CUSTOMERS * (MONTHS * BOOKINGS + DEBITS)
    year, month = Span.usual(365), Span.usual(30)
    staff = sign_in()
    took = {
        "home, 30 days": _seconds(lambda: staff.get(HOME)),
        "home, a year": _seconds(lambda: staff.get(f"{HOME}?from={year.first}")),
        "revenue, 30 days": _seconds(partial(revenue, month)),
        "revenue, a year": _seconds(partial(revenue, year)),
        "takings, a year": _seconds(partial(takings, year)),
        "recurring, a year": _seconds(partial(recurring, year)),
        "liability": _seconds(liability),
        "revenue rows, a year": _seconds(lambda: sum(1 for _ in revenue_rows(year))),
    }

    with capsys.disabled():
        print("".join(f"\n{name}: {1000 * seconds:.0f} ms" for name, seconds in took.items()))
    assert took["home, 30 days"] < 2
    assert took["home, a year"] < 5
    _is_right(staff)


def _is_right(staff: object) -> None:
    told = figures_of(staff.get(HOME))  # type: ignore[attr-defined]
    assert told["MRR"] == "$29,990.00 unchanged in the range"
    assert told["Active subscribers"].startswith(f"{CUSTOMERS:,} ")
    assert LedgerAccount.objects.filter(role="sales").exists()


def _seconds(read: Callable[[], object]) -> float:
    """How long it takes, the second time."""
    read()
    started = time.perf_counter()
    read()
    return time.perf_counter() - started
