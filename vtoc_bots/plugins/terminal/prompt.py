"""A terminal for a person: a line editor with history and completion, replies above it, what runs shown live."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.application import in_terminal
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style
from rich.console import Console, RenderableType
from rich.text import Text as RichText

from vtoc_bots import Caps, Outbound
from vtoc_bots.plugins.terminal.completion import OfferCompleter
from vtoc_bots.plugins.terminal.exchange import Exchange, LineState
from vtoc_bots.plugins.terminal.live import LiveBoard
from vtoc_bots.plugins.terminal.neutral import neutral_line
from vtoc_bots.plugins.terminal.painted import painted_card
from vtoc_bots.plugins.terminal.transport import EXIT_BROKEN_PIPE, EXIT_OK, TEXT_LIMIT, Printout

QUIT: Final = "/quit"
UNREMEMBERED: Final = "/link "
"""Lines that hold a code and stay out of the history."""
FREE_ROWS: Final = 8
"""Left to the line itself, its completions and the toolbar when runs are shown above it."""
STYLE: Final = {"live": "ansicyan", "prompt": "bold", "bottom-toolbar": "reverse"}


@dataclass(frozen=True, slots=True)
class Banner:
    """What is said first: the station's callsign, where pictures go, and the web server's address where it has one."""

    station: str
    out_dir: Path
    address: Callable[[], str | None] = lambda: None

    def facts(self) -> list[str]:
        """Two or three lines: what runs here, and where its output goes."""
        address = self.address()
        web = [f"Web server: {address}"] if address else []
        pictures = f"Pictures and files are saved in {self.out_dir.absolute()}."
        return [f"vtoc-bots, station {self.station}.", *web, pictures]

    def lines(self, operator: str, seat: str) -> list[str]:
        """The facts, who one is and what to type."""
        first, *others = self.facts()
        keys = "/help shows what you may do, Tab completes, Ctrl-C clears the line, Ctrl-D or /quit leaves."
        return [f"{first} You are {operator} at terminal {seat}.", *others, keys]


class RawInput(Vt100Input):
    """A terminal's keys, which stay keys while something is printed.

    Otherwise Ctrl-C would end the process in that moment, and what is typed would stand in the middle of a reply.
    """

    def cooked_mode(self) -> AbstractContextManager[None]:
        """Leave the mode as it is."""
        return nullcontext()


class PromptFrontEnd:
    """The prompt. It is one application from the first line to the last, so no output races with a new prompt."""

    caps = Caps(edit=True, dialog=True, buttons=True, files=True, text_limit=TEXT_LIMIT, looks_up_receipts=True)

    def __init__(self, banner: Banner, history: History, out: TextIO, keyboard: Input, *, colour: bool = True) -> None:
        self._banner, self._history, self._out, self._colour = banner, history, out, colour
        self._keyboard = keyboard
        self._live = LiveBoard()
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._on_screen = asyncio.Lock()
        self._up = asyncio.Event()
        self._context = contextvars.copy_context()
        self._session: PromptSession[str] | None = None
        self._broken = False

    async def run(self, exchange: Exchange) -> int:
        """Serve until the person leaves; the exit code."""
        # Others' tasks ask for printing; it must find the application of this one.
        self._context = contextvars.copy_context()
        session = self._session = self._new_session(exchange)
        self._greet(exchange)
        serving = asyncio.create_task(self._serve(exchange, session))
        try:
            with patch_stdout(raw=True), suppress(EOFError):
                # Its exception handler would stop everything to show what any task of this process raised.
                await session.prompt_async(pre_run=self._up.set, handle_sigint=False, set_exception_handler=False)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        for line in [*exchange.lines]:
            if line.state is LineState.HANDING:
                self._write(f"Not handed over: {neutral_line(line.text)}\n")
        while not self._lines.empty():
            self._write(f"Not handed over: {neutral_line(self._lines.get_nowait())}\n")
        return EXIT_BROKEN_PIPE if self._broken else EXIT_OK

    async def show(self, printout: Printout) -> None:
        """Print a card above the prompt; a result takes the place of its run's progress."""
        card = printout.outbound.card

        def write() -> None:
            width = self._size()[0]
            painted = painted_card(card, printout.saved, width, may_be_repeat=printout.may_be_repeat)
            text = self._painted(painted)
            with printout.noted():
                self._write(f"{text}\n")

        self._live.shown(printout.outbound)
        await self._print(write)

    async def show_progress(self, outbound: Outbound) -> None:
        """Show how far a run is, above the line."""
        self._live.update(outbound)
        if self._session is not None:
            self._session.app.invalidate()

    def _new_session(self, exchange: Exchange) -> PromptSession[str]:
        return PromptSession(
            message=self._message,
            bottom_toolbar=lambda: self._toolbar(exchange),
            completer=OfferCompleter(exchange.completions),
            complete_while_typing=True,
            auto_suggest=AutoSuggestFromHistory(),
            history=self._history,
            input=self._keyboard,
            key_bindings=self._keys(),
            style=Style.from_dict(STYLE),
            color_depth=None if self._colour else ColorDepth.MONOCHROME,
            reserve_space_for_menu=4,
            erase_when_done=True,
        )

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("enter")
        def enter(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            line = buffer.text
            if not line.startswith(UNREMEMBERED):
                with suppress(OSError):  # a full disk forgets the line and nothing else
                    buffer.append_to_history()
            buffer.reset()
            if line.strip() == QUIT:
                event.app.exit(exception=EOFError)
            elif line.strip():
                self._lines.put_nowait(line)

        @keys.add("c-c")
        def clear(event: KeyPressEvent) -> None:
            event.current_buffer.reset()

        return keys

    def _message(self) -> StyleAndTextTuples:
        live = self._live.lines(max(1, self._size()[1] - FREE_ROWS))
        return [*(("class:live", f"{line}\n") for line in live), ("class:prompt", f"{self._banner.station}> ")]

    def _toolbar(self, exchange: Exchange) -> str:
        state = f"NOT CONNECTED: {neutral_line(exchange.trouble)}" if exchange.trouble else "connected"
        running = f" · {len(self._live)} running" if len(self._live) else ""
        return f" {self._banner.station} · {exchange.sender.name} · {state}{running}"

    def _greet(self, exchange: Exchange) -> None:
        lines = self._banner.lines(exchange.sender.name, exchange.conversation.channel)
        self._write("\n".join([*lines, "", ""]))

    async def _serve(self, exchange: Exchange, session: PromptSession[str]) -> None:
        """Hand over what was entered, one line after the other."""
        while True:
            line = await self._lines.get()
            await self._say(f"{self._banner.station}> {neutral_line(line)}", "bold")
            handed = await exchange.hand_over(line)
            if handed.state is LineState.REFUSED:
                await self._say(f"Not accepted: {neutral_line(handed.problem)}", "bold red")
            session.app.invalidate()

    async def _say(self, text: str, style: str) -> None:
        await self._print(lambda: self._write(self._painted(RichText(text, style, overflow="fold"))))

    async def _print(self, write: Callable[[], None]) -> None:
        """Have a thread write above the prompt, one at a time. Raises OSError when the terminal is gone."""
        await self._up.wait()
        # In the prompt's own context, whoever asks: there the application is found that must make room.
        await asyncio.create_task(self._above(write), context=self._context)

    async def _above(self, write: Callable[[], None]) -> None:
        async with self._on_screen, in_terminal():
            try:
                await asyncio.to_thread(write)
            except OSError:
                self._broken = True
                if self._session is not None and self._session.app.is_running:
                    self._session.app.exit(exception=EOFError)
                raise

    def _painted(self, what: RenderableType) -> str:
        """What Rich makes of it: text with colours as this terminal has them."""
        options: dict[str, Any] = {"no_color": True} if not self._colour else {}
        console = Console(
            file=StringIO(),
            force_terminal=True,
            width=self._size()[0],
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
            **options,
        )
        with console.capture() as capture:
            console.print(what)
        return capture.get()

    def _write(self, text: str) -> None:
        encoding = self._out.encoding or "utf-8"
        self._out.write(text.encode(encoding, "replace").decode(encoding))
        self._out.flush()

    def _size(self) -> tuple[int, int]:
        """(columns, rows) of the terminal."""
        assert self._session is not None
        size = self._session.app.output.get_size()
        return size.columns, size.rows
