-- Lots: which are spendable, in what order, and what happens to them. Callers hold the wallet's lock.

-- What can be spent of a wallet, in burn order: priority, earliest expiry, promotional before
-- purchased, id. "upto" counts what is free from the first lot on. PostgreSQL expands this in place.
CREATE OR REPLACE FUNCTION ledger__spendable(p_wallet bigint, p_at timestamptz)
RETURNS TABLE(lot bigint, free bigint, upto bigint, is_promotional boolean)
LANGUAGE sql STABLE AS $$
    SELECT id, remaining_minor - held_minor,
           sum(remaining_minor - held_minor) OVER (
               ORDER BY priority, expires_at NULLS LAST, promotional DESC, id)::bigint,
           promotional
    FROM billing_lot
    WHERE account_id = p_wallet AND is_open AND remaining_minor > held_minor
      AND (expires_at IS NULL OR expires_at > p_at)
    ORDER BY priority, expires_at NULLS LAST, promotional DESC, id
$$;

-- Collects lots in burn order until the amount is covered; "missing" is what they do not cover.
CREATE OR REPLACE FUNCTION ledger__plan_burn(
    p_wallet bigint, p_amount bigint, p_at timestamptz, p_purchased_only boolean,
    OUT lots bigint[], OUT takes bigint[], OUT missing bigint
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    l record;
BEGIN
    lots := '{}';
    takes := '{}';
    missing := p_amount;
    FOR l IN
        SELECT lot, free FROM ledger__spendable(p_wallet, p_at)
        WHERE NOT (p_purchased_only AND is_promotional)
    LOOP
        lots := lots || l.lot;
        takes := takes || least(l.free, missing);
        missing := missing - least(l.free, missing);
        EXIT WHEN missing = 0;
    END LOOP;
END $$;

-- Takes what the plan says: out of "remaining", into used, revoked or expired, each with its use.
CREATE OR REPLACE FUNCTION ledger__burn(
    p_lots bigint[], p_takes bigint[], p_transfer bigint, p_into text
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- One by one: joining the arrays costs more, and there is mostly one lot.
    FOR i IN 1 .. cardinality(p_lots) LOOP
        UPDATE billing_lot
        SET remaining_minor = remaining_minor - p_takes[i],
            is_open = remaining_minor > p_takes[i],
            used_minor = used_minor + CASE WHEN p_into = 'used' THEN p_takes[i] ELSE 0 END,
            revoked_minor = revoked_minor + CASE WHEN p_into = 'revoked' THEN p_takes[i] ELSE 0 END,
            expired_minor = expired_minor + CASE WHEN p_into = 'expired' THEN p_takes[i] ELSE 0 END
        WHERE id = p_lots[i];
        INSERT INTO billing_lotuse (transfer_id, lot_id, amount_minor, returned_minor)
        VALUES (p_transfer, p_lots[i], p_takes[i], 0);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION ledger__insert_lot(
    p_wallet bigint, p_transfer billing_transfer, p_amount bigint, p_expires_at timestamptz,
    p_priority integer, p_promotional boolean, p_origin text, p_cost bigint, p_cost_asset text,
    p_replaces bigint DEFAULT NULL
) RETURNS billing_lot
LANGUAGE plpgsql AS $$
DECLARE
    l billing_lot;
BEGIN
    INSERT INTO billing_lot
        (account_id, transfer_id, granted_minor, remaining_minor, held_minor, used_minor,
         revoked_minor, expired_minor, is_open, expires_at, priority, promotional, origin,
         cost_minor, cost_asset, recognised_minor, breakage_minor, refunded_minor,
         revenue_bookings, created_at, replaces_id)
    VALUES (p_wallet, p_transfer.id, p_amount, p_amount, 0, 0, 0, 0, true, p_expires_at,
            p_priority, p_promotional, p_origin, p_cost, p_cost_asset, 0, 0, 0, 0,
            clock_timestamp(), p_replaces)
    RETURNING * INTO l;
    RETURN l;
END $$;

-- Gives back, newest use first, what a transfer took. Units of a lot that has expired meanwhile
-- come back as a new lot of 30 days at the same cost. Revenue that returned units had earned is
-- booked back at once: ledger_recognise looks only at lots with deferred money.
CREATE OR REPLACE FUNCTION ledger__return_units(
    p_taken_by bigint, p_amount bigint, p_from text, p_back billing_transfer, p_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    u record;
    part bigint;
    missing bigint := p_amount;
BEGIN
    FOR u IN
        SELECT id, lot_id, amount_minor - returned_minor AS open FROM billing_lotuse
        WHERE transfer_id = p_taken_by AND amount_minor > returned_minor ORDER BY id DESC
    LOOP
        EXIT WHEN missing = 0;
        part := least(u.open, missing);
        missing := missing - part;
        UPDATE billing_lotuse SET returned_minor = returned_minor + part WHERE id = u.id;
        UPDATE billing_lot
        SET remaining_minor = remaining_minor + part,
            is_open = true,
            used_minor = used_minor - CASE WHEN p_from = 'used' THEN part ELSE 0 END,
            revoked_minor = revoked_minor - CASE WHEN p_from = 'revoked' THEN part ELSE 0 END
        WHERE id = u.lot_id AND (expires_at IS NULL OR expires_at > p_at);
        IF NOT FOUND THEN
            PERFORM ledger__replace_expired(u.lot_id, part, p_from, p_back, p_at);
        ELSIF EXISTS (SELECT FROM billing_lot
                      WHERE id = u.lot_id AND recognised_minor + breakage_minor > 0) THEN
            PERFORM ledger__book_revenue(u.lot_id, 0, p_at);
        END IF;
    END LOOP;
    IF missing > 0 THEN
        RAISE EXCEPTION 'transfer % took less than %', p_taken_by, p_amount USING ERRCODE = 'LG007';
    END IF;
END $$;

-- Moves units, and the money they cost, out of an expired lot into a new one. Units that had been
-- revoked come without cost: the money that left with them is refunded_minor of the old lot.
CREATE OR REPLACE FUNCTION ledger__replace_expired(
    p_lot bigint, p_amount bigint, p_from text, p_back billing_transfer, p_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    old billing_lot;
    cost bigint := 0;
BEGIN
    SELECT * INTO old FROM billing_lot WHERE id = p_lot FOR NO KEY UPDATE;
    IF p_from = 'used' THEN
        cost := ledger__earned(old);
        old.used_minor := old.used_minor - p_amount;
        cost := cost - ledger__earned(old);
        UPDATE billing_lot
        SET used_minor = used_minor - p_amount, revoked_minor = revoked_minor + p_amount
        WHERE id = p_lot;
        PERFORM ledger__book_revenue(p_lot, cost, p_at);
    END IF;
    PERFORM ledger__insert_lot(
        old.account_id, p_back, p_amount, p_at + interval '30 days', old.priority,
        old.promotional, old.origin, cost, old.cost_asset, p_lot);
END $$;
