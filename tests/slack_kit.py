"""A centre with Slack: people who speak, press and fill in there, and what they see, by HTTP and by Socket Mode."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests import slack_payloads as payloads
from tests.centre_kit import Centre, open_centre
from tests.platform_kit import until
from tests.slack_blocks import texts_of
from tests.slack_server import APP_TOKEN, BOT_TOKEN, SECRET, TEAM, FakeSlack
from vtoc_bots import ActionContext, Button, Buttons, Card, Context, Image, action, command, hookimpl
from vtoc_bots.core.access import Level
from vtoc_bots.core.store.urls import DatabaseUrls

HALL, LAB, ADA, BOB, EVE = "C0HALL0001", "C0LAB00001", "U0ADA00001", "U0BOB00001", "U0EVE00001"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(500)
Shown = dict[str, Any]


@action("kit.card")
async def picture_card(ctx: ActionContext) -> Card:
    """A card with a picture."""
    blob = await ctx.blobs.put(PICTURE, "image/png")
    image = Image(blob=blob, alt="Two tracks east of the station", name="map.png", size=len(PICTURE))
    return Card.of("The picture", "As of now.", image)


@command("leaf", level="observer")
async def leaf(ctx: Context, *, page: int = 1) -> Card:
    """Show a page, with a button for the next."""
    following = Button(label="Next", command=f"/leaf --page {page + 1}", replaces=True)
    return Card.of(f"Page {page}", Buttons(buttons=(following,)))


@command("secret", level="observer", private=True)
async def secret(ctx: Context, *, page: int = 1) -> Card:
    """Show a private page, with a button for the next."""
    following = Button(label="Next", command=f"/secret --page {page + 1}", replaces=True)
    return Card.of(f"Secret {page}", Buttons(buttons=(following,)))


@command("menu", level="observer")
async def menu(ctx: Context, choice: str = "") -> Card:
    """Show eight choices, or the one that was made."""
    if choice:
        return Card.of(f"You chose {choice}")
    return Card.of("Choose", Buttons(buttons=tuple(Button(label=f"No. {n}", command=f"/menu {n}") for n in range(8))))


class KitPlugin:
    """Cards with pictures, pages and menus."""

    @hookimpl
    def vtoc_actions(self) -> tuple[Any, ...]:
        """kit.card."""
        return (picture_card,)

    @hookimpl
    def vtoc_commands(self) -> tuple[Any, ...]:
        """/leaf, /secret and /menu."""
        return (leaf, secret, menu)


class SlackCentre:
    """A running centre that Slack's people reach."""

    def __init__(self, centre: Centre, slack: FakeSlack, http: aiohttp.ClientSession, mode: str) -> None:
        self.centre, self.slack, self.runtime = centre, slack, centre.runtime
        self._http, self._mode = http, mode

    async def operator(self, user: str, level: Level = Level.ADMIN) -> None:
        """Make a user an operator."""
        await self.runtime.operators.own(user, "slack", TEAM, user, level)

    async def deliver(self, payload: dict[str, Any], **headers: str) -> tuple[int, Any]:
        """Send a payload to us as Slack does; the answer's status (Socket Mode: 200 once acknowledged) and body."""
        if self._mode == "socket":
            return 200, await self.envelope(payload)
        body, kind = payloads.encoded(payload)
        return await self.post(body, {**payloads.signed(body, self.slack.now()), "Content-Type": kind, **headers})

    async def post(self, body: str, headers: dict[str, str]) -> tuple[int, Any]:
        """Post to our endpoint."""
        async with self._http.post(f"{self.runtime.address}/slack/events", data=body, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") else text

    async def envelope(self, payload: dict[str, Any], seconds: float = 10, **more: Any) -> Any:
        """Send an envelope through the newest connection; the payload of its acknowledgement."""
        body = await asyncio.wait_for(asyncio.shield(await self.send_envelope(payload, **more)), seconds)
        return body.get("payload", "")

    async def send_envelope(self, payload: dict[str, Any], **more: Any) -> asyncio.Future[dict[str, Any]]:
        """Send an envelope; the acknowledgement to come."""
        kind, id = payloads.envelope_type(payload), self.slack.id("envelope")
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.slack.acknowledged[id] = waiting
        accepts = kind != "events_api"
        envelope = {"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": accepts, **more}
        await self.slack.sockets[-1].send_json(envelope)
        return waiting

    async def say(self, user: str, text: str, channel: str = HALL, thread: str | None = None) -> Shown:
        """Say something; the message's event."""
        event = payloads.said(self.slack, user, text, channel, thread)
        assert (await self.deliver(payloads.callback(self.slack, event)))[0] == 200
        return event

    async def mention(self, user: str, text: str, channel: str = HALL, thread: str | None = None) -> Shown:
        """Say something to the bot; Slack tells it twice."""
        event = await self.say(user, f"<@U0BOTUSER> {text}", channel, thread)
        assert (await self.deliver(payloads.callback(self.slack, payloads.mention_of(event))))[0] == 200
        return event

    async def command(self, user: str, text: str, channel: str = HALL, command: str = "/vtoc") -> None:
        """Give a slash command."""
        status, body = await self.deliver(payloads.slash(self.slack, user, command, text, channel))
        assert (status, body) == (200, "")

    async def press(self, user: str, label: str, message: Shown, channel: str = HALL) -> tuple[int, Any]:
        """Press a button or choose an entry of a menu of a message."""
        block, element, value = element_of(message["blocks"], label)
        pressed = payloads.pressed(self.slack, user, message, channel, element, block["block_id"], value)
        return await self.deliver(pressed)

    async def fill_in(self, user: str, values: dict[str, str], view: Shown | None = None) -> Any:
        """Send a modal off, the newest one; what is answered."""
        view = view or self.slack.views[-1]
        status, body = await self.deliver(payloads.submitted(self.slack, user, view, values))
        assert status == 200
        return body

    async def shown(self, needle: str, channel: str = HALL, seconds: float = 20) -> Shown:
        """The newest message of the bot in a channel in which these words stand."""
        return await self.found(lambda: self.slack.shown(channel), needle, seconds)

    async def whispered(self, needle: str, seconds: float = 20) -> Shown:
        """The newest ephemeral message in which these words stand."""
        return await self.found(lambda: self.slack.ephemerals, needle, seconds)

    async def home(self, needle: str, user: str = ADA, seconds: float = 20) -> Shown:
        """A user's App Home once these words stand in it."""
        return await self.found(lambda: [self.slack.homes[user]] if user in self.slack.homes else [], needle, seconds)

    async def found(self, look: Callable[[], list[Shown]], needle: str, seconds: float = 20) -> Shown:
        """The newest of what `look` returns in which these words stand, once it is there."""

        def newest() -> Shown | None:
            return next((each for each in reversed(look()) if needle in words(each)), None)

        async def there() -> bool:
            return newest() is not None

        await until(there, seconds, lambda: f"no {needle!r} in {[words(each) for each in look()]}")
        found = newest()
        assert found is not None
        return found

    async def settled(self) -> None:
        """Wait until every message is handled, every run parked or ended, and every card sent."""
        await self.centre.wait_for(
            "SELECT (SELECT count(*) FROM vtoc_engine.inbox WHERE state NOT IN ('done', 'failed'))"
            " + (SELECT count(*) FROM vtoc_engine.runs WHERE state = 'ready')"
            " + (SELECT count(*) FROM vtoc_engine.outbox WHERE state IN ('due', 'unknown') AND kind <> 'progress')",
            0,
        )


def words(shown: Shown) -> str:
    """All that is to be read in a message or view."""
    files = [f"[{file['title']}]" for file in shown.get("files", ())]
    return "\n".join([*(text for block in shown.get("blocks", ()) for text in texts_of(block)), *files])


def element_of(blocks: list[Shown], label: str) -> tuple[Shown, Shown, str]:
    """The block, element and value of a button or of a menu's entry."""
    for block in blocks:
        for element in block.get("elements", ()):
            if element.get("type") == "button" and element["text"]["text"] == label:
                return block, element, element["value"]
            for option in element.get("options", ()):
                if option["text"]["text"] == label:
                    return block, element, option["value"]
    raise AssertionError(f"no button {label} in {blocks}")


@asynccontextmanager
async def open_slack(
    urls: DatabaseUrls,
    folder: Path,
    playbooks: dict[str, str] | None = None,
    environ: dict[str, str] | None = None,
    *,
    mode: str = "http",
    slack: FakeSlack | None = None,
) -> AsyncIterator[SlackCentre]:
    """A running centre with a Slack of its own: two channels, Ada and Bob operators, Eve nobody."""
    async with (slack or FakeSlack()).open() as platform, aiohttp.ClientSession() as http:
        for channel in (HALL, LAB):
            if channel not in platform.channels:
                platform.channel(channel, channel[2:5].lower(), ADA, BOB, EVE)
        how = {"SLACK_SIGNING_SECRET": SECRET} if mode == "http" else {"SLACK_APP_LEVEL_TOKEN": APP_TOKEN}
        settings = {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_API_BASE_URL": f"{platform.address}/api/",
            "API_PORT": "0",
            "VTOC_API_HOST": "127.0.0.1",
            **how,
            **(environ or {}),
        }
        more = {"kit": KitPlugin()}
        web = mode == "http"
        async with open_centre(urls, folder, playbooks or {}, settings, plugins=more, web=web) as centre:
            opened = SlackCentre(centre, platform, http, mode)

            async def connected() -> bool:
                return bool(platform.sockets) if mode == "socket" else bool(platform.of("auth.test"))

            await until(connected, 20, lambda: f"not connected: {platform.calls}")
            await opened.operator(ADA)
            await opened.operator(BOB)
            yield opened
