"""The terminal as a chat platform: lines in, cards out, each card printed once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import structlog

from vtoc_bots import (
    Caps,
    Inbox,
    NotSent,
    Outbound,
    OutboundKind,
    Receipt,
    TransientError,
    TransportContext,
)
from vtoc_bots.plugins.terminal.choices import choices_of_card
from vtoc_bots.plugins.terminal.exchange import Exchange, answered_id
from vtoc_bots.plugins.terminal.files import FileSaver
from vtoc_bots.plugins.terminal.journal import Journal
from vtoc_bots.plugins.terminal.seat import TerminalSeat, sender_of_process
from vtoc_bots.plugins.terminal.wire import Saved

logger = structlog.get_logger(__name__)

TEXT_LIMIT: Final = 10_000_000
EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_UNANSWERED: Final = 3
EXIT_INTERRUPTED: Final = 130
EXIT_BROKEN_PIPE: Final = 141


@dataclass(frozen=True, slots=True)
class Printout:
    """An outbound that is to be printed, its files saved."""

    outbound: Outbound
    saved: dict[str, Saved]
    may_be_repeat: bool
    receipt: Receipt
    journal: Journal

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Write the journal before and after; blocks, so enter it in the thread that prints."""
        self.journal.begin(self.outbound)
        yield
        card = self.outbound.card
        self.journal.end(self.outbound, self.receipt, choices_of_card(card), answered_id(self.outbound))


class FrontEnd(Protocol):
    """Reads lines and prints cards, for a person or for a script."""

    caps: Caps

    async def run(self, exchange: Exchange) -> int:
        """Hand lines over until there are no more; the exit code."""
        ...

    async def show(self, printout: Printout) -> None:
        """Print it, inside `printout.noted()`. Raises OSError when nothing can be printed any more."""
        ...

    async def show_progress(self, outbound: Outbound) -> None:
        """Show how far something is, in place of what was shown of it before."""
        ...


class TerminalTransport:
    """Carries the messages of one terminal.

    A card that was printed is never printed again, whatever is killed when: a journal beside the seat's lock remembers.
    """

    def __init__(self, context: TransportContext, seat: TerminalSeat, front_end: FrontEnd, files: FileSaver) -> None:
        self._context, self._seat, self._front_end, self._files = context, seat, front_end, files
        self._journal = Journal(seat.journal)
        self._exchange: Exchange | None = None
        self._began = asyncio.Event()
        self._ended = False
        self._printing: dict[tuple[str, int], asyncio.Task[Receipt]] = {}
        self._in_order = asyncio.Lock()
        self.exit_code = EXIT_OK
        """What the process should exit with, once `run` has returned or was cancelled."""

    @property
    def caps(self) -> Caps:
        """What this terminal can do; only a person's shows edits."""
        return self._front_end.caps

    async def run(self, inbox: Inbox) -> None:
        """Serve the terminal until its input ends, it breaks, or until cancelled."""
        exchange = Exchange(
            inbox,
            self._seat.conversation,
            sender_of_process(self._seat.data_id),
            self._context.clock,
            self._journal,
        )
        self._exchange = exchange
        self._began.set()
        self.exit_code = EXIT_INTERRUPTED
        try:
            self.exit_code = await self._front_end.run(exchange)
        except Exception:
            # Nobody could use a terminal that begins again in the middle: the process ends and says that it failed.
            logger.exception("terminal_failed", conversation=str(self._seat.conversation))
            self.exit_code = EXIT_FAILED
        finally:
            self._ended = True
            self._journal.close()

    async def send(self, outbound: Outbound) -> Receipt:
        """Print a card, once: a second call for the same one waits for the first. Raises NotSent when it can't."""
        await self._began.wait()
        exchange = self._exchange
        if self._ended or exchange is None:
            raise NotSent("this terminal was closed; the next one at its seat prints this")
        if outbound.kind is OutboundKind.PROGRESS:
            await self._front_end.show_progress(outbound)
            return self._receipt(outbound)
        known = self._journal.receipt(outbound)
        if known is not None:
            await exchange.heard(outbound)
            return known
        key = (outbound.key, outbound.revision)
        task = self._printing.get(key)
        if task is None:
            task = self._printing[key] = asyncio.create_task(self._print(outbound, exchange))
            task.add_done_callback(partial(self._printed, key))
        # Core gives up waiting after a while; a card that is half printed is printed to its end all the same.
        return await asyncio.shield(task)

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """The receipt of a card that was printed at this seat, by this process or an earlier one."""
        return self._journal.receipt(outbound)

    async def _print(self, outbound: Outbound, exchange: Exchange) -> Receipt:
        try:
            saved = await self._files.save(outbound.card)
        except TransientError as error:
            raise NotSent(f"terminal: its pictures could not be fetched: {error}") from error
        async with self._in_order:
            receipt = self._receipt(outbound)
            repeat = outbound.may_be_repeat or self._journal.may_be_printed(outbound)
            try:
                await self._front_end.show(Printout(outbound, saved, repeat, receipt, self._journal))
            except OSError as error:
                raise NotSent(f"terminal: nothing can be printed: {error}") from error
            await exchange.heard(outbound)
        return receipt

    def _printed(self, key: tuple[str, int], task: asyncio.Task[Receipt]) -> None:
        del self._printing[key]
        if not task.cancelled():
            task.exception()  # seen, even where core no longer waits for it

    def _receipt(self, outbound: Outbound) -> Receipt:
        return Receipt(f"{outbound.key}#{outbound.revision}", self._context.clock.now())
