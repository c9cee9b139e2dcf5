-- The owner's monthly spend cap, and the month it is counted in.

-- The start of the anchor's month that holds a moment, in the owner's time zone. Counted from the
-- anchor itself, so that the 31st comes back after a short month.
CREATE OR REPLACE FUNCTION ledger_period_start(p_anchor timestamptz, p_zone text, p_at timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    anchor timestamp := p_anchor AT TIME ZONE p_zone;
    moment timestamp := p_at AT TIME ZONE p_zone;
    months integer := (extract(year FROM moment) - extract(year FROM anchor)) * 12
                    + extract(month FROM moment) - extract(month FROM anchor);
    starts timestamptz := (anchor + make_interval(months => months)) AT TIME ZONE p_zone;
BEGIN
    IF starts > p_at THEN
        starts := (anchor + make_interval(months => months - 1)) AT TIME ZONE p_zone;
    END IF;
    RETURN starts;
END $$;

-- When that month ends, which is when the next one begins: 32 days after its start lie in the next.
CREATE OR REPLACE FUNCTION ledger_period_end(p_anchor timestamptz, p_zone text, p_at timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT ledger_period_start(
        p_anchor, p_zone, ledger_period_start(p_anchor, p_zone, p_at) + interval '768 hours')
$$;

-- Counts an amount against the wallet's cap; returns the period it counts in, null without a cap.
-- What staff take ("adjustment") is not the owner's spending.
-- p_forced counts what cannot be refused, because it already happened.
CREATE OR REPLACE FUNCTION ledger__count_cap(
    p_wallet billing_ledgeraccount, p_amount bigint, p_forced boolean, p_at timestamptz
) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    starts timestamptz;
    used bigint;
BEGIN
    IF p_wallet.cap_minor IS NULL THEN
        RETURN NULL;
    END IF;
    starts := ledger_period_start(p_wallet.cap_anchor_at, p_wallet.cap_time_zone, p_at);
    INSERT INTO billing_spendcapperiod AS p (account_id, starts_at, used_minor)
    VALUES (p_wallet.id, starts, p_amount)
    ON CONFLICT (account_id, starts_at) DO UPDATE SET used_minor = p.used_minor + p_amount
    RETURNING used_minor INTO used;
    IF used > p_wallet.cap_minor AND NOT p_forced THEN
        RAISE EXCEPTION 'spend cap % reached: % used', p_wallet.cap_minor, used - p_amount
            USING ERRCODE = 'LG004', DETAIL = jsonb_build_object(
                'wanted', p_amount, 'used', used - p_amount, 'allowed', p_wallet.cap_minor,
                'asset', p_wallet.asset, 'resets_at', ledger_period_end(
                    p_wallet.cap_anchor_at, p_wallet.cap_time_zone, p_at));
    END IF;
    RETURN starts;
END $$;

CREATE OR REPLACE FUNCTION ledger__cap_room(p_wallet billing_ledgeraccount, p_at timestamptz)
RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT p_wallet.cap_minor - coalesce((
        SELECT used_minor FROM billing_spendcapperiod
        WHERE account_id = p_wallet.id AND starts_at = ledger_period_start(
            p_wallet.cap_anchor_at, p_wallet.cap_time_zone, p_at)), 0)
$$;

-- Sets or (null) lifts the cap. What was spent or is held since the month began counts at once.
CREATE OR REPLACE FUNCTION ledger_set_cap(
    p_wallet bigint, p_cap bigint, p_anchor timestamptz, p_zone text, p_at timestamptz
) RETURNS billing_ledgeraccount
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    w billing_ledgeraccount := ledger__lock_wallet(p_wallet);
    starts timestamptz;
    used bigint;
BEGIN
    UPDATE billing_ledgeraccount
    SET cap_minor = p_cap, cap_anchor_at = p_anchor, cap_time_zone = p_zone
    WHERE id = p_wallet RETURNING * INTO w;
    IF p_cap IS NULL THEN
        RETURN w;
    END IF;
    starts := ledger_period_start(p_anchor, p_zone, p_at);
    -- A hold counts in one month only: those of this month leave the one they counted in before.
    UPDATE billing_spendcapperiod p SET used_minor = p.used_minor - h.held
    FROM (SELECT cap_period_at, sum(amount_minor) AS held FROM billing_hold
          WHERE account_id = p_wallet AND state = 'held' AND created_at >= starts
            AND cap_period_at <> starts GROUP BY 1) h
    WHERE p.account_id = p_wallet AND p.starts_at = h.cap_period_at;
    UPDATE billing_hold SET cap_period_at = starts
    WHERE account_id = p_wallet AND state = 'held' AND created_at >= starts
      AND code NOT IN ('revoke', 'adjustment');
    SELECT coalesce(sum(t.amount_minor), 0) INTO used
    FROM billing_transfer t JOIN billing_ledgeraccount s ON s.id = t.source_id
    WHERE s.owner_id = w.owner_id AND s.asset = w.asset AND s.role IN ('wallet', 'debt', 'accrued')
      AND t.occurred_at >= starts
      AND t.code NOT IN ('revoke', 'expire', 'debt_payment', 'debt_payment_back', 'adjustment');
    SELECT used + coalesce(sum(amount_minor), 0) INTO used FROM billing_hold
    WHERE account_id = p_wallet AND state = 'held' AND cap_period_at = starts;
    INSERT INTO billing_spendcapperiod (account_id, starts_at, used_minor)
    VALUES (p_wallet, starts, used)
    ON CONFLICT (account_id, starts_at) DO UPDATE SET used_minor = EXCLUDED.used_minor;
    RETURN w;
END $$;
