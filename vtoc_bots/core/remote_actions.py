"""Actions that a remote AgentKit does for runs: posted once, awaited while the run is parked, told as they end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

import aiohttp
import orjson

from vtoc_bots.core.agent_actions import AgentActions
from vtoc_bots.core.clients.agentkit import AgentKit, RemoteAction, register_agentkit
from vtoc_bots.core.clients.answers import Declined
from vtoc_bots.core.clients.registry import Clients
from vtoc_bots.core.elsewhere import Elsewhere
from vtoc_bots.core.errors import ActionError, TransientError, UsageError, VtocError
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.people import People
from vtoc_bots.core.ports import ActionContext, Clock
from vtoc_bots.core.settings import Settings
from vtoc_bots.core.store.agent_actions import FINAL, ActionRow, find_action, report_action, send_action
from vtoc_bots.core.store.effects import Effects, write_effects
from vtoc_bots.core.store.pool import Connection, Store
from vtoc_bots.core.tools import RemoteResult, ToolFile

FIRST_LOOK_SECONDS: Final = 2.0
LONGEST_LOOK_SECONDS: Final = 60.0
HAND_OVER_SECONDS: Final = 600.0
"""How long an AgentKit that can't be reached is asked again to take an action."""
UNKNOWN_SECONDS: Final = 60.0
"""How long an AgentKit may know nothing of an action that it has just taken."""
MOST_GARBAGE: Final = 3
LARGEST_RESULT: Final = 200_000
"""Bytes of a result that stands in a step's output; a larger one is a file."""
_IN_HAND: Final = (409, 425)
"""What a service says to a key whose first request it is still at work on."""


@dataclass(slots=True)
class _Memo:
    """What a step remembers of its action while its run is parked; times are ISO texts."""

    began: str
    until: str
    posts: int = 0
    looks: int = 0
    action_id: str | None = None
    taken: str | None = None

    def kept(self) -> dict[str, Any]:
        """As the step's row keeps it."""
        return {name: getattr(self, name) for name in self.__slots__}


class RemoteActions:
    """Implements ports.Agents. `client` is None where no AgentKit is configured."""

    def __init__(self, client: Callable[[], Awaitable[AgentKit]] | None, store: Store, actions: AgentActions) -> None:
        self._client, self._store, self._actions = client, store, actions

    async def call(
        self, ctx: ActionContext, tool: str, given: Mapping[str, Any], within_seconds: float
    ) -> RemoteResult:
        """Have a tool called there, and give what came of it.

        Raises Elsewhere while it is awaited, UsageError outside a run, and ActionError where it failed, or where nobody
        can tell whether it was done.
        """
        if self._client is None:
            raise ActionError("no remote AgentKit is configured; set AGENTKIT_API_BASE_URL, then start this run again")
        if ctx.run_id is None:
            raise UsageError("a remote action is a step of a playbook; a command can't wait for it")
        now = ctx.clock.now()
        until = now + timedelta(seconds=within_seconds)
        memo = _Memo(**(ctx.inquiry.memo or {"began": now.isoformat(), "until": until.isoformat()}))
        client = await self._client()
        if memo.action_id is None:
            action = await self._post(client, ctx, memo, tool, given)
        else:
            action = await self._look(client, ctx, memo, tool)
        if action.status not in FINAL:
            self._wait(ctx, memo, f"AgentKit is at work on {tool}{_said(action.said)}", 0.0, tool)
        if action.status == "failed":
            raise ActionError(f"AgentKit could not do {tool}{_said(action.said)}")
        return await _result(ctx, tool, action)

    async def _post(
        self, client: AgentKit, ctx: ActionContext, memo: _Memo, tool: str, given: Mapping[str, Any]
    ) -> RemoteAction:
        """Hand it over, always under the same key, and note whose it is."""
        metadata = {"station": ctx.station.slug, "run_id": str(ctx.run_id), "initiator_id": _initiator(ctx)}
        memo.posts += 1
        try:
            action = await client.post(tool, given, metadata, ctx.idempotency_key)
        except Declined as error:
            if error.status not in _IN_HAND:
                raise
            self._post_again(ctx, memo, tool, error)
        except (TransientError, ActionError) as error:
            self._post_again(ctx, memo, tool, error)
        memo.action_id, memo.taken = action.id, ctx.clock.now().isoformat()
        row = await self._send(ctx, tool, given, action)
        if row is not None and row.status in FINAL:
            return _of_row(row)  # the webhook was here before the answer
        if action.status in FINAL:
            await self._report(ctx, action)
        return action

    def _post_again(self, ctx: ActionContext, memo: _Memo, tool: str, error: VtocError) -> NoReturn:
        is_garbage = isinstance(error, ActionError) and not isinstance(error, Declined)
        past = ctx.clock.now() - datetime.fromisoformat(memo.began)
        if past.total_seconds() >= HAND_OVER_SECONDS or (is_garbage and memo.posts >= MOST_GARBAGE):
            raise ActionError(
                f"{error}. {tool} was asked for {memo.posts} times under one key, so it was done once at most; look in "
                "AgentKit whether it was before you start again"
            ) from error
        self._wait(ctx, memo, f"AgentKit has not taken {tool} yet: {error}", _hint(error), tool)

    async def _look(self, client: AgentKit, ctx: ActionContext, memo: _Memo, tool: str) -> RemoteAction:
        """What has become of it, by the webhook's word or by asking."""
        assert memo.action_id is not None
        assert memo.taken is not None
        row = await find_action(self._store, memo.action_id)
        if row is not None and row.status in FINAL:
            return _of_row(row)
        memo.looks += 1
        try:
            action = await client.look(memo.action_id)
        except VtocError as error:
            past = ctx.clock.now() - datetime.fromisoformat(memo.taken)
            is_unknown = isinstance(error, Declined) and error.status == 404
            if is_unknown and past.total_seconds() >= UNKNOWN_SECONDS:
                raise ActionError(
                    f"AgentKit took {tool} as action {memo.action_id} and knows nothing of it any more; look there "
                    "whether it was done before you start again"
                ) from error
            self._wait(ctx, memo, f"AgentKit can't say how {tool} is: {error}", _hint(error), tool)
        if action.status in FINAL:
            await self._report(ctx, action)
        return action

    def _wait(self, ctx: ActionContext, memo: _Memo, what: str, at_least: float, tool: str) -> NoReturn:
        """Park until the next look. Raises Elsewhere, or ActionError where the time is over."""
        left = (datetime.fromisoformat(memo.until) - ctx.clock.now()).total_seconds()
        if left <= 0:
            place = "" if memo.action_id is None else f" (action {memo.action_id})"
            raise ActionError(
                f"AgentKit did not end {tool}{place} in time. The last: {what}. Look there what becomes of it before "
                "you start again"
            )
        times = min(memo.looks if memo.action_id else memo.posts - 1, 20)
        delay = max(at_least, min(LONGEST_LOOK_SECONDS, FIRST_LOOK_SECONDS * 1.5**times))
        raise Elsewhere(what, memo.kept(), min(delay, left))

    async def _send(
        self, ctx: ActionContext, tool: str, given: Mapping[str, Any], action: RemoteAction
    ) -> ActionRow | None:
        """Note that this step's run waits for the action; its row, None where that was noted before."""
        fallback = new_id()
        await self._actions.belongs(action.id, ctx.station.slug)

        async def work(connection: Connection) -> ActionRow | None:
            row = await send_action(
                connection,
                action.id,
                ctx.station.slug,
                tool,
                ctx.idempotency_key,
                ctx.run_id,
                dict(given),
                _initiator(ctx),
                fallback,
            )
            await self._audit(connection, ctx, row)
            return row

        row = await self._store.run(work, transaction=True, idempotent=True)
        await self._actions.tell(action.id)
        return row

    async def _report(self, ctx: ActionContext, action: RemoteAction) -> None:
        """Keep what became of it, as the webhook would."""
        error = action.said or "failed" if action.status == "failed" else None
        fallback = new_id()

        async def work(connection: Connection) -> None:
            station, result = ctx.station.slug, action.result
            row = await report_action(
                connection, action.id, station, action.status, result, error, None, None, fallback
            )
            await self._audit(connection, ctx, row)

        await self._store.run(work, transaction=True, idempotent=True)
        await self._actions.tell(action.id)

    async def _audit(self, connection: Connection, ctx: ActionContext, row: ActionRow | None) -> None:
        if row is not None:
            audit = self._actions.audit(row, f"run:{ctx.run_id}")
            await write_effects(connection, row.correlation_id, Effects(audit=[audit]))


def remote_agents(
    settings: Settings,
    clients: Clients,
    session: Callable[[], aiohttp.ClientSession],
    clock: Clock,
    metrics: Metrics,
    store: Store,
    people: People,
) -> RemoteActions:
    """Those of the AgentKit that the settings name, whose client is registered here."""
    client = register_agentkit(settings, clients, session, clock, metrics)
    return RemoteActions(client, store, AgentActions(store, people, clock))


async def _result(ctx: ActionContext, tool: str, action: RemoteAction) -> RemoteResult:
    data = orjson.dumps(action.result)
    if len(data) <= LARGEST_RESULT:
        return RemoteResult(action_id=action.id, tool=tool, result=action.result, said=action.said)
    blob = await ctx.blobs.put(data, "application/json")
    kept = ToolFile(blob=blob, name=f"{tool}.json", content_type="application/json", size=len(data))
    return RemoteResult(action_id=action.id, tool=tool, said=action.said, files=(kept,))


def _of_row(row: ActionRow) -> RemoteAction:
    status: Any = row.status
    return RemoteAction(row.action_id, status, row.response, row.error or "")


def _initiator(ctx: ActionContext) -> str | None:
    return None if ctx.operator is None else str(ctx.operator.id)


def _hint(error: VtocError) -> float:
    return (error.after_seconds or 0.0) if isinstance(error, TransientError) else 0.0


def _said(text: str) -> str:
    return f": {' '.join(text.split())[:500]}" if text.strip() else ""
