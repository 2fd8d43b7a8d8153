"""Progress that is being sent while its run ends does not stay as it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.centre_kit import open_centre
from tests.platform_kit import until
from vtoc_bots import OutboundKind
from vtoc_bots.core.store.urls import DatabaseUrls

STEPS = "steps:\n  - {id: one, uses: centre.wait}\n"


async def test_progress_in_flight_at_the_end_of_its_run_is_edited_afterwards(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    async with open_centre(database_urls, tmp_path, {"waiting": STEPS}) as centre:
        await centre.person("ada")
        transport: Any = next(each for spec, each in centre.runtime.host._open if spec.name == "room")
        send, sending, may_arrive = transport.send, asyncio.Event(), asyncio.Event()

        async def slow(outbound: Any) -> Any:
            if outbound.kind is OutboundKind.PROGRESS and outbound.edits is None:
                sending.set()
                await may_arrive.wait()
            return await send(outbound)

        transport.send = slow
        await centre.say("ada", "/playbook waiting")
        await sending.wait()
        centre.plugin.gate.set()
        await centre.wait_for("SELECT state FROM vtoc_engine.runs", "succeeded")
        may_arrive.set()

        async def told() -> bool:
            latest = [each for each in centre.transport.latest.values() if each.kind is OutboundKind.PROGRESS]
            return bool(latest) and latest[0].card.title.endswith("succeeded")

        await until(told, 20, lambda: str([each.card.title for each in centre.transport.sends]))
