"""The files of a channel's events: their bytes in the event itself, or at the organisation's own address."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp

from vtoc_bots import Attachment, Attachments, Message, NotFound, TransportContext, downloaded, origin_of
from vtoc_bots.plugins.chatkit.settings import ChatKitSettings

FETCH_SECONDS: Final = 3.0
"""For a message's files: the organisation waits for its answer, which comes after them."""


class EventFiles:
    """Takes the files of what is said to us into blobs. Asks no server but the organisation's, with its key."""

    def __init__(
        self, context: TransportContext, settings: ChatKitSettings, session: Callable[[], aiohttp.ClientSession]
    ) -> None:
        self._files = Attachments(context.blobs, FETCH_SECONDS, context.knows)
        base, key = settings.api_base_url, settings.api_key
        self._origins = () if base is None else (origin_of(base),)
        self._headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
        self._session = session

    async def taken(self, message: Message, event: Mapping[str, Any]) -> Message:
        """The message with its files' blobs, or why not; what is only for the log needs none.

        Raises TransientError where files can't be stored now.
        """
        if not message.attachments or message.overheard is not None:
            return message
        given = [each.get("data") for each in event.get("attachments") or ()]
        inline = {id(each): data for each, data in zip(message.attachments, given, strict=False)}

        async def fetch(attachment: Attachment) -> bytes:
            data = inline.get(id(attachment))
            if data is not None:
                return _decoded(data)
            if attachment.url is None:
                raise NotFound("it came without its bytes and without an address")
            return (await downloaded(self._session(), attachment.url, origins=self._origins, headers=self._headers))[0]

        return await self._files.taken(message, fetch)


def _decoded(data: Any) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise NotFound("its data is no base64") from None
