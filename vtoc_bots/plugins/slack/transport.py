"""Slack as a chat platform: Events and interactivity in, Block Kit out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog
from aiohttp.web import RouteDef

from vtoc_bots import (
    Caps,
    Inbox,
    NotSent,
    Outbound,
    Receipt,
    StartupError,
    TransportContext,
    VtocError,
)
from vtoc_bots.plugins.slack.api import SlackApi, SlackFailure, TokenRefused
from vtoc_bots.plugins.slack.lookup import found_receipt
from vtoc_bots.plugins.slack.monitoring import Monitor
from vtoc_bots.plugins.slack.others import Others
from vtoc_bots.plugins.slack.receive import Receiver, accepting_app
from vtoc_bots.plugins.slack.redaction import ALWAYS, OPTIONAL
from vtoc_bots.plugins.slack.routes import slack_route
from vtoc_bots.plugins.slack.sending import SlackSender
from vtoc_bots.plugins.slack.settings import SlackSettings
from vtoc_bots.plugins.slack.signals import load_detectors
from vtoc_bots.plugins.slack.sockets import SocketMode
from vtoc_bots.plugins.slack.wire import Me

logger = structlog.get_logger(__name__)

PAGES: Final = 20
CAPS: Final = Caps(
    edit=True,
    threads=True,
    forms=True,
    form_errors=True,
    private=True,
    buttons=True,
    files=True,
    text_limit=12_000,
    looks_up_receipts=True,
)


class SlackTransport:
    """One app in one workspace, by Socket Mode, HTTP or both."""

    caps = CAPS

    def __init__(self, context: TransportContext, settings: SlackSettings) -> None:
        self._context, self._settings = context, settings
        wrong = [rule for rule in settings.redacts if rule not in OPTIONAL]
        if wrong:
            raise StartupError(f"slack: VTOC_SLACK_REDACT has {wrong[0]!r}; it takes {' and '.join(OPTIONAL)}")
        self._monitor = Monitor(
            settings.monitored_channels, (*ALWAYS, *settings.redacts), load_detectors(settings.detectors_file)
        )
        self._receiver = Receiver(context, self._monitor)
        token = _secret(settings.bot_token)
        self._app = accepting_app(self._receiver, token)
        self._sender = SlackSender(context)
        self._others = Others(context)
        self._api: SlackApi | None = None
        self._socket: SocketMode | None = None

    def routes(self) -> Sequence[RouteDef]:
        """The endpoint for Slack's requests, where there is a secret to verify them with."""
        secret = _secret(self._settings.signing_secret)
        return (slack_route(self._app, secret, self._context.clock),) if secret else ()

    async def run(self, inbox: Inbox) -> None:
        """Receive until cancelled. Raises StartupError where a person must correct a token."""
        app_token, base = _secret(self._settings.app_token), self._settings.api_base_url
        if not app_token and not self._settings.signing_secret:
            raise StartupError(
                "slack: neither SLACK_APP_LEVEL_TOKEN (Socket Mode) nor SLACK_SIGNING_SECRET (HTTP) is set, so nothing"
                " can be received. Set one in .env.station; docs/slack.md says where it is."
            )
        api = SlackApi(_secret(self._settings.bot_token), base, self._context.clock)
        apps = SlackApi(app_token, base, self._context.clock)
        try:
            me = await self._introduced(api)
            self._api = api
            await self._find_monitored(api)
            self._receiver.open(inbox, api, me)
            if app_token:
                self._socket = SocketMode(self._app, apps, self._context.clock, self._others)
                await self._socket.run()
            await asyncio.Event().wait()
        finally:
            self._receiver.close()
            self._api = self._socket = None
            await apps.close()
            await api.close()

    async def send(self, outbound: Outbound) -> Receipt:
        """Send or edit. Raises NotSent, Unknown, RateLimited or Refused."""
        return await self._sender.send(self._opened(), outbound)

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """Its receipt, by the metadata of the messages in its conversation."""
        return await found_receipt(self._opened(), self._sender, self._context, outbound)

    async def probe(self) -> str:
        """How Slack answers, and when something came last."""
        api = self._api
        if api is None:
            raise VtocError("slack: not connected yet")
        began = self._context.clock.monotonic()
        try:
            await api.post("auth.test")
        except TokenRefused as refused:
            raise VtocError(str(refused)) from refused
        milliseconds = (self._context.clock.monotonic() - began) * 1000
        if self._socket is not None and not self._socket.connected:
            raise VtocError("slack: the Socket Mode connection is down; it is being opened again")
        last = self._receiver.last_at
        seconds = None if last is None else (self._context.clock.now() - last).total_seconds()
        age = "nothing came yet" if seconds is None else f"last event {seconds:.0f} s ago"
        how = "HTTP"
        if self._socket is not None:
            how = f"Socket Mode, connection {self._socket.connections}, {self._socket.unacknowledged} not acknowledged"
            how += self._others.remark
        return f"{how}; answers in {milliseconds:.0f} ms; {age}, {self._receiver.repeated} sent again by Slack"

    def _opened(self) -> SlackApi:
        if self._api is None:
            raise NotSent("slack: not connected yet")
        return self._api

    async def _introduced(self, api: SlackApi) -> Me:
        """Who we are. Raises StartupError where the token is refused, NotSent where Slack is away."""
        try:
            answer = await api.post("auth.test")
        except TokenRefused as refused:
            raise StartupError(str(refused)) from refused
        logger.info("slack_ready", team=answer.get("team_id"), user=answer.get("user_id"))
        return Me(
            team=str(answer.get("team_id", "")),
            user=str(answer.get("user_id", "")),
            bot=str(answer.get("bot_id", "")),
            url=str(answer.get("url", "")).rstrip("/") + "/",
        )

    async def _find_monitored(self, api: SlackApi) -> None:
        """Find the ids of channels that were named."""
        cursor: str | None = None
        for _ in range(PAGES if self._monitor.names else 0):
            try:
                answer = await api.get(
                    "conversations.list",
                    types="public_channel,private_channel",
                    exclude_archived="true",
                    limit=500,
                    cursor=cursor,
                )
            except SlackFailure as failure:
                logger.warning("slack_channels_not_listed", error=str(failure))
                break
            for channel in answer.get("channels") or ():
                self._monitor.know(str(channel["name"]), str(channel["id"]))
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if not cursor:
                break
        for name in sorted(self._monitor.names):
            logger.warning("slack_channel_unknown", name=name, setting="MONITORED_CHANNELS")


def _secret(value: Any) -> str:
    return "" if value is None else str(value.get_secret_value())
