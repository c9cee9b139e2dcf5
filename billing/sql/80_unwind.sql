-- Unwinding: a debit (spend, capture or clawback) is undone, newest recorded move first.

-- Gives back an amount of the debit whose key is p_original, once per p_key, never more than it
-- took. What had been booked as owed comes first: it lowers the debt, or, if that was paid
-- meanwhile, returns the units that paid it.
CREATE OR REPLACE FUNCTION ledger_unwind(
    p_original text, p_amount bigint, p_code text, p_key text, p_group text, p_at timestamptz
) RETURNS SETOF billing_transfer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    w billing_ledgeraccount := ledger__lock_wallet(ledger__wallet_of(p_original));
    o record;
    part bigint;
    missing bigint := p_amount;
    key_now text := p_key;
    t billing_transfer;
BEGIN
    PERFORM ledger__check_positive(p_amount);
    IF EXISTS (SELECT FROM billing_transfer WHERE key = p_key) THEN
        RETURN QUERY SELECT * FROM ledger__replayed_unwind(p_original, p_amount, p_code, p_key);
        RETURN;
    END IF;
    FOR o IN
        SELECT d.id, d.source_id, d.target_id, d.code, s.role, d.amount_minor - coalesce((
            SELECT sum(r.amount_minor) FROM billing_transfer r
            WHERE r.reverses_id = d.id), 0) AS open
        FROM billing_transfer d JOIN billing_ledgeraccount s ON s.id = d.source_id
        WHERE d.key IN (p_original, p_original || ':short')
        ORDER BY d.id DESC
    LOOP
        part := least(o.open, missing);
        CONTINUE WHEN part = 0;
        missing := missing - part;
        t := ledger__insert_transfer(
            o.target_id, o.source_id, part, p_code, key_now, p_group, p_at, o.id);
        IF o.role = 'wallet' THEN
            PERFORM ledger__return_units(
                o.id, part, CASE WHEN o.code = 'revoke' THEN 'revoked' ELSE 'used' END, t, p_at);
            UPDATE billing_ledgeraccount SET balance_minor = balance_minor + part WHERE id = w.id;
        ELSE
            PERFORM ledger__forgive(w, o.source_id, part, key_now, p_group, p_at);
        END IF;
        RETURN NEXT t;
        key_now := p_key || ':rest';
    END LOOP;
    IF missing > 0 THEN
        RAISE EXCEPTION '% has only % left to give back, not %',
            p_original, p_amount - missing, p_amount USING ERRCODE = 'LG007';
    END IF;
    PERFORM ledger__pay_debt(w, p_key || ':debt', p_group, p_at);
END $$;

-- The wallet behind a debit, also when all of it was owed.
CREATE OR REPLACE FUNCTION ledger__wallet_of(p_key text) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found_id bigint;
BEGIN
    SELECT w.id INTO found_id
    FROM billing_transfer t
    JOIN billing_ledgeraccount s ON s.id = t.source_id
    JOIN billing_ledgeraccount w
      ON w.owner_id = s.owner_id AND w.asset = s.asset AND w.role = 'wallet'
    WHERE t.key = p_key AND s.role IN ('wallet', 'debt', 'accrued')
      AND t.code NOT IN ('expire', 'debt_payment', 'debt_payment_back');
    IF found_id IS NULL THEN
        RAISE EXCEPTION 'no debit of a wallet has the key %', p_key USING ERRCODE = 'LG006';
    END IF;
    RETURN found_id;
END $$;

CREATE OR REPLACE FUNCTION ledger__replayed_unwind(
    p_original text, p_amount bigint, p_code text, p_key text
) RETURNS SETOF billing_transfer
LANGUAGE plpgsql AS $$
DECLARE
    known bigint;
BEGIN
    SELECT sum(t.amount_minor) INTO known
    FROM billing_transfer t JOIN billing_transfer o ON o.id = t.reverses_id
    WHERE t.key IN (p_key, p_key || ':rest') AND o.key IN (p_original, p_original || ':short')
      AND t.code = p_code;
    IF known IS DISTINCT FROM p_amount THEN
        PERFORM ledger__mismatch(p_key);
    END IF;
    RETURN QUERY SELECT * FROM billing_transfer WHERE key IN (p_key, p_key || ':rest') ORDER BY id;
END $$;

-- Lowers what is owed. If less is owed by now, the newest payments of it are given back, and what
-- was settled otherwise (an invoice paid an accrued amount) becomes a lot without cost.
CREATE OR REPLACE FUNCTION ledger__forgive(
    p_wallet billing_ledgeraccount, p_account bigint, p_amount bigint, p_key text, p_group text,
    p_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    a billing_ledgeraccount;
    u record;
    part bigint;
    missing bigint;
    nth integer := 0;
    t billing_transfer;
BEGIN
    SELECT * INTO a FROM billing_ledgeraccount WHERE id = p_account FOR NO KEY UPDATE;
    missing := greatest(p_amount + a.balance_minor, 0);
    FOR u IN
        SELECT d.id, d.amount_minor - coalesce((
            SELECT sum(r.amount_minor) FROM billing_transfer r
            WHERE r.reverses_id = d.id), 0) AS open
        FROM billing_transfer d
        WHERE d.source_id = p_wallet.id AND d.target_id = p_account AND d.code = 'debt_payment'
        ORDER BY d.id DESC
    LOOP
        EXIT WHEN missing = 0;
        part := least(u.open, missing);
        CONTINUE WHEN part = 0;
        missing := missing - part;
        nth := nth + 1;
        t := ledger__insert_transfer(p_account, p_wallet.id, part, 'debt_payment_back',
                                     format('%s:debt:%s', p_key, nth), p_group, p_at, u.id);
        PERFORM ledger__return_units(u.id, part, 'used', t, p_at);
    END LOOP;
    IF missing > 0 THEN
        t := ledger__insert_transfer(p_account, p_wallet.id, missing, 'debt_payment_back',
                                     p_key || ':settled', p_group, p_at);
        PERFORM ledger__insert_lot(p_wallet.id, t, missing, NULL, 0, false, p_group, 0, '');
    END IF;
    UPDATE billing_ledgeraccount
    SET balance_minor = balance_minor + least(p_amount, -a.balance_minor) WHERE id = p_account;
    UPDATE billing_ledgeraccount
    SET balance_minor = balance_minor + p_amount - least(p_amount, -a.balance_minor)
    WHERE id = p_wallet.id;
END $$;

-- Claws units back that are gone: the owner owes them, and pays at once what purchased lots cover.
CREATE OR REPLACE FUNCTION ledger_claw_back(
    p_wallet bigint, p_amount bigint, p_key text, p_group text, p_at timestamptz
) RETURNS billing_transfer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    w billing_ledgeraccount := ledger__lock_wallet(p_wallet);
    revoked bigint := ledger__system('revoked', w.asset);
    t billing_transfer;
BEGIN
    SELECT * INTO t FROM billing_transfer WHERE key = p_key;
    IF FOUND THEN
        IF (t.target_id, t.amount_minor, t.code) <> (revoked, p_amount, 'revoke')
           OR t.source_id <> (ledger_open_account(w.owner_id, 'debt', 'debt', w.asset)).id THEN
            PERFORM ledger__mismatch(p_key);
        END IF;
        RETURN t;
    END IF;
    PERFORM ledger__check_positive(p_amount);
    t := ledger__owe(w, 'debt', revoked, p_amount, 'revoke', p_key, p_group, p_at);
    PERFORM ledger__pay_debt(w, p_key || ':debt', p_group, p_at);
    RETURN t;
END $$;
