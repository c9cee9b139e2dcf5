-- Expiry: what is left of a lot past its day, and not held, leaves the wallet.

-- Expires up to p_limit lots; skips wallets that are busy. Held units follow once released.
CREATE OR REPLACE FUNCTION ledger_expire(p_at timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SET ledger.writer = 'on' AS $$
DECLARE
    due record;
    w billing_ledgeraccount;
    l billing_lot;
    t billing_transfer;
    free bigint;
    expired integer := 0;
BEGIN
    FOR due IN
        SELECT id, account_id FROM billing_lot
        WHERE is_open AND expires_at <= p_at AND remaining_minor > held_minor
        ORDER BY expires_at, id LIMIT p_limit
    LOOP
        SELECT * INTO w FROM billing_ledgeraccount
        WHERE id = due.account_id FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        SELECT * INTO l FROM billing_lot WHERE id = due.id;
        free := l.remaining_minor - l.held_minor;
        CONTINUE WHEN free = 0;
        -- What remains only shrinks once a lot has expired, so this key is used once.
        t := ledger__insert_transfer(
            w.id, ledger__system('expired', w.asset), free, 'expire',
            format('lot:%s:expire:%s', l.id, l.remaining_minor), format('lot:%s:expire', l.id),
            p_at);
        PERFORM ledger__burn(ARRAY[l.id], ARRAY[free], t.id, 'expired');
        UPDATE billing_ledgeraccount SET balance_minor = balance_minor - free WHERE id = w.id;
        expired := expired + 1;
    END LOOP;
    RETURN expired;
END $$;
