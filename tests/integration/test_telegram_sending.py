"""Cards on their way to Telegram, through the real SDK to a strict server that refuses what Telegram refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.telegram_kit import ADA, EVE, GROUP, PNG, Bench, open_bench, outbound
from tests.telegram_server import Call, Manner, Refusal
from vtoc_bots import (
    Button,
    Buttons,
    Card,
    ConversationId,
    File,
    Image,
    NotSent,
    OutboundKind,
    RateLimited,
    Refused,
    SendError,
    Unknown,
)
from vtoc_bots.plugins.telegram import api


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as opened:
        yield opened


def long_card(count: int, mark: str = "line") -> Card:
    """A card of about `count` messages."""
    return Card.of("Log", "\n\n".join(f"{mark} {n} " + "x" * 1900 for n in range(2 * count)))


async def test_a_reply_quotes_its_question_and_has_its_buttons(bench: Bench) -> None:
    buttons = Buttons(
        buttons=(Button(label="Approve", token="t1", style="good"), Button(label="Deny", token="t2", style="bad"))
    )
    receipt = await bench.send(Card.of("Approve?", "Restock **salt** & <pepper>", buttons), GROUP, reply_to="55")
    [shown] = bench.shown(GROUP)
    assert shown.text == "Approve?\n\nRestock salt & <pepper>"
    assert [[key["callback_data"] for key in row] for row in shown.keys] == [["t1", "t2"]]
    assert [key["style"] for key in shown.keys[0]] == ["success", "danger"]
    assert (shown.reply_to, shown.mode) == (55, "HTML")
    assert receipt.ref == f"{GROUP}:{shown.id}"


async def test_a_topic_gets_its_answers(bench: Bench) -> None:
    await bench.send(Card.of("Hello"), GROUP, thread=9)
    assert bench.shown(GROUP)[0].thread == 9


async def test_a_question_in_a_group_asks_for_a_reply(bench: Bench) -> None:
    await bench.send(Card.of("Which area?", asks=True), GROUP, reply_to="55")
    await bench.send(Card.of("Which area?", asks=True))
    assert [bench.shown(GROUP)[0].forces_reply, bench.shown()[0].forces_reply] == [True, False]


async def test_a_picture_goes_with_its_text_and_several_as_an_album(bench: Bench) -> None:
    blob = await bench.blobs.put(PNG, "image/png")
    await bench.send(Card.of("Map", Image(blob=blob, alt="3 tracks")))
    other = await bench.blobs.put(PNG + b"2", "image/png")
    await bench.send(Card.of("Maps", Image(blob=blob, alt="one & <1>"), Image(blob=other, alt="two")))
    photo, first, second = bench.shown()[:3]
    assert (photo.kind, photo.text, photo.file) == ("photo", "Map\n\n3 tracks", PNG)
    assert [first.text, second.text] == ["one & <1>", "two"]
    assert first.album == second.album != ""


async def test_a_picture_that_telegram_can_not_show_is_sent_as_a_file(bench: Bench) -> None:
    blob = await bench.blobs.put(PNG, "image/png")
    bench.server.manners = lambda call: (
        Refusal(400, "Bad Request: PHOTO_INVALID_DIMENSIONS") if call.method == "sendPhoto" else None
    )
    await bench.send(Card.of("Map", Image(blob=blob, alt="3 tracks")))
    assert [(shown.kind, shown.file) for shown in bench.shown()] == [("document", PNG)]


async def test_a_file_is_sent_a_large_one_linked_and_a_lost_one_named(tmp_path: Path) -> None:
    async with open_bench(tmp_path, public_url="https://bots.example") as bench:
        small = await bench.blobs.put(b"a,b\n", "text/csv")
        large = await bench.blobs.put(b"x" * 1_000_001, "text/csv")
        card = Card.of(
            "Export",
            File(blob=small, name="a.csv", content_type="text/csv"),
            File(blob=large, name="b.csv", content_type="text/csv"),
            File(blob="0" * 64, name="c.csv", content_type="text/csv"),
        )
        await bench.send(card)
        await bench.send(card)  # the second message of a chat waits for its second
        document, text = bench.shown()[:2]
    assert (document.name, document.file) == ("a.csv", b"a,b\n")
    assert "b.csv" in text.text
    assert "no longer stored" in text.text
    sent = [call.params["text"] for call in bench.server.called("sendMessage")]
    assert f"https://bots.example/files/{large[:12]}/b.csv" in sent[0]


async def finished(bench: Bench, card: Card, chat: int = ADA, **options: object) -> tuple[object, list[SendError]]:
    """Send as core does: again after every failure, with the receipt that the failure had."""
    failures: list[SendError] = []
    while True:
        try:
            return await bench.send(card, chat, **options), failures
        except SendError as error:
            failures.append(error)
            assert len(failures) < 20
            if error.receipt is not None:
                options["edits"] = error.receipt


async def test_a_long_card_is_several_messages_in_order_at_the_allowed_pace(bench: Bench) -> None:
    receipt, failures = await finished(bench, long_card(7))
    texts = bench.server.texts(ADA)
    assert len(texts) == 7
    assert [f"line {n} " in "".join(texts) for n in range(14)] == [True] * 14
    assert [type(error) for error in failures] == [RateLimited], "four at once, then as fast as is allowed"
    assert len(receipt.detail["shown"]) == 7


async def test_an_edit_shrinks_replaces_and_extends(bench: Bench) -> None:
    receipt, _ = await finished(bench, long_card(3))
    ids = [shown.id for shown in bench.shown()]
    receipt, _ = await finished(bench, Card.of("Short"), edits=receipt)
    assert [(shown.id, shown.text) for shown in bench.shown()] == [(ids[0], "Short")]
    assert {number for _, number in bench.server.deleted} == set(ids[1:])
    receipt, _ = await finished(bench, long_card(2, "row"), edits=receipt)
    assert bench.shown()[0].id == ids[0]
    assert "row 3 " in bench.server.texts(ADA)[-1]
    blob = await bench.blobs.put(PNG, "image/png")
    await finished(bench, Card.of("Map", Image(blob=blob, alt="x")), edits=receipt)
    assert [shown.kind for shown in bench.shown()] == ["photo"]


async def test_a_picture_is_edited_in_place(bench: Bench) -> None:
    one, two = await bench.blobs.put(PNG, "image/png"), await bench.blobs.put(PNG + b"2", "image/png")
    receipt = await bench.send(Card.of("Map", Image(blob=one, alt="one")))
    receipt = await bench.send(Card.of("Later", Image(blob=one, alt="one")), edits=receipt)
    await bench.send(Card.of("Later", Image(blob=two, alt="two")), edits=receipt)
    [shown] = bench.shown()
    assert (shown.text, shown.file) == ("Later\n\ntwo", PNG + b"2")
    methods = [call.method for call in bench.server.calls]
    assert methods == ["sendPhoto", "editMessageCaption", "editMessageMedia"]


async def test_progress_is_one_message_and_the_same_again_is_no_call(bench: Bench) -> None:
    receipt = await bench.send(Card.of("Run", "1 of 2"), kind=OutboundKind.PROGRESS)
    receipt = await bench.send(Card.of("Run", "2 of 2"), kind=OutboundKind.PROGRESS, edits=receipt)
    calls = len(bench.server.calls)
    await bench.send(Card.of("Run", "2 of 2"), kind=OutboundKind.PROGRESS, edits=receipt)
    assert len(bench.server.calls) == calls
    assert bench.server.texts(ADA) == ["Run\n\n2 of 2"]


async def test_an_edit_that_changes_nothing_is_a_success(bench: Bench) -> None:
    first = await bench.send(Card.of("Run", "1"))
    await bench.send(Card.of("Run", "2"), edits=first)
    again = await bench.send(Card.of("Run", "2"), edits=first)  # its answer was lost, so it comes again
    assert bench.server.texts(ADA) == ["Run\n\n2"]
    assert again.ref == first.ref


async def test_a_decision_takes_the_buttons_away(bench: Bench) -> None:
    buttons = Buttons(buttons=(Button(label="Approve", token="t1"),))
    receipt = await bench.send(Card.of("Approve?", buttons), GROUP, kind=OutboundKind.APPROVAL)
    await bench.send(Card.of("Approved by Bob"), GROUP, kind=OutboundKind.APPROVAL, edits=receipt)
    [shown] = bench.shown(GROUP)
    assert (shown.text, shown.keys) == ("Approved by Bob", [])


async def test_what_a_person_deleted_is_shown_anew_unless_it_was_progress(bench: Bench) -> None:
    receipt = await bench.send(Card.of("Approve?"), kind=OutboundKind.APPROVAL)
    del bench.server.messages[ADA][bench.shown()[0].id]
    await bench.send(Card.of("Approved"), kind=OutboundKind.APPROVAL, edits=receipt)
    assert bench.server.texts(ADA) == ["Approved"]
    receipt = await bench.send(Card.of("Run", "1"), kind=OutboundKind.PROGRESS)
    bench.server.messages[ADA].clear()
    await bench.send(Card.of("Run", "2"), kind=OutboundKind.PROGRESS, edits=receipt)
    assert bench.shown() == []


async def test_markup_that_is_refused_is_sent_once_without(bench: Bench) -> None:
    def refuses(call: Call) -> Manner:
        return Refusal(400, "Bad Request: can't parse entities") if call.params.get("parse_mode") else None

    bench.server.manners = refuses
    await bench.send(Card.of("Title", "**bold** [site](https://example.org)"))
    [shown] = bench.shown()
    assert (shown.text, shown.mode) == ("Title\n\nbold site (https://example.org)", "")
    bench.server.manners = lambda call: Refusal(400, "Bad Request: can't parse entities")
    calls = len(bench.server.calls)
    with pytest.raises(Refused, match="entities"):
        await bench.send(Card.of("Title"))
    assert len(bench.server.calls) == calls + 2


async def test_a_private_card_goes_to_the_asker_alone(bench: Bench) -> None:
    receipt = await bench.send(Card.of("Secret", private=True), GROUP, private_to=str(ADA), reply_to="55")
    assert (bench.server.texts(GROUP), bench.server.texts(ADA)) == ([], ["Secret"])
    assert bench.shown()[0].reply_to is None, "the question is in another chat"
    await bench.send(Card.of("Other", private=True), GROUP, private_to=str(ADA), edits=receipt)
    assert (bench.server.texts(GROUP), bench.server.texts(ADA)) == ([], ["Other"])


async def test_a_private_card_that_grows_stays_with_the_asker(bench: Bench) -> None:
    receipt = await bench.send(Card.of("Secret", private=True), GROUP, thread=9, private_to=str(ADA))
    await finished(bench, long_card(2), GROUP, thread=9, private_to=str(ADA), edits=receipt)
    assert bench.shown(GROUP) == []
    assert [shown.thread for shown in bench.shown()] == [None, None], "topics of a group are not those of a person"


async def test_whoever_never_wrote_to_the_bot_gets_a_note_without_the_content(bench: Bench) -> None:
    bench.server.unstarted.add(EVE)
    receipt = await bench.send(Card.of("Secret", private=True), GROUP, private_to=str(EVE), reply_to="55")
    [note] = bench.shown(GROUP)
    assert "Secret" not in note.text
    assert "https://t.me/vtoc_test_bot" in note.text
    assert note.reply_to == 55
    again = await bench.send(Card.of("Secret 2", private=True), GROUP, private_to=str(EVE), edits=receipt)
    assert (again, len(bench.shown(GROUP))) == (receipt, 1), "one note is enough"
    bench.server.unstarted.clear()
    await bench.send(Card.of("Secret 3", private=True), GROUP, private_to=str(EVE), edits=receipt)
    assert bench.server.texts(EVE) == ["Secret 3"]
    bench.server.unstarted.add(EVE)
    with pytest.raises(Refused):
        await bench.send(Card.of("Run"), GROUP, private_to=str(EVE), kind=OutboundKind.PROGRESS)


async def test_a_group_that_moved_gets_its_answers_at_its_new_id(bench: Bench) -> None:
    old, new = -44, bench.server.chat(-10044, "supergroup")
    bench.server.moved[old] = new
    receipt = await bench.send(Card.of("Result"), old, thread=3)
    assert bench.server.texts(new) == ["Result"]
    assert receipt.detail["chat"] == new
    await bench.send(Card.of("Second"), old)
    assert len(bench.server.called("sendMessage")) == 3, "it is remembered"


OUTCOMES = [
    (Refusal(400, "Bad Request: chat not found"), Refused),
    (Refusal(400, "Bad Request: message is too long"), Refused),
    (Refusal(403, "Forbidden: bot was blocked by the user"), Refused),
    (Refusal(401, "Unauthorized"), NotSent),
    (Refusal(429, "Too Many Requests: retry after 7", retry_after=7), RateLimited),
    (Refusal(429, "Too Many Requests"), RateLimited),
    (Refusal(500, "Internal Server Error"), Unknown),
    (Refusal(502, "Bad Gateway"), Unknown),
    (Refusal(503, "Service Unavailable"), Unknown),
    (Refusal(504, "Gateway Timeout"), Unknown),
    ("page", Unknown),
    ("garbage", Unknown),
    ("drop", Unknown),
    ("do-and-drop", Unknown),
]


@pytest.mark.parametrize(("manner", "expected"), OUTCOMES, ids=lambda each: getattr(each, "words", str(each)))
async def test_every_failure_says_what_is_known_of_the_message(
    bench: Bench, manner: Manner, expected: type[SendError]
) -> None:
    bench.server.manners = lambda call: manner
    with pytest.raises(SendError) as raised:
        await bench.send(Card.of("x"))
    assert type(raised.value) is expected or (expected is Refused and isinstance(raised.value, Refused))
    assert raised.value.receipt is None


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_an_edit_that_a_server_fails_at_is_tried_again_as_it_is(bench: Bench, status: int) -> None:
    receipt = await bench.send(Card.of("before"))
    bench.server.manners = lambda call: Refusal(status, "it failed")
    with pytest.raises(NotSent):
        await bench.send(Card.of("after"), edits=receipt, revision=1)
    bench.server.manners = lambda call: None
    await bench.send(Card.of("after"), edits=receipt, revision=1)
    assert bench.server.texts(ADA) == ["after"]


async def test_a_limit_is_obeyed_before_the_next_call(bench: Bench) -> None:
    bench.server.manners = lambda call: Refusal(429, "Too Many Requests: retry after 7", retry_after=7)
    with pytest.raises(RateLimited) as limited:
        await bench.send(Card.of("x"))
    assert limited.value.after_seconds == 7
    bench.server.manners = lambda call: None
    with pytest.raises(RateLimited):
        await bench.send(Card.of("x"))
    assert len(bench.server.calls) == 1, "within the seven seconds nothing is called"
    bench.clock.seconds += 7
    await bench.send(Card.of("x"))


async def test_a_server_that_hangs_leaves_the_truth_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "READ_SECONDS", 0.3)
    async with open_bench(tmp_path) as bench:
        bench.server.manners = lambda call: "do-and-hang"
        with pytest.raises(Unknown, match="ReadTimeout"):
            await bench.send(Card.of("x"))


async def test_a_server_that_is_not_there_has_certainly_nothing(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        pass
    with pytest.raises(NotSent, match="no connection"):
        await bench.send(Card.of("x"))


async def test_a_card_that_failed_in_the_middle_goes_on_there(bench: Bench) -> None:
    sent: list[Call] = []

    def second_fails(call: Call) -> Manner:
        sent.append(call)
        return Refusal(500, "Internal Server Error") if len(sent) == 2 else None

    bench.server.manners = second_fails
    _, failures = await finished(bench, long_card(3))
    texts = bench.server.texts(ADA)
    assert len(texts) == 3
    assert len(set(texts)) == 3, "no message is shown twice"
    assert any(isinstance(error, Unknown) for error in failures)
    assert len(failures[0].receipt.detail["shown"]) == 1


async def test_only_what_may_be_there_twice_is_marked_as_a_repeat(bench: Bench) -> None:
    sent: list[Call] = []

    def second_is_lost(call: Call) -> Manner:
        sent.append(call)
        return "do-and-drop" if len(sent) == 2 else None

    bench.server.manners = second_is_lost
    with pytest.raises(Unknown) as lost:
        await bench.send(long_card(3))
    await bench.send(long_card(3), edits=lost.value.receipt, may_be_repeat=True)
    marked = ["(may be a repeat)" in text for text in bench.server.texts(ADA)]
    assert marked == [False, False, True, False], "the second message is there twice, and its second says so"


async def test_a_conversation_that_is_none_of_telegram_is_refused(bench: Bench) -> None:
    strange = outbound(Card.of("x"))
    object.__setattr__(strange, "conversation", ConversationId("telegram", "77001", "general"))
    with pytest.raises(Refused, match="no chat"):
        await bench.transport.send(strange)
