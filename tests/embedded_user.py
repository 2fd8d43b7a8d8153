"""A process that uses a data folder's embedded Postgres: answers each line of its stdin with one of JSON."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import structlog

from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store

_STARTED = "SELECT pg_postmaster_start_time()::text"


async def _serve(data: Path) -> None:
    # As a program does that puts its affairs in order before it ends: Ctrl-C alone ends nothing.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
    embedded = await Embedded.acquire(data, durable=False)
    store = Store(lambda: embedded.urls, retry_seconds=30.0)
    superuser = Store(lambda: _as_superuser(embedded), retry_seconds=30.0)
    _say({"started": await superuser.fetchval(_STARTED, idempotent=True)})
    while (line := await asyncio.to_thread(sys.stdin.readline)) and line.strip() != "close":
        if line.strip() == "started":
            _say({"started": await superuser.fetchval(_STARTED, idempotent=True)})
        else:
            _say({"rows": [list(row) for row in await superuser.fetch(line, idempotent=True)]})
    await superuser.close()
    await store.close()
    await embedded.close()


def _as_superuser(embedded: Embedded) -> Any:
    urls = embedded.urls
    return type(urls)(main=urls.admin, direct=urls.admin, admin=urls.admin)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Standard output is for the answers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_serve(Path(sys.argv[1])))
