"""A terminal for scripts: a line in, its replies out as plain text, an exit code that says whether all was answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, TextIO

from vtoc_bots import Caps, Clock, Outbound
from vtoc_bots.plugins.terminal.exchange import Exchange, Handed, LineState
from vtoc_bots.plugins.terminal.neutral import neutral_line
from vtoc_bots.plugins.terminal.transport import (
    EXIT_BROKEN_PIPE,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_UNANSWERED,
    TEXT_LIMIT,
    Printout,
)
from vtoc_bots.plugins.terminal.wire import text_from_card

READ_AHEAD: Final = 1000
SHOWN_LETTERS: Final = 60


class PipedFrontEnd:
    """Hands lines over one after the other and prints what is answered.

    A line waits until the one before is answered, or has asked for an approval that a later line may give. `out` takes
    the replies, `err` the reasons why lines have none.
    """

    caps = Caps(buttons=True, files=True, text_limit=TEXT_LIMIT, looks_up_receipts=True)

    def __init__(
        self, lines: AsyncIterator[str], out: TextIO, err: TextIO, *, wait_seconds: float, clock: Clock
    ) -> None:
        self._lines, self._out, self._err = lines, out, err
        self._wait_seconds, self._clock = wait_seconds, clock
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(READ_AHEAD)
        self._read_at = clock.monotonic()
        self._was_read = asyncio.Event()
        self._at_end = False
        self._broken = asyncio.Event()

    async def run(self, exchange: Exchange) -> int:
        """Serve until every line is answered after the last; the exit code. See the README for its values."""
        self._read_at = self._clock.monotonic()
        reading = asyncio.create_task(self._read())
        talking = asyncio.create_task(self._talk(exchange))
        waiting = [talking, asyncio.create_task(self._time_out(exchange)), asyncio.create_task(self._broken.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.is_set():
                return EXIT_BROKEN_PIPE
            if talking.done():
                talking.result()
            return self._result(exchange, f"no final answer within {self._wait_seconds:g} s")
        except asyncio.CancelledError:
            self._result(exchange, "interrupted; its replies are printed when the terminal is started again")
            raise
        finally:
            await _cancelled(reading, *waiting)

    async def show(self, printout: Printout) -> None:
        """Print a card, and an empty line after it."""
        text = text_from_card(printout.outbound.card, printout.saved, may_be_repeat=printout.may_be_repeat)
        try:
            await asyncio.to_thread(self._write, f"{text}\n\n", printout)
        except OSError:
            self._broken.set()
            raise

    async def show_progress(self, outbound: Outbound) -> None:
        """Nothing: a script waits for the result."""

    def _write(self, text: str, printout: Printout) -> None:
        encoding = self._out.encoding or "utf-8"
        with printout.noted():
            self._out.write(text.encode(encoding, "replace").decode(encoding))
            self._out.flush()

    async def _read(self) -> None:
        try:
            async for line in self._lines:
                if line.strip():
                    self._read_at = self._clock.monotonic()
                    self._was_read.set()
                    await self._queue.put(line)
        except OSError as error:
            self._say(f"the input can't be read on: {error.strerror or error}")
        self._at_end = True
        self._was_read.set()
        await self._queue.put(None)

    async def _talk(self, exchange: Exchange) -> None:
        """Hand over line by line to the end of input, then wait for what is not answered yet."""
        while True:
            line = await self._queue.get()
            if line is None:
                break
            handed = await exchange.hand_over(line)
            await exchange.settled(handed)
            if handed.state is LineState.REFUSED:
                return
        await exchange.answered()

    async def _time_out(self, exchange: Exchange) -> None:
        """Return when the last line was read too long ago and one of ours is unanswered, or there is no more input."""
        while True:
            self._was_read.clear()
            left = self._read_at + self._wait_seconds - self._clock.monotonic()
            if left > 0:
                await self._clock.sleep(left)
            elif not self._at_end and self._queue.empty() and not any(line.number for line in exchange.lines):
                await self._was_read.wait()  # a script that thinks: nothing it gave is unanswered
            else:
                return

    def _result(self, exchange: Exchange, because: str) -> int:
        """Say what is not answered and why; the exit code."""
        refused = False
        mine = [line for line in exchange.lines if line.number]
        for line in exchange.lines:
            refused = refused or line.state is LineState.REFUSED
            self._say(_reason(line, because))
        left = self._unread()
        if left:
            self._say(f"{left} more not handed over: they come after a line that is not answered")
        if refused:
            return EXIT_FAILED
        return EXIT_UNANSWERED if mine or left else EXIT_OK

    def _unread(self) -> int:
        count = 0
        while not self._queue.empty():
            count += self._queue.get_nowait() is not None
        return count

    def _say(self, text: str) -> None:
        with suppress(OSError):
            print(f"vtoc-bots chat: {text}", file=self._err, flush=True)


def _reason(line: Handed, because: str) -> str:
    which = f"line {line.number}" if line.number else "a line from before the restart"
    return f"{which}, {neutral_line(line.text)[:SHOWN_LETTERS]!r}, {line.state.value} ({line.problem or because})"


async def _cancelled(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
