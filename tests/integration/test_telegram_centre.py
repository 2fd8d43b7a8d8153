"""A whole runtime whose operators are on Telegram: from their words to what they see, through the real SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.centre_kit import Centre, open_centre
from tests.platform_kit import until
from tests.telegram_kit import ADA, BOB, EVE, GROUP, PNG, message, press
from tests.telegram_server import BOT_ID, TOKEN, BotApiServer, Refusal, Shown
from vtoc_bots import Card, Context, Image, Level, command, hookimpl
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.plugins.telegram.webhook import HEADER, PATH

SECRET = "webhook-secret_1"
GUARDED = """
inputs: {what: {type: string, default: salt}}
approval: {quorum: 1, level: lead, exclude_requester: true, expires: 4h, on_expiry: deny}
steps:
  - {id: one, uses: centre.count, with: {what: "${{ inputs.what }}"}}
"""
PLAYBOOKS = {
    "guarded": GUARDED,
    "waiting": "steps:\n  - {id: one, title: Wait, uses: centre.wait}\n",
    "secret": "steps:\n  - {id: one, uses: centre.count}\nreply: {card: {title: Secret result, private: true}}\n",
}


class Answers:
    """Commands that answer with a picture, and at length."""

    @hookimpl
    def vtoc_commands(self) -> tuple[Any, ...]:
        """/picture and /long."""

        @command("picture", level="observer")
        async def picture(ctx: Context) -> Card:
            """Show a picture."""
            blob = await ctx.services.blobs.put(PNG, "image/png")
            return Card.of("Picture", Image(blob=blob, alt="A small picture"))

        @command("long", level="observer")
        async def long(ctx: Context) -> Card:
            """Say a lot."""
            return Card.of("Long", "\n\n".join(f"row {n} " + "x" * 1900 for n in range(5)))

        return (picture, long)


class Telegram:
    """The centre as people on Telegram have it."""

    def __init__(self, centre: Centre, server: BotApiServer) -> None:
        self.centre, self.server = centre, server

    async def say(self, who: int, text: str, chat: int | None = None, **more: Any) -> dict[str, Any]:
        """Write something."""
        body = message(self.server.next_message_id(), who, text, chat, **more)
        return await self.server.put({"message": body})

    async def press(self, who: int, label: str, chat: int) -> None:
        """Press the newest button of that label in a chat."""
        for shown in reversed(self.server.shown(chat)):
            for row in shown.keys:
                for key in row:
                    if key["text"] == label:
                        on = message(shown.id, BOT_ID, shown.text, chat)
                        await self.server.put({"callback_query": press(who, key["callback_data"], on)})
                        return
        raise AssertionError(f"no button {label} in {self.server.texts(chat)}")

    async def sees(self, chat: int, words: str, seconds: float = 20) -> Shown:
        """Wait until a message with these words stands in the chat."""
        found: list[Shown] = []

        async def there() -> bool:
            found[:] = [shown for shown in self.server.shown(chat) if words in shown.text]
            return bool(found)

        await until(there, seconds, lambda: f"no {words!r} in {self.server.texts(chat)}; {self.server.problems}")
        return found[-1]


async def true(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    async def there() -> bool:
        return condition()

    await until(there, seconds, lambda: what)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[BotApiServer]:
    async with BotApiServer().open() as opened:
        for chat in (ADA, BOB, EVE):
            opened.chat(chat)
        opened.chat(GROUP, "supergroup")
        yield opened
        assert opened.problems == []


def environ(server: BotApiServer, **more: str) -> dict[str, str]:
    return {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_BASE_URL": server.address, **more}


async def know_people(centre: Centre) -> None:
    for user_id, name, level in ((ADA, "ada", Level.ADMIN), (BOB, "bob", Level.LEAD)):
        await centre.runtime.operators.own(name, "telegram", "", str(user_id), level)


@pytest_asyncio.fixture
async def telegram(database_urls: DatabaseUrls, tmp_path: Path, server: BotApiServer) -> AsyncIterator[Telegram]:
    plugins = {"answers": Answers()}
    async with open_centre(database_urls, tmp_path, PLAYBOOKS, environ(server), plugins=plugins) as centre:
        await know_people(centre)
        yield Telegram(centre, server)


async def test_who_asks_is_answered_in_the_same_place(telegram: Telegram) -> None:
    await telegram.say(ADA, "/whoami")
    assert "ada" in (await telegram.sees(ADA, "Who you are")).text
    await telegram.say(BOB, "/whoami@vtoc_test_bot", GROUP, message_thread_id=9, is_topic_message=True)
    shown = await telegram.sees(GROUP, "Who you are")
    assert "bob" in shown.text
    assert shown.thread == 9
    await true(lambda: len(telegram.server.menus) == 2, "the menus were not published")
    assert {"command": "whoami", "description": "Show who you are here and what you may do."} in (
        telegram.server.menus["all_group_chats"]
    )


async def test_a_stranger_is_told_how_to_be_let_in_and_a_link_lets_them_in(telegram: Telegram) -> None:
    await telegram.say(EVE, "/whoami", GROUP)
    await telegram.sees(EVE, "/link CODE")
    assert telegram.server.texts(GROUP) == [], "nothing of it in the group"
    code, _ = await telegram.centre.runtime.operators.invite("ada", "ada", 1)
    await telegram.say(EVE, f"/start {code}")
    await telegram.sees(EVE, "ada")
    await telegram.say(EVE, "/whoami", GROUP)
    await telegram.sees(GROUP, "Who you are")


async def test_a_run_is_one_message_that_is_edited_and_a_result(telegram: Telegram) -> None:
    await telegram.say(ADA, "/playbook waiting")
    shown = await telegram.sees(ADA, "running: Wait")
    telegram.centre.plugin.gate.set()
    await telegram.sees(ADA, "Done.")
    await true(lambda: "done: Wait" in telegram.server.messages[ADA][shown.id].text, "the progress was not edited")
    assert telegram.server.messages[ADA][shown.id].history


async def test_a_result_with_a_picture_is_a_photo(telegram: Telegram) -> None:
    await telegram.say(ADA, "/picture", GROUP)
    shown = await telegram.sees(GROUP, "A small picture")
    assert (shown.kind, shown.file) == ("photo", PNG)
    assert shown.reply_to is not None


async def test_an_approval_is_decided_by_a_button_and_closed_everywhere(telegram: Telegram) -> None:
    await telegram.say(ADA, "/playbook guarded", GROUP)
    shown = await telegram.sees(GROUP, "lead")
    await true(lambda: bool(telegram.server.messages[GROUP][shown.id].keys), "it has no buttons")
    await telegram.press(ADA, "Approve", GROUP)
    await telegram.sees(ADA, "you asked for this yourself")
    await telegram.press(BOB, "Approve", GROUP)
    await telegram.sees(GROUP, "Done.")
    await telegram.sees(GROUP, "Approved by bob")
    assert [shown.text for shown in telegram.server.shown(GROUP) if shown.keys] == []
    assert telegram.centre.plugin.calls == ["one:salt"]
    assert len(telegram.server.answered) == 2


async def test_what_is_missing_is_asked_for(telegram: Telegram) -> None:
    await telegram.say(ADA, "/count", GROUP)
    question = await telegram.sees(GROUP, "/count")
    assert question.forces_reply
    await telegram.say(ADA, "many", GROUP, reply_to_message={**message(question.id, BOT_ID, "?", GROUP)})
    await true(lambda: len(telegram.server.texts(GROUP)) == 2, "it was not asked again")
    await telegram.say(ADA, "7", GROUP, reply_to_message={**message(question.id, BOT_ID, "?", GROUP)})
    await telegram.sees(GROUP, "7 km")


async def test_a_page_replaces_the_one_before_and_a_stale_button_says_so(telegram: Telegram) -> None:
    await telegram.say(ADA, "/count 3")
    first = await telegram.sees(ADA, "3 km")
    await telegram.press(ADA, "Next", ADA)
    assert (await telegram.sees(ADA, "4 km")).id == first.id
    await telegram.press(ADA, "Next", ADA)
    assert (await telegram.sees(ADA, "5 km")).id == first.id
    assert len(telegram.server.shown(ADA)) == 1
    on = message(first.id, BOT_ID, first.text, ADA)
    await telegram.server.put({"callback_query": press(ADA, "long-gone", on)})
    await telegram.sees(ADA, "too old")


async def test_a_private_result_goes_to_the_asker_alone(telegram: Telegram) -> None:
    await telegram.say(ADA, "/playbook secret", GROUP)
    await telegram.sees(ADA, "Secret result")
    assert telegram.server.texts(GROUP) == []


async def test_an_edited_command_is_a_command(telegram: Telegram) -> None:
    number = telegram.server.next_message_id()
    await telegram.server.put({"message": message(number, ADA, "/wohami")})
    await telegram.sees(ADA, "did you mean")
    for at in (1_796_000_200, 1_796_000_300):  # the second changes nothing
        await telegram.server.put({"edited_message": message(number, ADA, "/whoami", edit_date=at)})
    await telegram.sees(ADA, "Who you are")
    await true(lambda: not telegram.server.updates, "not all were confirmed")
    rows = await telegram.centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox WHERE transport = 'telegram'")
    assert rows == {"n": 2}


async def test_the_confirmation_of_a_batch_that_is_lost_doubles_nothing(telegram: Telegram) -> None:
    lost: list[str] = []

    def confirmations(call: Any) -> Any:
        if call.method == "getUpdates" and "offset" in call.params and len(lost) < 3:
            lost.append(call.params["offset"])
            return "drop"
        return None

    telegram.server.manners = confirmations
    await telegram.say(ADA, "/playbook guarded", GROUP)
    await telegram.say(ADA, "/whoami")
    await telegram.sees(ADA, "Who you are")
    await true(lambda: not telegram.server.updates, "not all were confirmed")
    rows = await telegram.centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox WHERE transport = 'telegram'")
    assert rows == {"n": 2}
    assert await telegram.centre.row("SELECT count(*) AS n FROM vtoc_engine.runs") == {"n": 1}
    assert sum("Who you are" in text for text in telegram.server.texts(ADA)) == 1


async def test_a_flood_of_answers_goes_out_as_fast_as_is_allowed_and_whole(telegram: Telegram) -> None:
    limits = iter([Refusal(429, "Too Many Requests: retry after 1", retry_after=1)] * 2)
    telegram.server.manners = lambda call: next(limits, None) if call.method == "sendMessage" else None
    for number in range(1, 5):
        await telegram.say(ADA, f"/count {number}")
    for number in range(1, 5):
        await telegram.sees(ADA, f"{number} km")
    order = [text.partition("\n")[0] for text in telegram.server.texts(ADA)]
    assert order == ["1 km", "2 km", "3 km", "4 km"]
    sent = [call.at for call in telegram.server.called("sendMessage")][-4:]
    assert all(after - before > 0.95 for before, after in pairwise(sent))


@pytest.mark.parametrize(
    ("failure", "repeats"),
    [
        (Refusal(429, "Too Many Requests: retry after 1", retry_after=1), [False, False, False]),
        (Refusal(500, "Internal Server Error"), [False, True, False]),
    ],
    ids=["limited", "failing"],
)
async def test_a_card_of_several_messages_that_failed_in_the_middle_goes_on(
    telegram: Telegram, failure: Refusal, repeats: list[bool]
) -> None:
    sent: list[Any] = []

    def second_fails(call: Any) -> Any:
        if call.method == "sendMessage":
            sent.append(call)
        return failure if len(sent) == 2 and call.method == "sendMessage" else None

    telegram.server.manners = second_fails
    await telegram.say(ADA, "/long")
    await telegram.sees(ADA, "row 4 ")
    texts = telegram.server.texts(ADA)
    assert len(texts) == len(set(texts)) == 3, "none is shown twice"
    assert ["may be a repeat" in text for text in texts] == repeats, "what may be there twice says so, nothing else"


async def test_a_send_of_unknown_end_is_repeated_and_says_so(telegram: Telegram) -> None:
    sent: list[Any] = []

    def first_is_lost(call: Any) -> Any:
        if call.method != "sendMessage":
            return None
        sent.append(call)
        return "do-and-drop" if len(sent) == 1 else None

    telegram.server.manners = first_is_lost
    await telegram.say(ADA, "/whoami")
    await telegram.sees(ADA, "(may be a repeat)")
    assert ["(may be a repeat)" in text for text in telegram.server.texts(ADA)] == [False, True]


async def test_the_webhook_takes_in_what_telegram_posts_once_and_nothing_forged(
    database_urls: DatabaseUrls, tmp_path: Path, server: BotApiServer
) -> None:
    more = {"VTOC_PUBLIC_URL": "https://bots.example", "TELEGRAM_WEBHOOK_SECRET": SECRET, "API_PORT": "0"}
    variables = environ(server, VTOC_API_HOST="127.0.0.1", **more)
    async with open_centre(database_urls, tmp_path, PLAYBOOKS, variables, web=True) as centre:
        await know_people(centre)
        await true(lambda: bool(server.webhook["url"]), "the webhook was not set")
        assert server.webhook["url"] == f"https://bots.example{PATH}"
        url, telegram = f"{centre.runtime.address}{PATH}", Telegram(centre, server)
        body = json.dumps({"update_id": 77, "message": message(1, ADA, "/whoami")})
        async with aiohttp.ClientSession() as http:

            async def post(data: str, secret: str) -> int:
                async with http.post(url, data=data, headers={HEADER: secret}) as answer:
                    return answer.status

            assert await post(body, "forged") == 403
            assert await post("{", SECRET) == 400
            assert await asyncio.gather(*(post(body, SECRET) for _ in range(5))) == [200] * 5
            await telegram.sees(ADA, "Who you are")
            probes = {result.name: result for result in await centre.runtime.health.check()}
        assert "webhook" in probes["transport.telegram"].detail
        assert await centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox") == {"n": 1}
    assert len(server.texts(ADA)) == 1


async def test_a_wrong_token_leaves_the_other_platforms_running_and_health_says_so(
    database_urls: DatabaseUrls, tmp_path: Path, server: BotApiServer
) -> None:
    server.token = "77001:AAtheTokenWasRevokedAndThisIsTheNewOne"
    async with open_centre(database_urls, tmp_path, {}, environ(server)) as centre:
        await centre.person("ada")
        assert "Who you are" in (await centre.ask("ada", "/whoami")).title

        async def told() -> bool:
            results = {result.name: result for result in await centre.runtime.health.check()}
            probe = results["transport.telegram"]
            return not probe.ok and "TELEGRAM_BOT_TOKEN was refused (401)" in probe.detail

        await until(told, 10, lambda: "health does not say so")
    server.token = TOKEN
