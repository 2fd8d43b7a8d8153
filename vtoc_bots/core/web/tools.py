"""Playbooks and actions as tools: what a caller may use, and how each is called."""

from __future__ import annotations

from collections.abc import Iterator

from vtoc_bots.core.access import Ask, Decision, Level
from vtoc_bots.core.errors import Forbidden
from vtoc_bots.core.playbooks.inputs import inputs_schema
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.start import playbook_ask
from vtoc_bots.core.ports import ActionSpec
from vtoc_bots.core.web.documents import Answered, Json
from vtoc_bots.core.web.typed import Call


class Tool(Answered):
    """Something that can be executed; `signature` is the JSON Schema of its input."""

    name: str
    description: str
    signature: Json
    metadata: Json


def is_allowed(call: Call, name: str) -> bool:
    """Whether CHATKIT_ALLOWED_TOOLS lets a tool be used."""
    allowed = call.parts.settings.chatkit_allowed_tools
    return not allowed or name in allowed


def refused(decision: Decision) -> Forbidden:
    """Why an operation is refused; what needs an approval can't be done by itself, for nobody could give it."""
    hint = "; this can't be approved, ask for a playbook that does it" if decision.allowed else ""
    return Forbidden(f"{decision.reason}{hint}")


def action_ask(spec: ActionSpec, inputs: dict[str, object] | None) -> Ask:
    """What `Access.decide` is asked about calling an action by itself."""
    return Ask(f"action:{spec.name}", Level.parse(spec.level), frozenset(), inputs, transport="api")


def usable_playbooks(call: Call) -> Iterator[Playbook]:
    """The playbooks of the station's role that the caller may run, perhaps after an approval."""
    for playbook in call.parts.library.at(call.station.role):
        decision = call.parts.access.decide_now(call.principal.operator, call.station, playbook_ask(playbook, None))
        if decision.allowed and call.parts.library.is_for_programs(playbook):
            yield playbook


def playbook_tools(call: Call) -> Iterator[Tool]:
    """The playbooks that the caller may run, perhaps after an approval."""
    for playbook in usable_playbooks(call):
        if is_allowed(call, playbook.id):
            metadata = {"kind": "playbook", "role": playbook.role, "needs_approval": playbook.has_approvals}
            yield Tool(
                name=playbook.id,
                description=playbook.description or playbook.title,
                signature=inputs_schema(playbook),
                metadata=metadata,
            )


def action_tools(call: Call) -> Iterator[Tool]:
    """The actions that the caller may call by themselves."""
    for name, spec in sorted(call.parts.library.actions.items()):
        decision = call.parts.access.decide_now(call.principal.operator, call.station, action_ask(spec, None))
        if decision.allowed and not spec.in_chat and is_allowed(call, name):
            yield Tool(
                name=name,
                description=spec.summary,
                signature=spec.inputs.model_json_schema(),
                metadata={"kind": "action", "sends": spec.sends},
            )
