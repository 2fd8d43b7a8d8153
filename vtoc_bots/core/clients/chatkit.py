"""ChatKit as a service: channels and threads of an organisation, and another server that speaks ChatKit's protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson

from vtoc_bots.core.clients.answers import Answer, Declined, Service, Uncertain
from vtoc_bots.core.clients.http import ServiceHttp
from vtoc_bots.core.errors import ActionError
from vtoc_bots.core.ports import Clock

SERVICE: Final = Service("chatkit", "CHATKIT_API_KEY", "CHATKIT_API_BASE_URL")
MOST_EVENT_BYTES: Final = 4 * 2**20
QUIET_SECONDS: Final = 60.0
"""How long a stream may say nothing at all; servers send a comment more often."""
_DATA: Final = b"data:"


class ChatKitOrganisation:
    """One organisation: `http` speaks to ``{base}/orgs/{org}``'s base with the organisation's key."""

    def __init__(self, http: ServiceHttp, org: str) -> None:
        self.http, self.org = http, org

    @classmethod
    def at(
        cls, base_url: str, org: str, key: str | None, session: Callable[[], aiohttp.ClientSession], clock: Clock
    ) -> ChatKitOrganisation:
        """The organisation at an address, with its key as bearer."""

        async def credential() -> Mapping[str, str]:
            return {} if key is None else {"Authorization": f"Bearer {key}"}

        return cls(ServiceHttp(session, SERVICE, base_url, clock, headers=credential), org)

    async def channels(self) -> list[dict[str, Any]]:
        """Its channels: slug, name."""
        found = (await self._ask("GET", "channels", operation="channels")).json()
        return _list_of(found, "channels")

    async def make_channel(self, slug: str, name: str) -> None:
        """Make a channel."""
        await self._ask("POST", "channels", operation="make_channel", json={"slug": slug, "name": name})

    async def keep_channels(self, stations: Mapping[str, str]) -> list[str]:
        """Make the channels that stations (callsigns by slug) lack; the slugs of those that were made."""
        there = {str(channel.get("slug", "")).lower() for channel in await self.channels()}
        made = []
        for slug, callsign in stations.items():
            if slug in there:
                continue
            try:
                await self.make_channel(slug, callsign)
                made.append(slug)
            except Declined as error:
                if error.status != HTTPStatus.CONFLICT:  # a conflict: it is there by now
                    raise
        return made

    async def make_thread(self, channel: str, title: str, kind: str, metadata: Mapping[str, Any], *, key: str) -> str:
        """Make a thread of the kind ``mission`` or ``alert``; its id. Under the same key it is made once."""
        body = {"title": title, "kind": kind, "metadata": dict(metadata)}
        answer = await self._ask("POST", "channels", channel, "threads", operation="make_thread", json=body, key=key)
        return _id_of(answer)

    async def post(self, thread: str, message: Mapping[str, Any], *, key: str) -> str:
        """Post a message (text, card, attachments, client_id); its id. Under the same key it is posted once.

        Asked once: whoever calls knows when to ask again.
        """
        answer = await self._ask("POST", "threads", thread, "messages", operation="post", json=dict(message), key=key)
        return _id_of(answer)

    async def edit(self, message_id: str, message: Mapping[str, Any]) -> None:
        """Replace what a message says. Asked once."""
        await self._ask("PATCH", "messages", message_id, operation="edit", json=dict(message))

    async def messages(self, thread: str, after: str | None = None) -> list[dict[str, Any]]:
        """The thread's messages behind `after`, oldest first; as many as the service gives at once."""
        query = None if after is None else {"after": after}
        answer = await self._ask("GET", "threads", thread, "messages", operation="messages", query=query)
        return _list_of(answer.json(), "messages")

    async def _ask(
        self,
        method: str,
        *path: str,
        operation: str,
        json: Any = None,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        # The key goes as a plain header: what `request` knows of a key it would try again by itself.
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.http.request(
            method, "orgs", self.org, *path, operation=operation, json=json, query=query, headers=headers
        )


class ChatKitServer:
    """Another bot's (or anybody's) ChatKit server: `http` is for its address, with its credential.

    Events are the protocol's own objects (``thread.created``, ``thread.item.done``, ``progress_update`` …).
    """

    def __init__(self, http: ServiceHttp) -> None:
        self.http = http

    async def threads(self, after: str | None = None, limit: int = 20) -> dict[str, Any]:
        """A page of threads, newest first: data, has_more, after."""
        return await self.ask("threads.list", limit=limit, after=after, order="desc")

    async def thread(self, thread_id: str) -> dict[str, Any]:
        """A thread with its first items."""
        return await self.ask("threads.get_by_id", thread_id=thread_id)

    async def items(self, thread_id: str, after: str | None = None, limit: int = 50) -> dict[str, Any]:
        """A page of items, oldest first: data, has_more, after."""
        return await self.ask("items.list", thread_id=thread_id, limit=limit, after=after, order="asc")

    def begin(self, text: str) -> AsyncIterator[dict[str, Any]]:
        """Say something in a new thread; the events of the answer."""
        return self.events("threads.create", input=_input(text))

    def say(self, thread_id: str, text: str) -> AsyncIterator[dict[str, Any]]:
        """Say something in a thread; the events of the answer."""
        return self.events("threads.add_user_message", thread_id=thread_id, input=_input(text))

    def act(
        self, thread_id: str, kind: str, payload: Any = None, item_id: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Do an action, of a widget's where `item_id` names it; the events of the answer."""
        action = {"type": kind, "payload": payload}
        return self.events("threads.custom_action", thread_id=thread_id, item_id=item_id, action=action)

    def submit(self, thread_id: str, item_id: str, answers: Mapping[str, list[str]]) -> AsyncIterator[dict[str, Any]]:
        """Answer a structured input, values by input id; the events of the answer."""
        given = {name: {"values": values} for name, values in answers.items()}
        return self.events(
            "threads.add_structured_input",
            thread_id=thread_id,
            item_id=item_id,
            input={"status": "answered", "answers": given},
        )

    async def ask(self, kind: str, **params: Any) -> dict[str, Any]:
        """A request that is answered at once. Raises what ServiceHttp.request raises."""
        answer = await self.http.request("POST", operation=kind, json=_request(kind, params))
        return answer.document()

    async def events(self, kind: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """A request that is answered by a stream, event by event.

        Raises Uncertain where the stream broke off: what was asked goes on there, and can be looked at again.
        """
        async with self.http.stream(
            "POST", operation=kind, json=_request(kind, params), timeout_seconds=QUIET_SECONDS
        ) as response:
            try:
                async for event in _events(response.content):
                    yield event
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                raise Uncertain(f"{self.http.service.name}'s stream broke off; load the thread again") from error


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """The objects of server-sent events: data lines up to an empty one; comments and other fields are passed over."""
    data: list[bytes] = []
    async for line in _lines(content):
        if line.startswith(_DATA):
            data.append(line[len(_DATA) :].removeprefix(b" "))
        elif not line and data:
            found = orjson.loads(b"\n".join(data))
            data = []
            if isinstance(found, dict):
                yield found


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > MOST_EVENT_BYTES:
            raise ActionError("the ChatKit server sent an event that is too long")
        for line in whole:
            yield line.removesuffix(b"\r")


def _request(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": kind, "params": {name: value for name, value in params.items() if value is not None}}


def _input(text: str) -> dict[str, Any]:
    return {"content": [{"type": "input_text", "text": text}], "attachments": [], "inference_options": {}}


def _id_of(answer: Answer) -> str:
    found = answer.document().get("id")
    if not isinstance(found, str) or not found:
        raise ActionError(f"{answer.service.name} answered without an id")
    return found


def _list_of(found: Any, name: str) -> list[dict[str, Any]]:
    """The objects of a bare list, or of the member that holds it."""
    if isinstance(found, dict):
        found = found.get(name, found.get("data"))
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
