-- The engine's tables: the truth that jobs only hint at. Owned by the migration role, used by the engine's login role alone.

CREATE TABLE vtoc_engine.conversations (
    id              text PRIMARY KEY,
    transport       text NOT NULL,
    -- Who delivers its replies: the name of a job queue.
    queue           text NOT NULL,
    station         text,
    -- Two things are done to a conversation, each by one worker at a time: its messages are handled and its replies
    -- delivered. A claim that finds the lease taken raises wakes; the holder looks again before it lets go.
    handle_attempt  integer NOT NULL DEFAULT 0,
    handle_holder   uuid,
    handle_until    timestamptz,
    handle_wakes    bigint NOT NULL DEFAULT 0,
    deliver_attempt integer NOT NULL DEFAULT 0,
    deliver_holder  uuid,
    deliver_until   timestamptz,
    deliver_wakes   bigint NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vtoc_engine.inbox (
    id             uuid PRIMARY KEY,
    transport      text NOT NULL,
    account        text NOT NULL,
    event_id       text NOT NULL,
    conversation   text NOT NULL,
    seq            bigint GENERATED ALWAYS AS IDENTITY,
    body           jsonb NOT NULL,
    state          text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done', 'failed')),
    attempt        integer NOT NULL DEFAULT 0,
    due_at         timestamptz NOT NULL DEFAULT now(),
    error          text,
    correlation_id uuid NOT NULL,
    trace          text,
    received_at    timestamptz NOT NULL DEFAULT now(),
    done_at        timestamptz,
    UNIQUE (transport, account, event_id)
);
CREATE INDEX inbox_open ON vtoc_engine.inbox (conversation, seq) WHERE state = 'new';
CREATE INDEX inbox_due ON vtoc_engine.inbox (due_at) WHERE state = 'new';
CREATE INDEX inbox_age ON vtoc_engine.inbox (received_at);

CREATE TABLE vtoc_engine.runs (
    id             uuid PRIMARY KEY,
    key            text NOT NULL UNIQUE,
    playbook       text NOT NULL,
    title          text NOT NULL,
    role           text,
    station        text NOT NULL,
    source         text NOT NULL,
    digest         text NOT NULL,
    inputs         jsonb NOT NULL,
    conversation   text,
    operator_id    uuid,
    private        boolean NOT NULL DEFAULT false,
    -- A policy asks for an approval that the playbook itself does not declare.
    must_approve   boolean NOT NULL DEFAULT false,
    state          text NOT NULL DEFAULT 'ready'
                   CHECK (state IN ('ready', 'waiting', 'succeeded', 'failed', 'cancelled')),
    waiting_for    text,
    cancel_by      text,
    attempt        integer NOT NULL DEFAULT 0,
    wake_seq       bigint NOT NULL DEFAULT 0,
    due_at         timestamptz,
    holder         uuid,
    lease_until    timestamptz,
    failures       integer NOT NULL DEFAULT 0,
    result         jsonb,
    error          text,
    correlation_id uuid NOT NULL,
    trace          text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    started_at     timestamptz,
    finished_at    timestamptz,
    -- Where its answers go besides the conversation: which message they answer, who alone may see them, and what the
    -- transport needs to know.
    reply          jsonb
);
CREATE INDEX runs_due ON vtoc_engine.runs (due_at) WHERE state IN ('ready', 'waiting');
CREATE INDEX runs_recent ON vtoc_engine.runs (station, created_at DESC);
CREATE INDEX runs_open ON vtoc_engine.runs (conversation) WHERE state IN ('ready', 'waiting');

CREATE TABLE vtoc_engine.steps (
    run_id      uuid NOT NULL REFERENCES vtoc_engine.runs ON DELETE CASCADE,
    step        text NOT NULL,
    index       integer NOT NULL,
    state       text NOT NULL CHECK (state IN ('done', 'skipped', 'failed', 'retrying', 'waiting')),
    attempt     integer NOT NULL,
    tries       integer NOT NULL DEFAULT 1,
    output      jsonb,
    error       text,
    due_at      timestamptz,
    started_at  timestamptz,
    finished_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, step)
);

CREATE TABLE vtoc_engine.approvals (
    id                uuid PRIMARY KEY,
    run_id            uuid NOT NULL REFERENCES vtoc_engine.runs ON DELETE CASCADE,
    step              text NOT NULL DEFAULT '',
    station           text NOT NULL,
    title             text NOT NULL,
    detail            jsonb NOT NULL,
    digest            text NOT NULL,
    quorum            integer NOT NULL CHECK (quorum > 0),
    level             text NOT NULL,
    exclude_requester boolean NOT NULL,
    requester         uuid,
    on_expiry         text NOT NULL CHECK (on_expiry IN ('deny', 'hold')),
    expires_at        timestamptz,
    state             text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'denied', 'expired', 'void', 'held')),
    decided_at        timestamptz,
    correlation_id    uuid NOT NULL,
    trace             text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (run_id, step)
);
CREATE INDEX approvals_open ON vtoc_engine.approvals (station, created_at) WHERE state IN ('open', 'held');

CREATE TABLE vtoc_engine.votes (
    approval_id uuid NOT NULL REFERENCES vtoc_engine.approvals ON DELETE CASCADE,
    operator_id uuid NOT NULL,
    operator    text NOT NULL,
    verdict     text NOT NULL CHECK (verdict IN ('approve', 'deny')),
    reason      text,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (approval_id, operator_id)
);

CREATE TABLE vtoc_engine.outbox (
    id             uuid PRIMARY KEY,
    key            text NOT NULL UNIQUE,
    transport      text NOT NULL,
    conversation   text NOT NULL,
    seq            bigint GENERATED ALWAYS AS IDENTITY,
    kind           text NOT NULL CHECK (kind IN ('reply', 'result', 'progress', 'approval', 'notice', 'page')),
    card           jsonb NOT NULL,
    reply_to       text,
    private_to     text,
    reply_context  jsonb,
    -- A later revision of the card edits the message that was sent.
    revision       integer NOT NULL DEFAULT 0,
    message_id     uuid,
    run_id         uuid,
    state          text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'unknown', 'sent', 'refused', 'expired')),
    receipt        jsonb,
    sent_revision  integer,
    attempt        integer NOT NULL DEFAULT 0,
    tries          integer NOT NULL DEFAULT 0,
    due_at         timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    error          text,
    correlation_id uuid NOT NULL,
    trace          text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    sent_at        timestamptz,
    -- How many copies of it may be shown: it began to be sent that often, and no end of it is known.
    copies         integer NOT NULL DEFAULT 0
);
CREATE INDEX outbox_open ON vtoc_engine.outbox (conversation, seq) WHERE state IN ('due', 'unknown');
CREATE INDEX outbox_due ON vtoc_engine.outbox (due_at) WHERE state IN ('due', 'unknown');
CREATE INDEX outbox_message ON vtoc_engine.outbox (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX outbox_run ON vtoc_engine.outbox (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX outbox_age ON vtoc_engine.outbox (created_at);

CREATE TABLE vtoc_engine.buttons (
    token        text PRIMARY KEY,
    value        jsonb NOT NULL,
    conversation text,
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX buttons_expiry ON vtoc_engine.buttons (expires_at);

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

CREATE TABLE vtoc_engine.blobs (
    sha256     text PRIMARY KEY,
    bytes      bytea NOT NULL,
    type       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX blobs_age ON vtoc_engine.blobs (created_at);

CREATE TABLE vtoc_engine.leases (
    name       text PRIMARY KEY,
    holder     uuid NOT NULL,
    epoch      bigint NOT NULL DEFAULT 1,
    detail     jsonb NOT NULL DEFAULT '{}',
    expires_at timestamptz NOT NULL,
    renewed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vtoc_engine.audit (
    id             uuid PRIMARY KEY,
    at             timestamptz NOT NULL DEFAULT now(),
    actor          text NOT NULL,
    event          text NOT NULL,
    subject        text NOT NULL,
    station        text,
    detail         jsonb,
    detail_digest  text NOT NULL,
    correlation_id uuid NOT NULL,
    -- Given by the sealer: place in the chain, the hash before, and this row's hash.
    position       bigint UNIQUE,
    previous       text,
    hash           text
);
CREATE INDEX audit_unsealed ON vtoc_engine.audit (at, id) WHERE position IS NULL;
CREATE INDEX audit_correlation ON vtoc_engine.audit (correlation_id);

CREATE TABLE vtoc_engine.schedules (
    name       text PRIMARY KEY,
    playbook   text NOT NULL,
    station    text NOT NULL,
    inputs     jsonb NOT NULL DEFAULT '{}',
    cron       text NOT NULL,
    timezone   text NOT NULL DEFAULT 'UTC',
    conversation text,
    is_active  boolean NOT NULL DEFAULT true,
    next_at    timestamptz NOT NULL,
    last_at    timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vtoc_engine.budgets (
    name       text PRIMARY KEY,
    tokens     double precision NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

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
    -- The step whose output is the result; null: the run's card is. Of a remote action, which has no run of its own, the
    -- step that waits for it, as run:step.
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
