"""Taking up here what was just written here, without a job and without waiting for its notice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from vtoc_bots.core.queue import PRIORITY, Hint

MOST_UNBEGUN: Final = 1000


class Takes(Protocol):
    """What the hands need of a queue's Worker."""

    def free(self) -> Iterable[str]:
        """The entrypoints of its lanes that are less than half busy."""
        ...

    def take(self, hint: Hint) -> bool:
        """Begin the work of a job that nobody queued; False when it is not its own."""
        ...


class Handed(NamedTuple):
    """What a statement wrote without hints, because this process said that it takes it up itself."""

    hints: tuple[Hint, ...] = ()
    unbegun: tuple[UUID, ...] = ()
    """Outbounds written as ``unknown`` from the start, whose sending has not begun."""


class Hands:
    """The lanes of this process, as its writers see them.

    A row that is taken up at once needs no job. Should the process die before it takes it up, the sweep finds the row,
    as it finds one whose job was lost. Lanes that are half busy take nothing this way: then priorities and other
    processes decide, by jobs.
    """

    def __init__(self, workers: Sequence[Takes] = ()) -> None:
        """`workers` may grow later."""
        self._workers = workers
        self._unbegun: dict[UUID, None] = {}

    def free(self) -> list[str]:
        """The entrypoints that need no job at the moment; none unless this process does all kinds of work."""
        found = [entrypoint for worker in self._workers for entrypoint in worker.free()]
        return found if {entrypoint.partition(".")[0] for entrypoint in found} == PRIORITY.keys() else []

    def take(self, handed: Handed) -> None:
        """Take up what was written; to be called once it is committed."""
        for outbound_id in handed.unbegun:
            self._unbegun[outbound_id] = None
        while len(self._unbegun) > MOST_UNBEGUN:
            del self._unbegun[next(iter(self._unbegun))]
        for hint in handed.hints:
            any(worker.take(hint) for worker in self._workers)

    def unbegun(self) -> list[UUID]:
        """Outbounds of which only this process can say that their sending has not begun."""
        return list(self._unbegun)

    def begin(self, outbound_id: UUID) -> bool:
        """Whether it was known not to have begun; from now on it is not."""
        return self._unbegun.pop(outbound_id, self) is None
