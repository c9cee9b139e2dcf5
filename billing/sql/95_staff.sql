-- The log of staff actions is written once: no reason is changed or forgotten afterwards.

CREATE OR REPLACE FUNCTION staff_action_is_final() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the log of staff actions is final', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'LG008';
END $$;

CREATE OR REPLACE TRIGGER staff_action_is_final
    BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_staffaction
    FOR EACH STATEMENT EXECUTE FUNCTION staff_action_is_final();
