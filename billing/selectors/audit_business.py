"""What the audit asks orders, payments, refunds and splits: whether the ledger agrees with them."""

from __future__ import annotations

# Transfers by the payment or refund that their key names: payment:<id>:…, refund:<id>:<n>:….
_CLEARED = """
    SELECT split_part(t.key, ':', 2) AS id,
           sum(CASE WHEN starts_with(s.role, 'clearing:') THEN t.amount_minor ELSE 0 END)
         - sum(CASE WHEN starts_with(d.role, 'clearing:') THEN t.amount_minor ELSE 0 END) AS total
    FROM billing_transfer t
    JOIN billing_ledgeraccount s ON s.id = t.source_id
    JOIN billing_ledgeraccount d ON d.id = t.target_id
    WHERE starts_with(t.key, '{kind}:') AND t.code <> 'fee' GROUP BY 1"""

_PAYMENTS = {
    "payment came through clearing": f"""
        SELECT 'billing_payment', coalesce(p.id::text, c.id), 'out of clearing',
               coalesce(p.amount_minor, 0), coalesce(c.total, 0)
        FROM billing_payment p
        FULL JOIN ({_CLEARED.format(kind="payment")}) c ON c.id = p.id::text
        WHERE coalesce(p.amount_minor, 0) <> coalesce(c.total, 0)""",  # noqa: S608 - our own constants
    "payment's fee is booked": """
        SELECT 'billing_payment', p.id, 'fee', coalesce(p.fee_minor, 0), coalesce(t.amount_minor, 0)
        FROM billing_payment p
        LEFT JOIN billing_transfer t ON t.key = 'payment:' || p.id || ':fee'
        WHERE coalesce(p.fee_minor, 0) <> coalesce(t.amount_minor, 0)""",
    "payment counts its refunds and disputes": """
        SELECT 'billing_payment', p.id, 'refunding, refunded, tax refunded',
               concat_ws(', ', coalesce(r.asked, 0), coalesce(r.booked, 0), coalesce(r.tax, 0)),
               concat_ws(', ', p.refunding_minor, p.refunded_minor, p.refunded_tax_minor)
        FROM billing_payment p
        LEFT JOIN (
            SELECT payment_id,
                   sum(amount_minor) FILTER (WHERE state <> 'failed') AS asked,
                   sum(amount_minor) FILTER (WHERE booked_at IS NOT NULL) AS booked,
                   sum(tax_minor) FILTER (WHERE booked_at IS NOT NULL) AS tax
            FROM (
                SELECT payment_id, amount_minor, tax_minor, booked_at, state FROM billing_refund
                UNION ALL
                SELECT payment_id, frozen_minor, frozen_tax_minor, opened_at, state
                FROM billing_dispute WHERE is_frozen
            ) gone GROUP BY 1
        ) r ON r.payment_id = p.id
        WHERE (p.refunding_minor, p.refunded_minor, p.refunded_tax_minor)
              <> (coalesce(r.asked, 0), coalesce(r.booked, 0), coalesce(r.tax, 0))""",
    "refund went through clearing": f"""
        SELECT 'billing_refund', coalesce(r.id::text, c.id), 'into clearing',
               CASE WHEN r.booked_at IS NULL THEN 0 ELSE r.amount_minor END, -coalesce(c.total, 0)
        FROM billing_refund r
        FULL JOIN ({_CLEARED.format(kind="refund")}) c ON c.id = r.id::text
        WHERE CASE WHEN r.booked_at IS NULL THEN 0 ELSE r.amount_minor END
              <> -coalesce(c.total, 0)""",  # noqa: S608 - our own constants
    # Disputed money is held for what is frozen, less what the provider took and has not given back.
    "disputed money is there": """
        SELECT 'billing_dispute', d.id, 'on disputed',
               CASE WHEN d.is_frozen THEN d.amount_minor ELSE 0 END
               - d.withdrawn_minor + d.reinstated_minor, coalesce(t.total, 0)
        FROM billing_dispute d
        LEFT JOIN (
            SELECT split_part(t.key, ':', 2) AS id,
                   sum(CASE WHEN i.role = 'disputed' THEN t.amount_minor ELSE 0 END)
                 - sum(CASE WHEN o.role = 'disputed' THEN t.amount_minor ELSE 0 END) AS total
            FROM billing_transfer t
            JOIN billing_ledgeraccount o ON o.id = t.source_id
            JOIN billing_ledgeraccount i ON i.id = t.target_id
            WHERE starts_with(t.key, 'dispute:') GROUP BY 1
        ) t ON t.id = d.id::text
        WHERE CASE WHEN d.is_frozen THEN d.amount_minor ELSE 0 END
              - d.withdrawn_minor + d.reinstated_minor <> coalesce(t.total, 0)""",
    "unapplied money is there": """
        SELECT 'billing_ledgeraccount', coalesce(a.id::text, 'of ' || p.customer_id),
               'unapplied', coalesce(p.total, 0), coalesce(a.balance_minor, 0)
        FROM (SELECT customer_id, asset, sum(amount_minor - refunded_minor) AS total
              FROM billing_payment WHERE order_id IS NULL AND customer_id IS NOT NULL
              GROUP BY 1, 2) p
        FULL JOIN (SELECT id, owner_id, asset, balance_minor FROM billing_ledgeraccount
                   WHERE role = 'unapplied') a ON a.owner_id = p.customer_id AND a.asset = p.asset
        WHERE coalesce(p.total, 0) <> coalesce(a.balance_minor, 0)""",
}

_ORDERS = {
    "paid order has its payment": """
        SELECT 'billing_order', o.id, 'paid', o.subtotal_minor - o.discount_minor + o.tax_minor,
               coalesce(p.total, 0)
        FROM billing_order o
        LEFT JOIN (SELECT order_id, sum(amount_minor) AS total FROM billing_payment
                   GROUP BY 1) p ON p.order_id = o.id
        WHERE CASE WHEN o.paid_at IS NULL THEN 0
                   ELSE o.subtotal_minor - o.discount_minor + o.tax_minor END
              <> coalesce(p.total, 0)""",
    "delivered credits are a lot": """
        SELECT 'billing_order', o.id, 'credits and their cost',
               concat_ws(', ', o.snapshot ->> 'credits_minor', o.subtotal_minor - o.discount_minor),
               coalesce(l.granted || ', ' || l.cost, 'no lot')
        FROM billing_order o
        LEFT JOIN (SELECT origin, sum(granted_minor) AS granted, sum(cost_minor) AS cost
                   FROM billing_lot WHERE replaces_id IS NULL GROUP BY 1) l
          ON l.origin = 'order:' || o.id
        WHERE o.product_kind = 'credit_pack' AND o.delivered_at IS NOT NULL
          AND (l.origin IS NULL OR l.granted <> (o.snapshot ->> 'credits_minor')::bigint
               OR l.cost <> o.subtotal_minor - o.discount_minor)""",
    "lot of an order was delivered": """
        SELECT 'billing_lot', l.id, 'origin', 'a delivered order', l.origin
        FROM billing_lot l LEFT JOIN billing_order o ON 'order:' || o.id = l.origin
        WHERE starts_with(l.origin, 'order:') AND o.delivered_at IS NULL""",
    # What is sold as lots or time lies on "deferred" until it is earned or refunded; so does the
    # money of orders that are paid and not delivered.
    "deferred money belongs to lots, periods and orders": """
        SELECT 'billing_ledgeraccount', 'deferred ' || asset, 'balance', sum(expected), sum(found)
        FROM (
            SELECT cost_asset AS asset, 0::numeric AS found, sum(
                   cost_minor - recognised_minor - breakage_minor - refunded_minor) AS expected
            FROM billing_lot WHERE cost_minor > 0 GROUP BY 1
            UNION ALL
            SELECT asset, 0, sum(
                   cost_minor - recognised_minor - refunded_minor - carried_out_minor)
            FROM billing_subscriptionperiod GROUP BY 1
            UNION ALL
            SELECT d.asset, 0, sum(t.amount_minor) FROM billing_order o
            JOIN billing_payment p ON p.order_id = o.id
            JOIN billing_transfer t ON t.key = 'payment:' || p.id || ':fund'
            JOIN billing_ledgeraccount d ON d.id = t.target_id AND d.role = 'deferred'
            WHERE o.delivered_at IS NULL AND p.refunded_minor = 0 GROUP BY 1
            UNION ALL
            SELECT a.asset, sum(t.amount_minor), 0 FROM billing_transfer t
            JOIN billing_ledgeraccount a
              ON a.id = t.target_id AND a.role = 'deferred' AND a.kind = 'system' GROUP BY 1
            UNION ALL
            SELECT a.asset, -sum(t.amount_minor), 0 FROM billing_transfer t
            JOIN billing_ledgeraccount a
              ON a.id = t.source_id AND a.role = 'deferred' AND a.kind = 'system' GROUP BY 1
        ) sums GROUP BY asset HAVING sum(expected) <> sum(found)""",
    "split is booked": """
        SELECT 'billing_split', p.id, 'creator, house, taken back from each',
               concat_ws(', ', p.creator_minor, p.net_minor - p.creator_minor,
                         p.reversed_creator_minor, p.refunded_net_minor - p.reversed_creator_minor),
               concat_ws(', ', p.creator_got, p.house_got, p.creator_gave, p.house_gave)
        FROM (
            SELECT s.*, coalesce(m.creator_got, 0) AS creator_got,
                   coalesce(m.house_got, 0) AS house_got,
                   coalesce(m.creator_gave, 0) AS creator_gave,
                   coalesce(m.house_gave, 0) AS house_gave
            FROM billing_split s
            LEFT JOIN (
                SELECT t.group_key,
                       sum(t.amount_minor) FILTER (WHERE t.code = 'share'
                           AND d.role = 'creator') AS creator_got,
                       sum(t.amount_minor) FILTER (WHERE t.code = 'share'
                           AND d.role = 'platform_fee') AS house_got,
                       coalesce(sum(t.amount_minor) FILTER (WHERE t.code = 'refund'
                           AND f.role IN ('creator', 'creator_debt')), 0)
                       - coalesce(sum(t.amount_minor) FILTER (WHERE t.code = 'refund_failed'
                           AND d.role IN ('creator', 'creator_debt')), 0) AS creator_gave,
                       coalesce(sum(t.amount_minor) FILTER (WHERE t.code = 'refund'
                           AND f.role = 'platform_fee'), 0)
                       - coalesce(sum(t.amount_minor) FILTER (WHERE t.code = 'refund_failed'
                           AND d.role = 'platform_fee'), 0) AS house_gave
                FROM billing_transfer t
                JOIN billing_ledgeraccount f ON f.id = t.source_id
                JOIN billing_ledgeraccount d ON d.id = t.target_id
                WHERE t.code IN ('share', 'refund', 'refund_failed') GROUP BY 1
            ) m ON m.group_key = s.key
        ) p
        WHERE (p.creator_minor, p.net_minor - p.creator_minor, p.reversed_creator_minor,
               p.refunded_net_minor - p.reversed_creator_minor)
              <> (p.creator_got, p.house_got, p.creator_gave, p.house_gave)""",
}

CHECKS: dict[str, str] = {**_PAYMENTS, **_ORDERS}
