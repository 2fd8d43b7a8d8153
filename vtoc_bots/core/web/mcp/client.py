"""The client of one request: what a tool may tell it and ask it, in both eras of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, get_args

from mcp.server.connection import allowed_log_levels
from mcp.server.context import ServerRequestContext
from mcp_types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputResponses,
    LoggingLevel,
    LoggingMessageNotification,
    LoggingMessageNotificationParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from vtoc_bots.core.web.mcp.offers import Level

Context = ServerRequestContext[Any, Any]
ASK_SECONDS: Final = 300.0
"""How long a person has to answer what a tool asks, before 2026; after it, the client calls again when it knows."""
LEVELS: Final[tuple[LoggingLevel, ...]] = get_args(LoggingLevel)
"""From the least to the most severe."""


class Asks(Exception):
    """The answer to a request is that it is to be sent again with answers to these questions."""

    def __init__(self, questions: Mapping[str, ElicitRequest]) -> None:
        super().__init__("the client is asked")
        self.questions = dict(questions)


class SdkClient:
    """The client of a request. `level` is the least severity its session wants to hear of, None for none."""

    def __init__(self, context: Context, level: LoggingLevel | None, answers: InputResponses | None) -> None:
        self.context = context
        self._answers = answers or {}
        self._asked = 0
        self._modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        self._levels = frozenset(LEVELS if level is None else LEVELS[LEVELS.index(level) :])
        if self._modern:
            self._levels = allowed_log_levels(context.protocol_version, context.meta)
        elif level is None:
            self._levels = frozenset()

    @property
    def can_ask(self) -> bool:
        """Whether it shows forms to a person."""
        capabilities = self.context.session.client_capabilities
        asks = None if capabilities is None else capabilities.elicitation
        if asks is None or (asks.form is None and asks.url is not None):
            return False
        return self._modern or self.context.session.can_send_request

    async def tell(self, done: float, total: float | None, text: str) -> None:
        """Progress, where the request wants it."""
        await self.context.session.report_progress(done, total, text)

    async def note(self, level: Level, data: Mapping[str, Any]) -> None:
        """A log message of the request, where the client wants its level."""
        if level not in self._levels:
            return
        params = LoggingMessageNotificationParams(level=level, data=dict(data), logger="vtoc-bots")
        await self.context.session.send_notification(
            LoggingMessageNotification(params=params), related_request_id=self.context.request_id
        )

    async def ask(self, message: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A form to a person; None where they decline, or nobody answers. Raises Asks, which the server answers."""
        said = await (self._answered(message, schema) if self._modern else self._elicited(message, schema))
        return None if said is None or said.action != "accept" else said.content or {}

    async def _elicited(self, message: str, schema: Mapping[str, Any]) -> ElicitResult | None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self.context.session.elicit_form(
                    message, dict(schema), related_request_id=self.context.request_id
                )
        except TimeoutError:
            return None

    async def _answered(self, message: str, schema: Mapping[str, Any]) -> ElicitResult | None:
        self._asked += 1
        key = f"question-{self._asked}"
        said = self._answers.get(key)
        if said is None:
            params = ElicitRequestFormParams(message=message, requested_schema=dict(schema))
            raise Asks({key: ElicitRequest(params=params)})
        return said if isinstance(said, ElicitResult) else None
