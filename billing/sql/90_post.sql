-- Posting: money between accounts that are not made of lots, all legs or none.

-- p_legs: [{"source", "target", "amount", "code", "key", "shortfall"?, "reverses"?}, …]. A leg whose
-- source is a guarded balance may name a "shortfall" account (kind debt), which owes what the
-- balance does not cover, under the key with ":short". Each leg moves once per key.
CREATE OR REPLACE FUNCTION ledger_post(p_legs jsonb, p_group text, p_at timestamptz)
RETURNS SETOF billing_transfer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    leg record;
    free bigint;
    covered bigint;
BEGIN
    PERFORM ledger__lock_counters(p_legs);
    -- Legs between system accounts have no row to wait at: the same key at the same time waits here.
    PERFORM pg_advisory_xact_lock(k.hash)
    FROM (SELECT DISTINCT hashtextextended(l.leg ->> 'key', 0) AS hash
          FROM jsonb_array_elements(p_legs) AS l(leg) ORDER BY 1) k;
    FOR leg IN
        SELECT * FROM jsonb_to_recordset(p_legs) AS x(
            source bigint, target bigint, amount bigint, code text, key text,
            shortfall bigint, reverses bigint)
    LOOP
        PERFORM ledger__check_positive(leg.amount);
        IF EXISTS (SELECT FROM billing_transfer t WHERE t.key = leg.key) THEN
            RETURN QUERY SELECT * FROM ledger__replayed_leg(
                leg.source, leg.target, leg.amount, leg.code, leg.key, leg.shortfall,
                leg.reverses);
            CONTINUE;
        END IF;
        covered := leg.amount;
        IF leg.shortfall IS NOT NULL THEN
            SELECT balance_minor - held_minor INTO free FROM billing_ledgeraccount
            WHERE id = leg.source;
            covered := least(leg.amount, free);
        END IF;
        IF covered > 0 THEN
            RETURN NEXT ledger__move(leg.source, leg.target, covered, leg.code, leg.key, p_group,
                                     p_at, leg.reverses);
        END IF;
        IF covered < leg.amount THEN
            RETURN NEXT ledger__move(
                leg.shortfall, leg.target, leg.amount - covered, leg.code,
                CASE WHEN covered > 0 THEN leg.key || ':short' ELSE leg.key END,
                p_group, p_at, leg.reverses);
        END IF;
    END LOOP;
END $$;

-- Locks every counter the legs touch, in id order; refuses wallets and mixed assets.
CREATE OR REPLACE FUNCTION ledger__lock_counters(p_legs jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    a record;
BEGIN
    FOR a IN
        SELECT id, kind FROM billing_ledgeraccount
        WHERE kind <> 'system' AND id IN (
            SELECT (l.leg ->> f.field)::bigint
            FROM jsonb_array_elements(p_legs) AS l(leg),
                 unnest(ARRAY['source', 'target', 'shortfall']) AS f(field))
        ORDER BY id FOR NO KEY UPDATE
    LOOP
        IF a.kind = 'wallet' THEN
            RAISE EXCEPTION 'a wallet (%) moves only with its lots', a.id USING ERRCODE = 'LG006';
        END IF;
    END LOOP;
    IF EXISTS (
        SELECT FROM jsonb_to_recordset(p_legs) AS x(source bigint, target bigint, shortfall bigint)
        LEFT JOIN billing_ledgeraccount s ON s.id = x.source
        LEFT JOIN billing_ledgeraccount t ON t.id = x.target
        LEFT JOIN billing_ledgeraccount d ON d.id = x.shortfall
        WHERE s.asset IS DISTINCT FROM t.asset OR s.asset IS NULL
           OR (x.shortfall IS NOT NULL AND (d.asset IS DISTINCT FROM s.asset
                OR d.kind <> 'debt' OR s.kind <> 'balance'))
    ) THEN
        RAISE EXCEPTION 'legs join accounts that do not exist or do not match'
            USING ERRCODE = 'LG006';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION ledger__move(
    p_source bigint, p_target bigint, p_amount bigint, p_code text, p_key text, p_group text,
    p_at timestamptz, p_reverses bigint
) RETURNS billing_transfer
LANGUAGE plpgsql AS $$
DECLARE
    a billing_ledgeraccount;
BEGIN
    SELECT * INTO a FROM billing_ledgeraccount WHERE id = p_source;
    IF a.kind = 'balance' AND a.balance_minor - a.held_minor < p_amount THEN
        PERFORM ledger__insufficient(p_amount, a.balance_minor - a.held_minor, a.asset);
    END IF;
    SELECT * INTO a FROM billing_ledgeraccount WHERE id = p_target;
    IF a.kind = 'debt' AND a.balance_minor + p_amount > 0 THEN
        RAISE EXCEPTION '% owes only %, not %', p_target, -a.balance_minor, p_amount
            USING ERRCODE = 'LG007';
    END IF;
    UPDATE billing_ledgeraccount SET balance_minor = balance_minor - p_amount
    WHERE id = p_source AND kind <> 'system';
    UPDATE billing_ledgeraccount SET balance_minor = balance_minor + p_amount
    WHERE id = p_target AND kind <> 'system';
    RETURN ledger__insert_transfer(
        p_source, p_target, p_amount, p_code, p_key, p_group, p_at, p_reverses);
END $$;

CREATE OR REPLACE FUNCTION ledger__replayed_leg(
    p_source bigint, p_target bigint, p_amount bigint, p_code text, p_key text, p_shortfall bigint,
    p_reverses bigint
) RETURNS SETOF billing_transfer
LANGUAGE plpgsql AS $$
DECLARE
    known bigint;
    others bigint;
BEGIN
    SELECT sum(amount_minor), count(*) FILTER (
        WHERE target_id <> p_target OR code <> p_code
           OR reverses_id IS DISTINCT FROM p_reverses
           OR NOT (source_id = p_source OR source_id IS NOT DISTINCT FROM p_shortfall))
    INTO known, others
    FROM billing_transfer WHERE key IN (p_key, p_key || ':short');
    IF known <> p_amount OR others > 0 THEN
        PERFORM ledger__mismatch(p_key);
    END IF;
    RETURN QUERY SELECT * FROM billing_transfer
        WHERE key IN (p_key, p_key || ':short') ORDER BY id;
END $$;
