"""Map workers are real processes: they draw, end in time, die with their parent and need nothing of core."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tests.map_kit import picture, track, traffic
from vtoc_bots import ActionError, TransientError
from vtoc_bots.plugins.pictures import pool as pool_module
from vtoc_bots.plugins.pictures.picture import MapPicture
from vtoc_bots.plugins.pictures.pool import BOOT, PACKAGE, MapPool

HEAVY = ("asyncpg", "aiohttp", "pydantic", "sqlalchemy", "scipy", "pgqueuer", "structlog", "typer", "asyncio", "pluggy")
PARENT = """
import asyncio, pathlib, sys
from vtoc_bots.plugins.pictures.pool import MapPool

async def main():
    pool = MapPool(pathlib.Path(sys.argv[1]))
    await pool.warm_up()
    print(*pool.worker_pids, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[MapPool]:
    async with MapPool(tmp_path) as made:
        yield made


def is_png(data: bytes) -> bool:
    return Image.open(io.BytesIO(data)).format == "PNG"


async def test_a_picture_is_drawn_in_another_process(pool: MapPool) -> None:
    assert is_png(await pool.render(picture(*traffic(20, 51.0, 1.0, 0.5))))
    (pid,) = pool.worker_pids
    assert pid != os.getpid()
    assert is_png(await pool.render(picture()))
    assert pool.worker_pids == (pid,)


async def test_warming_up_starts_the_worker_and_leaves_its_cache_under_the_data_folder(
    pool: MapPool, tmp_path: Path
) -> None:
    await pool.warm_up()
    assert len(pool.worker_pids) == 1
    assert list((tmp_path / "cache" / "pictures").glob("fontlist*"))


async def test_pictures_asked_for_at_once_come_back_to_who_asked(tmp_path: Path) -> None:
    sizes = [(480 + 20 * n, 480) for n in range(6)]
    async with MapPool(tmp_path, workers=2) as two:
        pictures = [picture(track(), width_px=width, height_px=height) for width, height in sizes]
        drawn = await asyncio.gather(*map(two.render, pictures))
        assert len(two.worker_pids) == 2
    assert [Image.open(io.BytesIO(data)).size for data in drawn] == sizes


async def test_the_worker_of_an_unwritable_home_writes_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    async with MapPool(tmp_path) as made:
        await made.warm_up()
        await made.render(picture(track(label="日本 $x^2$ \u202e")))
    log = (tmp_path / "cache" / "pictures" / "worker.log").read_text()
    assert "not a writable" not in log
    assert "Warning" not in log


async def test_what_can_not_be_drawn_is_told_and_the_worker_lives_on(pool: MapPool) -> None:
    broken = picture(track(label=12345))
    with pytest.raises(ActionError, match="the map could not be drawn"):
        await pool.render(broken)
    (pid,) = pool.worker_pids
    assert is_png(await pool.render(picture(track())))
    assert pool.worker_pids == (pid,)


async def test_a_killed_worker_is_replaced_and_the_picture_still_drawn(pool: MapPool) -> None:
    await pool.warm_up()
    (pid,) = pool.worker_pids
    os.kill(pid, signal.SIGKILL)
    assert is_png(await pool.render(picture(track())))
    assert pool.worker_pids != (pid,)


async def test_a_picture_that_takes_too_long_ends_its_worker(tmp_path: Path) -> None:
    # No interpreter starts, let alone draws, in this time.
    async with MapPool(tmp_path, timeout_seconds=0.001) as made:
        with pytest.raises(TransientError, match=r"not drawn within 0\.001 s"):
            await made.render(picture(track()))
        assert made.worker_pids == ()


async def test_a_cancelled_picture_does_not_become_the_next_ones(pool: MapPool) -> None:
    await pool.warm_up()
    asked = asyncio.create_task(pool.render(picture(*traffic(300, 51.0, 1.0, 0.5), width_px=640)))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    drawn = await pool.render(picture(track(), width_px=500))
    assert Image.open(io.BytesIO(drawn)).width == 500


async def test_a_worker_is_replaced_after_its_share_of_pictures_and_after_a_large_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with MapPool(tmp_path, pictures_per_worker=2) as made:
        await made.render(picture())
        first = made.worker_pids
        await made.render(picture())
        assert made.worker_pids == ()
        await made.render(picture())
        assert made.worker_pids != first
        monkeypatch.setattr(pool_module, "LARGE_REQUEST_BYTES", 10)
        await made.render(picture())
        assert made.worker_pids == ()


async def test_a_closed_pool_leaves_no_process_and_draws_no_more(tmp_path: Path) -> None:
    made = MapPool(tmp_path)
    await made.warm_up()
    (pid,) = made.worker_pids
    under_way = asyncio.create_task(made.render(picture(track())))
    await asyncio.sleep(0)
    await made.close(grace_seconds=30)
    assert is_png(await under_way)
    assert not psutil.pid_exists(pid)
    with pytest.raises(TransientError, match="shutting down"):
        await made.render(picture())


async def test_a_worker_that_can_not_start_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(ActionError, match="no map worker could be started"):
        await MapPool(tmp_path).render(picture())


async def test_a_worker_that_dies_twice_points_to_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "BOOT", "raise SystemExit('no such chart')")
    with pytest.raises(TransientError, match=r"ended with 1, twice.*worker\.log"):
        await MapPool(tmp_path).render(picture())
    assert "no such chart" in (tmp_path / "cache" / "pictures" / "worker.log").read_text()


async def test_a_worker_keeps_running_through_an_interrupt(pool: MapPool) -> None:
    await pool.warm_up()
    (pid,) = pool.worker_pids
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGINT)
    await pool.render(picture())
    assert pool.worker_pids == (pid,)


async def test_a_worker_gets_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "12345:secret")
    async with MapPool(tmp_path) as made:
        await made.warm_up()
        environment = psutil.Process(made.worker_pids[0]).environ()
    assert "TELEGRAM_BOT_TOKEN" not in environment
    assert environment["MPLCONFIGDIR"].startswith(str(tmp_path))


def test_a_worker_dies_with_its_parent_however_that_dies(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    ) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    worker.wait(timeout=10)
    assert not worker.is_running()


def test_a_worker_imports_nothing_of_core_that_drawing_does_not_need(tmp_path: Path) -> None:
    folder = Path(pool_module.__file__).parent
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", BOOT, PACKAGE, str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ
        | {"MPLCONFIGDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in ended.stderr.splitlines()}
    assert "vtoc_bots.plugins.pictures.render" in imported
    assert not {name for name in imported if name.split(".")[0] in HEAVY}
    assert {name for name in imported if name.startswith("vtoc_bots.core.")} <= {
        "vtoc_bots.core.tracks",
        "vtoc_bots.core.tracks.model",
    }


async def test_a_pool_draws_nothing_but_pictures(pool: MapPool) -> None:
    with pytest.raises(ActionError, match="asked to draw a str"):
        await pool.render("not a picture")  # type: ignore[arg-type]  # the mistake under test
    assert isinstance(picture(), MapPicture)
