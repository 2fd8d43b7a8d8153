-- Stations, operators and what they may do. Written by the engine; a station reads what concerns it.

CREATE FUNCTION vtoc.touch() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;

CREATE TABLE vtoc.stations (
    id          uuid PRIMARY KEY,
    slug        text NOT NULL UNIQUE CHECK (slug = replace(lower(slug), '_', '-') AND slug NOT IN ('', '*')),
    callsign    text NOT NULL,
    name        text NOT NULL,
    role        text NOT NULL CHECK (role IN ('ops', 'intel', 'logistics')),
    description text NOT NULL DEFAULT '',
    timezone    text NOT NULL DEFAULT 'UTC',
    latitude    double precision CHECK (latitude BETWEEN -90 AND 90),
    longitude   double precision CHECK (longitude BETWEEN -180 AND 180),
    radius_m    double precision CHECK (radius_m > 0),
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CHECK ((latitude IS NULL) = (longitude IS NULL))
);

CREATE TABLE vtoc.operators (
    id              uuid PRIMARY KEY,
    name            text NOT NULL UNIQUE,
    is_active       boolean NOT NULL DEFAULT true,
    -- Slug of the station that the operator works at unless the conversation says otherwise.
    default_station text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vtoc.identities (
    transport   text NOT NULL,
    -- Slack workspace, Discord guild …; empty where the platform's user ids are unique by themselves.
    workspace   text NOT NULL DEFAULT '',
    user_id     text NOT NULL,
    operator_id uuid NOT NULL REFERENCES vtoc.operators ON DELETE CASCADE,
    name        text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (transport, workspace, user_id)
);
CREATE INDEX identities_operator ON vtoc.identities (operator_id);

CREATE TABLE vtoc.levels (
    operator_id uuid NOT NULL REFERENCES vtoc.operators ON DELETE CASCADE,
    -- A station's slug, or '*' for every station.
    station     text NOT NULL,
    level       text NOT NULL CHECK (level IN ('observer', 'operator', 'lead', 'admin')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (operator_id, station)
);
CREATE INDEX levels_station ON vtoc.levels (station);

CREATE TABLE vtoc.invitations (
    code_hash   text PRIMARY KEY,
    operator_id uuid NOT NULL REFERENCES vtoc.operators ON DELETE CASCADE,
    created_by  text NOT NULL DEFAULT '',
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    used_by     text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX invitations_operator ON vtoc.invitations (operator_id);

CREATE TABLE vtoc.api_tokens (
    id           uuid PRIMARY KEY,
    station_id   uuid NOT NULL REFERENCES vtoc.stations ON DELETE CASCADE,
    name         text NOT NULL,
    token_hash   text NOT NULL UNIQUE,
    level        text NOT NULL DEFAULT 'operator' CHECK (level IN ('observer', 'operator', 'lead', 'admin')),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_tokens_station ON vtoc.api_tokens (station_id);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['stations', 'operators', 'identities', 'levels', 'invitations', 'api_tokens'] LOOP
        EXECUTE format('ALTER TABLE vtoc.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE vtoc.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY engine ON vtoc.%I TO vtoc_app USING (true) WITH CHECK (true)', name);
        EXECUTE format('CREATE POLICY keeper ON vtoc.%I TO CURRENT_USER USING (true) WITH CHECK (true)', name);
        EXECUTE format('CREATE TRIGGER touch BEFORE UPDATE ON vtoc.%I FOR EACH ROW EXECUTE FUNCTION vtoc.touch()', name);
    END LOOP;
END $$;

-- A station sees itself, the levels given at it or everywhere, and the operators who hold one of those.
CREATE POLICY station ON vtoc.stations FOR SELECT TO vtoc_ops, vtoc_intel, vtoc_logistics
    USING (id = (SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'station_id')::uuid));
CREATE POLICY station ON vtoc.levels FOR SELECT TO vtoc_ops, vtoc_intel, vtoc_logistics
    USING (
        EXISTS (SELECT FROM vtoc.stations)
        AND (station = '*' OR station = (SELECT slug FROM vtoc.stations))
    );
CREATE POLICY station ON vtoc.operators FOR SELECT TO vtoc_ops, vtoc_intel, vtoc_logistics
    USING (id IN (SELECT operator_id FROM vtoc.levels));
CREATE POLICY station ON vtoc.identities FOR SELECT TO vtoc_ops, vtoc_intel, vtoc_logistics
    USING (operator_id IN (SELECT operator_id FROM vtoc.levels));

REVOKE ALL ON SCHEMA vtoc FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA vtoc FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vtoc FROM PUBLIC;
GRANT USAGE ON SCHEMA vtoc TO vtoc_app, vtoc_ops, vtoc_intel, vtoc_logistics;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA vtoc TO vtoc_app;
GRANT SELECT ON vtoc.stations, vtoc.operators, vtoc.identities, vtoc.levels TO vtoc_ops, vtoc_intel, vtoc_logistics;
