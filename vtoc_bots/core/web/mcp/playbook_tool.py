"""A playbook as a tool: what it lacks is asked, a run is started once and followed, and its result is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from vtoc_bots.core.access import Ask
from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import NotFound, UsageError
from vtoc_bots.core.forms import FormField
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.markup import text_of_card
from vtoc_bots.core.playbooks.inputs import bind_inputs, inputs_schema
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.start import playbook_ask
from vtoc_bots.core.web.api.runs import get_run
from vtoc_bots.core.web.mcp.offers import DIALECT, JSON, Client, Contents, Given, Level
from vtoc_bots.core.web.mcp.results import attached
from vtoc_bots.core.web.run_events import ENDED
from vtoc_bots.core.web.starting import start_playbook
from vtoc_bots.core.web.typed import KEY, Call

WAIT_SECONDS: Final = 25.0
"""How long a playbook's tool waits for its run to end; clients usually wait 60 s for an answer."""


@dataclass(frozen=True, slots=True)
class PlaybookTool:
    """One playbook, under its id or, where that is taken, ``playbook.ID``."""

    playbook: Playbook
    name: str
    changes: bool = True
    decides: bool = True
    address: str | None = None
    content_type: str = JSON

    @property
    def title(self) -> str:
        """The playbook's title."""
        return self.playbook.title

    @property
    def description(self) -> str:
        """The playbook's own, and that people must approve it, where they must."""
        approval = " People must approve it in chat before it acts." if self.playbook.has_approvals else ""
        return f"{self.playbook.description or self.playbook.title}{approval}"

    @property
    def schema(self) -> Mapping[str, Any]:
        """Its inputs."""
        return {"$schema": DIALECT, **inputs_schema(self.playbook)}

    def ask(self, arguments: Mapping[str, Any] | None) -> Ask:
        """Whether it may be run at all; on its inputs it is decided when they are known."""
        return playbook_ask(self.playbook, None)

    async def read(self, call: Call, uri: str, parts: Mapping[str, str]) -> Contents:
        """Not a resource."""
        raise NotFound(f"there is no resource {uri[:200]}")

    async def use(self, call: Call, arguments: Mapping[str, Any], client: Client) -> Given:
        """Start a run, tell how far it comes, and give its result, or how it is after WAIT_SECONDS."""
        if call.key is not None and not KEY.fullmatch(call.key):
            raise UsageError("an idempotency key is 1 to 255 printable ASCII characters without spaces")
        whole = await self._completed(arguments, client)
        about = json.dumps([call.station.slug, self.playbook.id, whole], sort_keys=True)
        call = replace(call, digest=hashlib.sha256(about.encode()).hexdigest())
        run_id = await start_playbook(call, self.playbook, whole)
        await _watched(call, run_id, len(self.playbook.every_step), client)
        run = await get_run.call(call, run_id=run_id)
        document = get_run.answer.dump_python(run, mode="json") if get_run.answer is not None else {}
        shown = await attached(call, run) if run.state == "succeeded" else []
        return Given((_story(run), *shown), document, failed=run.state in ("failed", "cancelled"))

    async def _completed(self, arguments: Mapping[str, Any], client: Client) -> dict[str, Any]:
        """The arguments, with what a person says to those that lack. Raises UsageError."""
        missing = bind_inputs(self.playbook, arguments).missing
        if not missing or not client.can_ask:
            return dict(arguments)
        names = " and ".join(field.name for field in missing)
        said = await client.ask(f"{self.playbook.title} needs {names}", _form(missing))
        if said is None:
            raise UsageError(f"{self.playbook.title} was not started: nobody said what {names} is to be")
        asked = {field.name for field in missing}
        return {**arguments, **{name: value for name, value in said.items() if name in asked}}


def _form(fields: Sequence[FormField]) -> dict[str, Any]:
    """A form as the protocol's restricted JSON Schema has it: texts, as people write them, and choices."""
    properties: dict[str, Any] = {}
    for field in fields:
        entry: dict[str, Any] = {"type": "string", "title": field.label}
        if field.help:
            entry["description"] = field.help
        if field.choices:
            entry["oneOf"] = [{"const": value, "title": label} for value, label in field.choices]
        if field.default is not None:
            entry["default"] = field.default
        properties[field.name] = entry
    return {"type": "object", "properties": properties, "required": [field.name for field in fields if field.required]}


async def _watched(call: Call, run_id: UUID, steps: int, client: Client) -> None:
    """Tell of the run until it ends, waits for people, or WAIT_SECONDS are over."""
    clock = call.parts.clock
    until = clock.monotonic() + WAIT_SECONDS
    known: dict[str, str] = {}
    told = 0
    async with call.parts.watch.watch(run_id, call.principal.actor) as watcher:
        while (left := until - clock.monotonic()) > 0:
            run = await watcher.next(left)
            if run is None:
                return
            for step in run.steps:
                if known.get(step.step) != step.state:
                    known[step.step] = step.state
                    level: Level = "warning" if step.state in ("failed", "retrying") else "info"
                    await client.note(level, {"run": str(run_id), "step": step.step, "state": step.state})
            done = sum(step.state in ("done", "skipped") for step in run.steps)
            if done > told:
                told = done
                await client.tell(done, steps, run.steps[-1].step)
            if run.state in ENDED:
                return
            if run.state == "waiting" and not {"retry", "remote"} & set((run.waiting_for or "").split(", ")):
                return


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
