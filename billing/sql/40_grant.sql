-- Grants: units that come in, as a lot. A purchased lot pays the customer's debt first.

CREATE OR REPLACE FUNCTION ledger_grant(
    p_wallet bigint, p_source text, p_amount bigint, p_code text, p_key text, p_group text,
    p_at timestamptz, p_expires_at timestamptz, p_priority integer, p_promotional boolean,
    p_origin text, p_cost bigint, p_cost_asset text
) RETURNS billing_lot
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    w billing_ledgeraccount := ledger__lock_wallet(p_wallet);
    source bigint := ledger__system(p_source, w.asset);
    t billing_transfer;
    l billing_lot;
BEGIN
    PERFORM ledger__check_positive(p_amount);
    SELECT * INTO t FROM billing_transfer WHERE key = p_key;
    IF FOUND THEN
        SELECT * INTO l FROM billing_lot WHERE transfer_id = t.id ORDER BY id LIMIT 1;
        IF (t.source_id, t.target_id, t.amount_minor, t.code) <> (source, p_wallet, p_amount, p_code)
           OR (l.origin, l.promotional, l.cost_minor, l.cost_asset, l.priority)
              IS DISTINCT FROM (p_origin, p_promotional, p_cost, p_cost_asset, p_priority::smallint)
           OR l.expires_at IS DISTINCT FROM p_expires_at THEN
            PERFORM ledger__mismatch(p_key);
        END IF;
        RETURN l;
    END IF;
    t := ledger__insert_transfer(source, p_wallet, p_amount, p_code, p_key, p_group, p_at);
    l := ledger__insert_lot(p_wallet, t, p_amount, p_expires_at, p_priority, p_promotional,
                            p_origin, p_cost, p_cost_asset);
    UPDATE billing_ledgeraccount SET balance_minor = balance_minor + p_amount WHERE id = p_wallet;
    IF NOT p_promotional THEN
        PERFORM ledger__pay_debt(w, p_key || ':debt', p_group, p_at);
    END IF;
    SELECT * INTO l FROM billing_lot WHERE id = l.id;
    RETURN l;
END $$;

CREATE OR REPLACE FUNCTION ledger__debt(p_wallet billing_ledgeraccount) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT -balance_minor FROM billing_ledgeraccount
        WHERE owner_id = p_wallet.owner_id AND role = 'debt' AND asset = p_wallet.asset), 0)
$$;

-- Pays as much debt as purchased, spendable lots cover. Promotional lots pay no debt.
CREATE OR REPLACE FUNCTION ledger__pay_debt(
    p_wallet billing_ledgeraccount, p_key text, p_group text, p_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    owed bigint := ledger__debt(p_wallet);
    debt billing_ledgeraccount;
    plan record;
    t billing_transfer;
    paid bigint;
BEGIN
    IF owed = 0 THEN
        RETURN;
    END IF;
    plan := ledger__plan_burn(p_wallet.id, owed, p_at, true);
    paid := owed - plan.missing;
    IF paid = 0 THEN
        RETURN;
    END IF;
    debt := ledger_open_account(p_wallet.owner_id, 'debt', 'debt', p_wallet.asset);
    t := ledger__insert_transfer(
        p_wallet.id, debt.id, paid, 'debt_payment', p_key, p_group, p_at);
    PERFORM ledger__burn(plan.lots, plan.takes, t.id, 'used');
    UPDATE billing_ledgeraccount SET balance_minor = balance_minor - paid WHERE id = p_wallet.id;
    UPDATE billing_ledgeraccount SET balance_minor = balance_minor + paid WHERE id = debt.id;
END $$;
