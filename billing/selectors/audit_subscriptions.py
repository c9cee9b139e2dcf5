"""What the audit asks subscriptions, and orders paid from credits: is the ledger of their mind."""

from __future__ import annotations

# Transfers by the period that their key names: period:<id>:sales:<n> as it earned, and
# <cause>:period:<id>:deferred, :sales and :back as refunds and disputes took and returned.
_OF_PERIODS = """
    SELECT substring(key FROM '(?:^|:)period:([0-9a-f-]{36}):') AS id,
           coalesce(sum(amount_minor) FILTER (WHERE key ~ '^period:'), 0) AS earned,
           coalesce(sum(amount_minor) FILTER (WHERE key ~ '.:period:[^:]*:sales$'), 0) AS unearned,
           coalesce(sum(amount_minor) FILTER (
               WHERE key ~ '.:period:[^:]*:(deferred|sales)$'), 0) AS taken,
           coalesce(sum(amount_minor) FILTER (WHERE key ~ ':period:[^:]*:back$'), 0) AS returned
    FROM billing_transfer WHERE key ~ '(^|:)period:' GROUP BY 1"""

_PERIODS = {
    "periods of a subscription never overlap": """
        SELECT 'billing_subscriptionperiod', a.id, 'shares time with', 'no other', b.id
        FROM billing_subscriptionperiod a
        JOIN billing_subscriptionperiod b ON b.subscription_id = a.subscription_id AND b.id > a.id
         AND tstzrange(b.starts_at, b.ends_at) && tstzrange(a.starts_at, a.ends_at)""",
    "period costs what was paid and carried to it": """
        SELECT 'billing_subscriptionperiod', p.id, 'cost',
               coalesce(o.subtotal_minor - o.discount_minor, 0) + p.carried_in_minor, p.cost_minor
        FROM billing_subscriptionperiod p LEFT JOIN billing_order o ON o.id = p.order_id
        WHERE coalesce(o.subtotal_minor - o.discount_minor, 0) + p.carried_in_minor
              <> p.cost_minor""",
    "what is carried out of a period arrives in another": """
        SELECT 'billing_subscriptionperiod', coalesce(p.id, c.carried_to_id), 'carried in',
               coalesce(c.total, 0), coalesce(p.carried_in_minor, 0)
        FROM billing_subscriptionperiod p
        FULL JOIN (
            SELECT carried_to_id, sum(carried_out_minor) AS total
            FROM billing_subscriptionperiod WHERE carried_out_minor > 0 GROUP BY 1
        ) c ON c.carried_to_id = p.id
        WHERE coalesce(c.total, 0) <> coalesce(p.carried_in_minor, 0)""",
    "period's revenue and refunds are what was booked": f"""
        SELECT 'billing_subscriptionperiod', coalesce(p.id::text, t.id), 'recognised, refunded',
               concat_ws(', ', coalesce(t.earned - t.unearned, 0),
                         coalesce(t.taken - t.returned, 0)),
               concat_ws(', ', coalesce(p.recognised_minor, 0), coalesce(p.refunded_minor, 0))
        FROM billing_subscriptionperiod p FULL JOIN ({_OF_PERIODS}) t ON t.id = p.id::text
        WHERE (coalesce(t.earned - t.unearned, 0), coalesce(t.taken - t.returned, 0))
              <> (coalesce(p.recognised_minor, 0), coalesce(p.refunded_minor, 0))""",  # noqa: S608 - our own constants
    "delivered plan is a period of its customer": """
        SELECT 'billing_order', o.id, 'period', 'one of its customer''s',
               coalesce('of ' || s.customer_id, 'none')
        FROM billing_order o
        LEFT JOIN billing_subscriptionperiod p ON p.order_id = o.id
        LEFT JOIN billing_subscription s ON s.id = p.subscription_id
        WHERE CASE WHEN o.product_kind = 'plan' AND o.delivered_at IS NOT NULL
                   THEN s.customer_id IS DISTINCT FROM o.customer_id ELSE p.id IS NOT NULL END""",
    "prepaid time ends when what was paid does": """
        SELECT 'billing_subscription', s.id, 'period_ends_at', p.ends_at, s.period_ends_at
        FROM billing_subscription s
        LEFT JOIN (SELECT subscription_id, max(ends_at) AS ends_at
                   FROM billing_subscriptionperiod GROUP BY 1) p ON p.subscription_id = s.id
        WHERE s.external_id = '' AND NOT s.renews AND s.status <> 'ended'
          AND s.period_ends_at IS DISTINCT FROM p.ends_at""",
}

_WALLET = {
    "payment from credits left the wallet": """
        SELECT 'billing_payment', coalesce(p.id::text, t.key), 'out of the wallet',
               concat_ws(' of ', coalesce(p.amount_minor, 0), p.customer_id),
               concat_ws(' of ', coalesce(t.amount_minor, 0), t.owner_id)
        FROM (SELECT * FROM billing_payment WHERE rail = 'wallet') p
        FULL JOIN (
            SELECT t.key, t.amount_minor, s.owner_id FROM billing_transfer t
            JOIN billing_ledgeraccount s ON s.id = t.source_id
            WHERE t.key ~ '^order:[^:]*:wallet$'
        ) t ON t.key = 'order:' || p.external_id || ':wallet'
        WHERE (p.amount_minor, p.customer_id) IS DISTINCT FROM (t.amount_minor, t.owner_id)""",
    "refund to credits reached the wallet": """
        SELECT 'billing_refund', r.id, 'into the wallet', r.amount_minor, coalesce(t.total, 0)
        FROM billing_refund r
        JOIN billing_payment p ON p.id = r.payment_id AND p.rail = 'wallet'
        LEFT JOIN (
            SELECT split_part(key, ':', 3) AS id, sum(amount_minor) AS total
            FROM billing_transfer WHERE key ~ '^wallet:refund:[^:]*$' GROUP BY 1
        ) t ON t.id = r.id::text
        WHERE r.booked_at IS NOT NULL AND r.amount_minor <> coalesce(t.total, 0)""",
    # Units are back in the wallet a moment before the refund of them is booked.
    "nothing stays on the way from wallets": """
        SELECT 'billing_ledgeraccount', 'clearing:wallet ' || asset, 'balance',
               sum(expected), sum(found)
        FROM (
            SELECT a.asset, 0::numeric AS expected, t.amount_minor AS found
            FROM billing_transfer t
            JOIN billing_ledgeraccount a ON a.id = t.target_id AND a.role = 'clearing:wallet'
            UNION ALL
            SELECT a.asset, 0, -t.amount_minor FROM billing_transfer t
            JOIN billing_ledgeraccount a ON a.id = t.source_id AND a.role = 'clearing:wallet'
            UNION ALL
            SELECT p.asset, -t.amount_minor, 0 FROM billing_refund r
            JOIN billing_payment p ON p.id = r.payment_id
            JOIN billing_transfer t ON t.key = 'wallet:refund:' || r.id
            WHERE r.booked_at IS NULL
        ) sums GROUP BY asset HAVING sum(expected) <> sum(found)""",
}

CHECKS: dict[str, str] = {**_PERIODS, **_WALLET}
