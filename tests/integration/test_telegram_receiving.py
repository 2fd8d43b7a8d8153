"""Updates from Telegram by polling and by webhook: confirmed only after they are accepted, refused where forged."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.passing_clock import PassingClock
from tests.platform_kit import until
from tests.telegram_kit import (
    ADA,
    BOB,
    GROUP,
    PNG,
    Bench,
    bench_on,
    message,
    open_bench,
    own,
    press,
    running,
)
from tests.telegram_server import Refusal
from vtoc_bots import CommandSpec, MessageKind, StartupError, TransientError, VtocError, command
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.web.health import Health
from vtoc_bots.core.web.server import WebServer, make_app
from vtoc_bots.plugins.telegram.poller import MOST_FAULTS
from vtoc_bots.plugins.telegram.webhook import HEADER, MOST_BYTES, PATH

SECRET = "s3cret-of_the_webhook"


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as opened:
        yield opened


async def heard(bench: Bench, count: int) -> None:
    """Wait until so many messages are accepted."""

    async def there() -> bool:
        return len(bench.inbox.messages) >= count

    await until(there, 10, lambda: f"heard: {bench.inbox.messages}; calls: {bench.server.calls[-3:]}")


async def seen(condition: Callable[[], bool], what: str) -> None:
    """Wait until it is so."""

    async def there() -> bool:
        return condition()

    await until(there, 10, lambda: what)


async def test_an_update_is_confirmed_only_after_it_was_accepted(bench: Bench) -> None:
    refused: list[str] = []

    def twice(message: Any) -> Exception | None:
        if len(refused) < 2:
            refused.append(message.event_id)
            return TransientError("the database is away")
        return None

    bench.inbox.fails = twice
    update = await bench.server.put({"message": message(1, ADA, "/status")})
    async with running(bench):
        await heard(bench, 1)
        await seen(lambda: bench.server.confirmed == update["update_id"], "it was not confirmed")
    assert len(refused) == 2
    offsets = [call.params.get("offset") for call in bench.server.called("getUpdates")]
    assert offsets[:3] == [None, None, None], "it was not confirmed before it was accepted"


async def test_what_was_accepted_behind_a_failure_comes_again_as_a_duplicate(bench: Bench) -> None:
    failed: list[str] = []

    def first_of_bob(message: Any) -> Exception | None:
        if message.sender.user_id == str(BOB) and not failed:
            failed.append(message.event_id)
            return TransientError("busy")
        return None

    bench.inbox.fails = first_of_bob
    for number, who in enumerate([ADA, BOB, ADA, BOB]):
        await bench.server.put({"message": message(number, who, f"/n{number}")})
    async with running(bench):
        await heard(bench, 4)
        await seen(lambda: not bench.server.updates, "not all were confirmed")
    assert sorted(each.text for each in bench.inbox.messages) == ["/n0", "/n1", "/n2", "/n3"]
    of_bob = [each.text for each in bench.inbox.messages if each.sender.user_id == str(BOB)]
    assert of_bob == ["/n1", "/n3"], "a chat's messages keep their order"


async def test_a_poller_that_dies_before_it_confirms_loses_and_doubles_nothing(bench: Bench) -> None:
    await bench.server.put({"message": message(1, ADA, "/status")})
    bench.server.manners = lambda call: "drop" if "offset" in call.params else None
    async with running(bench):
        await heard(bench, 1)
    bench.server.manners = lambda call: None
    again = bench_on(bench.server, bench.transport._context.data_dir)
    again.inbox = bench.inbox
    await bench.server.put({"message": message(2, ADA, "/runs")})
    async with running(again):
        await heard(bench, 2)
        await seen(lambda: not bench.server.updates, "not all were confirmed")
    assert [each.text for each in bench.inbox.messages] == ["/status", "/runs"]


async def test_an_update_that_nobody_can_read_holds_nothing_up(bench: Bench) -> None:
    await bench.server.put({"message": {"message_id": "x", "from": {}, "text": "?"}})
    await bench.server.put({"message": message(1, ADA, "/status")})
    async with running(bench):
        await heard(bench, 1)


async def test_an_update_that_always_breaks_us_is_left_out_in_the_end(bench: Bench) -> None:
    tries: list[str] = []

    def breaks(message: Any) -> Exception | None:
        if message.text != "/poison":
            return None
        tries.append(message.event_id)
        return ZeroDivisionError("a fault of ours")

    bench.inbox.fails = breaks
    await bench.server.put({"message": message(1, ADA, "/poison")})
    await bench.server.put({"message": message(2, ADA, "/status")})
    async with running(bench):
        await heard(bench, 1)
        await seen(lambda: not bench.server.updates, "not all were confirmed")
    assert len(tries) == MOST_FAULTS
    assert [each.text for each in bench.inbox.messages] == ["/status"]


async def test_polling_begins_by_taking_the_webhook_away_and_is_held_by_one(bench: Bench) -> None:
    bench.server.webhook["url"] = "https://elsewhere.example/hook"
    await bench.server.put({"message": message(1, ADA, "/status")})
    async with running(bench):
        await heard(bench, 1)
        bench.server.webhook["url"] = "https://elsewhere.example/hook"
        # The poll that is under way is answered as before; the next one learns of it.
        await seen(lambda: len(bench.server.called("deleteWebhook")) == 2, "it does not take the webhook away again")
        await bench.server.put({"message": message(2, ADA, "/status")})
        await heard(bench, 2)
    assert bench.opened.held == ["receiver.77001"]
    assert [call.params["drop_pending_updates"] for call in bench.server.called("deleteWebhook")] == ["false"] * 2


async def test_a_second_program_with_the_same_token_is_told_of(bench: Bench) -> None:
    async with running(bench):
        await seen(lambda: bool(bench.server.called("getUpdates")), "it does not poll")
        async with aiohttp.ClientSession() as http:
            url = f"{bench.server.address}/bot{bench.server.token}/getUpdates"
            for count in (1, 2):
                polls = len(bench.server.called("getUpdates"))
                async with http.post(url, data={"timeout": "0"}) as answer:
                    assert answer.status == 200
                await seen(lambda n=polls: len(bench.server.called("getUpdates")) > n + 1, "it does not go on")  # type: ignore[misc]  # defaults of a lambda have no type
                assert len(bench.opened.notices) == count - 1, "once may be a process that has just ended"
        [(key, card)] = bench.opened.notices.items()
        assert "Two programs" in card.title
        assert key.startswith("conflict:77001:")
        await bench.server.put({"message": message(1, ADA, "/status")})
        await heard(bench, 1)


async def test_a_press_is_answered_once_it_is_accepted(bench: Bench) -> None:
    order: list[str] = []
    bench.inbox.fails = lambda message: order.append("accept")
    bench.server.manners = lambda call: order.append("answer") if call.method == "answerCallbackQuery" else None
    await bench.server.put({"callback_query": press(ADA, "token-1", own())})
    async with running(bench):
        await seen(lambda: bool(bench.server.answered), "it was not answered")
    assert order == ["accept", "answer"]
    assert bench.inbox.messages[0].kind is MessageKind.BUTTON
    assert bench.inbox.messages[0].token == "token-1"


async def test_a_press_that_can_not_be_answered_any_more_still_counts(bench: Bench) -> None:
    old = Refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
    bench.server.manners = lambda call: old if call.method == "answerCallbackQuery" else None
    await bench.server.put({"callback_query": press(ADA, "token-1", own())})
    async with running(bench):
        await heard(bench, 1)
        await seen(lambda: not bench.server.updates, "it was not confirmed")


def document(size: int, file_id: str = "plan") -> dict[str, Any]:
    return {
        "file_id": file_id,
        "file_unique_id": file_id,
        "file_name": "plan.pdf",
        "mime_type": "application/pdf",
        "file_size": size,
    }


async def test_files_for_us_are_fetched_and_no_others(bench: Bench) -> None:
    bench.server.files["files/plan"] = PNG
    plan = document(len(PNG))
    for number, (text, chat, file) in enumerate([
        ("/log plan", GROUP, plan),
        ("for somebody else", GROUP, plan),
        (None, ADA, plan),
        ("/log large", ADA, document(10 * 2**20 + 1)),
        ("/log lost", ADA, document(9, "lost")),
    ]):  # fmt: skip
        body = message(number, ADA, None, chat, document=file, **({"caption": text} if text else {}))
        await bench.server.put({"message": body})
    async with running(bench):
        await heard(bench, 5)
    blobs = {each.text: each.attachments[0].blob for each in bench.inbox.messages}
    fetched = blobs["/log plan"]
    assert fetched is not None
    assert await bench.blobs.get(fetched) == PNG
    assert blobs == {
        "/log plan": fetched,
        "for somebody else": None,
        "": fetched,
        "/log large": None,
        "/log lost": None,
    }
    assert len(bench.server.called("getFile")) == 3
    assert {each.text: each.attachments[0].problem for each in bench.inbox.messages if each.attachments[0].problem} == {
        "/log large": "with 10.0 MiB it is larger than 10 MiB",
        "/log lost": "Telegram does not give it",
    }


async def test_every_part_of_an_album_for_us_is_fetched(bench: Bench) -> None:
    bench.server.files["files/large"] = PNG
    sizes = [{"file_id": "large", "file_unique_id": "b", "width": 9, "height": 9, "file_size": len(PNG)}]
    for number, (album, caption) in enumerate([("a", "/log boats"), ("a", None), ("b", "for others"), ("b", None)]):
        words = {"caption": caption} if caption else {}
        body = message(number, ADA, None, GROUP, photo=sizes, media_group_id=album, **words)
        await bench.server.put({"message": body})
    async with running(bench):
        await heard(bench, 4)
    assert [bool(each.attachments[0].blob) for each in bench.inbox.messages] == [True, True, False, False]


async def test_a_group_that_moved_is_told_to_the_station(bench: Bench) -> None:
    await bench.server.put({"message": message(1, ADA, None, -44, migrate_to_chat_id=GROUP)})
    async with running(bench):
        await seen(lambda: bool(bench.opened.notices), "nobody was told")
    [(key, card)] = bench.opened.notices.items()
    assert str(GROUP) in card.model_dump_json()
    assert key == "moved:-44"


@pytest.mark.parametrize("token", ["77001:AAanotherTokenThatTelegramDoesNotKnow", "not a token"])
async def test_a_wrong_token_is_one_clear_line(tmp_path: Path, token: str) -> None:
    async with open_bench(tmp_path, TELEGRAM_BOT_TOKEN=token) as bench:
        with pytest.raises(StartupError) as raised:
            await bench.transport.run(bench.inbox)
    text = str(raised.value)
    assert text.startswith("telegram: TELEGRAM_BOT_TOKEN ")
    assert "@BotFather" in text
    assert token not in text
    assert "\n" not in text


async def test_a_token_that_is_revoked_later_ends_the_poller(bench: Bench) -> None:
    async with running(bench) as task:
        await seen(lambda: bool(bench.server.called("getUpdates")), "it does not poll")
        bench.server.token = "77001:AAnewTokenNewTokenNewTokenNewToken"
        await bench.server.put({"message": message(1, ADA, "/status")})
        with pytest.raises(StartupError, match="refused"):
            await task
    with pytest.raises(StartupError, match="refused"):
        await bench.transport.probe()


async def test_a_platform_that_is_away_is_waited_for(tmp_path: Path) -> None:
    clock = PassingClock()
    async with open_bench(tmp_path, clock=clock) as bench:
        bench.server.manners = lambda call: Refusal(502, "Bad Gateway") if len(bench.server.calls) < 6 else None
        await bench.server.put({"message": message(1, ADA, "/status")})
        async with running(bench):
            await heard(bench, 1)
    assert clock.slept[:3] == sorted(clock.slept[:3]), "it waits longer each time"


async def test_a_poller_waits_as_long_as_telegram_says(bench: Bench) -> None:
    limits = iter([Refusal(429, "Too Many Requests: retry after 23", retry_after=23)])
    bench.server.manners = lambda call: next(limits, None) if call.method == "getUpdates" else None
    async with running(bench):
        await bench.server.put({"message": message(1, ADA, "/status")})
        await heard(bench, 1)
    assert 23.0 in bench.clock.slept


async def test_health_tells_of_a_round_trip_and_the_last_update(bench: Bench) -> None:
    async with running(bench):
        await bench.server.put({"message": message(1, ADA, "/status")})
        await heard(bench, 1)
        bench.clock.seconds += 42
        words = await bench.transport.probe()
    assert "@vtoc_test_bot answers" in words
    assert "polling" in words
    assert "last update 42 s ago" in words
    bench.server.manners = lambda call: Refusal(500, "Internal Server Error")
    with pytest.raises(VtocError, match="Internal"):
        await bench.transport.probe()


@command("track watch", level="lead")
async def watch(ctx: Any, target: str) -> None:
    """Watch a track."""


@command("link", private=True, level=None)
async def link(ctx: Any, code: str) -> None:
    """Join an account."""


async def test_menus_are_published_for_each_scope_and_again_only_when_they_change(bench: Bench) -> None:
    commands: list[CommandSpec] = [watch, link]
    await bench.transport.publish(commands)
    assert bench.server.menus == {
        "all_private_chats": [
            {"command": "track_watch", "description": "Watch a track."},
            {"command": "link", "description": "Join an account."},
        ],
        "all_group_chats": [{"command": "track_watch", "description": "Watch a track."}],
    }
    await bench.transport.publish(commands)
    assert len(bench.server.called("setMyCommands")) == 2
    await bench.transport.publish([watch])
    assert len(bench.server.called("setMyCommands")) == 3


@asynccontextmanager
async def posted(bench: Bench) -> AsyncIterator[Callable[..., Any]]:
    """The transport's routes on a web server, and a function that posts to them as Telegram does; its status."""

    def routes(app: web.Application) -> None:
        app.add_routes(bench.transport.routes())

    metrics = Metrics()
    server = WebServer(make_app(Health(bench.clock, metrics), metrics, [routes]), "127.0.0.1", 0)
    url = await server.start() + PATH
    async with aiohttp.ClientSession() as http, _closed(server):

        async def post(body: Any, secret: str | None = SECRET, **options: Any) -> int:
            headers = {} if secret is None else {HEADER: secret}
            form = {"data": io.BytesIO(body)} if isinstance(body, bytes) else {"json": body}
            async with http.post(url, headers=headers, **form, **options) as answer:
                return answer.status

        yield post


@asynccontextmanager
async def _closed(server: WebServer) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await server.close()


@asynccontextmanager
async def webhook_bench(folder: Path) -> AsyncIterator[Bench]:
    async with open_bench(folder, public_url="https://bots.example", TELEGRAM_WEBHOOK_SECRET=SECRET) as bench:
        yield bench


async def test_a_webhook_is_set_and_takes_updates_in_once(tmp_path: Path) -> None:
    async with webhook_bench(tmp_path) as bench, posted(bench) as post:
        update = {"update_id": 9, "message": message(1, ADA, "/status")}
        assert await post(update) == 503, "before it runs it can't accept anything"
        async with running(bench):
            await seen(lambda: bool(bench.server.webhook["url"]), "the webhook was not set")
            assert [await post(update), await post(update)] == [200, 200]
            assert "webhook" in await bench.transport.probe()
        [call, *_] = bench.server.called("setWebhook")
        assert call.params["url"] == f"https://bots.example{PATH}"
        assert call.params["secret_token"] == SECRET
        assert bench.server.called("getUpdates") == []
    assert [each.text for each in bench.inbox.messages] == ["/status"]


async def test_forged_huge_and_malformed_posts_are_refused(tmp_path: Path) -> None:
    async with webhook_bench(tmp_path) as bench, posted(bench) as post, running(bench):
        await seen(lambda: bool(bench.server.webhook["url"]), "the webhook was not set")
        update = {"update_id": 9, "message": message(1, ADA, "/status")}
        assert await post(update, None) == 401
        assert await post(update, "wrong") == 403
        assert await post(update, SECRET + "x") == 403
        assert await post(update, "") == 403
        assert await post(b"x" * (MOST_BYTES + 1)) == 413
        for body in (b"{", b"[]", b"{}", b'{"update_id": "9"}', b'{"update_id": true}', b"\xff", b"[" * 100_000):
            assert await post(body) == 400
        for charset in ("utf-16", "utf-32", "latin-1"):
            assert await post(json.dumps({**update, "ü": "ü"}, ensure_ascii=False).encode(charset)) == 400, charset
        assert await post({"update_id": 10, "message": {"text": 5}}) == 200, "again it would be the same"
    assert bench.inbox.messages == []


async def test_a_file_that_takes_long_is_not_overtaken_in_its_chat_and_holds_up_no_other(tmp_path: Path) -> None:
    async with webhook_bench(tmp_path) as bench, posted(bench) as post, running(bench):
        await seen(lambda: bool(bench.server.webhook["url"]), "the webhook was not set")
        bench.server.files["files/plan"] = PNG
        given, usual = asyncio.Event(), bench.server.do_getFile

        async def slow(call: Any) -> Any:
            await given.wait()
            return await usual(call)

        bench.server.do_getFile = slow  # type: ignore[method-assign]  # this server is this test's alone
        plan = message(1, ADA, None, document=document(len(PNG)), caption="/log plan")
        intake = bench.transport._receiver.intake
        assert intake is not None
        posts = [asyncio.create_task(post({"update_id": 1, "message": plan}))]
        await seen(lambda: bool(bench.server.called("getFile")), "the file is not fetched")
        for number in (2, 3):
            later = message(number, ADA, f"/log later {number}")
            posts.append(asyncio.create_task(post({"update_id": number, "message": later})))
            await seen(lambda: intake.seen == len(posts), "it did not come")
        assert await post({"update_id": 4, "message": message(1, BOB, "/status")}) == 200
        assert [each.text for each in bench.inbox.messages] == ["/status"]
        assert len(intake._turns) == 1
        given.set()
        assert await asyncio.gather(*posts) == [200, 200, 200]
        posts.clear()
        await seen(lambda: not intake._turns, "turns are kept though nothing is taken in")
    assert [each.text for each in bench.inbox.messages] == ["/status", "/log plan", "/log later 2", "/log later 3"]


async def test_an_update_that_can_not_be_stored_is_asked_for_again(tmp_path: Path) -> None:
    async with webhook_bench(tmp_path) as bench, posted(bench) as post, running(bench):
        await seen(lambda: bool(bench.server.webhook["url"]), "the webhook was not set")
        bench.inbox.fails = lambda message: TransientError("the database is away")
        assert await post({"update_id": 9, "message": message(1, ADA, "/status")}) == 503
        bench.inbox.fails = lambda message: None
        assert await post({"update_id": 9, "message": message(1, ADA, "/status")}) == 200
    assert len(bench.inbox.messages) == 1


async def test_a_webhook_that_somebody_changed_is_set_again_and_told_of(tmp_path: Path) -> None:
    async with webhook_bench(tmp_path) as bench, running(bench):
        await seen(lambda: bool(bench.server.webhook["url"]), "the webhook was not set")
        bench.server.webhook = {**bench.server.webhook, "url": ""}
        await seen(lambda: bool(bench.server.webhook["url"]), "the webhook was not set again")
        assert "Two programs" in next(iter(bench.opened.notices.values())).title


async def test_health_tells_when_telegram_can_not_reach_us(tmp_path: Path) -> None:
    async with webhook_bench(tmp_path) as bench, running(bench):
        await seen(lambda: bool(bench.server.webhook["url"]), "the webhook was not set")
        bench.server.webhook.update(pending_update_count=7, last_error_date=1, last_error_message="Connection refused")
        with pytest.raises(VtocError, match="7 updates wait"):
            await bench.transport.probe()


@pytest.mark.parametrize(
    ("public_url", "secret", "words"),
    [("http://bots.example", SECRET, "must be an https"), ("https://bots.example", "no spaces", "letters, digits")],
)
async def test_a_webhook_that_telegram_would_not_take_is_one_clear_line(
    tmp_path: Path, public_url: str, secret: str, words: str
) -> None:
    async with open_bench(tmp_path, public_url=public_url, TELEGRAM_WEBHOOK_SECRET=secret) as bench:
        with pytest.raises(StartupError, match=words):
            await bench.transport.run(bench.inbox)


async def test_without_a_secret_there_is_no_webhook(tmp_path: Path) -> None:
    async with open_bench(tmp_path, public_url="https://bots.example") as bench:
        assert list(bench.transport.routes()) == []
        async with running(bench):
            await seen(lambda: bool(bench.server.called("getUpdates")), "it does not poll")
