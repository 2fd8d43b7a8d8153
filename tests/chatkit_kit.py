"""A whole runtime with a strict ChatKit organisation, or with threads that live here, and what people do there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from tests.api_kit import Api, open_api
from tests.chatkit_org import ORG, Posted
from tests.platform_kit import until
from tests.stands.chatkit import ChatKitStand
from vtoc_bots.core.access import Level
from vtoc_bots.core.store.urls import DatabaseUrls


class Channels:
    """The organisation's channels before a runtime."""

    def __init__(self, stand: ChatKitStand, api: Api) -> None:
        self.stand, self.api, self.centre = stand, api, api.centre
        stand.address = api.centre.runtime.address
        self._number = 0

    async def operator(self, name: str, level: Level = Level.ADMIN, workspace: str = ORG) -> str:
        """An operator with that account; their user id."""
        await self.centre.runtime.operators.own(name, "chatkit", workspace, f"u-{name}", level)
        return f"u-{name}"

    async def event(self, text: str | None = None, user: str = "u-ada", **members: Any) -> int:
        """Post an event of somebody; the status that is answered."""
        self._number += 1
        said = {} if text is None else {"text": text}
        payload = {
            "id": f"e{self._number}",
            "type": "message.created",
            "channel": "TOC-S1",
            "user": {"id": user, "name": user.removeprefix("u-").title()},
            "created_at": "2026-01-02T03:04:05Z",
            **said,
            **members,
        }
        return await self.stand.post(orjson.dumps(payload))

    async def posted(self, *words: str, thread: str | None = None) -> Posted:
        """Wait for a message with all these words."""
        found: list[Posted] = []

        async def there() -> bool:
            found[:] = [
                each
                for each in self.stand.org.posts
                if all(word in each.body["text"] for word in words) and thread in (None, each.thread)
            ]
            return bool(found)

        await until(there, 20, lambda: f"never {words}: {[each.body['text'] for each in self.stand.org.posts]}")
        return found[-1]

    async def handled(self) -> None:
        """Wait until no message waits."""
        await self.centre.wait_for("SELECT count(*) FROM vtoc_engine.inbox WHERE state = 'new'", 0)


@asynccontextmanager
async def open_channels(
    urls: DatabaseUrls, folder: Path, playbooks: dict[str, str] | None = None, **environ: str
) -> AsyncIterator[Channels]:
    """A runtime that is ready, its organisation's channels made."""
    stand = ChatKitStand()
    await stand.start()
    try:
        async with open_api(urls, folder, playbooks, **{**stand.environ(), **environ}) as api:
            await stand.ready()
            yield Channels(stand, api)
    finally:
        await stand.stop()
        assert stand.org.wrong == []
