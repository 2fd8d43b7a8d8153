"""What one transaction of the engine writes besides its own row: outbounds, runs, approvals, buttons, audit, hints."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.queue import Hint, hint_insert
from vtoc_bots.core.store.connection import Connection, Statements

Row = dict[str, Any]


@dataclass(slots=True)
class Effects:
    """Rows to be inserted with the change of one message or run; columns by name."""

    outbox: list[Row] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    approvals: list[Row] = field(default_factory=list)
    buttons: list[Row] = field(default_factory=list)
    dialogs: list[Row] = field(default_factory=list)
    audit: list[Row] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.outbox, self.runs, self.approvals, self.buttons, self.dialogs, self.audit, self.hints))


_QUEUE: Final = hint_insert("SELECT * FROM unnest($1::int[], $2::text[], $3::text[])")
_KINDS: Final = ("outbox", "runs", "approvals", "buttons", "dialogs", "audit")
REVISED: Final = ("progress", "approval", "page")
"""Kinds of outbound that a later one under the same key revises."""


def effect_arguments(owned: Iterable[tuple[UUID, Effects]]) -> list[Any]:
    """The seven arguments of `effects_sql`: a list of rows a table, each with its owner, and the hints."""
    rows: dict[str, list[Row]] = {kind: [] for kind in _KINDS}
    revised: dict[str, Row] = {}
    hints: list[Row] = []
    for owner, effects in owned:
        for kind in _KINDS:
            for row in getattr(effects, kind):
                owned_row = {**row, "owner": owner}
                if kind == "outbox" and row["kind"] in REVISED:
                    # One statement can't revise a row twice: the last of a group is the truth.
                    revised[row["key"]] = owned_row
                else:
                    rows[kind].append(owned_row)
        hints.extend(
            {"owner": owner, "priority": h.priority, "entrypoint": h.entrypoint, "payload": h.payload}
            for h in effects.hints
        )
    rows["outbox"].extend(revised.values())
    return [*(rows[kind] for kind in _KINDS), hints]


def effects_sql(first: int, free: str | None = None) -> str:
    """WITH queries that insert the effects whose owner is in the query `head(id)`.

    `first` is the number of the first of the seven jsonb parameters that `effect_arguments` gives. A progress, approval
    or page outbound that exists is revised; anything else that exists is left alone, so doing it again does nothing.

    With `free`, the parameter of a text[] of entrypoints that the writer takes up itself, no hint is queued: HANDED_SQL
    ends the statement, and `outcomes` takes care of them. Where nothing else is to be sent in the conversation, an
    outbound so handed over is ``unknown`` from the start, since nobody could say whether a writer that died had begun
    to send it. So its beginning needs no commit of its own.
    """
    outbox, runs, approvals, buttons, dialogs, audit, hints = (f"${first + n}" for n in range(7))
    # Even an insert of no rows would notify every lane.
    queued = "" if free else f", new_hints AS ({hint_insert('SELECT * FROM wanted')})"
    return f"""
new_outbox AS (
    INSERT INTO vtoc_engine.outbox AS old (id, key, transport, conversation, kind, card, reply_to, private_to,
        reply_context, message_id, run_id, state, due_at, expires_at, correlation_id, trace)
    SELECT r.id, r.key, r.transport, r.conversation, r.kind, r.card, r.reply_to, r.private_to, r.reply_context,
        r.message_id, r.run_id,
        CASE WHEN r.kind <> 'progress' AND coalesce(r.delay, 0) = 0
            AND EXISTS (SELECT 1 FROM vtoc_engine.conversations c WHERE c.id = r.conversation
                AND 'deliver.' || c.queue = ANY({free or "'{}'"}) AND coalesce(c.deliver_until < now(), true))
            AND NOT EXISTS (SELECT 1 FROM vtoc_engine.outbox earlier
                WHERE earlier.conversation = r.conversation AND earlier.state IN ('due', 'unknown')
                    AND earlier.kind <> 'progress')
        THEN 'unknown' ELSE 'due' END,
        now() + make_interval(secs => coalesce(r.delay, 0)),
        now() + make_interval(secs => r.keep), r.correlation_id, r.trace
    FROM jsonb_to_recordset({outbox}::jsonb) AS r(owner uuid, id uuid, key text, transport text, conversation text,
        kind text, card jsonb, reply_to text, private_to text, reply_context jsonb, message_id uuid, run_id uuid,
        delay double precision, keep double precision, correlation_id uuid, trace text, only_revise boolean,
        though_unsent boolean)
    JOIN head ON head.id = r.owner
    WHERE r.only_revise IS NOT TRUE
        -- Unknown: it is being sent right now, and would stand there for ever as it is.
        OR EXISTS (SELECT 1 FROM vtoc_engine.outbox sent
            WHERE sent.key = r.key AND (r.though_unsent OR sent.receipt IS NOT NULL OR sent.state = 'unknown'))
    ON CONFLICT (key) DO UPDATE SET
        card = excluded.card,
        revision = old.revision + 1,
        reply_context = coalesce(excluded.reply_context, old.reply_context),
        -- A page answers the press that turned it.
        message_id = CASE WHEN old.kind = 'page' THEN excluded.message_id ELSE old.message_id END,
        correlation_id = CASE WHEN old.kind = 'page' THEN excluded.correlation_id ELSE old.correlation_id END,
        trace = CASE WHEN old.kind = 'page' THEN excluded.trace ELSE old.trace END,
        expires_at = excluded.expires_at,
        state = CASE WHEN old.state IN ('due', 'unknown') THEN old.state ELSE 'due' END,
        due_at = CASE
            WHEN old.state <> 'sent' THEN old.due_at
            WHEN old.kind = 'progress' THEN greatest(now(), old.sent_at + interval '1 second')
            ELSE now() END
    -- Whoever turns a page is answered, whatever became of the one before.
    WHERE old.kind = 'page'
        OR (old.kind IN ('progress', 'approval') AND old.state IN ('due', 'unknown', 'sent')
            -- What stands there already is not edited again.
            AND NOT (old.kind = 'progress' AND old.state = 'sent' AND old.card = excluded.card))
    RETURNING conversation, due_at
), new_runs AS (
    INSERT INTO vtoc_engine.runs (id, key, playbook, title, role, station, source, digest, inputs, conversation,
        operator_id, private, must_approve, correlation_id, trace, reply)
    SELECT r.id, r.key, r.playbook, r.title, r.role, r.station, r.source, r.digest, r.inputs, r.conversation,
        r.operator_id, coalesce(r.private, false), coalesce(r.must_approve, false), r.correlation_id, r.trace,
        r.reply
    FROM jsonb_to_recordset({runs}::jsonb) AS r(owner uuid, id uuid, key text, playbook text, title text, role text,
        station text, source text, digest text, inputs jsonb, conversation text, operator_id uuid, private boolean,
        must_approve boolean, correlation_id uuid, trace text, reply jsonb)
    JOIN head ON head.id = r.owner
    ON CONFLICT (key) DO NOTHING
    RETURNING id
), new_approvals AS (
    INSERT INTO vtoc_engine.approvals (id, run_id, step, station, title, detail, digest, quorum, level,
        exclude_requester, requester, on_expiry, expires_at, correlation_id, trace)
    SELECT r.id, r.run_id, r.step, r.station, r.title, r.detail, r.digest, r.quorum, r.level, r.exclude_requester,
        r.requester, r.on_expiry, r.expires_at, r.correlation_id, r.trace
    FROM jsonb_to_recordset({approvals}::jsonb) AS r(owner uuid, id uuid, run_id uuid, step text, station text,
        title text, detail jsonb, digest text, quorum int, level text, exclude_requester boolean, requester uuid,
        on_expiry text, expires_at timestamptz, correlation_id uuid, trace text)
    JOIN head ON head.id = r.owner
    ON CONFLICT (run_id, step) DO NOTHING
), new_buttons AS (
    INSERT INTO vtoc_engine.buttons (token, value, conversation, expires_at)
    SELECT r.token, r.value, r.conversation, now() + make_interval(secs => r.keep)
    FROM jsonb_to_recordset({buttons}::jsonb) AS r(owner uuid, token text, value jsonb, conversation text,
        keep double precision)
    JOIN head ON head.id = r.owner
    ON CONFLICT (token) DO NOTHING
), new_dialogs AS (
    INSERT INTO vtoc_engine.dialogs AS old (conversation, user_id, id, command, given, asked, expires_at)
    SELECT r.conversation, r.user_id, r.id, r.command, r.given, r.asked, now() + make_interval(secs => r.keep)
    FROM jsonb_to_recordset({dialogs}::jsonb) AS r(owner uuid, conversation text, user_id text, id uuid, command text,
        given jsonb, asked text, keep double precision)
    JOIN head ON head.id = r.owner
    ON CONFLICT (conversation, user_id) DO UPDATE SET id = excluded.id, command = excluded.command,
        given = excluded.given, asked = excluded.asked, expires_at = excluded.expires_at
), new_audit AS (
    INSERT INTO vtoc_engine.audit (id, at, actor, event, subject, station, detail, detail_digest, correlation_id)
    SELECT r.id, r.at, r.actor, r.event, r.subject, r.station, r.detail, r.detail_digest, r.correlation_id
    FROM jsonb_to_recordset({audit}::jsonb) AS r(owner uuid, id uuid, at timestamptz, actor text, event text,
        subject text, station text, detail jsonb, detail_digest text, correlation_id uuid)
    JOIN head ON head.id = r.owner
    ON CONFLICT (id) DO NOTHING
), wanted(priority, entrypoint, payload) AS (
    SELECT 30, 'deliver.' || c.queue, c.id
    FROM (SELECT DISTINCT conversation FROM new_outbox WHERE due_at <= now()) o
    JOIN vtoc_engine.conversations c ON c.id = o.conversation
    UNION ALL SELECT 10, 'advance', id::text FROM new_runs
    UNION ALL SELECT r.priority, r.entrypoint, r.payload
    FROM jsonb_to_recordset({hints}::jsonb) AS r(owner uuid, priority int, entrypoint text, payload text)
    JOIN head ON head.id = r.owner
)
{queued}"""


HANDED_SQL: Final = """
SELECT id, NULL::text AS entrypoint, NULL::text AS payload FROM head
UNION ALL SELECT NULL, entrypoint, payload FROM wanted"""
"""The end of a statement with `effects_sql`: its rows say which heads were changed and what is to be taken up."""


class Outcome(NamedTuple):
    """What became of one item of a group; what the whole group handed over goes with its first."""

    done: bool
    handed: tuple[Hint, ...] = ()


async def outcomes(
    connection: Connection, ids: Sequence[UUID], rows: Iterable[Mapping[str, Any]], free: Collection[str]
) -> list[Outcome]:
    """An outcome an id, from the rows of `HANDED_SQL`; what is not of the entrypoints in `free` is queued."""
    done: set[UUID] = set()
    hints: list[Hint] = []
    for row in rows:
        if row["entrypoint"] is None:
            done.add(row["id"])
        else:
            hints.append(Hint(row["entrypoint"], row["payload"]))
    if queued := [hint for hint in hints if hint.entrypoint not in free]:
        columns = zip(*((hint.priority, *hint) for hint in queued), strict=True)
        await connection.execute(_QUEUE, *(list(column) for column in columns))
    made = [Outcome(owner in done) for owner in ids]
    made[0] = Outcome(made[0].done, tuple(hint for hint in hints if hint.entrypoint in free))
    return made


_WRITE: Final = f"WITH head AS (SELECT $1::uuid AS id), {effects_sql(2)} SELECT id FROM head"


async def write_effects(statements: Statements, owner: UUID, effects: Effects) -> None:
    """Insert the effects, in the transaction of `statements` where it is a connection in one."""
    await statements.fetch(_WRITE, owner, *effect_arguments([(owner, effects)]))
