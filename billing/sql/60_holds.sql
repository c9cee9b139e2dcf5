-- Holds: units pinned on certain lots until they are captured or come back.

-- Sets an amount aside, once per key. Debt and the spend cap refuse it like a spend.
CREATE OR REPLACE FUNCTION ledger_reserve(
    p_hold uuid, p_wallet bigint, p_amount bigint, p_code text, p_key text, p_group text,
    p_deadline timestamptz, p_at timestamptz
) RETURNS billing_hold
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    w billing_ledgeraccount := ledger__lock_wallet(p_wallet);
    h billing_hold;
    plan record;
    cap_period timestamptz;
BEGIN
    SELECT * INTO h FROM billing_hold WHERE key = p_key;
    IF FOUND THEN
        IF (h.account_id, h.amount_minor, h.code) <> (p_wallet, p_amount, p_code) THEN
            PERFORM ledger__mismatch(p_key);
        END IF;
        RETURN h;
    END IF;
    PERFORM ledger__check_debit(p_amount, p_code);
    PERFORM ledger__refuse_debtor(w);
    plan := ledger__plan_burn(p_wallet, p_amount, p_at, false);
    IF plan.missing > 0 THEN
        PERFORM ledger__insufficient(p_amount, p_amount - plan.missing, w.asset);
    END IF;
    IF p_code <> 'adjustment' THEN
        cap_period := ledger__count_cap(w, p_amount, false, p_at);
    END IF;
    RETURN ledger__insert_hold(p_hold, p_wallet, p_amount, p_code, p_key, p_group, p_deadline,
                               cap_period, plan.lots, plan.takes, p_at);
END $$;

-- Pins up to an amount of one lot's free units for a refund, expired or not, without deadline.
-- Returns null when nothing of the lot is free. A replay may name a larger amount than was free.
CREATE OR REPLACE FUNCTION ledger_pin(
    p_hold uuid, p_lot bigint, p_amount bigint, p_key text, p_group text, p_at timestamptz
) RETURNS billing_hold
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    w billing_ledgeraccount;
    l billing_lot;
    h billing_hold;
    pinned bigint;
BEGIN
    SELECT * INTO l FROM billing_lot WHERE id = p_lot;
    w := ledger__lock_wallet(l.account_id);
    SELECT * INTO h FROM billing_hold WHERE key = p_key;
    IF FOUND THEN
        IF h.code <> 'revoke' OR p_amount < h.amount_minor OR NOT EXISTS (
            SELECT FROM billing_holdlot WHERE hold_id = h.id AND lot_id = p_lot) THEN
            PERFORM ledger__mismatch(p_key);
        END IF;
        RETURN h;
    END IF;
    PERFORM ledger__check_positive(p_amount);
    SELECT * INTO l FROM billing_lot WHERE id = p_lot;
    pinned := least(p_amount, l.remaining_minor - l.held_minor);
    IF pinned = 0 THEN
        RETURN NULL;
    END IF;
    RETURN ledger__insert_hold(p_hold, w.id, pinned, 'revoke', p_key, p_group, NULL, NULL,
                               ARRAY[p_lot], ARRAY[pinned], p_at);
END $$;

CREATE OR REPLACE FUNCTION ledger__insert_hold(
    p_hold uuid, p_wallet bigint, p_amount bigint, p_code text, p_key text, p_group text,
    p_deadline timestamptz, p_cap_period timestamptz, p_lots bigint[], p_takes bigint[],
    p_at timestamptz
) RETURNS billing_hold
LANGUAGE plpgsql AS $$
DECLARE
    h billing_hold;
BEGIN
    INSERT INTO billing_hold
        (id, account_id, amount_minor, captured_minor, state, code, key, group_key, deadline_at,
         cap_period_at, created_at)
    VALUES (p_hold, p_wallet, p_amount, 0, 'held', p_code, p_key, p_group, p_deadline,
            p_cap_period, p_at)
    RETURNING * INTO h;
    FOR i IN 1 .. cardinality(p_lots) LOOP
        UPDATE billing_lot SET held_minor = held_minor + p_takes[i] WHERE id = p_lots[i];
        INSERT INTO billing_holdlot (hold_id, lot_id, amount_minor)
        VALUES (p_hold, p_lots[i], p_takes[i]);
    END LOOP;
    UPDATE billing_ledgeraccount SET held_minor = held_minor + p_amount WHERE id = p_wallet;
    RETURN h;
END $$;

-- The hold, its wallet locked first.
CREATE OR REPLACE FUNCTION ledger__lock_hold(p_hold uuid) RETURNS billing_hold
LANGUAGE plpgsql AS $$
DECLARE
    h billing_hold;
    w billing_ledgeraccount;
BEGIN
    SELECT * INTO h FROM billing_hold WHERE id = p_hold;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no hold %', p_hold USING ERRCODE = 'LG006';
    END IF;
    w := ledger__lock_wallet(h.account_id);
    SELECT * INTO h FROM billing_hold WHERE id = p_hold FOR NO KEY UPDATE;
    RETURN h;
END $$;

-- Takes all or part of what is held; the rest comes back. Works past the expiry of the lots.
CREATE OR REPLACE FUNCTION ledger_capture(
    p_hold uuid, p_amount bigint, p_target text, p_key text, p_group text, p_at timestamptz
) RETURNS billing_transfer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    h billing_hold := ledger__lock_hold(p_hold);
    target bigint := ledger__system(
        p_target, (SELECT asset FROM billing_ledgeraccount WHERE id = h.account_id));
    t billing_transfer;
BEGIN
    SELECT * INTO t FROM billing_transfer WHERE key = p_key;
    IF FOUND THEN
        IF h.captured_by_id IS DISTINCT FROM t.id
           OR (t.target_id, t.amount_minor) <> (target, p_amount) THEN
            PERFORM ledger__mismatch(p_key);
        END IF;
        RETURN t;
    END IF;
    PERFORM ledger__check_positive(p_amount);
    IF h.state <> 'held' THEN
        RAISE EXCEPTION 'hold % is already %', p_hold, h.state USING ERRCODE = 'LG005';
    END IF;
    IF p_amount > h.amount_minor THEN
        RAISE EXCEPTION 'hold % is of %, not %', p_hold, h.amount_minor, p_amount
            USING ERRCODE = 'LG007';
    END IF;
    t := ledger__insert_transfer(h.account_id, target, p_amount, h.code, p_key, p_group, p_at);
    PERFORM ledger__take_pinned(h, p_amount, t.id);
    UPDATE billing_ledgeraccount
    SET balance_minor = balance_minor - p_amount, held_minor = held_minor - h.amount_minor
    WHERE id = h.account_id;
    PERFORM ledger__uncount_cap(h, h.amount_minor - p_amount);
    UPDATE billing_hold
    SET state = 'captured', captured_minor = p_amount, captured_by_id = t.id, closed_at = p_at
    WHERE id = p_hold;
    PERFORM ledger__pay_debt_after(h, p_at);
    RETURN t;
END $$;

-- Takes an amount out of the pinned units, in the order they were pinned; the rest is free again.
CREATE OR REPLACE FUNCTION ledger__take_pinned(
    p_hold billing_hold, p_amount bigint, p_transfer bigint
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    pin record;
    take bigint;
    missing bigint := p_amount;
    is_revoked boolean := p_hold.code = 'revoke';
BEGIN
    FOR pin IN
        SELECT lot_id, amount_minor FROM billing_holdlot WHERE hold_id = p_hold.id ORDER BY id
    LOOP
        take := least(pin.amount_minor, missing);
        missing := missing - take;
        UPDATE billing_lot
        SET held_minor = held_minor - pin.amount_minor,
            remaining_minor = remaining_minor - take,
            is_open = remaining_minor > take,
            used_minor = used_minor + CASE WHEN is_revoked THEN 0 ELSE take END,
            revoked_minor = revoked_minor + CASE WHEN is_revoked THEN take ELSE 0 END
        WHERE id = pin.lot_id;
        IF take > 0 THEN
            INSERT INTO billing_lotuse (transfer_id, lot_id, amount_minor, returned_minor)
            VALUES (p_transfer, pin.lot_id, take, 0);
        END IF;
    END LOOP;
END $$;

-- Gives everything back. Releasing a closed hold that captured nothing changes nothing.
CREATE OR REPLACE FUNCTION ledger_release(p_hold uuid, p_at timestamptz) RETURNS billing_hold
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
BEGIN
    RETURN ledger__close_hold(ledger__lock_hold(p_hold), 'released', p_at);
END $$;

CREATE OR REPLACE FUNCTION ledger__close_hold(p_hold billing_hold, p_state text, p_at timestamptz)
RETURNS billing_hold
LANGUAGE plpgsql AS $$
DECLARE
    h billing_hold;
BEGIN
    IF p_hold.state = 'captured' THEN
        RAISE EXCEPTION 'hold % is already captured', p_hold.id USING ERRCODE = 'LG005';
    END IF;
    IF p_hold.state <> 'held' THEN
        RETURN p_hold;
    END IF;
    PERFORM ledger__unpin(p_hold);
    PERFORM ledger__uncount_cap(p_hold, p_hold.amount_minor);
    UPDATE billing_hold SET state = p_state, closed_at = p_at WHERE id = p_hold.id
    RETURNING * INTO h;
    PERFORM ledger__pay_debt_after(h, p_at);
    RETURN h;
END $$;

CREATE OR REPLACE FUNCTION ledger__unpin(p_hold billing_hold) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    pin record;
BEGIN
    FOR pin IN SELECT lot_id, amount_minor FROM billing_holdlot WHERE hold_id = p_hold.id LOOP
        UPDATE billing_lot SET held_minor = held_minor - pin.amount_minor WHERE id = pin.lot_id;
    END LOOP;
    UPDATE billing_ledgeraccount SET held_minor = held_minor - p_hold.amount_minor
    WHERE id = p_hold.account_id;
END $$;

-- Units that come free while the owner owes pay the debt, like a purchase would.
CREATE OR REPLACE FUNCTION ledger__pay_debt_after(p_hold billing_hold, p_at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    w billing_ledgeraccount;
BEGIN
    SELECT * INTO w FROM billing_ledgeraccount WHERE id = p_hold.account_id;
    PERFORM ledger__pay_debt(w, format('hold:%s:debt', p_hold.id), p_hold.group_key, p_at);
END $$;

CREATE OR REPLACE FUNCTION ledger__uncount_cap(p_hold billing_hold, p_amount bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_hold.cap_period_at IS NOT NULL AND p_amount > 0 THEN
        UPDATE billing_spendcapperiod SET used_minor = used_minor - p_amount
        WHERE account_id = p_hold.account_id AND starts_at = p_hold.cap_period_at;
    END IF;
END $$;

-- Releases up to p_limit holds past their deadline; skips wallets that are busy.
CREATE OR REPLACE FUNCTION ledger_expire_holds(p_at timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    due record;
    h billing_hold;
    closed integer := 0;
BEGIN
    FOR due IN
        SELECT id, account_id FROM billing_hold
        WHERE state = 'held' AND deadline_at <= p_at ORDER BY deadline_at, id LIMIT p_limit
    LOOP
        PERFORM FROM billing_ledgeraccount
        WHERE id = due.account_id FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        SELECT * INTO h FROM billing_hold WHERE id = due.id;
        IF h.state = 'held' THEN
            PERFORM ledger__close_hold(h, 'expired', p_at);
            closed := closed + 1;
        END IF;
    END LOOP;
    RETURN closed;
END $$;
