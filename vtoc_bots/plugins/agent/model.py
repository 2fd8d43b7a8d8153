"""The port to a language model, and its adapter to any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import orjson

from vtoc_bots import ActionError, Clock, Declined, Errand, Service, ServiceHttp, TransientError, VtocError
from vtoc_bots.plugins.agent.settings import AgentSettings

SERVICE: Final = Service("the model", "OPENAI_API_KEY", "OPENAI_BASE_URL")
AT_ONCE: Final = 8
CHARACTERS_PER_TOKEN: Final = 4
"""What is reckoned where an endpoint does not say what a reply used."""
MOST_CALLS: Final = 32
"""Tools that one reply may call."""
PROBE_SECONDS: Final = 1.5
PROBED_SECONDS: Final = 30.0
"""How long it is believed that the endpoint is there: whoever looks at our health may do so each second."""
SHORTEST_SECRET: Final = 8
"""Characters: less is "any word", which stands in sentences too."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants called. `arguments` is what it wrote: JSON text, if it is right."""

    id: str
    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said: words, tools to call, or neither. `tokens` is what the request and the reply used."""

    text: str
    calls: tuple[ToolCall, ...]
    tokens: int
    ended: str = ""
    """Why it ended, as the endpoint says it: ``stop``, ``length``, ``content_filter`` …"""


class Model(Protocol):
    """A language model that may ask for tools."""

    async def reply(
        self,
        clock: Clock,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Errand],
        seconds: float,
        *,
        may_call: bool = True,
    ) -> Reply:
        """The reply to these messages, in the form of chat completions, within that time; without calls if it may not.

        Raises TransientError where asking again later may help, ActionError with what a person can do.
        """
        ...


class ChatCompletions:
    """The model of an OpenAI-compatible endpoint; `open` it before the first reply."""

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._http: ServiceHttp | None = None
        self._seen_at = float("-inf")

    @asynccontextmanager
    async def open(self, data_dir: Path) -> AsyncIterator[None]:
        """Hold the connections."""
        async with aiohttp.ClientSession() as session:
            self._session = session
            yield
        self._session = self._http = None

    async def reply(
        self,
        clock: Clock,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Errand],
        seconds: float,
        *,
        may_call: bool = True,
    ) -> Reply:
        """One request to /chat/completions. A reply that was lost may be asked for again: it does nothing."""
        body: dict[str, Any] = {"model": self._settings.model, "messages": list(messages)}
        if tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": each.name, "description": each.description, "parameters": each.schema},
                }
                for each in tools
            ]
            body["tool_choice"] = "auto" if may_call else "none"
        key = self._settings.api_key.get_secret_value()
        try:
            answer = await self._service(clock).request(
                "POST",
                "chat",
                "completions",
                operation="reply",
                json=body,
                headers={"Authorization": f"Bearer {key}"},
                repeatable=True,
                timeout_seconds=min(seconds, self._settings.reply_seconds),
            )
        except VtocError as error:
            error.args = (without_key(str(error), key),)
            raise
        return reply_of(answer.document(), len(orjson.dumps(body)))

    async def probe(self, clock: Clock) -> str:
        """What is worth saying of the endpoint. Raises VtocError where it can't be reached or refuses the key.

        It is asked for its models, which costs nothing; one that does not list any is there all the same.
        """
        if clock.monotonic() - self._seen_at < PROBED_SECONDS:
            return self._settings.model
        if self._session is None:
            raise TransientError("not open yet")
        key = self._settings.api_key.get_secret_value()
        # By itself: what is found out here must not make questions wait.
        http = ServiceHttp(self._open_session, SERVICE, self._settings.base_url, clock, tries=1)
        headers = {"Authorization": f"Bearer {key}"}
        try:
            await http.request("GET", "models", operation="probe", headers=headers, timeout_seconds=PROBE_SECONDS)
        except Declined as error:
            if error.status in (401, 403):
                raise VtocError(without_key(str(error), key)) from None
        except VtocError as error:
            raise VtocError(without_key(str(error), key)) from None
        self._seen_at = clock.monotonic()
        return self._settings.model

    def _service(self, clock: Clock) -> ServiceHttp:
        """Our way to it. The run that asks waits parked, so each request has one try, and few wait for their turn."""
        if self._http is None:
            self._http = ServiceHttp(
                self._open_session,
                SERVICE,
                self._settings.base_url,
                clock,
                at_once=AT_ONCE,
                most_waiting=AT_ONCE,
                tries=1,
            )
        return self._http

    def _open_session(self) -> aiohttp.ClientSession:
        assert self._session is not None, "the action's lifespan opens it"
        return self._session


def without_key(text: str, key: str) -> str:
    """The text without the key, or as much of it as was quoted before a cut: endpoints quote a key that they refuse."""
    for length in range(len(key), SHORTEST_SECRET - 1, -1):
        if key[:length] in text:
            return text.replace(key[:length], "(the key)")
    return text


def reply_of(document: Mapping[str, Any], asked_bytes: int) -> Reply:
    """The reply in a completion. Raises ActionError where it is none."""
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ActionError(f"the model answered without a choice. Does {SERVICE.address} lead to chat completions?")
    content = message.get("content")
    text = content.strip() if isinstance(content, str) else ""
    calls = tuple(_calls(message.get("tool_calls")))
    usage = document.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    if not isinstance(tokens, int) or tokens < 0:
        tokens = (asked_bytes + len(orjson.dumps(message))) // CHARACTERS_PER_TOKEN
    return Reply(text, calls, tokens, str(choice.get("finish_reason") or ""))


def _calls(found: Any) -> list[ToolCall]:
    """The tools to call, each under an id of its own."""
    calls: list[ToolCall] = []
    for each in found if isinstance(found, list) else []:
        function = each.get("function") if isinstance(each, dict) else None
        if not isinstance(function, dict) or len(calls) == MOST_CALLS:
            continue
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
        given, known = str(each.get("id") or ""), {call.id for call in calls}
        calls.append(ToolCall(given if given and given not in known else f"call-{len(calls)}", _name(function), text))
    return calls


def _name(function: Mapping[str, Any]) -> str:
    return str(function.get("name") or "nothing")[:64]
