"""Files of messages: bounds, order, and what is said of those that were not taken."""

from __future__ import annotations

import asyncio

import pytest

from vtoc_bots import Attachment, Attachments, Card, ConversationId, Message, NotFound, Sender, Text, TransientError
from vtoc_bots.core.attachments import AT_ONCE, MOST_BYTES, MOST_FILES, origin_of, with_remarks
from vtoc_bots.core.messages import message_from_json, message_json
from vtoc_bots.testing import MemoryBlobs

ROOM = ConversationId("room", "main", "hall")


def message(*names: str, size: int = 0) -> Message:
    files = tuple(Attachment(name, "text/plain", size, f"https://files.example/{name}") for name in names)
    return Message("room", "main", "1", ROOM, Sender("1", "Ada"), "/log", attachments=files)


async def fetched(attachment: Attachment) -> bytes:
    return attachment.name.encode()


async def test_only_so_many_files_of_a_message_are_taken_and_in_their_order() -> None:
    names = [f"{number}.txt" for number in range(MOST_FILES + 2)]
    taken = (await Attachments(MemoryBlobs(), 5).taken(message(*names), fetched)).attachments
    assert [each.name for each in taken] == names
    assert [bool(each.blob) for each in taken] == [True] * MOST_FILES + [False, False]
    assert taken[-1].problem == "only 10 files of a message are taken"


async def test_only_so_many_files_are_in_memory_at_once() -> None:
    now = most = 0
    gate = asyncio.Event()

    async def fetch(attachment: Attachment) -> bytes:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == AT_ONCE:
            gate.set()
        await gate.wait()
        now -= 1
        return b"x"

    files = Attachments(MemoryBlobs(), 5)
    many = [message(*(f"{n}" for n in range(MOST_FILES))) for _ in range(3)]
    await asyncio.gather(*(files.taken(each, fetch) for each in many))
    assert most == AT_ONCE


async def test_one_file_that_can_not_be_had_takes_no_other_along() -> None:
    async def fetch(attachment: Attachment) -> bytes:
        if attachment.name == "bad":
            raise NotFound("it is gone")
        return b"good"

    good, bad = (await Attachments(MemoryBlobs(), 5).taken(message("good", "bad"), fetch)).attachments
    assert (bool(good.blob), good.problem, good.size) == (True, None, 4)
    assert (bad.blob, bad.problem) == (None, "it is gone")


async def test_what_can_not_be_stored_now_is_not_accepted_and_what_was_taken_is_not_fetched_again() -> None:
    asked: list[str] = []

    async def fetch(attachment: Attachment) -> bytes:
        asked.append(attachment.name)
        return b"x"

    class Full(MemoryBlobs):
        async def put(self, data: bytes, content_type: str) -> str:
            raise TransientError("the database is away")

    with pytest.raises(TransientError):
        await Attachments(Full(), 5).taken(message("a"), fetch)
    files = Attachments(MemoryBlobs(), 5)
    once = await files.taken(message("a"), fetch)
    assert await files.taken(once, fetch) == once
    assert asked == ["a", "a"]


async def test_a_file_that_is_larger_than_it_was_said_is_not_stored() -> None:
    async def fetch(attachment: Attachment) -> bytes:
        return bytes(MOST_BYTES + 1)

    [taken] = (await Attachments(MemoryBlobs(), 5).taken(message("a"), fetch)).attachments
    assert (taken.blob, taken.size) == (None, 0)
    assert taken.problem == "with 10.0 MiB it is larger than 10 MiB"


async def test_why_a_file_was_not_taken_is_kept_with_its_message() -> None:
    async def fetch(attachment: Attachment) -> bytes:
        raise NotFound("it is gone")

    taken = await Attachments(MemoryBlobs(), 5).taken(message("a"), fetch)
    assert message_from_json(message_json(taken), ROOM, None).attachments == taken.attachments


def test_the_answer_says_which_files_were_not_taken() -> None:
    lost = Attachment("`pl*an*`\n.pdf", "application/pdf", 9, problem="it is gone")
    said = Message("room", "main", "1", ROOM, Sender("1", "Ada"), attachments=(lost, Attachment("b", "x", 1, blob="f")))
    assert with_remarks(None, message("a")) is None
    alone, behind = with_remarks(None, said), with_remarks(Card.of("Noted"), said)
    assert alone is not None
    assert behind is not None
    assert (alone.title, behind.title) == ("Not every file was taken", "Noted")
    for card in (alone, behind):
        [text] = [block.text for block in card.blocks if isinstance(block, Text)]
        assert text == "- `´pl*an*´ .pdf` was not taken: it is gone."


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://files.slack.com/a/b?c=d#e", "https://files.slack.com"),
        ("https://FILES.slack.com:443/a", "https://files.slack.com"),
        ("http://127.0.0.1:80/a", "http://127.0.0.1"),
        ("https://files.slack.com:8443/a", "https://files.slack.com:8443"),
        ("https://me@files.slack.com/a", None),
        ("https://:p@files.slack.com/a", None),
        ("https://files.slack.com\\@evil.example/a", None),
        ("/a", None),
        ("", None),
    ],
)
def test_an_origin_is_told_exactly(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin
