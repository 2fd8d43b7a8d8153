"""Agent actions: executed once, audited in the station's table and in the chain, completed by signed webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from tests.api_kit import WEBHOOK_SECRET, Api, open_api
from tests.platform_kit import until
from vtoc_bots.core.access import Level
from vtoc_bots.core.audit import seal, verify
from vtoc_bots.core.store.agent_actions import PRIVATE, ActionRow, for_everybody
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.web.signatures import SIGNATURE_HEADER, signature_of

WEBHOOK = "/agent-actions/webhook"
SECRET = """
id: secret
title: Tell the code
steps: [{id: one, uses: centre.count, with: {what: "4711"}}]
reply: {card: {title: "The code is ${{ steps.one }}"}}
"""


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(database_urls, tmp_path) as opened:
        yield opened


async def audit(api: Api, action_id: str, status: str, token: str = "operator") -> Any:
    """The station's own row, once it says that."""
    found: list[Any] = []

    async def there() -> bool:
        rows = (await api.get("/agent-actions/audits", token=token)).body
        found[:] = [row for row in rows if row["action_id"] == action_id]
        return bool(found) and found[0]["status"] == status

    await until(there, 20, lambda: f"{found} is not {status}")
    return found[0]


async def test_a_station_that_takes_no_copies_holds_up_no_other(api: Api) -> None:
    await api.centre.runtime.store.execute(
        "INSERT INTO vtoc_engine.agent_actions (action_id, station, tool_name, status, correlation_id, updated_at)"
        " SELECT 'gone-' || n, 'toc-s99', 'count', 'running', gen_random_uuid(), now() - interval '1 day'"
        " FROM generate_series(1, 450) n"
    )
    action_id = (await api.post("/agent-actions/execute", {"tool_name": "count"})).body["action_id"]
    assert (await audit(api, action_id, "succeeded"))["response_payload"] is not None
    left = await api.centre.row("SELECT count(*) AS n FROM vtoc_engine.agent_actions WHERE told < revision")
    assert left == {"n": 450}


async def test_a_number_that_no_run_can_keep_is_the_callers_mistake(api: Api) -> None:
    body = {"tool_name": "centre.fail", "action_input": {"times": 2**70}}
    said = await api.post("/agent-actions/execute", body)
    assert (said.status, "too large a number" in said.body["detail"]) == (400, True)


async def chained(api: Api, action_id: str) -> list[str]:
    rows = await api.centre.runtime.store.fetch(
        "SELECT event FROM vtoc_engine.audit WHERE subject = $1 ORDER BY at, id", f"agent_action:{action_id}"
    )
    return [row["event"] for row in rows]


async def test_a_playbook_is_executed_and_what_became_of_it_is_audited(api: Api) -> None:
    body = {
        "tool_name": "count",
        "action_input": {"what": "pepper"},
        "metadata": {"chatkit": {"channel": {"slug": "toc-s1"}, "user_id": "u-1"}},
        "channel_slug": "elsewhere",
    }
    said = await api.post("/agent-actions/execute", body, headers={"X-ChatKit-User": "somebody"})
    assert said.status == 202
    action_id = said.body["action_id"]
    queued = (await api.get("/agent-actions/audits")).body[0]
    assert (queued["channel_slug"], queued["initiator_id"]) == ("toc-s1", "u-1")
    row = await audit(api, action_id, "succeeded")
    assert row["request_payload"] == {"what": "pepper"}
    assert row["response_payload"]["title"] == "Counted pepper"
    assert row["completed_at"] is not None
    assert await chained(api, action_id) == ["agent_action.queued", "agent_action.succeeded"]
    await seal(api.centre.runtime.store)
    assert (await verify(api.centre.runtime.store)).ok
    assert (await api.get("/agent-actions/audits", token="other")).body == []


async def test_a_private_card_is_for_who_asked_and_not_for_everybody_at_the_station(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "agentkit.yml").write_text("playbooks: {secret: {station_role: ops, file: secret.yml}}\n")
    (tmp_path / "config" / "secret.yml").write_text(SECRET)
    async with open_api(database_urls, tmp_path) as api:
        body, key = {"tool_name": "secret"}, {"Idempotency-Key": "one"}
        action_id = (await api.post("/agent-actions/execute", body, headers=key)).body["action_id"]
        row = await audit(api, action_id, "succeeded")
        assert row["response_payload"] == {"private": True, "run_id": action_id, "text": PRIVATE}
        await api.make_token("another", "toc-s1", Level.OPERATOR)
        assert (await api.get(f"/runs/{action_id}", token="another")).body["result"] is None
        assert (await api.get(f"/runs/{action_id}")).body["result"]["title"] == "The code is 4711"
        again = await api.post("/agent-actions/execute", body, headers=key)
        assert again.body["result"]["title"] == "The code is 4711"
        async with api.centre.runtime.store.session(await api.station("toc-s1")) as session:
            stored = await session.fetchval("SELECT response_payload::text FROM ops.agent_action_audits")
        assert "4711" not in stored


def test_an_output_that_is_a_private_card_is_left_out_too() -> None:
    card = {"title": "t", "blocks": [], "private": True}
    for response, is_left_out in (
        ({"output": card}, True),
        ({"output": {**card, "private": False}}, False),
        ({"output": {"private": True, "sum": 3}}, False),
        (None, False),
    ):
        row = ActionRow("a", "toc-s1", "t", UUID(int=1), "succeeded", {}, response, None, None, None, None, 1,
            UUID(int=2), datetime(2026, 1, 1, tzinfo=UTC))  # fmt: skip
        assert (for_everybody(row) != response) is is_left_out


async def test_an_action_is_executed_by_itself_and_its_input_is_data(api: Api) -> None:
    said = await api.post("/agent-actions/execute", {"tool_name": "centre.count", "action_input": {"what": "$${ x"}})
    row = await audit(api, said.body["action_id"], "succeeded")
    assert row["response_payload"] == {"output": "$${ x"}
    for body, status in (
        ({"tool_name": "centre.count", "action_input": {"what": "${{ run.id }}"}}, 400),
        ({"tool_name": "centre.count", "action_input": {"whom": "x"}}, 400),
        ({"tool_name": "centre.nothing"}, 404),
        ({"action_input": {}}, 400),
    ):
        assert (await api.post("/agent-actions/execute", body)).status == status
    said = await api.post("/agent-actions/execute", {"tool_name": "centre.count"}, token="observer")
    assert said.status == 403
    assert api.centre.plugin.calls == ["call:$${ x"]


async def test_a_failure_and_a_cancelled_run_are_told(api: Api) -> None:
    said = await api.post("/agent-actions/execute", {"tool_name": "waiting"})
    await audit(api, said.body["action_id"], "running")
    await api.post(f"/runs/{said.body['action_id']}/cancel")
    row = await audit(api, said.body["action_id"], "failed")
    assert "cancelled by" in row["error_message"]


async def test_the_same_key_executes_once_and_later_tells_the_result(api: Api) -> None:
    key, body = {"Idempotency-Key": "k-1"}, {"tool_name": "count", "action_input": {}}
    said = await asyncio.gather(*(api.post("/agent-actions/execute", body, headers=key) for _ in range(5)))
    assert len({each.body["action_id"] for each in said}) == 1
    await audit(api, said[0].body["action_id"], "succeeded")
    again = await api.post("/agent-actions/execute", body, headers=key)
    assert (again.body["status"], again.body["result"]["title"]) == ("succeeded", "Counted salt")
    assert (await api.post("/runs", {"playbook": "count"}, headers=key)).status == 422
    assert api.centre.plugin.calls == ["one:salt"]


async def test_only_allowed_tools_are_shown_and_executed(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    async with open_api(database_urls, tmp_path, CHATKIT_ALLOWED_TOOLS="count, centre.count") as api:
        tools = (await api.get("/agent-actions/tools")).body
        assert [tool["name"] for tool in tools] == ["count", "centre.count"]
        assert tools[0]["signature"]["properties"]["what"]["default"] == "salt"
        assert (await api.post("/agent-actions/execute", {"tool_name": "waiting"})).status == 403
        assert (await api.post("/agent-actions/execute", {"tool_name": "count"})).status == 202


async def test_tools_are_those_that_the_caller_may_run(api: Api) -> None:
    async def names(token: str) -> set[str]:
        return {tool["name"] for tool in (await api.get("/agent-actions/tools", token=token)).body}

    assert await names("operator") >= {"count", "centre.count", "op_airtrack_merge"}
    assert "centre.count" not in await names("observer")
    assert "op_airtrack_merge" not in await names("intel")


async def test_a_completion_is_stored_before_its_answer_and_null_never_overwrites(api: Api) -> None:
    first = {"action_id": "ak-1", "status": "running", "channel_slug": "TOC-S1", "initiator_id": "u-7"}
    assert (await api.webhook(WEBHOOK, orjson.dumps(first), at=0)).body == {"received": True}
    assert (await api.webhook(WEBHOOK, orjson.dumps(first))).status == 202
    stored = await api.centre.row("SELECT status, station FROM vtoc_engine.agent_actions WHERE action_id = 'ak-1'")
    assert stored == {"status": "running", "station": "toc-s1"}
    done = {"action_id": "ak-1", "status": "succeeded", "result": {"n": 1}, "initiator_id": None}
    assert (await api.webhook(WEBHOOK, orjson.dumps(done))).status == 202
    for late in (
        {"action_id": "ak-1", "status": "failed", "error": "no"},
        {"action_id": "ak-1", "status": "running"},
        done,
    ):
        assert (await api.webhook(WEBHOOK, orjson.dumps(late))).status == 202
    row = await audit(api, "ak-1", "succeeded")
    assert (row["tool_name"], row["response_payload"], row["error_message"]) == ("unknown", {"n": 1}, None)
    assert (row["channel_slug"], row["initiator_id"]) == ("TOC-S1", "u-7")
    assert await chained(api, "ak-1") == ["agent_action.running", "agent_action.succeeded"]


async def test_a_completion_goes_to_the_station_of_its_channel_or_headers(api: Api) -> None:
    body = orjson.dumps({"action_id": "ak-2", "status": "failed", "error": "broken", "channel_slug": "TOC_I1"})
    await api.webhook(WEBHOOK, body)
    assert (await audit(api, "ak-2", "failed", "intel"))["error_message"] == "broken"
    assert (await api.get("/agent-actions/audits")).body == []


async def test_nobody_else_says_what_becomes_of_a_run_here(api: Api) -> None:
    said = await api.post("/agent-actions/execute", {"tool_name": "waiting"})
    body = orjson.dumps({"action_id": said.body["action_id"], "status": "succeeded"})
    assert (await api.webhook(WEBHOOK, body)).status == 409
    await audit(api, said.body["action_id"], "running")


GOOD = b'{"action_id": "ak-3", "status": "succeeded"}'


@pytest.mark.parametrize(
    ("body", "options", "status"),
    [
        (GOOD, {"secret": "another-secret-x"}, 401),
        (GOOD, {"at": 1.0}, 401),
        (b"nonsense", {}, 400),
        (b'{"action_id": "ak-3"}', {}, 400),
        (b'{"action_id": "a b", "status": "failed"}', {}, 400),
        (b'{"action_id": "ak-3", "status": "done"}', {}, 400),
        (b'{"action_id": "ak-3", "status": "failed", "error": "\\u0000"}', {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[" * 5000, {}, 400),
        (GOOD.ljust(6 * 2**20), {}, 413),
    ],
    ids=["forged", "stale", "malformed", "incomplete", "bad id", "bad status", "NUL", "charset", "deep", "huge"],
)
async def test_a_bad_completion_is_refused_and_leaves_nothing(
    api: Api, body: bytes, options: dict[str, Any], status: int
) -> None:
    said = await api.webhook(WEBHOOK, body, **options)
    assert (said.status, said.headers["Content-Type"]) == (status, "application/problem+json")
    for table in ("agent_actions", "audit"):
        query = f"SELECT count(*) AS n FROM vtoc_engine.{table}"
        if table == "audit":
            query += " WHERE event LIKE 'agent_action%'"
        assert await api.centre.row(query) == {"n": 0}


async def test_a_body_in_another_charset_is_refused_though_signed(api: Api) -> None:
    body = GOOD.decode().encode("utf-16")
    headers = {SIGNATURE_HEADER: signature_of(WEBHOOK_SECRET, body), "Content-Type": "application/json; charset=utf-16"}
    assert (await api.call("POST", WEBHOOK, token=None, data=body, headers=headers)).status == 415


async def test_with_no_secret_every_webhook_is_refused(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    async with open_api(database_urls, tmp_path, CHATKIT_WEBHOOK_SECRET="") as api:
        for secret in ("", WEBHOOK_SECRET):
            said = await api.webhook(WEBHOOK, GOOD, secret=secret)
            assert (said.status, "CHATKIT_WEBHOOK_SECRET" in said.body["detail"]) == (401, True)
