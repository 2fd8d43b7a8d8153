"""The whole loop over real sockets, in one trace: a ChatKit webhook, a playbook, MCP tools, an approval, the result."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest_asyncio
import yaml

from tests.mcp_kit import HttpServer, http_server, write_config
from tests.otlp_collector import Collected, OtlpCollector, collecting
from tests.scenario_kit import At, Installation, invited, until
from tests.stands.chatkit import ChatKitStand
from vtoc_bots import Level
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls

THREAD = "T1"
PLAYBOOK = """
id: op_pump_on
role: ops
title: Start a pump
inputs: {pump: {type: string, required: true}}
steps:
  - {id: look, uses: mcp.call, with: {server: plant, tool: trace}}
  - id: start
    needs: [look]
    uses: mcp.call
    with: {server: plant, tool: mark, arguments: {text: "${{ inputs.pump }} on"}}
    approve: {level: lead}
reply:
  card: {title: "Pump ${{ inputs.pump }} is on", blocks: ["seen by ${{ steps.look.text }}", "${{ steps.start.text }}"]}
"""


class Loop(NamedTuple):
    """Ada asks in a thread of a ChatKit organisation, Bob approves there; the plant is an MCP server."""

    installation: Installation
    store: Store
    stand: ChatKitStand
    collector: OtlpCollector
    marks: Path
    ada: At
    bob: At

    async def posted(self, *words: str) -> str:
        """Wait for a message of the thread with all these words; its text."""

        def found() -> list[str]:
            texts = [posted.body["text"] for posted in self.stand.org.posts if posted.thread == THREAD]
            return [text for text in texts if all(word in text for word in words)]

        async def there() -> bool:
            return bool(found())

        await until(there, f"never {words}", lambda: f"{self.stand.org.posts}\n{self.installation.log()}")
        return found()[-1]

    async def rows(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """Rows of the database."""
        return [dict(row) for row in await self.store.fetch(sql, *arguments)]


@pytest_asyncio.fixture
async def loop(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Loop]:
    marks = tmp_path / "marks"
    async with AsyncExitStack() as stack:
        plant: HttpServer = await stack.enter_async_context(http_server(marks))
        collector = await stack.enter_async_context(collecting())
        stand = ChatKitStand()
        await stand.start()
        stand.org.channels["toc-s2"] = "TOC-S2"  # where approvals are told of
        stack.push_async_callback(stand.stop)
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        notices = stand.conversation("toc-s2")
        installation = Installation(database_urls, tmp_path, {"chatkit": stand}, notices, **traced)
        stack.push_async_callback(installation.close)
        write_config(tmp_path, {"plant": {"url": plant.url, "tools": ["trace", "mark"]}})
        (tmp_path / "config" / "op_pump_on.yml").write_text(PLAYBOOK)
        entry = {"op_pump_on": {"station_role": "ops", "file": "op_pump_on.yml"}}
        (tmp_path / "config" / "agentkit.yml").write_text(yaml.safe_dump({"playbooks": entry}))
        await installation.start()
        store = await Store.open(database_urls)
        stack.push_async_callback(store.close)
        ada, bob = (At(stand, who, installation) for who in stand.people)
        found = Loop(installation, store, stand, collector, marks, ada, bob)
        for person in (ada, bob):
            await joined(found, person)
        yield found


async def joined(loop: Loop, person: At) -> None:
    """Let a person in by an invitation."""
    code = await invited(loop.store, person.who.name, Level.LEAD)
    await loop.stand.says(person.who, f"/link {code}", "toc-s1", THREAD)
    await loop.posted("Linked", person.who.name)


async def test_a_webhook_a_playbook_its_tools_an_approval_and_the_result_are_one_trace(loop: Loop) -> None:
    await loop.stand.says(loop.ada.who, "@agent op_pump_on pump=P-2", "toc-s1", THREAD)
    question = await loop.ada.sees("Approval needed", "Start a pump", room="toc-s1")
    assert question.thread == THREAD
    assert not loop.marks.exists(), "done before it was approved"
    await loop.stand.presses(loop.ada.who, question, "Approve")
    await loop.posted("Not allowed")
    await loop.stand.presses(loop.bob.who, question, "Approve")
    result = await loop.posted("Pump P-2 is on")

    (run,) = await loop.rows("SELECT id, correlation_id, trace FROM vtoc_engine.runs")
    assert short_id(run["correlation_id"]) in result, "the footer has the correlation id"
    assert loop.marks.read_text() == "P-2 on\n"
    assert f"under {run['id']}:start" in result
    trace = run["trace"].split("-")[1]
    assert f"seen by 00-{trace}-" in result, "the tool was called within the trace"
    await is_audited(loop, run)
    await is_one_trace(loop, trace, str(run["correlation_id"]))


async def is_audited(loop: Loop, run: dict[str, Any]) -> None:
    """What was done stands under the correlation id, for people too, and the chain of everything holds."""
    sql = "SELECT event FROM vtoc_engine.audit WHERE correlation_id = $1 ORDER BY at, id"
    told = [row["event"] for row in await loop.rows(sql, run["correlation_id"])]
    assert told == ["command", "approval.asked", "approval.approve", "run.succeeded"]
    short = short_id(run["correlation_id"])
    await loop.stand.says(loop.ada.who, f"/why {short}", "toc-s1", THREAD)
    await loop.posted(f"Why {short}", "approval.appro", loop.bob.who.name)

    async def is_sealed() -> bool:
        return not await loop.rows("SELECT 1 FROM vtoc_engine.audit WHERE position IS NULL")

    await until(is_sealed, "the audit log was not sealed", loop.installation.log)
    code, printed = await loop.installation.command("audit", "verify")
    assert (code, "The chain holds." in printed) == (0, True), printed


async def is_one_trace(loop: Loop, trace: str, correlation_id: str) -> None:
    """From the webhook to the post of the result, each of our spans under another of them."""

    def found(name: str, **attributes: str) -> list[Collected]:
        wanted = {name.replace("_", "."): value for name, value in attributes.items()}.items()
        return [span for span in loop.collector.of(trace) if span.name == name and wanted <= span.attributes.items()]

    async def is_whole() -> bool:
        return bool(found("reply", vtoc_kind="result")) and len(found("run")) == 2

    await until(is_whole, "the spans did not come", lambda: f"{loop.collector.spans}")
    spans = {span.id: span for span in loop.collector.of(trace)}
    (accept,) = [span for span in spans.values() if span.parent not in spans]
    (chat,), runs = found("chat"), found("run")
    (look,) = found("mcp plant.trace", bot_platform="mcp:plant", bot_operation="trace")
    (start,) = found("mcp plant.mark", bot_platform="mcp:plant", bot_operation="mark")
    (reply,) = found("reply", vtoc_kind="result")
    posts = found("chatkit post", bot_platform="chatkit", bot_operation="post")

    def way(span: Collected) -> list[str]:
        """The names from a span up to the first."""
        return [span.name, *(way(spans[span.parent]) if span.parent in spans else [])]

    assert way(look) == ["mcp plant.trace", "step", "run", "chat", "accept"]
    assert way(start) == ["mcp plant.mark", "step", "run", "chat", "accept"]
    assert {spans[spans[each.parent].parent].id for each in (look, start)} == {run.id for run in runs}
    assert [way(post) for post in posts if post.parent == reply.id] == [["chatkit post", *way(reply)]]
    assert accept.id == chat.parent
    own = [span for span in spans.values() if not span.name.startswith("MCP send")]
    assert {span.attributes.get("vtoc.correlation_id") for span in own} == {correlation_id}, own
