"""What a map costs its worker: CPU a picture and memory, for a usual and for a crowded picture."""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from vtoc_bots import Track, TrackPoint, TrackSource
from vtoc_bots.plugins.pictures.picture import MapPicture, StationMark
from vtoc_bots.plugins.pictures.pool import MapPool

CPU_BAR_SECONDS = 0.5
MEMORY_BAR_MB = 150.0
PICTURES = 10
TRAIL_SECONDS = 240
METRES_PER_DEGREE = 111_195.0
NOW = datetime(2026, 11, 20, 19, 51, tzinfo=UTC)
STATION = StationMark("BENCH", 49.01, 2.55)


def traffic(count: int, spread_deg: float) -> tuple[Track, ...]:
    """Return tracks with four-minute trails of a point every four seconds, scattered round the station."""
    chance = random.Random(count)
    return tuple(flown(number, spread_deg, chance) for number in range(count))


def flown(number: int, spread_deg: float, chance: random.Random) -> Track:
    """Return one straight flight."""
    latitude = STATION.latitude + chance.gauss(0, spread_deg)
    longitude = STATION.longitude + chance.gauss(0, spread_deg) * 1.5
    heading, speed = chance.uniform(0, 360), chance.uniform(60, 260)
    north, east = math.cos(math.radians(heading)), math.sin(math.radians(heading)) * 1.5
    trail = tuple(
        TrackPoint(
            NOW - timedelta(seconds=seconds),
            latitude - north * speed * seconds / METRES_PER_DEGREE,
            longitude - east * speed * seconds / METRES_PER_DEGREE,
            None,
            "bench",
        )
        for seconds in range(TRAIL_SECONDS, 0, -4)
    )
    kind = ("adsb_icao", "adsb_icao", "mlat", "tisb")[number % 4]
    return Track(
        track_id=f"{number:06x}",
        icao=f"{number:06x}",
        label=f"BEN{number:03d}",
        at=NOW,
        latitude=latitude,
        longitude=longitude,
        altitude_m=chance.uniform(500, 12_000),
        altitude_datum="baro",
        speed_mps=speed,
        heading_deg=heading,
        vertical_rate_mps=0.0,
        on_ground=False,
        accuracy_m=30.0,
        squawk=None,
        category=None,
        position_kind=kind,
        sources=(TrackSource("bench", "adsb", "icao", f"{number:06x}", 0.0, kind, "only source"),),
        trail=trail,
        flags=(),
        exercise=False,
    )


async def measured(data_dir: Path, count: int, spread_deg: float) -> tuple[float, float]:
    """Return CPU seconds a picture and the largest resident megabytes of a warm worker."""
    shown = MapPicture(f"{count} tracks", NOW, traffic(count, spread_deg), STATION)
    async with MapPool(data_dir) as pool:
        await pool.warm_up()
        worker = psutil.Process(pool.worker_pids[0])
        before, memory = worker.cpu_times(), 0
        for _ in range(PICTURES):
            await pool.render(shown)
            memory = max(memory, worker.memory_info().rss)
        after = worker.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    return cpu / PICTURES, memory / 1e6


async def run() -> list[str]:
    """Return the rows: what, figure, bar, and figure by bar."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count, spread_deg in ((63, 0.8), (500, 2.5)):
            cpu, memory = await measured(Path(folder), count, spread_deg)
            rows.append(
                f"| map of {count} tracks with trails, CPU a picture | {cpu:.2f} s | {CPU_BAR_SECONDS:.2f} s "
                f"| {cpu / CPU_BAR_SECONDS:.2f} |"
            )
            rows.append(
                f"| its worker's memory | {memory:.0f} MB | {MEMORY_BAR_MB:.0f} MB | {memory / MEMORY_BAR_MB:.2f} |"
            )
    return rows


if __name__ == "__main__":
    print("\n".join(asyncio.run(run())))
