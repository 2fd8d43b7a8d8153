"""What an action is given in a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from vtoc_bots.core.access import Operator, Station
from vtoc_bots.core.ports import Blobs, Clock, Services
from vtoc_bots.core.questions import Inquiry


@dataclass(slots=True)
class StepContext:
    """What an action is given in a run."""

    run_id: UUID | None
    step_id: str
    station: Station
    operator: Operator | None
    clock: Clock
    services: Services
    _tell: Callable[[str, str, int | None, int | None], None]
    _remember: Callable[[Mapping[str, Any]], Awaitable[None]]
    inquiry: Inquiry = field(default_factory=Inquiry)
    can_ask: bool = False
    prompt: str = ""

    @property
    def idempotency_key(self) -> str:
        """``run:step``."""
        return f"{self.run_id}:{self.step_id}"

    @property
    def blobs(self) -> Blobs:
        """Where large results go."""
        return self.services.blobs

    async def progress(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """Tell the asker how far it is."""
        self._tell(self.step_id, text, done, total)

    async def keep(self, memo: Mapping[str, Any]) -> None:
        """Remember this of the step, now."""
        await self._remember(memo)
