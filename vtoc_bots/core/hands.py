"""Taking up here what was just written here, without a job and without waiting for its notice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol
from uuid import UUID

from vtoc_bots.core.queue import PRIORITY, Hint

MOST_UNBEGUN: Final = 1000


class Takes(Protocol):
    """What the hands need of a queue's Worker."""

    def free(self, places: int) -> Iterable[str]:
        """The entrypoints of its lanes that will be at most half busy with so many jobs more."""
        ...

    def take(self, hint: Hint) -> bool:
        """Begin the work of a job that nobody queued; False when it is not its own."""
        ...


class Hands:
    """The lanes of this process, as its writers see them.

    A row that is taken up at once needs no job. Should the process die before it takes it up, the sweep finds the row,
    as it finds one whose job was lost. Lanes that are half busy take nothing this way: then priorities and other
    processes have their say, by jobs.
    """

    def __init__(self, workers: Sequence[Takes] = ()) -> None:
        """`workers` may grow later."""
        self._workers = workers
        self._unbegun: dict[UUID, None] = {}

    def free(self, places: int) -> list[str]:
        """The entrypoints that have so many places; none unless each kind of work is done here and has them."""
        found = [entrypoint for worker in self._workers for entrypoint in worker.free(places)]
        return found if {entrypoint.partition(".")[0] for entrypoint in found} == PRIORITY.keys() else []

    def take(self, hints: Iterable[Hint]) -> None:
        """Take up what these hints are of; to be called once it is committed."""
        for hint in hints:
            any(worker.take(hint) for worker in self._workers)

    def make(self, outbound_ids: Iterable[UUID]) -> None:
        """Remember that these outbounds are made here and now; to be called before anybody can see them."""
        for outbound_id in outbound_ids:
            self._unbegun[outbound_id] = None
        while len(self._unbegun) > MOST_UNBEGUN:
            del self._unbegun[next(iter(self._unbegun))]

    def unbegun(self) -> list[UUID]:
        """The outbounds made here that have not begun to be sent here."""
        return list(self._unbegun)

    def begin(self, outbound_id: UUID) -> bool:
        """Whether it was made here and begins to be sent for the first time here."""
        return self._unbegun.pop(outbound_id, self) is None
