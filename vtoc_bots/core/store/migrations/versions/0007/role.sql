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

SELECT @schema@.guard('@schema@.alerts'::regclass);
CREATE TRIGGER touch BEFORE UPDATE ON @schema@.alerts FOR EACH ROW EXECUTE FUNCTION @schema@.touch();
REVOKE ALL ON @schema@.alerts FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON @schema@.alerts TO vtoc_@schema@;
