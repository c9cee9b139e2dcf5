"""What the audit asks the ledger's own tables; each query finds nothing when the books are right.

The tables carry no foreign keys between them (see Transfer), so dangling ids are looked for here.
"""

from __future__ import annotations

_ACCOUNTS = {
    "counter is the sum of transfers": """
        SELECT 'billing_ledgeraccount', a.id, a.role || ' balance',
               coalesce(i.total, 0) - coalesce(o.total, 0), a.balance_minor
        FROM billing_ledgeraccount a
        LEFT JOIN (SELECT target_id, sum(amount_minor) AS total
                   FROM billing_transfer GROUP BY 1) i ON i.target_id = a.id
        LEFT JOIN (SELECT source_id, sum(amount_minor) AS total
                   FROM billing_transfer GROUP BY 1) o ON o.source_id = a.id
        WHERE a.kind <> 'system'
          AND a.balance_minor <> coalesce(i.total, 0) - coalesce(o.total, 0)""",
    "wallet is the sum of its lots": """
        SELECT 'billing_ledgeraccount', a.id, 'wallet balance', coalesce(l.remaining, 0),
               a.balance_minor
        FROM billing_ledgeraccount a
        LEFT JOIN (SELECT account_id, sum(remaining_minor) AS remaining
                   FROM billing_lot GROUP BY 1) l ON l.account_id = a.id
        WHERE a.kind = 'wallet' AND a.balance_minor <> coalesce(l.remaining, 0)""",
    "held is the sum of open holds": """
        SELECT 'billing_ledgeraccount', a.id, a.role || ' held', coalesce(h.held, 0), a.held_minor
        FROM billing_ledgeraccount a
        LEFT JOIN (SELECT account_id, sum(amount_minor) AS held
                   FROM billing_hold WHERE state = 'held' GROUP BY 1) h ON h.account_id = a.id
        WHERE a.kind <> 'system' AND a.held_minor <> coalesce(h.held, 0)""",
    "account is of its role's kind": """
        SELECT 'billing_ledgeraccount', id, role || ' of ' || coalesce(owner_id::text, 'the house'),
               CASE WHEN owner_id IS NULL THEN 'system' WHEN role IN ('debt', 'accrued') THEN 'debt'
                    WHEN role = 'wallet' THEN 'wallet' ELSE 'balance or debt' END, kind
        FROM billing_ledgeraccount
        WHERE (owner_id IS NULL) <> (kind = 'system')
           OR (role = 'wallet') <> (kind = 'wallet')
           OR (role IN ('debt', 'accrued') AND kind <> 'debt')""",
    "debt is paid while units are free": """
        SELECT 'billing_ledgeraccount', d.id, 'debt while its owner has free purchased units', 0,
               -d.balance_minor
        FROM billing_ledgeraccount d
        JOIN billing_ledgeraccount w
          ON w.owner_id = d.owner_id AND w.asset = d.asset AND w.role = 'wallet'
        WHERE d.role = 'debt' AND d.balance_minor < 0 AND EXISTS (
            SELECT FROM billing_lot l
            WHERE l.account_id = w.id AND l.is_open AND l.remaining_minor > l.held_minor
              AND NOT l.promotional AND (l.expires_at IS NULL OR l.expires_at > %(at)s))""",
    "asset nets to zero": """
        SELECT 'billing_ledgeraccount', asset, 'sum of all accounts', 0, sum(balance)
        FROM (
            SELECT asset, balance_minor::numeric AS balance
            FROM billing_ledgeraccount WHERE kind <> 'system'
            UNION ALL
            SELECT a.asset, t.amount_minor FROM billing_transfer t
            JOIN billing_ledgeraccount a ON a.id = t.target_id AND a.kind = 'system'
            UNION ALL
            SELECT a.asset, -t.amount_minor FROM billing_transfer t
            JOIN billing_ledgeraccount a ON a.id = t.source_id AND a.kind = 'system'
        ) balances GROUP BY asset HAVING sum(balance) <> 0""",
    "snapshot is the sum of older transfers": """
        SELECT 'billing_accountsnapshot', s.id, 'balance at ' || s.taken_at,
               s.earlier + s.moved, s.balance_minor
        FROM (
            SELECT p.id, p.taken_at, p.balance_minor, p.earlier, coalesce((
                SELECT sum(amount_minor) FROM billing_transfer t
                WHERE t.target_id = p.account_id AND t.created_at < p.taken_at
                  AND t.created_at >= p.since), 0) - coalesce((
                SELECT sum(amount_minor) FROM billing_transfer t
                WHERE t.source_id = p.account_id AND t.created_at < p.taken_at
                  AND t.created_at >= p.since), 0) AS moved
            FROM (
                SELECT id, account_id, taken_at, balance_minor,
                       coalesce(lag(balance_minor) OVER w, 0) AS earlier,
                       coalesce(lag(taken_at) OVER w, '-infinity') AS since
                FROM billing_accountsnapshot
                WINDOW w AS (PARTITION BY account_id ORDER BY taken_at)
            ) p
        ) s WHERE s.balance_minor <> s.earlier + s.moved""",
}

_TRANSFERS = {
    "transfer joins two accounts of one asset": """
        SELECT 'billing_transfer', t.id, 'assets of ' || t.key,
               coalesce(s.asset, 'an account'), coalesce(d.asset, 'none')
        FROM billing_transfer t
        LEFT JOIN billing_ledgeraccount s ON s.id = t.source_id
        LEFT JOIN billing_ledgeraccount d ON d.id = t.target_id
        WHERE s.asset IS DISTINCT FROM d.asset OR s.asset IS NULL""",
    "no more is reversed than moved": """
        SELECT 'billing_transfer', r.reverses_id, 'reversed', 'at most ' || coalesce(
               o.amount_minor, 0), r.total
        FROM (SELECT reverses_id, sum(amount_minor) AS total FROM billing_transfer
              WHERE reverses_id IS NOT NULL GROUP BY 1) r
        LEFT JOIN billing_transfer o ON o.id = r.reverses_id
        WHERE o.id IS NULL OR r.total > o.amount_minor""",
    "what leaves a wallet leaves its lots": """
        SELECT 'billing_transfer', t.id, 'lot uses of ' || t.key, t.amount_minor,
               coalesce(u.taken, 0)
        FROM billing_transfer t
        JOIN billing_ledgeraccount w ON w.id = t.source_id AND w.kind = 'wallet'
        LEFT JOIN (SELECT transfer_id, sum(amount_minor) AS taken
                   FROM billing_lotuse GROUP BY 1) u ON u.transfer_id = t.id
        WHERE t.amount_minor <> coalesce(u.taken, 0)""",
    "what returns to a wallet was taken": """
        SELECT 'billing_transfer', coalesce(u.transfer_id, r.reverses_id), 'returned',
               coalesce(r.total, 0), coalesce(u.returned, 0)
        FROM (SELECT transfer_id, sum(returned_minor) AS returned FROM billing_lotuse
              GROUP BY 1 HAVING sum(returned_minor) > 0) u
        FULL JOIN (
            SELECT t.reverses_id, sum(t.amount_minor) AS total FROM billing_transfer t
            JOIN billing_ledgeraccount w ON w.id = t.target_id AND w.kind = 'wallet'
            WHERE t.reverses_id IS NOT NULL GROUP BY 1
        ) r ON r.reverses_id = u.transfer_id
        WHERE coalesce(r.total, 0) <> coalesce(u.returned, 0)""",
    "what enters a wallet is a lot": """
        SELECT 'billing_transfer', t.id, 'lots of ' || t.key, t.amount_minor,
               coalesce(l.granted, 0)
        FROM billing_transfer t
        JOIN billing_ledgeraccount w ON w.id = t.target_id AND w.kind = 'wallet'
        LEFT JOIN (SELECT transfer_id, sum(granted_minor) AS granted
                   FROM billing_lot GROUP BY 1) l ON l.transfer_id = t.id
        WHERE (t.reverses_id IS NULL AND t.amount_minor <> coalesce(l.granted, 0))
           OR t.amount_minor < coalesce(l.granted, 0)""",
}

_LOTS = {
    "lot came with a transfer into its wallet": """
        SELECT 'billing_lot', l.id, 'wallet', coalesce(t.target_id::text, 'a transfer'),
               l.account_id
        FROM billing_lot l
        LEFT JOIN billing_transfer t ON t.id = l.transfer_id
        LEFT JOIN billing_ledgeraccount w ON w.id = l.account_id AND w.kind = 'wallet'
        WHERE t.id IS NULL OR w.id IS NULL OR t.target_id <> l.account_id""",
    "lot use joins a transfer and a lot of one wallet": """
        SELECT 'billing_lotuse', u.id, 'wallet', coalesce(t.source_id::text, 'a transfer'),
               coalesce(l.account_id::text, 'no lot')
        FROM billing_lotuse u
        LEFT JOIN billing_transfer t ON t.id = u.transfer_id
        LEFT JOIN billing_lot l ON l.id = u.lot_id
        WHERE t.source_id IS DISTINCT FROM l.account_id OR t.id IS NULL""",
    "lot's counters are the sums of its uses": """
        SELECT 'billing_lot', l.id, 'used, revoked, expired',
               concat_ws(', ', coalesce(u.used, 0), coalesce(u.revoked, 0) + coalesce(r.moved, 0),
                         coalesce(u.expired, 0)),
               concat_ws(', ', l.used_minor, l.revoked_minor, l.expired_minor)
        FROM billing_lot l
        LEFT JOIN (
            SELECT u.lot_id,
                   sum(u.amount_minor - u.returned_minor)
                       FILTER (WHERE t.code NOT IN ('revoke', 'expire')) AS used,
                   sum(u.amount_minor - u.returned_minor)
                       FILTER (WHERE t.code = 'revoke') AS revoked,
                   sum(u.amount_minor - u.returned_minor)
                       FILTER (WHERE t.code = 'expire') AS expired
            FROM billing_lotuse u JOIN billing_transfer t ON t.id = u.transfer_id GROUP BY 1
        ) u ON u.lot_id = l.id
        LEFT JOIN (SELECT replaces_id, sum(granted_minor) AS moved FROM billing_lot
                   WHERE replaces_id IS NOT NULL GROUP BY 1) r ON r.replaces_id = l.id
        WHERE l.used_minor <> coalesce(u.used, 0) OR l.expired_minor <> coalesce(u.expired, 0)
           OR l.revoked_minor <> coalesce(u.revoked, 0) + coalesce(r.moved, 0)""",
    "lot replaces an expired one of its wallet": """
        SELECT 'billing_lot', l.id, 'wallet of the lot it replaces', l.account_id,
               coalesce(o.account_id::text, 'no lot')
        FROM billing_lot l LEFT JOIN billing_lot o ON o.id = l.replaces_id
        WHERE l.replaces_id IS NOT NULL
          AND (o.account_id IS DISTINCT FROM l.account_id OR o.expires_at IS NULL)""",
    "lot's held is the sum of its pins": """
        SELECT 'billing_lot', l.id, 'held', coalesce(p.pinned, 0), l.held_minor
        FROM billing_lot l
        LEFT JOIN (SELECT p.lot_id, sum(p.amount_minor) AS pinned FROM billing_holdlot p
                   JOIN billing_hold h ON h.id = p.hold_id AND h.state = 'held' GROUP BY 1) p
          ON p.lot_id = l.id
        WHERE l.held_minor <> coalesce(p.pinned, 0)""",
}

_HOLDS = {
    "hold is the sum of its pins": """
        SELECT 'billing_hold', h.id, 'amount', coalesce(p.pinned, 0), h.amount_minor
        FROM billing_hold h
        LEFT JOIN (SELECT hold_id, sum(amount_minor) AS pinned
                   FROM billing_holdlot GROUP BY 1) p ON p.hold_id = h.id
        WHERE h.amount_minor <> coalesce(p.pinned, 0)""",
    "pin joins a hold and a lot of one wallet": """
        SELECT 'billing_holdlot', p.id, 'wallet', coalesce(h.account_id::text, 'a hold'),
               coalesce(l.account_id::text, 'no lot')
        FROM billing_holdlot p
        LEFT JOIN billing_hold h ON h.id = p.hold_id
        LEFT JOIN billing_lot l ON l.id = p.lot_id
        LEFT JOIN billing_ledgeraccount w ON w.id = h.account_id AND w.kind = 'wallet'
        WHERE h.account_id IS DISTINCT FROM l.account_id OR w.id IS NULL""",
    "captured hold has its transfer": """
        SELECT 'billing_hold', h.id, 'captured', h.captured_minor,
               coalesce(t.amount_minor::text, 'no transfer')
        FROM billing_hold h LEFT JOIN billing_transfer t ON t.id = h.captured_by_id
        WHERE h.state = 'captured'
          AND (t.id IS NULL OR (t.source_id, t.amount_minor, t.code)
                               <> (h.account_id, h.captured_minor, h.code))""",
    "closed hold says when": """
        SELECT 'billing_hold', id, 'closed at', CASE state WHEN 'held' THEN 'nothing'
               ELSE 'a moment' END, coalesce(closed_at::text, 'nothing')
        FROM billing_hold WHERE (state = 'held') <> (closed_at IS NULL)""",
    "spend cap counts what was spent": """
        SELECT 'billing_spendcapperiod', p.id, 'used since ' || p.starts_at,
               'between ' || p.held || ' and ' || p.held + p.spent, p.used_minor
        FROM (
            SELECT c.*, w.id AS wallet_id, coalesce((
                SELECT sum(h.amount_minor) FROM billing_hold h
                WHERE h.account_id = c.account_id AND h.state = 'held'
                  AND h.cap_period_at = c.starts_at), 0) AS held, coalesce((
                SELECT sum(t.amount_minor) FROM billing_ledgeraccount s
                JOIN billing_transfer t ON t.source_id = s.id
                WHERE s.owner_id = w.owner_id AND s.asset = w.asset
                  AND s.role IN ('wallet', 'debt', 'accrued') AND t.occurred_at >= c.starts_at
                  AND t.code NOT IN ('revoke', 'expire', 'debt_payment', 'debt_payment_back',
                                     'adjustment')), 0) AS spent
            FROM billing_spendcapperiod c
            LEFT JOIN billing_ledgeraccount w ON w.id = c.account_id AND w.kind = 'wallet'
        ) p
        WHERE p.wallet_id IS NULL OR p.used_minor NOT BETWEEN p.held AND p.held + p.spent""",
}

_REVENUE = {
    "lot's revenue is what was booked": """
        SELECT 'billing_lot', l.id, 'sales and breakage, at most',
               concat_ws(', ', coalesce(b.sales, 0), coalesce(b.breakage, 0)),
               concat_ws(', ', l.recognised_minor, l.breakage_minor)
        FROM billing_lot l
        LEFT JOIN (
            SELECT split_part(t.group_key, ':', 2)::bigint AS lot_id,
                   coalesce(sum(CASE 'sales' WHEN d.role THEN t.amount_minor
                                WHEN s.role THEN -t.amount_minor END), 0) AS sales,
                   coalesce(sum(CASE 'breakage' WHEN d.role THEN t.amount_minor
                                WHEN s.role THEN -t.amount_minor END), 0) AS breakage
            FROM billing_transfer t
            JOIN billing_ledgeraccount s ON s.id = t.source_id
            JOIN billing_ledgeraccount d ON d.id = t.target_id
            WHERE t.code IN ('recognise', 'recognise_back')
              AND t.group_key ~ '^lot:[0-9]+:revenue$' GROUP BY 1
        ) b ON b.lot_id = l.id
        WHERE l.recognised_minor > coalesce(b.sales, 0)
           OR l.breakage_minor > coalesce(b.breakage, 0)""",
    # What refunds took out of sales is not booked by lot, so the lots are compared as a whole.
    # What periods of subscriptions earned names its period, see audit_subscriptions.
    "lots' revenue is what the house has": """
        SELECT 'billing_ledgeraccount', role || ' ' || asset, 'balance', sum(counted), sum(booked)
        FROM (
            SELECT 'sales' AS role, cost_asset AS asset, recognised_minor AS counted, 0 AS booked
            FROM billing_lot WHERE recognised_minor > 0
            UNION ALL
            SELECT 'breakage', cost_asset, breakage_minor, 0
            FROM billing_lot WHERE breakage_minor > 0
            UNION ALL
            SELECT d.role, d.asset, 0, t.amount_minor FROM billing_transfer t
            JOIN billing_ledgeraccount d ON d.id = t.target_id
             AND d.owner_id IS NULL AND d.role IN ('sales', 'breakage')
            WHERE t.key !~ '(^|:)period:'
            UNION ALL
            SELECT s.role, s.asset, 0, -t.amount_minor FROM billing_transfer t
            JOIN billing_ledgeraccount s ON s.id = t.source_id
             AND s.owner_id IS NULL AND s.role IN ('sales', 'breakage')
            WHERE t.key !~ '(^|:)period:'
        ) parts GROUP BY role, asset HAVING sum(counted) <> sum(booked)""",
    "lots' refunds are what was booked": """
        SELECT 'billing_lot', asset, 'refunded, less what moved on to replacement lots', booked,
               counted
        FROM (
            SELECT asset, sum(booked) AS booked, sum(counted) AS counted FROM (
                SELECT cost_asset AS asset, 0 AS booked,
                       refunded_minor - CASE WHEN replaces_id IS NULL THEN 0 ELSE cost_minor END
                       AS counted
                FROM billing_lot WHERE cost_minor > 0
                UNION ALL
                SELECT s.asset, t.amount_minor, 0 FROM billing_transfer t
                JOIN billing_ledgeraccount s ON s.id = t.source_id
                 AND s.owner_id IS NULL AND s.role IN ('deferred', 'breakage', 'sales')
                WHERE t.code = 'refund' AND t.key !~ ':unearn(:back)?$|:period:'
                UNION ALL
                SELECT d.asset, -t.amount_minor, 0 FROM billing_transfer t
                JOIN billing_ledgeraccount d ON d.id = t.target_id
                 AND d.owner_id IS NULL AND d.role = 'deferred'
                WHERE t.code = 'refund_failed' AND t.key !~ ':unearn(:back)?$|:period:'
            ) parts GROUP BY asset
        ) sums WHERE booked <> counted""",
}

CHECKS: dict[str, str] = {**_ACCOUNTS, **_TRANSFERS, **_LOTS, **_HOLDS, **_REVENUE}
