"""Pictures and files of cards: what is uploaded, what becomes a link, and what is said where neither can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from vtoc_bots import (
    Card,
    File,
    Image,
    NotFound,
    NotSent,
    Outbound,
    TransientError,
    TransportContext,
    markup,
    short_id,
)
from vtoc_bots.plugins.slack.api import SlackApi

MOST_BYTES: Final = 2**20
"""What is larger is a link, where people can reach us."""
MOST_FILES: Final = 10
ALT: Final = 1000


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be shown. `name` is unique, so that it can be found again."""

    name: str
    title: str
    data: bytes
    alt: str = ""
    of_text: bool = False
    """Whether it is what a part of the card became, and no file of the card."""


@dataclass(slots=True)
class Gathered:
    """A card's files: what to upload, and what to say of the others, by blob."""

    uploads: list[Upload] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


async def gathered_files(outbound: Outbound, context: TransportContext) -> Gathered:
    """Fetch what is to be uploaded. Raises NotSent where the files can't be fetched now."""
    found = Gathered()
    for block in files_of(outbound.card):
        link = await context.link(block.blob, block.name, block.content_type) if block.size > MOST_BYTES else None
        if link is None and len(found.uploads) < MOST_FILES:
            try:
                data = await context.blobs.get(block.blob)
            except NotFound:
                found.notes[block.blob] = "no longer stored"
                continue
            except TransientError as error:
                raise NotSent(f"slack: its pictures could not be fetched: {error}") from error
            if len(data) > MOST_BYTES:
                link = await context.link(block.blob, block.name, block.content_type)
            if link is None:
                name = unique_name(outbound, len(found.uploads), block.name)
                alt = markup.clean_line(block.alt)[:ALT] if isinstance(block, Image) else ""
                found.uploads.append(Upload(name, markup.clean_line(block.name)[:200], data, alt))
        found.notes[block.blob] = link or ""
    return found


def files_of(card: Card) -> list[Image | File]:
    """The card's pictures and files, each blob once."""
    return list({block.blob: block for block in card.blocks if isinstance(block, Image | File)}.values())


def unique_name(outbound: Outbound, number: int, name: str) -> str:
    """A file's name with what tells it from any other outbound's."""
    path = PurePosixPath(markup.clean_line(name).replace("/", "_") or "file")
    return f"{path.stem[:60]}-{short_id(outbound.id)}{number or ''}{path.suffix[:10]}"


async def show_files(api: SlackApi, uploads: list[Upload], channel: str, thread: str | None) -> None:
    """Upload the files, then show all of them in one message. Raises as `SlackApi.post` does.

    Nothing is seen before the last call, so what ends before it may be done again.
    """
    stored = []
    for upload in uploads:
        given = await api.get(
            "files.getUploadURLExternal",
            filename=upload.name,
            length=len(upload.data),
            alt_txt=upload.alt or None,
        )
        await api.upload(str(given["upload_url"]), upload.data)
        stored.append({"id": str(given["file_id"]), "title": upload.title or upload.name})
    arguments = {"files": stored, "channel_id": channel}
    await api.post("files.completeUploadExternal", **arguments, **({"thread_ts": thread} if thread else {}))
