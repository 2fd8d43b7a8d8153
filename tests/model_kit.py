"""A strict endpoint of OpenAI's chat completions over a real socket, whose replies a test writes down."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

KEY, MODEL = "sk-a-secret-of-the-model", "test-model"
Turn = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""What the endpoint does with one request."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class FakeModel:
    """Does each of `turns` once, in order; `asked` are the bodies of the requests, `breaches` what was wrong with them.

    `before` is awaited before a request is answered; `lists` answers who asks for its models, which `listed` counts.
    """

    def __init__(self) -> None:
        self.url = ""
        self.turns: list[Turn] = []
        self.asked: list[dict[str, Any]] = []
        self.breaches: list[str] = []
        self.before: Callable[[], Awaitable[None]] | None = None
        self.hanging = asyncio.Event()
        self.listed = 0

        async def all_models(request: web.Request) -> web.StreamResponse:
            return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

        self.lists: Turn = all_models

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        body = await request.json()
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return failure(401, "Incorrect API key provided")
        self.breaches += breaches_of(body)
        self.asked.append(body)
        if self.before is not None:
            await self.before()
        if not self.turns:
            self.breaches.append("it was asked more often than the test wrote down")
            return failure(500, "nothing is written down")
        return await self.turns.pop(0)(request)

    async def models(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/models, which `lists` answers."""
        self.listed += 1
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            self.breaches.append("it was asked for its models without the key")
        return await self.lists(request)

    @property
    def results(self) -> list[str]:
        """What the tools gave, as the model was told last."""
        return [each["content"] for each in self.asked[-1]["messages"] if each["role"] == "tool"]

    @property
    def tools(self) -> dict[str, dict[str, Any]]:
        """The tools that it was offered last, by name."""
        return {each["function"]["name"]: each["function"] for each in self.asked[-1].get("tools", [])}

    def says(self, text: str | None, *, tokens: int | None = 100, ended: str = "stop") -> None:
        """Reply with words."""
        self.turns.append(_completion({"role": "assistant", "content": text}, tokens, ended))

    def calls(self, *calls: tuple[str, Any], tokens: int | None = 100) -> None:
        """Reply with tools to call: name and arguments, which are sent as they are where they are a text."""
        made = [
            {
                "id": f"call_{len(self.turns)}_{number}",
                "type": "function",
                "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
            }
            for number, (name, given) in enumerate(calls)
        ]
        message = {"role": "assistant", "content": None, "tool_calls": made}
        self.turns.append(_completion(message, tokens, "tool_calls"))

    def fails(self, status: int, words: str = "a fault", **headers: str) -> None:
        """Answer with a status."""

        async def turn(request: web.Request) -> web.StreamResponse:
            return failure(status, words, **headers)

        self.turns.append(turn)

    def gives(self, text: str, kind: str = "application/json") -> None:
        """Answer 200 with this body."""

        async def turn(request: web.Request) -> web.StreamResponse:
            return web.Response(text=text, content_type=kind)

        self.turns.append(turn)

    def breaks_off(self) -> None:
        """Cut the connection in the middle of the body."""

        async def turn(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "200", "Content-Type": "application/json"})
            await response.prepare(request)
            await response.write(b'{"choices": [{"mess')
            assert request.transport is not None
            request.transport.close()
            return response

        self.turns.append(turn)

    def hangs(self) -> None:
        """Say nothing."""

        async def turn(request: web.Request) -> web.StreamResponse:
            await self.hanging.wait()
            return web.Response(status=500)

        self.turns.append(turn)


def breaches_of(body: dict[str, Any]) -> list[str]:
    """What the real endpoint refuses a request for."""
    found = [f"unknown member {name}" for name in body.keys() - {"model", "messages", "tools", "tool_choice"}]
    if body.get("model") != MODEL:
        found.append(f"model {body.get('model')}")
    for tool in body.get("tools", []):
        function = tool.get("function", {})
        if tool.get("type") != "function" or not _NAME.fullmatch(function.get("name", "")):
            found.append(f"tool {tool}")
        if function.get("parameters", {}).get("type") != "object" or len(function.get("description", "")) < 3:
            found.append(f"tool {function.get('name')} is not described")
    waiting: list[str] = []
    for number, message in enumerate(body["messages"]):
        role = message.get("role")
        if (number == 0) != (role == "system"):
            found.append("the system's message is the first and no other")
        if role == "tool":
            if message.get("tool_call_id") not in waiting or not isinstance(message.get("content"), str):
                found.append(f"nobody asked for {message}")
            else:
                waiting.remove(message["tool_call_id"])
        elif waiting:
            found.append(f"no result for {waiting}")
        waiting += [each["id"] for each in message.get("tool_calls", [])]
    return found + ([f"no result for {waiting}"] if waiting else [])


def failure(status: int, words: str, **headers: str) -> web.Response:
    """An error as the endpoint words it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response({"error": {"message": words, "type": "error"}}, status=status, headers=named)


def _completion(message: dict[str, Any], tokens: int | None, ended: str) -> Turn:
    async def turn(request: web.Request) -> web.StreamResponse:
        usage = (
            {} if tokens is None else {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": tokens}}
        )
        choice = {"index": 0, "message": message, "finish_reason": ended}
        return web.json_response({"id": "c-1", "object": "chat.completion", "choices": [choice], **usage})

    return turn


@asynccontextmanager
async def fake_model() -> AsyncIterator[FakeModel]:
    """The endpoint, listening."""
    model = FakeModel()
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", model.complete), web.get("/v1/models", model.models)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield model
    finally:
        model.hanging.set()
        await runner.cleanup()


def variables(model: FakeModel, **more: str) -> dict[str, str]:
    """The settings of a centre that uses it."""
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": model.url, "OPENAI_MODEL": MODEL, **more}
