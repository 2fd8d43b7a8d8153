-- One station role's tables. @schema@ stands for the role's schema; its database role is vtoc_@schema@.
-- Every table carries station_id, and a session sees and writes the rows of the station in its claims alone.

CREATE FUNCTION @schema@.touch() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;

-- Puts row-level security on a table; a partition needs its own.
CREATE FUNCTION @schema@.guard(guarded regclass) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', guarded);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', guarded);
    EXECUTE format(
        'CREATE POLICY station ON %s TO vtoc_@schema@ USING (%2$s) WITH CHECK (%2$s)',
        guarded,
        'station_id = (SELECT (nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb ->> ''station_id'')::uuid)'
    );
    -- The owner, for the functions below: forced security binds it too where it is no superuser.
    EXECUTE format('CREATE POLICY keeper ON %s TO CURRENT_USER USING (true) WITH CHECK (true)', guarded);
END $$;

CREATE TABLE @schema@.telemetry_sources (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    station_id       uuid NOT NULL,
    name             text NOT NULL,
    slug             text NOT NULL,
    source_type      text NOT NULL,
    description      text NOT NULL DEFAULT '',
    is_active        boolean NOT NULL DEFAULT true,
    connection_mode  text NOT NULL DEFAULT 'online' CHECK (connection_mode IN ('online', 'offline', 'chatkit')),
    configuration    jsonb NOT NULL DEFAULT '{}',
    last_ingested_at timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (station_id, slug),
    -- What the foreign keys of this schema point at: a row refers to its own station's rows alone.
    UNIQUE (station_id, id)
);

-- No foreign key to the source: a batch would lock that row once an event, against each other and its last_ingested_at.
CREATE TABLE @schema@.telemetry_events (
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    source_id        uuid NOT NULL,
    station_id       uuid NOT NULL,
    event_time       timestamptz NOT NULL,
    received_at      timestamptz NOT NULL DEFAULT now(),
    latitude         double precision,
    longitude        double precision,
    altitude         double precision,
    altitude_datum   text,
    heading          double precision,
    speed            double precision,
    vertical_rate    double precision,
    on_ground        boolean,
    entity_id        text NOT NULL,
    entity_namespace text NOT NULL,
    callsign         text,
    accuracy_m       double precision,
    position_kind    text,
    squawk           text,
    category         text,
    stale_at         timestamptz,
    exercise         boolean NOT NULL DEFAULT false,
    payload          jsonb NOT NULL DEFAULT '{}',
    raw_data         text,
    status           text NOT NULL DEFAULT 'received',
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, event_time)
) PARTITION BY RANGE (event_time);
CREATE INDEX telemetry_events_station ON @schema@.telemetry_events (station_id, event_time DESC, id DESC);
CREATE INDEX telemetry_events_source ON @schema@.telemetry_events (source_id, event_time DESC, id DESC);

-- Replayed captures and wrong clocks; what is of a day to come moves to that day's partition when it is made.
CREATE TABLE @schema@.telemetry_events_default PARTITION OF @schema@.telemetry_events DEFAULT;
CREATE INDEX telemetry_events_default_age ON @schema@.telemetry_events_default (received_at);

CREATE TABLE @schema@.telemetry_latest (
    source_id        uuid NOT NULL,
    entity_namespace text NOT NULL,
    entity_id        text NOT NULL,
    station_id       uuid NOT NULL,
    event_time       timestamptz NOT NULL,
    received_at      timestamptz NOT NULL DEFAULT now(),
    latitude         double precision,
    longitude        double precision,
    altitude         double precision,
    altitude_datum   text,
    heading          double precision,
    speed            double precision,
    vertical_rate    double precision,
    on_ground        boolean,
    callsign         text,
    accuracy_m       double precision,
    position_kind    text,
    squawk           text,
    category         text,
    stale_at         timestamptz,
    exercise         boolean NOT NULL DEFAULT false,
    payload          jsonb NOT NULL DEFAULT '{}',
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_id, entity_namespace, entity_id),
    FOREIGN KEY (station_id, source_id) REFERENCES @schema@.telemetry_sources (station_id, id) ON DELETE CASCADE
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0);
-- No index on a time: each row is written every second, and stays on its page only if no indexed column changes.
CREATE INDEX telemetry_latest_station ON @schema@.telemetry_latest (station_id);

CREATE TABLE @schema@.station_assignments (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    station_id uuid NOT NULL,
    source_id  uuid NOT NULL,
    role       text NOT NULL DEFAULT 'primary',
    is_active  boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (station_id, source_id),
    FOREIGN KEY (station_id, source_id) REFERENCES @schema@.telemetry_sources (station_id, id) ON DELETE CASCADE
);

CREATE TABLE @schema@.agent_action_audits (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    action_id        text NOT NULL UNIQUE,
    station_id       uuid NOT NULL,
    tool_name        text NOT NULL,
    status           text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'succeeded', 'failed')),
    request_payload  jsonb,
    response_payload jsonb,
    error_message    text,
    completed_at     timestamptz,
    channel_slug     text,
    initiator_id     text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX agent_action_audits_recent ON @schema@.agent_action_audits (station_id, created_at DESC, id DESC);

CREATE TABLE @schema@.missions (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    station_id        uuid NOT NULL,
    code              text NOT NULL,
    name              text NOT NULL,
    description       text NOT NULL DEFAULT '',
    status            text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'in_progress', 'completed', 'failed')),
    priority          text NOT NULL DEFAULT 'medium' CHECK (priority IN ('low', 'medium', 'high', 'critical')),
    phase             text NOT NULL DEFAULT '',
    chatkit_thread_id text,
    assigned_to       text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (station_id, code),
    UNIQUE (station_id, id)
);

CREATE TABLE @schema@.mission_logs (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    station_id     uuid NOT NULL,
    mission_id     uuid,
    logged_at      timestamptz NOT NULL DEFAULT now(),
    author         text NOT NULL DEFAULT '',
    operator_id    uuid,
    channel_slug   text,
    entry          text NOT NULL,
    payload        jsonb NOT NULL DEFAULT '{}',
    correlation_id uuid,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (station_id, mission_id) REFERENCES @schema@.missions (station_id, id)
);
CREATE INDEX mission_logs_recent ON @schema@.mission_logs (station_id, logged_at DESC, id DESC);
CREATE INDEX mission_logs_mission ON @schema@.mission_logs (station_id, mission_id);

-- What the station was alerted of, once a key; whoever acknowledges it first is who did.
CREATE TABLE @schema@.alerts (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    station_id      uuid NOT NULL,
    key             text NOT NULL,
    title           text NOT NULL,
    card            jsonb NOT NULL DEFAULT '{}',
    severity        text NOT NULL DEFAULT 'bad' CHECK (severity IN ('plain', 'good', 'warning', 'bad')),
    raised_at       timestamptz NOT NULL DEFAULT now(),
    acknowledged_at timestamptz,
    acknowledged_by text,
    acknowledger_id uuid,
    acknowledgement uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (station_id, key),
    CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL))
);
CREATE INDEX alerts_recent ON @schema@.alerts (station_id, raised_at DESC, id DESC);
CREATE INDEX alerts_open ON @schema@.alerts (station_id, raised_at DESC, id DESC) WHERE acknowledged_at IS NULL;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['telemetry_sources', 'telemetry_events', 'telemetry_events_default', 'telemetry_latest',
                                'station_assignments', 'agent_action_audits', 'missions', 'mission_logs', 'alerts'] LOOP
        PERFORM @schema@.guard(format('@schema@.%I', name)::regclass);
        IF name NOT LIKE 'telemetry_events%' AND name <> 'telemetry_latest' THEN
            EXECUTE format('CREATE TRIGGER touch BEFORE UPDATE ON @schema@.%I FOR EACH ROW EXECUTE FUNCTION @schema@.touch()', name);
        END IF;
    END LOOP;
END $$;

-- Makes the day partitions (UTC) that are missing among `days` days from `first`; says how many it made.
CREATE FUNCTION @schema@.make_partitions(first date, days integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    day  date;
    name text;
    made integer := 0;
BEGIN
    IF days NOT BETWEEN 1 AND 366 THEN
        RAISE EXCEPTION 'make_partitions: days must be 1 to 366, not %', days;
    END IF;
    -- One maker at a time: two would collide on the same name.
    PERFORM pg_advisory_xact_lock(hashtextextended('@schema@.make_partitions', 0));
    FOR day IN SELECT first + n FROM generate_series(0, days - 1) AS n LOOP
        name := 'telemetry_events_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('@schema@.' || name) IS NOT NULL;
        EXECUTE format('CREATE TABLE @schema@.%I (LIKE @schema@.telemetry_events INCLUDING DEFAULTS)', name);
        -- Rows of that day that came before their partition, or it could not be attached.
        EXECUTE format(
            'WITH moved AS (DELETE FROM @schema@.telemetry_events_default WHERE event_time >= %L AND event_time < %L RETURNING *)'
            ' INSERT INTO @schema@.%I SELECT * FROM moved',
            day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC', name
        );
        EXECUTE format(
            'ALTER TABLE @schema@.telemetry_events ATTACH PARTITION @schema@.%I FOR VALUES FROM (%L) TO (%L)',
            name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC'
        );
        PERFORM @schema@.guard(format('@schema@.%I', name)::regclass);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Drops the day partitions before `day`, and what arrived before it in the default one; says how many partitions went.
CREATE FUNCTION @schema@.drop_partitions(before date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old     regclass;
    dropped integer := 0;
BEGIN
    FOR old IN
        SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = '@schema@.telemetry_events'::regclass
          AND relname ~ '^telemetry_events_[0-9]{8}$' AND to_date(right(relname, 8), 'YYYYMMDD') < before
    LOOP
        EXECUTE format('DROP TABLE %s', old);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM @schema@.telemetry_events_default WHERE received_at < before::timestamp AT TIME ZONE 'UTC';
    RETURN dropped;
END $$;

REVOKE ALL ON SCHEMA @schema@ FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA @schema@ FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA @schema@ FROM PUBLIC;
GRANT USAGE ON SCHEMA @schema@ TO vtoc_@schema@, vtoc_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    @schema@.telemetry_sources, @schema@.telemetry_events, @schema@.telemetry_latest, @schema@.station_assignments,
    @schema@.agent_action_audits, @schema@.missions, @schema@.mission_logs, @schema@.alerts
    TO vtoc_@schema@;
GRANT EXECUTE ON FUNCTION @schema@.make_partitions(date, integer), @schema@.drop_partitions(date) TO vtoc_app;

SELECT @schema@.make_partitions((now() AT TIME ZONE 'UTC')::date - 1, 9);
