-- Accounts: opened on first use, wallets locked before anything that belongs to them.

CREATE OR REPLACE FUNCTION ledger_open_account(
    p_owner uuid, p_role text, p_kind text, p_asset text
) RETURNS billing_ledgeraccount
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    a billing_ledgeraccount;
    counter bigint := CASE WHEN p_kind = 'system' THEN NULL ELSE 0 END;
BEGIN
    FOR attempt IN 1..2 LOOP
        IF p_owner IS NULL THEN
            SELECT * INTO a FROM billing_ledgeraccount
            WHERE owner_id IS NULL AND role = p_role AND asset = p_asset;
        ELSE
            SELECT * INTO a FROM billing_ledgeraccount
            WHERE owner_id = p_owner AND role = p_role AND asset = p_asset;
        END IF;
        IF FOUND THEN
            IF a.kind <> p_kind THEN
                RAISE EXCEPTION 'account % is of kind %, not %', p_role, a.kind, p_kind
                    USING ERRCODE = 'LG006';
            END IF;
            RETURN a;
        END IF;
        INSERT INTO billing_ledgeraccount
            (owner_id, role, asset, kind, balance_minor, held_minor, cap_time_zone, created_at)
        VALUES (p_owner, p_role, p_asset, p_kind, counter, counter, 'UTC', clock_timestamp())
        ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN a;
END $$;

-- The wallet, locked. Its lock also covers its lots, holds, debt and accrued account.
CREATE OR REPLACE FUNCTION ledger__lock_wallet(p_wallet bigint) RETURNS billing_ledgeraccount
LANGUAGE plpgsql AS $$
DECLARE
    w billing_ledgeraccount;
BEGIN
    SELECT * INTO w FROM billing_ledgeraccount WHERE id = p_wallet FOR NO KEY UPDATE;
    IF NOT FOUND OR w.kind <> 'wallet' THEN
        RAISE EXCEPTION 'account % is not a wallet', p_wallet USING ERRCODE = 'LG006';
    END IF;
    RETURN w;
END $$;

-- The house's account of that role; opened on first use.
CREATE OR REPLACE FUNCTION ledger__system(p_role text, p_asset text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    found_id bigint;
BEGIN
    SELECT id INTO found_id FROM billing_ledgeraccount
    WHERE owner_id IS NULL AND role = p_role AND asset = p_asset;
    IF found_id IS NULL THEN
        found_id := (ledger_open_account(NULL, p_role, 'system', p_asset)).id;
    END IF;
    RETURN found_id;
END $$;

CREATE OR REPLACE FUNCTION ledger__check_positive(p_amount bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_amount IS NULL OR p_amount <= 0 THEN
        RAISE EXCEPTION 'amount must be positive, not %', p_amount USING ERRCODE = 'LG006';
    END IF;
END $$;

-- These codes say what a lot's units became; a debit under one of them could not be undone.
CREATE OR REPLACE FUNCTION ledger__check_debit(p_amount bigint, p_code text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger__check_positive(p_amount);
    IF p_code IN ('revoke', 'expire', 'debt_payment', 'debt_payment_back') THEN
        RAISE EXCEPTION 'code % is the ledger''s own', p_code USING ERRCODE = 'LG006';
    END IF;
END $$;

-- A key that somebody else's act took breaks the unique constraint; ledger.py says so.
CREATE OR REPLACE FUNCTION ledger__insert_transfer(
    p_source bigint, p_target bigint, p_amount bigint, p_code text, p_key text, p_group text,
    p_at timestamptz, p_reverses bigint DEFAULT NULL
) RETURNS billing_transfer
LANGUAGE plpgsql AS $$
DECLARE
    t billing_transfer;
BEGIN
    INSERT INTO billing_transfer
        (source_id, target_id, amount_minor, code, key, group_key, occurred_at, created_at, reverses_id)
    VALUES (p_source, p_target, p_amount, p_code, p_key, p_group, p_at, clock_timestamp(), p_reverses)
    RETURNING * INTO t;
    RETURN t;
END $$;

CREATE OR REPLACE FUNCTION ledger__mismatch(p_key text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'key % was already used for something else', p_key USING ERRCODE = 'LG002';
END $$;

-- A system account's balance before a moment, kept so that sums stay short. Not taken for a moment
-- that a transaction may still write before (created_at is this clock's, whatever the portal's says).
CREATE OR REPLACE FUNCTION ledger_snapshot(p_taken_at timestamptz) RETURNS integer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    made integer;
BEGIN
    IF p_taken_at > clock_timestamp() - interval '23 hours' THEN
        RETURN 0;
    END IF;
    INSERT INTO billing_accountsnapshot (account_id, taken_at, balance_minor)
    SELECT a.id, p_taken_at, ledger_balance_before(a.id, p_taken_at)
    FROM billing_ledgeraccount a WHERE a.kind = 'system'
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    RETURN made;
END $$;

-- The sum over transfers created before a moment (null: all), from the newest snapshot on.
CREATE OR REPLACE FUNCTION ledger_balance_before(p_account bigint, p_before timestamptz)
RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE
    base numeric := 0;
    since timestamptz := '-infinity';
    before timestamptz := coalesce(p_before, 'infinity');
    total numeric;
BEGIN
    SELECT balance_minor, taken_at INTO base, since FROM billing_accountsnapshot
    WHERE account_id = p_account AND taken_at <= before ORDER BY taken_at DESC LIMIT 1;
    SELECT coalesce(base, 0)
        + coalesce((SELECT sum(amount_minor) FROM billing_transfer
                    WHERE target_id = p_account AND created_at >= coalesce(since, '-infinity')
                      AND created_at < before), 0)
        - coalesce((SELECT sum(amount_minor) FROM billing_transfer
                    WHERE source_id = p_account AND created_at >= coalesce(since, '-infinity')
                      AND created_at < before), 0)
    INTO total;
    RETURN total;
END $$;
