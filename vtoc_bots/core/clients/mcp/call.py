"""One call of a tool, through the questions it asks: kept in memory, or resumed from what the server gave to keep."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import orjson
from mcp import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    PARSE_ERROR,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    InputRequiredResult,
)
from pydantic import ValidationError

from vtoc_bots.core.clients.answers import Uncertain
from vtoc_bots.core.clients.mcp.caller import Caller
from vtoc_bots.core.clients.mcp.config import ServerConfig
from vtoc_bots.core.clients.mcp.connection import Broken, Called, Connection
from vtoc_bots.core.errors import ActionError, TransientError, VtocError
from vtoc_bots.core.observe.tracing import current_traceparent
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.questions import Answer, Inquiry, PersonNeeded, Question

IDEMPOTENCY_META: Final = "vtoc-bots/idempotency-key"
"""Where a server that knows it finds our key among a request's `_meta`."""
MOST_ROUNDS: Final = 10
_STATE_ONLY_SECONDS: Final = 0.25
LONGEST_QUESTION: Final = 2_000


class ToolCall:
    """A call. Its connection is its own until `is_over`."""

    def __init__(
        self,
        config: ServerConfig,
        connection: Connection,
        tool: str,
        arguments: Mapping[str, Any],
        ctx: Caller,
        clock: Clock,
    ) -> None:
        self.connection, self._config, self._clock = connection, config, clock
        self._tool, self._arguments, self._ctx = tool, dict(arguments), ctx
        self._left = config.entry.timeout_seconds
        self._inquiry = Inquiry()
        self._times: Counter[str] = Counter()
        self._pending: tuple[Question, asyncio.Future[ElicitResult]] | None = None
        self._asked = asyncio.Event()
        self._work: asyncio.Task[Called] | None = None
        self.deadline: float | None = None
        """When it is given up waiting for a person, by the clock; None while it does not wait."""

    @property
    def repeatable(self) -> bool:
        """Whether calling the tool a second time does no harm."""
        known = self.connection.tools.get(self._tool)
        hints = None if known is None else known.annotations
        said = hints is not None and bool(hints.read_only_hint or hints.idempotent_hint)
        return said or self._config.entry.may_repeat(self._tool)

    async def go(self, ctx: Caller) -> CallToolResult:
        """Take it to its end. Raises PersonNeeded where it needs an answer; `go` again then, with the answer.

        Raises TransientError where it may be tried again, Uncertain where it may have been done, ActionError.
        """
        self._ctx, self._inquiry = ctx, ctx.inquiry
        self.deadline = None
        if self._pending is not None:
            self._hand_over()
        memo: Mapping[str, Any] = {} if self._work is not None else ctx.inquiry.memo
        for round_number in range(int(memo.get("round", 0)), MOST_ROUNDS):
            responses, state = self._responses(memo), memo.get("state")
            answer = await self._round(responses, state)
            if isinstance(answer, CallToolResult):
                return answer
            memo = self._memo(answer, round_number + 1)
            if not memo["requests"]:
                await self._clock.sleep(_STATE_ONLY_SECONDS)
        raise ActionError(f"{self._name} asked again and again, {MOST_ROUNDS} times")

    async def abandon(self) -> None:
        """Give it up: the server is told, as far as it listens."""
        if self._work is not None:
            self._work.add_done_callback(_looked_at)
            self._work.cancel()
            await asyncio.wait({self._work}, timeout=2.0)
        await self.connection.close()

    @property
    def _name(self) -> str:
        return f"{self._config.name}.{self._tool}"

    async def _round(self, responses: Any, state: str | None) -> Called:
        if self._work is None:
            self.connection.asks = self._answer
            meta: dict[str, Any] = {IDEMPOTENCY_META: self._ctx.idempotency_key}
            trace = current_traceparent()
            if trace is not None:
                meta["traceparent"] = trace
            self._work = asyncio.ensure_future(
                self.connection.call(self._tool, self._arguments, meta, self._progress, responses, state)
            )
        asked = asyncio.ensure_future(self._asked.wait())
        began = self._clock.monotonic()
        try:
            await asyncio.wait({self._work, asked}, timeout=self._left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
        self._left = max(1.0, self._left - (self._clock.monotonic() - began))
        if self._work.done():
            work, self._work = self._work, None
            return self._outcome(work)
        if self._pending is not None:
            self._asked.clear()
            self.deadline = self._clock.monotonic() + self._config.entry.answer_seconds
            question = self._pending[0]
            raise PersonNeeded(question, {"question": question.id, "held": True}, held=True)
        raise self._unsure(f"{self._name} did not answer within {self._config.entry.timeout_seconds:g} s")

    def _outcome(self, work: asyncio.Task[Called]) -> Called:
        """What the call came to, its faults as ours."""
        try:
            return work.result()
        except MCPError as error:
            refused = self.connection.refusal(idempotent=self.repeatable)
            if refused is not None:
                raise refused from error
            if error.code == CONNECTION_CLOSED:
                raise self._broken(error.message) from error
            if error.code == PARSE_ERROR:
                raise self._unsure(f"{self._name} answered with something that is not MCP") from error
            raise ActionError(f"{self._name}: {error.message[:LONGEST_QUESTION]}") from error
        except Broken as error:
            raise self._broken(str(error)) from error
        except (RuntimeError, ValidationError) as error:
            text = str(error).splitlines()[0][:300]
            raise self._unsure(f"{self._name} answered with something that MCP does not allow: {text}") from error

    def _broken(self, why: str) -> VtocError:
        if self.connection.never_reached():
            return TransientError(f"{self.connection.service.name} can't be reached ({why})")
        return self._unsure(f"the connection to {self.connection.service.name} ended while it did {self._tool} ({why})")

    def _unsure(self, text: str) -> VtocError:
        if self.repeatable:
            return TransientError(text)
        return Uncertain(f"{text}. Look there whether it was done before you ask again")

    async def _progress(self, progress: float, total: float | None, message: str | None) -> None:
        text = (message or self._tool)[:200]
        if total is not None and progress <= total and progress == int(progress) and total == int(total):
            await self._ctx.progress(text, int(progress), int(total))
        else:
            await self._ctx.progress(text if total else f"{text} {progress:g}")

    async def _answer(self, params: ElicitRequestParams) -> ElicitResult:
        """The answer to a question that comes in the middle of the call, known already or waited for."""
        if not self._ctx.can_ask:
            return ElicitResult(action="cancel")
        question = self._question(params, "")
        known = self._inquiry.answers.get(question.id)
        if known is not None:
            return _elicited(known)
        if self._pending is not None:
            return ElicitResult(action="cancel")  # one after the other
        future: asyncio.Future[ElicitResult] = asyncio.get_running_loop().create_future()
        self._pending = (question, future)
        self._asked.set()
        return await future

    def _hand_over(self) -> None:
        """Give the waiting call its answer. Raises ActionError where nobody answered in time."""
        assert self._pending is not None
        question, future = self._pending
        answer = self._inquiry.answers.get(question.id)
        if answer is None:
            raise ActionError(nobody_answered(question.text))
        self._pending = None
        if not future.done():
            future.set_result(_elicited(answer))

    def _question(self, params: ElicitRequestParams, key: str) -> Question:
        schema: dict[str, Any] = {}
        text = params.message[:LONGEST_QUESTION]
        if isinstance(params, ElicitRequestFormParams):
            schema = dict(params.requested_schema)
        else:
            text = f"{text}\n\n{params.url[:LONGEST_QUESTION]}"
        digest = hashlib.sha256(orjson.dumps([text, schema], option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
        self._times[digest] += 1
        asker = f"MCP server {self._config.name}"
        number = key or str(self._times[digest])
        return Question(f"{digest}:{number}", text, asker, self._config.entry.answer_seconds, schema)

    def _memo(self, answer: InputRequiredResult, round_number: int) -> dict[str, Any]:
        """What is to be kept until the next round. Raises ActionError for what we can't give."""
        requests = {}
        for key, request in (answer.input_requests or {}).items():
            if not isinstance(request, ElicitRequest):
                raise ActionError(f"{self._name} asks for {request.method}, which is not offered here")
            requests[key] = request.params.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"round": round_number, "state": answer.request_state, "requests": requests}

    def _responses(self, memo: Mapping[str, Any]) -> dict[str, ElicitResult] | None:
        """The answers to what the last round asked. Raises PersonNeeded for the first that is missing."""
        requests: Mapping[str, Any] = memo.get("requests") or {}
        responses = {}
        for key, document in requests.items():
            params = ElicitRequest.model_validate({"method": "elicitation/create", "params": document}).params
            question = self._question(params, f"{memo['round']}:{key}")
            known = self._inquiry.answers.get(question.id)
            if known is not None:
                responses[key] = _elicited(known)
            elif not self._ctx.can_ask:
                responses[key] = ElicitResult(action="cancel")
            elif memo.get("question") == question.id:
                raise ActionError(nobody_answered(question.text))
            else:
                raise PersonNeeded(question, {**memo, "question": question.id})
        return responses or None


def _looked_at(work: asyncio.Task[Called]) -> None:
    """Take the error of a call that nobody waits for any more, so that asyncio does not warn of it."""
    if not work.cancelled():
        work.exception()


def nobody_answered(text: str) -> str:
    """What to say where a question's time is over."""
    return f"nobody answered in time: {' '.join(text.split())[:300]}"


def _elicited(answer: Answer) -> ElicitResult:
    if answer.action == "decline":
        return ElicitResult(action="decline")
    return ElicitResult(action="accept", content=dict(answer.values) or None)
