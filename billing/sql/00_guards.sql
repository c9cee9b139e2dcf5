-- Nobody writes the ledger's tables but the functions of this folder, which set ledger.writer.
-- A session could set it by hand: this stops accidents; docs/ledger.md shows the set-up with
-- separate database roles that stops intent.

CREATE OR REPLACE FUNCTION ledger_refuse_write() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: only the ledger functions write ledger tables',
        TG_OP, TG_TABLE_NAME USING ERRCODE = 'LG008';
END $$;

DO $$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY[
        'billing_ledgeraccount', 'billing_transfer', 'billing_lot', 'billing_lotuse',
        'billing_hold', 'billing_holdlot', 'billing_spendcapperiod', 'billing_accountsnapshot'
    ] LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER ledger_functions_only BEFORE INSERT OR UPDATE ON %I
             FOR EACH STATEMENT WHEN (current_setting(''ledger.writer'', true) IS DISTINCT FROM ''on'')
             EXECUTE FUNCTION ledger_refuse_write()', guarded);
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER ledger_never_forgets BEFORE DELETE OR TRUNCATE ON %I
             FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_write()', guarded);
    END LOOP;
    CREATE OR REPLACE TRIGGER ledger_transfer_is_final BEFORE UPDATE ON billing_transfer
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_write();
    -- Rows next to the ones in use leave room for new versions of them on the same page.
    ALTER TABLE billing_ledgeraccount SET (fillfactor = 60);
    ALTER TABLE billing_lot SET (fillfactor = 70);
    ALTER TABLE billing_hold SET (fillfactor = 80);
END $$;
