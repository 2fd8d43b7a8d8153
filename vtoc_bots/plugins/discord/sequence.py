"""Which events of a gateway session were taken care of, so that a resumed session begins with those that were not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass(slots=True)
class Session:
    """A gateway session. Discord replays what came after the sequence number that we resume with."""

    id: str
    resume_url: str
    last: int
    """The number of the latest packet."""
    _open: dict[int, None] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """Everything up to this number was taken care of."""
        return next(iter(self._open)) - 1 if self._open else self.last

    def heard(self, number: int) -> None:
        """A packet came. After a resume the numbers begin again where we asked for."""
        self.last = max(self.last, number)

    def begin(self, number: int) -> bool:
        """An event is to be taken care of; False where that is under way already."""
        if number in self._open:
            return False
        self._open[number] = None
        return True

    def done(self, number: int) -> None:
        """It is."""
        self._open.pop(number, None)


class SessionFile:
    """Remembers a shard's session over restarts, so that what came meanwhile is asked for.

    What is remembered may be older than the truth: events that are replayed are known by their ids.
    """

    def __init__(self, folder: Path, account: str, shard_id: int, shard_count: int) -> None:
        self._path = folder / "discord" / f"{account}-{shard_id}-of-{shard_count}.json"
        self._stored: Mapping[str, Any] | None = None

    def load(self) -> Session | None:
        """The session that was remembered, if any."""
        with suppress(OSError, ValueError, KeyError, TypeError):  # none, or none that can be used
            stored = orjson.loads(self._path.read_bytes())
            return Session(str(stored["id"]), str(stored["resume_url"]), int(stored["sequence"]))
        return None

    def save(self, session: Session | None) -> None:
        """Remember it; None forgets."""
        if session is None:
            self._stored = None
            self._path.unlink(missing_ok=True)
            return
        stored = {"id": session.id, "resume_url": session.resume_url, "sequence": session.settled}
        if stored == self._stored:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(stored))
        fresh.replace(self._path)
        self._stored = stored
