"""What a run's card shows, for clients of MCP: its words, its pictures, and its files at addresses of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from vtoc_bots.core.access import Ask
from vtoc_bots.core.cards import Card, File, Image
from vtoc_bots.core.errors import NotFound, UsageError
from vtoc_bots.core.store.blobs import BlobRows
from vtoc_bots.core.web.api.runs import WholeRun, get_run
from vtoc_bots.core.web.mcp.lookups import LOOKUPS, SCHEME
from vtoc_bots.core.web.mcp.offers import Client, Content, Contents, Given, Media
from vtoc_bots.core.web.typed import Call

LARGEST_BYTES: Final = 512 * 2**10
"""Of the pictures and files in one answer, which clients read up to 1 MiB of, in base64; what is larger is named."""
_ADDRESS: Final = f"{SCHEME}://runs/{{run_id}}/files/{{name}}"
_RUN_ID: Final[TypeAdapter[Any]] = get_run.path_types["run_id"]


async def attached(call: Call, run: WholeRun) -> list[Content]:
    """The pictures and files of a run's result, as far as they are small."""
    shown: list[Content] = []
    room = LARGEST_BYTES
    for block in _blocks(run):
        uri = _ADDRESS.replace("{run_id}", str(run.id)).replace("{name}", quote(block.name, safe=""))
        data = None
        if block.size <= room:
            try:
                data = await BlobRows(call.parts.store).get(block.blob)
            except NotFound as error:
                shown.append(f"{block.name}: {error}")
                continue
        if data is None or len(data) > room:
            where = f"is at {uri}" if block.size <= LARGEST_BYTES else "is too large to be sent by MCP"
            shown.append(f"{block.name} ({block.content_type}, {block.size:,} bytes) {where}")
            continue
        room -= len(data)
        if block.content_type.startswith(("image/", "audio/")):
            shown.append(Media(block.content_type, data))
        else:
            shown.append(_contents(uri, block.content_type, data))
    return shown


@dataclass(frozen=True, slots=True)
class RunFile:
    """A picture or file of a run's result, as a resource."""

    name: str = "get_run_file"
    title: str = "Get a picture or file of a run's result"
    description: str = "Get a picture or file of a run's result."
    schema: Mapping[str, Any] | None = None
    changes: bool = False
    decides: bool = False
    address: str | None = _ADDRESS
    content_type: str = "application/octet-stream"

    def ask(self, arguments: Mapping[str, Any] | None) -> Ask:
        """The same as for the run."""
        return LOOKUPS["get_run"].ask(arguments)

    async def use(self, call: Call, arguments: Mapping[str, Any], client: Client) -> Given:
        """Not a tool."""
        raise NotFound(f"there is no tool {self.name}")

    async def read(self, call: Call, uri: str, parts: Mapping[str, str]) -> Contents:
        """Its bytes, or its text."""
        try:
            run_id = _RUN_ID.validate_python(parts["run_id"])
        except ValidationError as error:
            raise UsageError(f"{parts['run_id'][:100]!r} is no id of a run") from error
        run: WholeRun = await get_run.call(call, run_id=run_id)
        for block in _blocks(run):
            if block.name == parts["name"]:
                data = await BlobRows(call.parts.store).get(block.blob)
                if len(data) > LARGEST_BYTES:
                    raise UsageError(f"{block.name} is too large to be sent by MCP: {len(data):,} bytes")
                return _contents(uri, block.content_type, data)
        raise NotFound(f"the result of this run has no file {parts['name'][:100]}")


def _blocks(run: WholeRun) -> list[Image | File]:
    if run.result is None:
        return []
    return [block for block in Card.model_validate(run.result).blocks if isinstance(block, Image | File)]


def _contents(uri: str, content_type: str, data: bytes) -> Contents:
    if content_type.startswith("text/") or "json" in content_type or "xml" in content_type:
        try:
            return Contents(uri, content_type, data.decode())
        except UnicodeDecodeError:
            return Contents(uri, content_type, data)
    return Contents(uri, content_type, data)
