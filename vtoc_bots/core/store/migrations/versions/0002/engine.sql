-- Where a run's answers go besides its conversation: which message they answer, who alone may see them, and what its
-- transport needs to know.
ALTER TABLE vtoc_engine.runs ADD COLUMN reply jsonb;

-- A page is a reply that is replaced by the answer to its own buttons.
ALTER TABLE vtoc_engine.outbox DROP CONSTRAINT outbox_kind_check;
ALTER TABLE vtoc_engine.outbox ADD CONSTRAINT outbox_kind_check
    CHECK (kind IN ('reply', 'result', 'progress', 'approval', 'notice', 'page'));

-- What somebody is being asked, one value after the other, to complete a command.
CREATE TABLE vtoc_engine.dialogs (
    conversation text NOT NULL,
    user_id      text NOT NULL,
    id           uuid NOT NULL,
    command      text NOT NULL,
    given        jsonb NOT NULL,
    asked        text NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (conversation, user_id)
);
CREATE INDEX dialogs_expiry ON vtoc_engine.dialogs (expires_at);
REVOKE ALL ON vtoc_engine.dialogs FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON vtoc_engine.dialogs TO vtoc_app;
