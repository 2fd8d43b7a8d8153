"""Chat while a source in a process of its own writes 5,000 tracks a second."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.world import BenchTransport, database, percentile, running
from vtoc_bots import TelemetryEvent
from vtoc_bots.core.config import SourceEntry
from vtoc_bots.core.source_writer import SourceWriter
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.stations import Stations

TRACKS = 5_000
TIMES = 150


async def run() -> list[str]:
    """The row of chat's p99, loaded by idle."""
    async with database() as (_, folder):
        transport = BenchTransport()
        async with running(folder, transport):
            await transport.ask("/ping", -1)
            idle = await _asked(transport, 0)
            source = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.load", str(folder), stdout=asyncio.subprocess.PIPE
            )
            assert source.stdout is not None
            await asyncio.wait_for(source.stdout.readline(), 60)
            loaded = await _asked(transport, TIMES)
            source.terminate()
            written = (await source.communicate())[0].decode().split()
    seconds = [float(value) for value in written if value]
    slowest = f"{max(seconds):.2f} s" if seconds else "none finished"
    p99 = [percentile(values, 0.99) * 1000 for values in (loaded, idle)]
    return [
        f"| chat p99 while {TRACKS:,} tracks a second are written by a source's process (slowest write of a second's "
        f"states: {slowest}) | {p99[0]:.0f} ms | {p99[1]:.0f} ms (idle; bar 2) | {p99[0] / p99[1]:.2f} |"
    ]


async def _asked(transport: BenchTransport, first: int) -> list[float]:
    taken = []
    for number in range(first, first + TIMES):
        began = time.perf_counter()
        await transport.ask("/ping", number)
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(0.05)
    return taken


async def write(folder: Path) -> None:
    """Write every track's state once a second until ended; prints how long each took."""
    embedded = await Embedded.acquire(folder)
    store = await Store.open(lambda: embedded.urls)
    station = (await Stations(store).all())[0]
    writer = SourceWriter(store, station, SourceEntry("bench", "adsb", station.slug), thin_seconds=5)
    while True:
        began = time.perf_counter()
        now = datetime.now(UTC)
        for number in range(TRACKS):
            angle = now.timestamp() / 600 + number
            writer.states.add(
                TelemetryEvent(
                    f"{number:06x}",
                    "icao",
                    "bench",
                    "adsb",
                    event_time=now,
                    latitude=45 + 5 * math.sin(angle),
                    longitude=5 + 5 * math.cos(angle),
                    altitude_m=10_000.0,
                    altitude_datum="baro",
                    speed_mps=230.0,
                    heading_deg=90.0,
                )
            )
        await writer.flush()
        print(f"{time.perf_counter() - began:.3f}", flush=True)
        await asyncio.sleep(max(0.0, 1.0 - (time.perf_counter() - began)))


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
