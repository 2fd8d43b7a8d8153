"""For whom a tool is called: a step, or one of several things that a step does side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vtoc_bots.core.ports import Blobs
from vtoc_bots.core.questions import Inquiry


class Caller(Protocol):
    """What a call needs to know of whoever makes it; an ActionContext is one."""

    @property
    def idempotency_key(self) -> str:
        """The same however often this call is made, and no other call's."""
        ...

    @property
    def blobs(self) -> Blobs:
        """Where large results go."""
        ...

    @property
    def inquiry(self) -> Inquiry:
        """What a person answered so far."""
        ...

    @property
    def can_ask(self) -> bool:
        """Whether there is somebody to be asked."""
        ...

    async def progress(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """Tell the asker how far it is."""
        ...


@dataclass(frozen=True, slots=True)
class PartOf:
    """The caller of one of several calls of a step, under a key of its own."""

    step: Caller
    number: int

    @property
    def idempotency_key(self) -> str:
        """The step's, and the part's number."""
        return f"{self.step.idempotency_key}:{self.number}"

    @property
    def blobs(self) -> Blobs:
        """The step's."""
        return self.step.blobs

    @property
    def inquiry(self) -> Inquiry:
        """Nothing: answers and memos are of calls that are a step's only one."""
        return Inquiry()

    @property
    def can_ask(self) -> bool:
        """As in the step; who asks then is told off, not left without an answer."""
        return self.step.can_ask

    async def progress(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """As the step's."""
        await self.step.progress(text, done, total)
