-- What was asked under an Idempotency-Key, by whom: the same again is answered as before, anything else is refused.
CREATE TABLE vtoc_engine.idempotency (
    scope      text NOT NULL,
    key        text NOT NULL,
    digest     text NOT NULL,
    result     jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_age ON vtoc_engine.idempotency (created_at);

-- Agent actions: asked for through the API and done by a run here, or done elsewhere and told by a webhook. What the
-- station's own table says of one is a copy of this row; told is the revision that was copied.
CREATE TABLE vtoc_engine.agent_actions (
    action_id      text PRIMARY KEY,
    station        text NOT NULL,
    tool_name      text NOT NULL,
    run_id         uuid,
    -- The step whose output is the result; null: the run's card is.
    step           text,
    status         text NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed')),
    request        jsonb,
    response       jsonb,
    error          text,
    channel_slug   text,
    initiator_id   text,
    completed_at   timestamptz,
    revision       integer NOT NULL DEFAULT 1,
    told           integer NOT NULL DEFAULT 0,
    correlation_id uuid NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX agent_actions_run ON vtoc_engine.agent_actions (run_id) WHERE run_id IS NOT NULL AND status IN ('queued', 'running');
CREATE INDEX agent_actions_untold ON vtoc_engine.agent_actions (updated_at) WHERE told < revision;
CREATE INDEX agent_actions_age ON vtoc_engine.agent_actions (created_at);

REVOKE ALL ON vtoc_engine.idempotency, vtoc_engine.agent_actions FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON vtoc_engine.idempotency, vtoc_engine.agent_actions TO vtoc_app;
