-- Conversations that live here, what transports remember, and a way from a conversation to its runs.

-- What a transport must know for ever and in every process: which thread of its platform stands for what … The first
-- value under a name stays.
CREATE TABLE vtoc_engine.remembered (
    transport  text NOT NULL,
    account    text NOT NULL,
    name       text NOT NULL,
    value      text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (transport, account, name)
);

-- Conversations that live here, for chat servers with no platform behind them. Bodies are json, not jsonb: they are
-- given back letter by letter.
CREATE TABLE vtoc_engine.threads (
    id         text PRIMARY KEY,
    station    text NOT NULL,
    channel    text NOT NULL,
    -- Who alone sees it; null: everybody at the station.
    owner      text,
    -- What it is for (an alert, a mission, the channel itself): one thread each.
    purpose    text,
    body       json NOT NULL,
    -- Raised with every change of an item, in the same transaction: who has seen up to it has missed nothing.
    changes    bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX threads_purpose ON vtoc_engine.threads (channel, purpose) WHERE purpose IS NOT NULL;
CREATE INDEX threads_recent ON vtoc_engine.threads (station, created_at DESC, id DESC) WHERE deleted_at IS NULL;

CREATE TABLE vtoc_engine.thread_items (
    thread_id  text NOT NULL REFERENCES vtoc_engine.threads ON DELETE CASCADE,
    id         text NOT NULL,
    -- The thread's count of changes when it came, and at its last change.
    place      bigint NOT NULL,
    changed    bigint NOT NULL,
    body       json NOT NULL,
    -- Who alone sees it; null: whoever sees the thread.
    only_for   text,
    -- What stands behind it that nobody is shown: tokens of its choices, whether it is finished.
    behind     jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (thread_id, id)
);
CREATE INDEX thread_items_place ON vtoc_engine.thread_items (thread_id, place);
CREATE INDEX thread_items_changed ON vtoc_engine.thread_items (thread_id, changed);

CREATE TABLE vtoc_engine.thread_files (
    id         text PRIMARY KEY,
    station    text NOT NULL,
    owner      text NOT NULL,
    thread_id  text,
    body       json NOT NULL,
    size       bigint NOT NULL,
    -- Of the bytes once they have come.
    blob       text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX thread_files_age ON vtoc_engine.thread_files (created_at);

CREATE INDEX runs_open ON vtoc_engine.runs (conversation) WHERE state IN ('ready', 'waiting');

REVOKE ALL ON vtoc_engine.remembered, vtoc_engine.threads, vtoc_engine.thread_items, vtoc_engine.thread_files FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE
    ON vtoc_engine.remembered, vtoc_engine.threads, vtoc_engine.thread_items, vtoc_engine.thread_files TO vtoc_app;
