-- PgQueuer's own trigger tells every lane of every process of every job that is queued or ends. This one tells of new jobs
-- alone, and for which entrypoints they are, so that nobody looks for work that is not theirs.
DROP TRIGGER tg_pgqueuer_changed ON vtoc_engine.pgqueuer;
CREATE OR REPLACE FUNCTION vtoc_engine.fn_pgqueuer_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entrypoints text[] := ARRAY(SELECT DISTINCT added.entrypoint FROM added);
BEGIN
    IF entrypoints <> '{}' THEN
        PERFORM pg_notify(
            'ch_pgqueuer',
            json_build_object(
                'channel', 'ch_pgqueuer', 'operation', 'insert', 'sent_at', now(), 'table', 'pgqueuer',
                'type', 'table_changed_event',
                -- A notice has at most 8,000 bytes; one without names is for everybody.
                'entrypoints', CASE WHEN octet_length(array_to_string(entrypoints, ',')) < 6000 THEN entrypoints END
            )::text
        );
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER tg_pgqueuer_changed AFTER INSERT ON vtoc_engine.pgqueuer
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION vtoc_engine.fn_pgqueuer_changed();
