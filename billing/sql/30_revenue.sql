-- Money behind lots: deferred when sold, earned as units are used, breakage when the rest expired.
-- All of it cumulative per lot, so that no rounding is ever lost or counted twice.

-- What the used units have earned: floor(cost × used / granted), never more than was kept.
CREATE OR REPLACE FUNCTION ledger__earned(p_lot billing_lot) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT least(
        floor(p_lot.cost_minor::numeric * p_lot.used_minor / p_lot.granted_minor)::bigint,
        p_lot.cost_minor - p_lot.refunded_minor)
$$;

-- Books deferred → sales and deferred → breakage up (or back down) to what the lot's counters say.
-- p_leaving is money that leaves the lot's cost for good, to a refund or a replacement lot; it stays
-- on "deferred" for the caller to move on. The caller holds the lot's lock.
CREATE OR REPLACE FUNCTION ledger__book_revenue(p_lot bigint, p_leaving bigint, p_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    l billing_lot;
    sales bigint;
    breakage bigint;
    deferred bigint;
BEGIN
    SELECT * INTO l FROM billing_lot WHERE id = p_lot FOR NO KEY UPDATE;
    l.refunded_minor := l.refunded_minor + p_leaving;
    sales := ledger__earned(l);
    -- Nothing is left to be used: what was neither earned nor refunded will never be.
    breakage := CASE
        WHEN l.remaining_minor = 0 AND l.used_minor < l.granted_minor
        THEN l.cost_minor - l.refunded_minor - sales ELSE 0 END;
    IF sales = l.recognised_minor AND breakage = l.breakage_minor AND p_leaving = 0 THEN
        RETURN false;
    END IF;
    deferred := ledger__system('deferred', l.cost_asset);
    PERFORM ledger__book_one(l, deferred, 'sales', sales - l.recognised_minor, p_at);
    PERFORM ledger__book_one(l, deferred, 'breakage', breakage - l.breakage_minor, p_at);
    UPDATE billing_lot
    SET recognised_minor = sales, breakage_minor = breakage, refunded_minor = l.refunded_minor,
        revenue_bookings = revenue_bookings + 1
    WHERE id = p_lot;
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION ledger__book_one(
    p_lot billing_lot, p_deferred bigint, p_role text, p_difference bigint, p_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    income bigint;
BEGIN
    IF p_difference = 0 THEN
        RETURN;
    END IF;
    income := ledger__system(p_role, p_lot.cost_asset);
    PERFORM ledger__insert_transfer(
        CASE WHEN p_difference > 0 THEN p_deferred ELSE income END,
        CASE WHEN p_difference > 0 THEN income ELSE p_deferred END,
        abs(p_difference),
        CASE WHEN p_difference > 0 THEN 'recognise' ELSE 'recognise_back' END,
        format('lot:%s:%s:%s', p_lot.id, p_role, p_lot.revenue_bookings),
        format('lot:%s:revenue', p_lot.id), p_at);
END $$;

-- Recognises revenue of up to p_limit lots that still have deferred money; returns how many moved.
-- Lots that somebody is spending from at this moment are left for the next run.
CREATE OR REPLACE FUNCTION ledger_recognise(p_at timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    l record;
    moved integer := 0;
BEGIN
    FOR l IN
        SELECT id FROM billing_lot
        WHERE cost_minor > recognised_minor + breakage_minor + refunded_minor
          AND (ledger__earned(billing_lot) > recognised_minor
               OR (remaining_minor = 0 AND used_minor < granted_minor))
        ORDER BY id LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        IF ledger__book_revenue(l.id, 0, p_at) THEN
            moved := moved + 1;
        END IF;
    END LOOP;
    RETURN moved;
END $$;

-- Gives money of a lot's cost back to p_target: first what is deferred, then breakage, then sales.
CREATE OR REPLACE FUNCTION ledger_refund_cost(
    p_lot bigint, p_amount bigint, p_target text, p_key text, p_group text, p_at timestamptz
) RETURNS SETOF billing_transfer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    l billing_lot;
    role text;
    part bigint;
    missing bigint := p_amount;
    known bigint;
    same boolean;
    target bigint;
BEGIN
    PERFORM ledger__check_positive(p_amount);
    SELECT * INTO l FROM billing_lot WHERE id = p_lot FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no lot %', p_lot USING ERRCODE = 'LG006';
    END IF;
    target := ledger__system(p_target, l.cost_asset);
    SELECT sum(amount_minor), bool_and(target_id = target AND code = 'refund') INTO known, same
    FROM billing_transfer WHERE key IN (p_key, p_key || ':breakage', p_key || ':sales');
    IF known IS NOT NULL THEN
        IF known <> p_amount OR NOT same THEN
            PERFORM ledger__mismatch(p_key);
        END IF;
        RETURN QUERY SELECT * FROM billing_transfer
            WHERE key IN (p_key, p_key || ':breakage', p_key || ':sales') ORDER BY id;
        RETURN;
    END IF;
    IF p_amount > l.cost_minor - l.refunded_minor THEN
        RAISE EXCEPTION 'lot % has only % left to refund, not %',
            p_lot, l.cost_minor - l.refunded_minor, p_amount USING ERRCODE = 'LG007';
    END IF;
    FOREACH role IN ARRAY ARRAY['deferred', 'breakage', 'sales'] LOOP
        part := least(missing, CASE role
            WHEN 'deferred' THEN
                l.cost_minor - l.recognised_minor - l.breakage_minor - l.refunded_minor
            WHEN 'breakage' THEN l.breakage_minor
            ELSE l.recognised_minor END);
        CONTINUE WHEN part = 0;
        missing := missing - part;
        RETURN NEXT ledger__insert_transfer(
            ledger__system(role, l.cost_asset), target, part, 'refund',
            CASE WHEN missing + part = p_amount THEN p_key ELSE p_key || ':' || role END,
            p_group, p_at);
        UPDATE billing_lot
        SET refunded_minor = refunded_minor + part,
            breakage_minor = breakage_minor - CASE WHEN role = 'breakage' THEN part ELSE 0 END,
            recognised_minor = recognised_minor - CASE WHEN role = 'sales' THEN part ELSE 0 END
        WHERE id = p_lot;
    END LOOP;
END $$;

-- A refund that had been booked did not happen: its money is deferred on the lot again.
CREATE OR REPLACE FUNCTION ledger_unrefund_cost(
    p_lot bigint, p_amount bigint, p_source text, p_key text, p_group text, p_at timestamptz
) RETURNS billing_transfer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    l billing_lot;
    t billing_transfer;
    source bigint;
    deferred bigint;
    refunded bigint;
BEGIN
    PERFORM ledger__check_positive(p_amount);
    SELECT * INTO l FROM billing_lot WHERE id = p_lot FOR NO KEY UPDATE;
    source := ledger__system(p_source, l.cost_asset);
    deferred := ledger__system('deferred', l.cost_asset);
    SELECT * INTO t FROM billing_transfer WHERE key = p_key;
    IF FOUND THEN
        IF (t.source_id, t.target_id, t.amount_minor) <> (source, deferred, p_amount) THEN
            PERFORM ledger__mismatch(p_key);
        END IF;
        RETURN t;
    END IF;
    -- Money that moved on to a replacement lot was not refunded.
    refunded := l.refunded_minor - coalesce(
        (SELECT sum(cost_minor) FROM billing_lot WHERE replaces_id = p_lot), 0);
    IF p_amount > refunded THEN
        RAISE EXCEPTION 'lot % was refunded only %', p_lot, refunded USING ERRCODE = 'LG007';
    END IF;
    t := ledger__insert_transfer(
        source, deferred, p_amount, 'refund_failed', p_key, p_group, p_at);
    UPDATE billing_lot SET refunded_minor = refunded_minor - p_amount WHERE id = p_lot;
    RETURN t;
END $$;
