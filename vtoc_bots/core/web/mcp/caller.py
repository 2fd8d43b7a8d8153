"""One MCP caller's view of this installation: tools and resources, each decided, audited, and done as the API does."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import ValidationError

from vtoc_bots.core.access import Ask, Decision, Level, Station, Verdict
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import Forbidden, NotFound, UsageError
from vtoc_bots.core.ids import new_id, short_id
from vtoc_bots.core.markup import text_of_card
from vtoc_bots.core.observe.tracing import span
from vtoc_bots.core.playbooks.actions import explain
from vtoc_bots.core.playbooks.inputs import inputs_schema
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.start import playbook_ask
from vtoc_bots.core.store.effects import Effects, write_effects
from vtoc_bots.core.web.api.runs import get_run
from vtoc_bots.core.web.auth import Principal
from vtoc_bots.core.web.mcp.lookups import LOOKUPS, Lookup, document_of, lookup_at
from vtoc_bots.core.web.parts import Parts
from vtoc_bots.core.web.run_events import ENDED
from vtoc_bots.core.web.starting import start_playbook
from vtoc_bots.core.web.tools import refused
from vtoc_bots.core.web.typed import Call

WAIT_SECONDS: Final = 25.0
"""How long a playbook's tool waits for its run to end; clients usually wait 60 s for an answer."""
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")

Tell = Callable[[float, float | None, str], Awaitable[None]]
"""Takes progress: done, of how much, in words."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool as a client sees it."""

    name: str
    title: str
    description: str
    schema: Mapping[str, Any]
    changes: bool


@dataclass(frozen=True, slots=True)
class Given:
    """What a tool gives: words, and the same as data."""

    text: str
    data: Mapping[str, Any]
    failed: bool = False


class Caller:
    """What somebody may see and do by MCP, at the station of their credential."""

    def __init__(self, parts: Parts, principal: Principal, station: Station) -> None:
        self._parts, self.principal, self._station = parts, principal, station

    def tools(self) -> list[Offered]:
        """The tools that the caller may use, perhaps after an approval."""
        offered = [
            Offered(name, each.operation.summary, _described(each), each.schema, each.changes)
            for name, each in LOOKUPS.items()
            if self._decision(_ask(each)).at_once
        ]
        for playbook in self._parts.library.at(self._station.role):
            if self._decision(playbook_ask(playbook, None)).allowed:
                offered.append(_playbook_tool(playbook))
        return offered

    def resources(self) -> list[tuple[str, Lookup]]:
        """The resources that the caller may read, by their address; templates too."""
        return [
            (f"vtoc://{each.address}", each)
            for each in LOOKUPS.values()
            if each.address is not None and self._decision(_ask(each)).at_once
        ]

    async def call(self, name: str, arguments: Mapping[str, Any], key: str | None, tell: Tell) -> Given:
        """Use a tool. Raises NotFound for an unknown one, Forbidden, UsageError and what the operation raises."""
        with span(f"mcp {name}", **{"bot.platform": "mcp", "bot.operation": name}):
            lookup = LOOKUPS.get(name)
            if lookup is not None:
                document = await self._looked(lookup, arguments, f"tool:{name}")
                return Given(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(), document)
            playbook = self._playbook(name)
            return await self._run(playbook, arguments, key, tell)

    async def read(self, uri: str) -> str:
        """Read a resource as JSON text. Raises as `call` does."""
        found = lookup_at(uri)
        if found is None:
            raise NotFound(f"there is no resource {uri[:200]}")
        lookup, parts = found
        with span("mcp read", **{"bot.platform": "mcp", "bot.operation": lookup.operation.id}):
            document = await self._looked(lookup, parts, f"resource:{uri[:400]}")
            return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()

    async def _looked(self, lookup: Lookup, arguments: Mapping[str, Any], subject: str) -> dict[str, Any]:
        operation = lookup.operation
        call = self._call(None, "")
        decision = await self._parts.access.decide(
            self.principal.operator, self._station, _ask(lookup, dict(arguments))
        )
        await self._audit(call, subject, arguments, decision)
        if not decision.at_once:
            raise refused(decision)
        try:
            values = lookup.values(arguments, self._station.slug)
        except ValidationError as error:
            raise UsageError(f"{operation.id}: {explain(error)}") from error
        slug = values.get("slug", self._station.slug)
        if slug != self._station.slug:
            raise Forbidden(f"this credential is for station {self._station.slug} and for no other")
        return document_of(operation, await operation.call(call, **values))

    async def _run(self, playbook: Playbook, arguments: Mapping[str, Any], key: str | None, tell: Tell) -> Given:
        """Start a run, tell how far it comes, and give its result, or how it is after WAIT_SECONDS."""
        if key is not None and not _KEY.fullmatch(key):
            raise UsageError("an idempotency key is 1 to 255 printable ASCII characters without spaces")
        about = orjson.dumps([playbook.id, dict(arguments)], option=orjson.OPT_SORT_KEYS)
        call = self._call(key, hashlib.sha256(about).hexdigest())
        subject = f"tool:{playbook.id}"
        general = self._parts.access.decide_now(self.principal.operator, self._station, playbook_ask(playbook, None))
        await self._audit(call, subject, arguments, general)
        try:
            run_id = await start_playbook(call, playbook, arguments)
        except Forbidden as error:  # it is these inputs that it may not be started with
            await self._audit(call, subject, arguments, Decision(Verdict.DENY, str(error)))
            raise
        await self._watched(run_id, len(playbook.every_step), tell)
        run = await get_run.call(call, run_id=run_id)
        document = get_run.answer.dump_python(run, mode="json") if get_run.answer is not None else {}
        return Given(_story(run), document, failed=run.state in ("failed", "cancelled"))

    async def _watched(self, run_id: UUID, steps: int, tell: Tell) -> None:
        """Tell of the run until it ends, waits for people, or WAIT_SECONDS are over."""
        clock = self._parts.clock
        until = clock.monotonic() + WAIT_SECONDS
        told = 0
        async with self._parts.watch.watch(run_id) as watcher:
            while (left := until - clock.monotonic()) > 0:
                run = await watcher.next(left)
                if run is None or run.state in ENDED:
                    return
                done = sum(step.state in ("done", "skipped") for step in run.steps)
                if done > told:
                    told = done
                    await tell(done, steps, run.steps[-1].step)
                if run.state == "waiting" and not {"retry", "remote"} & set((run.waiting_for or "").split(", ")):
                    return

    def _playbook(self, name: str) -> Playbook:
        playbook = self._parts.library.find(name.removeprefix("playbook."))
        here = self._parts.library.at(self._station.role)
        if playbook is None or playbook.id not in {each.id for each in here} or name != _tool_name(playbook):
            raise NotFound(f"there is no tool {name[:200]}")
        return playbook

    def _call(self, key: str | None, digest: str) -> Call:
        return Call(None, self._parts, self.principal, self._station, new_id(), key, digest)

    def _decision(self, ask: Ask) -> Decision:
        return self._parts.access.decide_now(self.principal.operator, self._station, ask)

    async def _audit(self, call: Call, subject: str, arguments: Mapping[str, Any], decision: Decision) -> None:
        """Note what is about to be done, or was refused."""
        row = audit_row(
            actor=self.principal.actor,
            event="mcp.call" if subject.startswith("tool:") else "mcp.read",
            subject=subject,
            station=self._station.slug,
            detail={
                "name": self.principal.operator.name,
                "arguments": dict(arguments),
                "verdict": decision.verdict.name,
                "reason": decision.reason,
            },
            correlation_id=call.correlation_id,
            at=self._parts.clock.now(),
        )
        await write_effects(self._parts.store, call.correlation_id, Effects(audit=[row]))


def _ask(lookup: Lookup, arguments: Mapping[str, Any] | None = None) -> Ask:
    """What is decided on: the same as for the API's operation."""
    level = Level(lookup.operation.level)
    return Ask(f"api:{lookup.operation.id}", level, frozenset(), arguments, transport="mcp")


def _described(lookup: Lookup) -> str:
    operation = lookup.operation
    return f"{operation.summary}. {operation.description}".strip()


def _tool_name(playbook: Playbook) -> str:
    return f"playbook.{playbook.id}" if playbook.id in LOOKUPS else playbook.id


def _playbook_tool(playbook: Playbook) -> Offered:
    approval = " People must approve it in chat before it acts." if playbook.has_approvals else ""
    description = f"{playbook.description or playbook.title}{approval}"
    return Offered(_tool_name(playbook), playbook.title, description, inputs_schema(playbook), changes=True)


def _story(run: Any) -> str:
    """How a run is, in words: its result where it has one."""
    if run.state == "succeeded":
        return text_of_card(Card.model_validate(run.result)) if run.result is not None else f"{run.title}: done."
    if run.state in ENDED:
        return f"{run.title}: {run.state}. {run.error or ''}".strip()
    short = short_id(run.id)
    if run.state == "waiting" and "approval" in (run.waiting_for or ""):
        return f"Run {short} waits for people to approve it, which they do in chat. Look again with get_run {run.id}."
    waits = f" for {run.waiting_for}" if run.waiting_for else ""
    state = f"waits{waits}" if run.state == "waiting" else "goes on"
    return f"Run {short} {state}. Look again with get_run {run.id}."
