"""A worker killed in the middle of a step: seconds until another begins that step again, at default settings."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench.world import database
from tests.platform_kit import Platform, Workers, know_operator, say, until

BAR_SECONDS = 15.0


async def run() -> list[str]:
    """One row; also how often finished steps were begun again and the result was shown."""
    platform = Platform()
    async with platform.open(), database() as (store, folder):
        with tempfile.TemporaryDirectory(prefix="vtoc-bench-") as kit:
            default = {"KIT_DATA": str(folder), "VTOC_LEASE_SECONDS": "10", "VTOC_SWEEP_SECONDS": "1"}
            workers = Workers(Path(kit), platform.port, default)
            try:
                await know_operator(store)
                gate = Path(kit) / "gate-two"
                gate.touch()
                first = await workers.start()
                await say(store, "/playbook mark_three n=1", "room")
                await until(lambda: _reached(workers, "two", 1), 60, workers.logs)
                await workers.start()
                await asyncio.sleep(6)  # the other is up, and the first has renewed its lease
                first.kill()
                began = time.monotonic()
                await until(lambda: _reached(workers, "two", 2), 60, workers.logs)
                taken = time.monotonic() - began
                gate.unlink()
                await until(lambda: _shown(platform), 60, workers.logs)
                again = sum(step == "one" for _, step, _, _ in workers.marks()) - 1
                shown = sum(len(sends) for sends in platform.results().values())
            finally:
                await workers.close()
    return [
        f"| worker killed in a step: resumed elsewhere ({again} finished steps repeated, result shown {shown} time) | "
        f"{taken:.1f} s | {BAR_SECONDS:.0f} s (bar) | {taken / BAR_SECONDS:.2f} |"
    ]


async def _reached(workers: Workers, step: str, times: int) -> bool:
    return sum(marked == step for _, marked, _, _ in workers.marks()) >= times


async def _shown(platform: Platform) -> bool:
    return bool(platform.results())
