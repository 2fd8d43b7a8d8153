"""Calls of Slack's Web API, their failures told as what became of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import Any, Final

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from vtoc_bots import (
    Clock,
    NotFound,
    NotSent,
    RateLimited,
    Refused,
    Unknown,
    VtocError,
    downloaded,
    origin_of,
)

logger = structlog.get_logger(__name__)

CALL_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
RETRY_AFTER_SECONDS: Final = 2.0
"""How long to wait where Slack limits us without saying for how long."""
LONGEST_RETRY_SECONDS: Final = 300.0
FILES_ORIGIN: Final = "https://files.slack.com"

TOKEN_ERRORS: Final = frozenset(
    {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "not_allowed_token_type"}
)
_UNSURE: Final = frozenset({"internal_error", "fatal_error"})
"""Slack's own words of these: some aspect of the operation may have succeeded."""
_AWAY: Final = frozenset({"service_unavailable", "team_added_to_org", "request_timeout", "accesslimited"})
REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "channel_not_found": "this channel is unknown to the app; invite it there with /invite",
        "not_in_channel": "the app is not in this channel; invite it there with /invite",
        "is_archived": "this channel is archived",
        "user_not_in_channel": "that person is not in this channel",
        "user_not_found": "that person is unknown to Slack",
        "users_not_found": "that person is unknown to Slack",
        "cannot_dm_bot": "a bot can't be written to",
        "messages_tab_disabled": "the app's Messages tab is off; switch it on in the app's App Home settings",
        "msg_too_long": "the message is too long for Slack",
        "msg_blocks_too_long": "the message is too long for Slack",
        "invalid_blocks": "Slack does not take the message's blocks",
        "invalid_blocks_format": "Slack does not take the message's blocks",
        "no_text": "the message is empty",
        "message_not_found": "the message that should change is gone",
        "cant_update_message": "the message that should change is not the app's own",
        "edit_window_closed": "the message that should change can't be edited any more",
        "restricted_action": "the workspace's rules forbid writing here",
        "missing_scope": "the app lacks a scope; compare `vtoc-bots slack manifest` and install the app again",
        "expired_trigger_id": "the form came too late to be opened",
        "expired_url": "the answer came too late to be shown there",
        "used_url": "the answer was shown there too often",
    }
)


class SlackFailure(Refused):
    """Slack refused a call; `code` is its own word for why."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"slack: {REFUSALS.get(code, code)}{f' ({detail})' if detail else ''}")
        self.code = code


class TokenRefused(NotSent):
    """Slack refused our token: nothing can be sent until a person corrects it."""

    def __init__(self, code: str) -> None:
        super().__init__(
            f"slack: SLACK_BOT_TOKEN was refused ({code}). Copy it from the app's OAuth & Permissions page"
            " (xoxb-…) and set it in .env.station."
        )
        self.code = code


class SlackApi:
    """The Web API with one token. Never retries; a method that Slack limits is not called before its time."""

    def __init__(self, token: str, base_url: str, clock: Clock) -> None:
        self._clock, self._token = clock, token
        self._origins = frozenset((FILES_ORIGIN, origin_of(base_url)))
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS, connect=CONNECT_SECONDS)
        self.http = aiohttp.ClientSession(timeout=timeout)
        # Its own handlers would send again after a dropped connection, which nobody could tell from a first sending.
        self.client = AsyncWebClient(token, base_url, session=self.http, retry_handlers=[])
        self._not_before: dict[str, float] = {}

    async def close(self) -> None:
        """Close its connections."""
        await self.http.close()

    async def post(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """Call a method that takes JSON; what it answers. Raises NotSent, Unknown, RateLimited or SlackFailure."""
        key = f"{method} {arguments.get('channel', '')}"
        return await self.ask(key, lambda: self.client.api_call(method, json=arguments))

    async def get(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """Call a method that takes a form; the same."""
        known = {name: value for name, value in arguments.items() if value is not None}
        return await self.ask(method, lambda: self.client.api_call(method, params=known))

    async def ask(self, key: str, call: Any) -> Mapping[str, Any]:
        """Make a call, unless Slack asked to wait with such ones (`key`)."""
        wait = self._not_before.get(key, 0.0) - self._clock.monotonic()
        if wait > 0:
            raise RateLimited("slack: asked to wait", wait)
        try:
            return await _answered(call())
        except RateLimited as limit:
            if len(self._not_before) > 1000:
                self._not_before.clear()
            self._not_before[key] = self._clock.monotonic() + limit.after_seconds
            raise

    async def respond(self, url: str, body: Mapping[str, Any]) -> None:
        """Post to a response_url. Raises as `post` does."""
        await self.ask(url, lambda: _posted(self.http, url, body))

    async def upload(self, url: str, data: bytes) -> None:
        """Bring a file to the address that Slack gave for it. Raises NotSent: it is not shown anywhere yet."""
        try:
            async with self.http.post(url, data=data) as response:
                if response.status != 200:
                    raise NotSent(f"slack: a file could not be uploaded ({response.status})")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NotSent(f"slack: a file could not be uploaded ({type(error).__name__})") from error

    async def file(self, url: str, content_type: str) -> bytes:
        """The bytes of a file that a person shared. The token goes to Slack's own hosts alone.

        Raises TransientError or NotFound with why not.
        """
        credential = {"Authorization": f"Bearer {self._token}"}
        data, given = await downloaded(self.http, url, origins=self._origins, headers=credential)
        if given == "text/html" != content_type:  # Slack's page to log in at
            raise NotFound("the app may not read files: it lacks the scope files:read")
        return data


async def _answered(call: Awaitable[Any]) -> Mapping[str, Any]:
    """The answer's data, or what the failure means."""
    try:
        response = await call
    except SlackApiError as error:
        raise _failure(error) from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NotSent(f"slack: not reached ({type(error).__name__})") from error
    except (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise Unknown(f"slack: the connection ended before an answer ({type(error).__name__})") from error
    data = getattr(response, "data", response)
    return data if isinstance(data, dict) else {}


def _failure(error: SlackApiError) -> VtocError:
    """What an answer that is not ok means for the call."""
    response = error.response
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0) or 0)
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status == 429 or code in ("ratelimited", "rate_limited", "message_limit_exceeded"):
        return RateLimited("slack: asked to wait", retry_after(response.headers))
    if code in TOKEN_ERRORS:
        return TokenRefused(code)
    if code in _AWAY:
        return NotSent(f"slack: {code}")
    # Without a word of Slack's own, who answers may stand before the one that did it.
    if code in _UNSURE or status >= 500 or not code:
        return Unknown(f"slack: {code or f'failed ({status})'}")
    detail = data.get("response_metadata", {}).get("messages", []) if isinstance(data, dict) else []
    return SlackFailure(code, "; ".join(map(str, detail))[:300])


def retry_after(headers: Any) -> float:
    """Seconds that Slack asks to wait, whatever it wrote there."""
    try:
        return min(LONGEST_RETRY_SECONDS, max(0.0, float(headers.get("Retry-After", RETRY_AFTER_SECONDS))))
    except (TypeError, ValueError, AttributeError):
        return RETRY_AFTER_SECONDS


async def _posted(http: aiohttp.ClientSession, url: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Post to a response_url, which answers with the text ``ok`` or with what is wrong."""
    async with http.post(url, json=dict(body)) as response:
        text = await response.text()
        if response.status == 429:
            raise RateLimited("slack: asked to wait", retry_after(response.headers))
        if response.status >= 500:
            raise Unknown(f"slack: failed ({response.status})")
        if response.status != 200:
            raise SlackFailure(_code_of(text) or f"HTTP {response.status}")
    return {}


def _code_of(text: str) -> str:
    """The error's name in the answer of a response_url, which is JSON or bare text."""
    found = text.partition('"error":"')[2].partition('"')[0]
    return found or text.strip()[:60]
