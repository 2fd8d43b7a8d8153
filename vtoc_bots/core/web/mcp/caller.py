"""One MCP caller's view of this installation: what is offered to them, each use decided, audited and done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from vtoc_bots.core.access import Ask, Decision, Station, Verdict
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.errors import Forbidden, NotFound
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.observe.tracing import span
from vtoc_bots.core.store.effects import Effects, write_effects
from vtoc_bots.core.web.auth import Principal
from vtoc_bots.core.web.mcp.lookups import LISTED, LOOKUPS
from vtoc_bots.core.web.mcp.offers import (
    Catalogue,
    Client,
    Content,
    Contents,
    Given,
    Offer,
    Prompt,
    is_template,
    offer_at,
)
from vtoc_bots.core.web.mcp.playbook_tool import PlaybookTool
from vtoc_bots.core.web.mcp.prompts import PlaybookPrompt, SituationPrompt
from vtoc_bots.core.web.mcp.results import RunFile
from vtoc_bots.core.web.parts import Parts
from vtoc_bots.core.web.tools import refused
from vtoc_bots.core.web.typed import Call

MOST_SUGGESTED: Final = 100
OURS: Final = Catalogue((*LOOKUPS.values(), RunFile()), (SituationPrompt(),))
"""What every station offers besides its playbooks."""


class Caller:
    """What somebody may see and do by MCP, at the station of their credential."""

    def __init__(self, parts: Parts, principal: Principal, station: Station, catalogue: Catalogue = OURS) -> None:
        self._parts, self.principal, self._station, self._catalogue = parts, principal, station, catalogue

    def tools(self) -> list[Offer]:
        """The tools that the caller may use, perhaps after an approval."""
        return [each for each in self._offers() if each.schema is not None and self._may(each)]

    def resources(self, *, templates: bool) -> list[Offer]:
        """The resources that the caller may read: those with one address, or with a template of it."""
        return [
            each
            for each in self._catalogue.offers
            if each.address is not None and is_template(each.address) == templates and self._may(each)
        ]

    def prompts(self) -> list[Prompt]:
        """The prompts that the caller may use."""
        playbooks = (PlaybookPrompt(tool.playbook, tool.name) for tool in self._playbooks())
        return [each for each in (*self._catalogue.prompts, *playbooks) if self._decision(each.ask()).allowed]

    async def call(self, name: str, arguments: Mapping[str, Any], key: str | None, client: Client) -> Given:
        """Use a tool. Raises NotFound for an unknown one, Forbidden, UsageError and what it raises."""
        offer = next((each for each in self._offers() if each.name == name and each.schema is not None), None)
        if offer is None:
            raise NotFound(f"there is no tool {name[:200]}")
        with span(f"mcp {name}", **{"bot.platform": "mcp", "bot.operation": name}):
            call = self._call(key)
            subject = f"tool:{name}"
            await self._decided(call, "mcp.call", subject, offer.ask(arguments), arguments, general=offer.decides)
            try:
                return await offer.use(call, arguments, client)
            except Forbidden as error:  # it is these arguments that it may not be used with
                await self._audit(call, "mcp.call", subject, arguments, Decision(Verdict.DENY, str(error)))
                raise

    async def read(self, uri: str) -> Contents:
        """Read a resource. Raises as `call` does."""
        offer, parts = self._found(uri)
        with span("mcp read", **{"bot.platform": "mcp", "bot.operation": offer.name}):
            call = self._call()
            await self._decided(call, "mcp.read", f"resource:{uri[:400]}", offer.ask(parts), parts)
            return await offer.read(call, uri, parts)

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> tuple[Prompt, Sequence[Content]]:
        """A prompt and its words. Raises NotFound for an unknown one, Forbidden, and what it raises."""
        found = self._prompt(name)
        with span("mcp prompt", **{"bot.platform": "mcp", "bot.operation": name}):
            await self._decided(self._call(), "mcp.prompt", f"prompt:{name}", found.ask(), arguments, general=True)
            return found, await found.said(arguments, self.read)

    async def watch(self, uri: str) -> str:
        """Note that the caller wants to know when a resource changes; how it is now. Raises as `read` does."""
        offer, parts = self._found(uri)
        call = self._call()
        await self._decided(call, "mcp.watch", f"resource:{uri[:400]}", offer.ask(parts), parts)
        return _digest(await offer.read(call, uri, parts))

    async def glance(self, uri: str) -> str:
        """How a watched resource is now: a digest, which tells nothing but that it changed. Raises as `read` does."""
        offer, parts = self._found(uri)
        decision = await self._parts.access.decide(self.principal.operator, self._station, offer.ask(parts))
        if not decision.at_once:
            raise refused(decision)
        return _digest(await offer.read(self._call(), uri, parts))

    async def suggest_part(self, address: str, part: str, begun: str) -> list[str]:
        """What a part of a resource's template may be, beginning so. Raises NotFound for an unknown template."""
        if not any(each.address == address for each in self.resources(templates=True)):
            raise NotFound(f"there is no resource {address[:200]}")
        values = [self._station.slug] if part == "slug" else []
        if part in LISTED:
            lookup = LOOKUPS[LISTED[part]]
            call, arguments = self._call(), {"limit": MOST_SUGGESTED}
            await self._decided(call, "mcp.read", f"completion:{lookup.name}", lookup.ask(arguments), arguments)
            values = [str(each["id"]) for each in (await lookup.document(call, arguments))["items"]]
        return [value for value in values if value.startswith(begun)]

    def suggest_argument(self, name: str, argument: str, begun: str) -> list[str]:
        """What a prompt's argument may be, beginning so. Raises NotFound for an unknown prompt, and Forbidden."""
        prompt = self._prompt(name)
        decision = self._decision(prompt.ask())
        if not decision.allowed:
            raise refused(decision)
        found = next((each for each in prompt.arguments if each.name == argument), None)
        choices = () if found is None else found.choices
        return [choice for choice in choices if choice.lower().startswith(begun.lower())]

    def _offers(self) -> list[Offer]:
        return [*self._catalogue.offers, *self._playbooks()]

    def _playbooks(self) -> list[PlaybookTool]:
        taken = {each.name for each in self._catalogue.offers}
        library = self._parts.library
        here = (each for each in library.at(self._station.role) if library.is_for_programs(each))
        return [PlaybookTool(each, f"playbook.{each.id}" if each.id in taken else each.id) for each in here]

    def _found(self, uri: str) -> tuple[Offer, dict[str, str]]:
        found = offer_at(self._catalogue.offers, uri)
        if found is None:
            raise NotFound(f"there is no resource {uri[:200]}")
        return found

    def _prompt(self, name: str) -> Prompt:
        playbooks = (PlaybookPrompt(tool.playbook, tool.name) for tool in self._playbooks())
        found = next((each for each in (*self._catalogue.prompts, *playbooks) if each.name == name), None)
        if found is None:
            raise NotFound(f"there is no prompt {name[:200]}")
        return found

    def _call(self, key: str | None = None) -> Call:
        return Call(None, self._parts, self.principal, self._station, new_id(), key)

    def _may(self, offer: Offer) -> bool:
        decision = self._decision(offer.ask(None))
        return decision.allowed if offer.decides else decision.at_once

    def _decision(self, ask: Ask) -> Decision:
        return self._parts.access.decide_now(self.principal.operator, self._station, ask)

    async def _decided(
        self, call: Call, event: str, subject: str, ask: Ask, arguments: Mapping[str, Any], *, general: bool = False
    ) -> None:
        """Decide and note it; `general`: it is decided again on what the arguments come to. Raises Forbidden, unless it
        is `general` also for what needs an approval."""
        access, operator = self._parts.access, self.principal.operator
        if general:
            decision = access.decide_now(operator, self._station, ask)
        else:
            decision = await access.decide(operator, self._station, ask)
        await self._audit(call, event, subject, arguments, decision)
        if not (decision.allowed if general else decision.at_once):
            raise refused(decision)

    async def _audit(
        self, call: Call, event: str, subject: str, arguments: Mapping[str, Any], decision: Decision
    ) -> None:
        """Note what is about to be done, or was refused."""
        row = audit_row(
            actor=self.principal.actor,
            event=event,
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


def _digest(contents: Contents) -> str:
    data = contents.data.encode() if isinstance(contents.data, str) else contents.data
    return hashlib.sha256(data).hexdigest()
