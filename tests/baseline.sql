-- What the migrations left in each table, kept aside, and the way back to it after a test that
-- committed. Triggers and foreign keys sleep meanwhile (session_replication_role), so the order
-- of tables does not matter and the ledger does not refuse.
CREATE SCHEMA baseline;

DO $$
DECLARE
    name text;
    has_rows boolean;
BEGIN
    FOR name IN SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO has_rows;
        IF has_rows THEN
            EXECUTE format('CREATE TABLE baseline.%I AS TABLE public.%I', name, name);
        END IF;
    END LOOP;
END $$;

CREATE PROCEDURE baseline.restore() LANGUAGE plpgsql AS $$
DECLARE
    name text;
    columns text;
    is_kept boolean;
    has_rows boolean;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO has_rows;
        is_kept := to_regclass(format('baseline.%I', name)) IS NOT NULL;
        IF has_rows THEN
            EXECUTE format('DELETE FROM public.%I', name);
        END IF;
        IF is_kept THEN
            SELECT string_agg(quote_ident(attname), ', ') INTO columns FROM pg_attribute
                WHERE attrelid = format('public.%I', name)::regclass
                AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
            EXECUTE format('INSERT INTO public.%I (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM baseline.%I',
                name, columns, columns, name);
        END IF;
    END LOOP;
    SET LOCAL session_replication_role = origin;
END $$;
