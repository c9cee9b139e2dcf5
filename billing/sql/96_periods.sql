-- No second of a subscription is billed twice. (An exclusion constraint would say the same, but
-- needs an extension that not every PostgreSQL has.)

CREATE OR REPLACE FUNCTION period_refuse_overlap() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    other text;
BEGIN
    -- Two writers of one subscription wait for each other here.
    PERFORM FROM billing_subscription WHERE id = NEW.subscription_id FOR NO KEY UPDATE;
    SELECT source INTO other FROM billing_subscriptionperiod
    WHERE subscription_id = NEW.subscription_id AND id <> NEW.id
      AND tstzrange(starts_at, ends_at) && tstzrange(NEW.starts_at, NEW.ends_at) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'time of % is billed already, by %', NEW.source, other
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'period_never_overlaps';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER period_never_overlaps
    BEFORE INSERT OR UPDATE OF starts_at, ends_at ON billing_subscriptionperiod
    FOR EACH ROW EXECUTE FUNCTION period_refuse_overlap();
