"""Prompts: what a person picks in their client. Each playbook, as in chat, and the station's situation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vtoc_bots.core.access import Ask, Level
from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.playbooks.inputs import form_field, input_errors, quoted
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.start import playbook_ask
from vtoc_bots.core.web.mcp.offers import Argument, Content, Read

SITUATION: Final = ("vtoc://dashboard", "vtoc://approvals", "vtoc://runs", "vtoc://tracks")
"""What a briefing is made of."""


@dataclass(frozen=True, slots=True)
class PlaybookPrompt:
    """A playbook with its inputs, for a person to pick as they would type its command in chat."""

    playbook: Playbook
    name: str

    @property
    def title(self) -> str:
        """The playbook's title."""
        return self.playbook.title

    @property
    def description(self) -> str:
        """The playbook's own."""
        return self.playbook.description or self.playbook.title

    @property
    def arguments(self) -> Sequence[Argument]:
        """Its inputs."""
        made = []
        for spec in self.playbook.inputs:
            field = form_field(spec)
            choices = tuple(value for value, _ in field.choices)
            made.append(Argument(spec.name, field.help, spec.required and spec.default is None, choices))
        return made

    def ask(self) -> Ask:
        """Whether it may be run."""
        return playbook_ask(self.playbook, None)

    async def said(self, arguments: Mapping[str, str], read: Read) -> Sequence[Content]:
        """Words that ask for it. Raises UsageError for inputs that won't do."""
        for error in input_errors(self.playbook, arguments).values():
            raise error
        lacking = [each.name for each in self.arguments if each.required and not arguments.get(each.name)]
        if lacking:
            raise UsageError(f"{self.playbook.id} needs {' and '.join(lacking)}")
        given = " ".join(f"{name}={quoted(value)}" for name, value in arguments.items() if value)
        inputs = f" with {given}" if given else ""
        return [f"Use the tool {self.name}{inputs}, once, and tell me what came of it and what I should look at."]


@dataclass(frozen=True, slots=True)
class SituationPrompt:
    """A briefing on the station, from what its resources show now."""

    name: str = "situation"
    title: str = "Brief me on the station"
    description: str = "The station's figures, what waits for a decision, its runs and its tracks, to be summed up"
    arguments: tuple[Argument, ...] = ()

    def ask(self) -> Ask:
        """For whoever may look; each resource is decided by itself too."""
        return Ask("mcp:situation", Level.OBSERVER, transport="mcp")

    async def said(self, arguments: Mapping[str, str], read: Read) -> Sequence[Content]:
        """The resources, and what to do with them."""
        words = (
            "Brief me in ten lines: what is going on here, what waits for a decision, and what I should look at first."
        )
        return [*[await read(uri) for uri in SITUATION], words]
