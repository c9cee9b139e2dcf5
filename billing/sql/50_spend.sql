-- Spending: one debit, or a batch of them.

-- Takes an amount from a wallet's lots, once per key.
CREATE OR REPLACE FUNCTION ledger_spend(
    p_wallet bigint, p_target text, p_amount bigint, p_code text, p_key text, p_group text,
    p_at timestamptz
) RETURNS billing_transfer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    w billing_ledgeraccount := ledger__lock_wallet(p_wallet);
    target bigint;
    t billing_transfer;
    plan record;
BEGIN
    t := ledger__spend_at_once(w, p_target, p_amount, p_code, p_key, p_group, p_at);
    IF t.id IS NOT NULL THEN
        RETURN t;
    END IF;
    target := ledger__system(p_target, w.asset);
    SELECT * INTO t FROM billing_transfer WHERE key = p_key;
    IF FOUND THEN
        IF (t.source_id, t.target_id, t.amount_minor, t.code)
           <> (p_wallet, target, p_amount, p_code) THEN
            PERFORM ledger__mismatch(p_key);
        END IF;
        RETURN t;
    END IF;
    PERFORM ledger__check_debit(p_amount, p_code);
    PERFORM ledger__refuse_debtor(w);
    plan := ledger__plan_burn(p_wallet, p_amount, p_at, false);
    IF plan.missing > 0 THEN
        PERFORM ledger__insufficient(p_amount, p_amount - plan.missing, w.asset);
    END IF;
    IF w.cap_minor IS NOT NULL AND p_code <> 'adjustment' THEN
        PERFORM ledger__count_cap(w, p_amount, false, p_at);
    END IF;
    t := ledger__insert_transfer(p_wallet, target, p_amount, p_code, p_key, p_group, p_at);
    PERFORM ledger__burn(plan.lots, plan.takes, t.id, 'used');
    UPDATE billing_ledgeraccount SET balance_minor = balance_minor - p_amount WHERE id = p_wallet;
    RETURN t;
END $$;

-- The usual spend in one statement: nothing limits the owner, the key is new, the first lot is enough.
-- Returns null, and did nothing, when it is another case.
CREATE OR REPLACE FUNCTION ledger__spend_at_once(
    p_wallet billing_ledgeraccount, p_target text, p_amount bigint, p_code text, p_key text,
    p_group text, p_at timestamptz
) RETURNS billing_transfer
LANGUAGE plpgsql AS $$
DECLARE
    t billing_transfer;
BEGIN
    WITH burnt AS (
        UPDATE billing_lot l
        SET remaining_minor = l.remaining_minor - p_amount,
            is_open = l.remaining_minor > p_amount,
            used_minor = l.used_minor + p_amount
        FROM billing_ledgeraccount s
        WHERE l.id = (SELECT lot FROM ledger__spendable(p_wallet.id, p_at) LIMIT 1)
          AND l.remaining_minor - l.held_minor >= p_amount
          AND s.owner_id IS NULL AND s.role = p_target AND s.asset = p_wallet.asset
          AND p_amount > 0
          AND p_code NOT IN ('revoke', 'expire', 'debt_payment', 'debt_payment_back')
          AND p_wallet.cap_minor IS NULL
          AND NOT EXISTS (
              SELECT FROM billing_ledgeraccount d
              WHERE d.owner_id = p_wallet.owner_id AND d.role = 'debt' AND d.asset = p_wallet.asset
                AND d.balance_minor < 0)
          AND NOT EXISTS (SELECT FROM billing_transfer WHERE key = p_key)
        RETURNING l.id AS lot, s.id AS target
    ), moved AS (
        INSERT INTO billing_transfer
            (source_id, target_id, amount_minor, code, key, group_key, occurred_at, created_at)
        SELECT p_wallet.id, burnt.target, p_amount, p_code, p_key, p_group, p_at, clock_timestamp()
        FROM burnt
        RETURNING *
    ), used AS (
        INSERT INTO billing_lotuse (transfer_id, lot_id, amount_minor, returned_minor)
        SELECT moved.id, burnt.lot, p_amount, 0 FROM moved, burnt
    ), paid AS (
        UPDATE billing_ledgeraccount SET balance_minor = balance_minor - p_amount
        WHERE id = p_wallet.id AND EXISTS (SELECT FROM moved)
    )
    SELECT * INTO t FROM moved;
    RETURN t;
END $$;

CREATE OR REPLACE FUNCTION ledger__refuse_debtor(p_wallet billing_ledgeraccount) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF ledger__debt(p_wallet) > 0 THEN
        RAISE EXCEPTION 'the owner owes %', ledger__debt(p_wallet)
            USING ERRCODE = 'LG003', DETAIL = jsonb_build_object(
                'used', ledger__debt(p_wallet), 'asset', p_wallet.asset);
    END IF;
END $$;

-- What is raised says in its DETAIL, as JSON, how much there is of what.
CREATE OR REPLACE FUNCTION ledger__insufficient(p_wanted bigint, p_free bigint, p_asset text)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'wanted %, spendable %', p_wanted, p_free
        USING ERRCODE = 'LG001', DETAIL = jsonb_build_object(
            'wanted', p_wanted, 'allowed', p_free, 'asset', p_asset);
END $$;

-- A batch of debits, each once per key, in the order given; all wallets locked in id order first.
-- p_shortfall[i] is null (refuse what is not covered: "short"), or the role that owes the rest:
-- debt or accrued. Usage that already happened is never refused by debt or cap.
CREATE OR REPLACE FUNCTION ledger_spend_many(
    p_wallets bigint[], p_targets text[], p_amounts bigint[], p_codes text[], p_keys text[],
    p_groups text[], p_shortfalls text[], p_at timestamptz
) RETURNS TABLE(key text, status text, covered_minor bigint, owed_minor bigint)
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    easy bigint[];
    d record;
BEGIN
    PERFORM FROM billing_ledgeraccount WHERE id = ANY (p_wallets) ORDER BY id FOR NO KEY UPDATE;
    IF array_remove(p_shortfalls, NULL) <> '{}' THEN
        -- What is owed may be settled by ledger_post meanwhile, which locks in id order too.
        PERFORM FROM billing_ledgeraccount w JOIN billing_ledgeraccount o
          ON o.owner_id = w.owner_id AND o.asset = w.asset AND o.role IN ('debt', 'accrued')
        WHERE w.id = ANY (p_wallets) ORDER BY o.id FOR NO KEY UPDATE OF o;
    END IF;
    easy := ledger__easy_wallets(p_wallets, p_amounts, p_codes, p_keys, p_at);
    IF easy <> '{}' THEN
        PERFORM ledger__debit_together(
            easy, p_wallets, p_targets, p_amounts, p_codes, p_keys, p_groups, p_at);
    END IF;
    FOR i IN 1 .. coalesce(cardinality(p_wallets), 0) LOOP
        key := p_keys[i];
        IF p_wallets[i] = ANY (easy) THEN
            status := 'posted';
            covered_minor := p_amounts[i];
            owed_minor := 0;
        ELSE
            d := ledger__debit(p_wallets[i], p_targets[i], p_amounts[i], p_codes[i], p_keys[i],
                               p_groups[i], p_shortfalls[i], p_at);
            status := d.status;
            covered_minor := d.covered;
            owed_minor := d.owed;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

-- Wallets all of whose debits can be posted in one go: their lots cover the sum of them, every key
-- is new, and neither debt nor a cap has a say. The others are looked at one debit at a time.
CREATE OR REPLACE FUNCTION ledger__easy_wallets(
    p_wallets bigint[], p_amounts bigint[], p_codes text[], p_keys text[], p_at timestamptz
) RETURNS bigint[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF (SELECT count(DISTINCT k) FROM unnest(p_keys) k) < cardinality(p_keys) THEN
        RETURN '{}';
    END IF;
    RETURN coalesce((
        SELECT array_agg(e.wallet) FROM (
            SELECT d.wallet
            FROM unnest(p_wallets, p_amounts, p_codes, p_keys) AS d(wallet, amount, code, key)
            GROUP BY d.wallet
            HAVING bool_and((
                    d.amount > 0
                    AND d.code NOT IN ('revoke', 'expire', 'debt_payment', 'debt_payment_back')
                    AND NOT EXISTS (SELECT FROM billing_transfer t WHERE t.key = d.key)
                ) IS TRUE)
                AND sum(d.amount) <= (
                    SELECT sum(s.free) FROM ledger__spendable(d.wallet, p_at) s)
        ) e
        JOIN billing_ledgeraccount w ON w.id = e.wallet
        WHERE w.kind = 'wallet' AND w.cap_minor IS NULL AND ledger__debt(w) = 0), '{}');
END $$;

-- Takes the debits of easy wallets: sums of amounts and sums of lots, laid side by side, say which
-- debit takes how much from which lot.
CREATE OR REPLACE FUNCTION ledger__debit_together(
    p_easy bigint[], p_wallets bigint[], p_targets text[], p_amounts bigint[], p_codes text[],
    p_keys text[], p_groups text[], p_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger__system(x.target, x.asset) FROM (
        SELECT DISTINCT d.target, w.asset
        FROM unnest(p_wallets, p_targets) AS d(wallet, target)
        JOIN billing_ledgeraccount w ON w.id = d.wallet) x;
    WITH debit AS MATERIALIZED (
        SELECT nextval('billing_transfer_id_seq') AS id, d.*
        FROM (
            SELECT i.*, s.id AS target_id,
                   sum(i.amount) OVER (PARTITION BY i.wallet ORDER BY i.place)::bigint AS upto
            FROM unnest(p_wallets, p_targets, p_amounts, p_codes, p_keys, p_groups)
                 WITH ORDINALITY AS i(wallet, target, amount, code, key, group_key, place)
            JOIN billing_ledgeraccount w ON w.id = i.wallet
            JOIN billing_ledgeraccount s
              ON s.owner_id IS NULL AND s.role = i.target AND s.asset = w.asset
            WHERE i.wallet = ANY (p_easy)
            ORDER BY i.place) d
    ), moved AS (
        INSERT INTO billing_transfer
            (id, source_id, target_id, amount_minor, code, key, group_key, occurred_at, created_at)
        SELECT id, wallet, target_id, amount, code, key, group_key, p_at, clock_timestamp()
        FROM debit
    ), part AS MATERIALIZED (
        SELECT d.id AS transfer, l.lot,
               least(d.upto, l.upto) - greatest(d.upto - d.amount, l.upto - l.free) AS take,
               l.upto
        FROM debit d CROSS JOIN LATERAL ledger__spendable(d.wallet, p_at) l
        WHERE l.upto > d.upto - d.amount AND l.upto - l.free < d.upto
    ), used AS (
        INSERT INTO billing_lotuse (transfer_id, lot_id, amount_minor, returned_minor)
        SELECT transfer, lot, take, 0 FROM part ORDER BY transfer, upto
    ), burnt AS (
        UPDATE billing_lot l
        SET remaining_minor = l.remaining_minor - p.take,
            is_open = l.remaining_minor > p.take,
            used_minor = l.used_minor + p.take
        FROM (SELECT lot, sum(take)::bigint AS take FROM part GROUP BY lot) p
        WHERE l.id = p.lot
    )
    UPDATE billing_ledgeraccount w SET balance_minor = w.balance_minor - d.amount
    FROM (SELECT wallet, sum(amount)::bigint AS amount FROM debit GROUP BY wallet) d
    WHERE w.id = d.wallet;
END $$;

CREATE OR REPLACE FUNCTION ledger__debit(
    p_wallet bigint, p_target text, p_amount bigint, p_code text, p_key text, p_group text,
    p_shortfall text, p_at timestamptz, OUT status text, OUT covered bigint, OUT owed bigint
) LANGUAGE plpgsql AS $$
DECLARE
    w billing_ledgeraccount := ledger__lock_wallet(p_wallet);
    target bigint := ledger__system(p_target, w.asset);
    t billing_transfer;
    plan record;
BEGIN
    covered := 0;
    owed := 0;
    IF EXISTS (SELECT FROM billing_transfer WHERE billing_transfer.key = p_key) THEN
        SELECT * INTO status, covered, owed
        FROM ledger__replayed_debit(w, target, p_amount, p_code, p_key);
        RETURN;
    END IF;
    PERFORM ledger__check_debit(p_amount, p_code);
    plan := ledger__plan_burn(p_wallet, p_amount, p_at, false);
    IF p_shortfall IS NULL AND (plan.missing > 0 OR ledger__debt(w) > 0
       OR (w.cap_minor IS NOT NULL AND p_code <> 'adjustment'
           AND ledger__cap_room(w, p_at) < p_amount)) THEN
        status := 'short';
        RETURN;
    END IF;
    status := 'posted';
    covered := p_amount - plan.missing;
    owed := plan.missing;
    IF w.cap_minor IS NOT NULL AND p_code <> 'adjustment' THEN
        PERFORM ledger__count_cap(w, p_amount, true, p_at);
    END IF;
    IF covered > 0 THEN
        t := ledger__insert_transfer(p_wallet, target, covered, p_code, p_key, p_group, p_at);
        PERFORM ledger__burn(plan.lots, plan.takes, t.id, 'used');
        UPDATE billing_ledgeraccount SET balance_minor = balance_minor - covered
        WHERE id = p_wallet;
    END IF;
    IF owed > 0 THEN
        PERFORM ledger__owe(w, p_shortfall, target, owed, p_code,
                            CASE WHEN covered > 0 THEN p_key || ':short' ELSE p_key END,
                            p_group, p_at);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION ledger__replayed_debit(
    p_wallet billing_ledgeraccount, p_target bigint, p_amount bigint, p_code text, p_key text,
    OUT status text, OUT covered bigint, OUT owed bigint
) LANGUAGE plpgsql AS $$
DECLARE
    other bigint;
BEGIN
    status := 'replayed';
    SELECT coalesce(sum(t.amount_minor) FILTER (WHERE s.id = p_wallet.id), 0),
           coalesce(sum(t.amount_minor) FILTER (WHERE s.role IN ('debt', 'accrued')), 0),
           count(*) FILTER (WHERE t.target_id <> p_target OR t.code <> p_code
                            OR s.owner_id IS DISTINCT FROM p_wallet.owner_id)
    INTO covered, owed, other
    FROM billing_transfer t JOIN billing_ledgeraccount s ON s.id = t.source_id
    WHERE t.key IN (p_key, p_key || ':short');
    IF covered + owed <> p_amount OR other > 0 THEN
        PERFORM ledger__mismatch(p_key);
    END IF;
END $$;

-- Books what no lot covers on the owner's debt or accrued account.
CREATE OR REPLACE FUNCTION ledger__owe(
    p_wallet billing_ledgeraccount, p_role text, p_target bigint, p_amount bigint, p_code text,
    p_key text, p_group text, p_at timestamptz
) RETURNS billing_transfer
LANGUAGE plpgsql AS $$
DECLARE
    a billing_ledgeraccount;
BEGIN
    IF p_role NOT IN ('debt', 'accrued') THEN
        RAISE EXCEPTION 'nothing is owed on %', p_role USING ERRCODE = 'LG006';
    END IF;
    a := ledger_open_account(p_wallet.owner_id, p_role, 'debt', p_wallet.asset);
    UPDATE billing_ledgeraccount SET balance_minor = balance_minor - p_amount WHERE id = a.id;
    RETURN ledger__insert_transfer(a.id, p_target, p_amount, p_code, p_key, p_group, p_at);
END $$;
