"""Worker processes with what kills or holds them: a step, a command, a wait; and a terminal as a process.

Run as ``python -m tests.kill_kit [terminal]``; the folder and the rest come by KIT_ variables.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tests.platform_kit import KitPlugin, Workers, mark
from vtoc_bots import ActionContext, Card, Context, TerminalOptions, action, command, hookimpl
from vtoc_bots.core.observe.logging import configure_logging
from vtoc_bots.core.runtime import Duties, Runtime
from vtoc_bots.core.settings import load_settings

PLAYBOOKS: Final = MappingProxyType(
    {
        "poison": "steps:\n  - {id: one, uses: kit.mark}\n  - {id: two, uses: kit.die, needs: [one]}\n",
        "gated": "steps:\n  - {id: gated, uses: kit.mark}\nreply: {card: {title: All gated}}\n",
        "quick": "steps:\n  - {id: one, uses: kit.mark}\n",
    }
)


@action("kit.die", summary="Kill the worker")
async def die(ctx: ActionContext) -> None:
    """End the process at once, as ``kill -9`` does."""
    noted("died", ctx.idempotency_key)
    os._exit(9)


@command("die", level="observer")
async def die_command(ctx: Context) -> Card:
    """Kill the worker."""
    noted("died", ctx.idempotency_key)
    os._exit(9)


@command("hold", level="observer")
async def hold_command(ctx: Context) -> Card:
    """Wait while the gate file is there."""
    noted("held", f"{os.getpid()}")
    while (folder() / "gate-hold").exists():
        await ctx.clock.sleep(0.02)
    return Card.of(f"held by {os.getpid()}")


def folder() -> Path:
    """The kit's folder."""
    return Path(os.environ["KIT_FOLDER"])


def noted(name: str, line: str) -> None:
    """Append a line to a file, whatever happens next."""
    descriptor = os.open(folder() / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


class KillPlugin(KitPlugin):
    """The kit's plugin, and what kills and holds."""

    @hookimpl
    def vtoc_actions(self) -> tuple[Any, ...]:
        """The marking and the killing action."""
        return (mark, die)

    @hookimpl
    def vtoc_commands(self) -> tuple[Any, ...]:
        """/die and /hold."""
        return (die_command, hold_command)


class TerminalPlugin:
    """Actions and playbooks alone: the terminal is the shipped one."""

    @hookimpl
    def vtoc_actions(self) -> tuple[Any, ...]:
        """The marking and the killing action."""
        return (mark, die)

    @hookimpl
    def vtoc_playbooks(self) -> tuple[Path, ...]:
        """The kit's playbooks."""
        return (folder() / "playbooks",)


class KillWorkers(Workers):
    """Workers of this module."""

    module = "tests.kill_kit"

    def __init__(self, home: Path, port: int, environ: dict[str, str], *, looks_up: bool = True) -> None:
        super().__init__(home, port, environ, looks_up=looks_up)
        write_playbooks(home)

    def noted(self, name: str) -> list[str]:
        """The lines of a file that workers append to."""
        path = self.folder / name
        return path.read_text().split() if path.exists() else []


def write_playbooks(home: Path) -> None:
    """The playbooks of the kit, in the folder's ``playbooks``."""
    (home / "playbooks").mkdir(exist_ok=True)
    for name, text in PLAYBOOKS.items():
        (home / "playbooks" / f"{name}.yml").write_text(f"id: {name}\ntitle: {name}\nprivate: false\n{text}")


async def work() -> int:
    """A worker process."""
    settings = load_settings(folder() / "config", folder() / "data")
    return await Runtime(settings, Duties(web=False, sources=False), plugins={"kit": KillPlugin()}).run()


async def terminal() -> int:
    """`vtoc-bots chat` (piped), or with KIT_RUNS a worker beside it, on the folder's embedded database."""
    settings = load_settings(folder() / "config", folder() / "data")
    logs = configure_logging(level="info", secrets=(), file=folder() / f"log-{os.getpid()}")
    if os.environ.get("KIT_RUNS"):
        duties = Duties(web=False, sources=False)
    else:
        duties = Duties(worker=None, web=False, transports=False, sources=False)
        options = TerminalOptions("piped", folder() / "out", 60.0)
        settings = settings.model_copy(update={"terminal": options})
    try:
        return await Runtime(settings, duties, plugins={"kit": TerminalPlugin()}).run()
    finally:
        logs.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(terminal() if "terminal" in sys.argv else work()))
