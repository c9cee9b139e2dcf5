-- An invoice that has its number is final: it was given to somebody.

CREATE OR REPLACE FUNCTION invoice_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'invoice %-% is issued: correct it by a credit note', OLD.series, OLD.number
        USING ERRCODE = 'LG008';
END $$;

CREATE OR REPLACE TRIGGER invoice_is_final BEFORE UPDATE OR DELETE ON billing_invoice
    FOR EACH ROW WHEN (OLD.number IS NOT NULL) EXECUTE FUNCTION invoice_refuse_change();
