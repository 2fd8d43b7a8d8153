"""What a tool asks a person, in the middle of its call: the run parks, chat answers, the call goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.api_kit import open_api
from tests.centre_kit import Centre
from tests.mcp_kit import calls, http_server, open_mcp_centre, said, stdio, write_config
from tests.platform_kit import until
from vtoc_bots import MessageKind
from vtoc_bots.core.access import Level
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.transports import Caps, OpenForm

PLAYBOOKS = {"order": calls("{what: paint}")}
STATE = "SELECT state || ' ' || coalesce(waiting_for, '') FROM vtoc_engine.runs ORDER BY created_at DESC LIMIT 1"


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    return tmp_path / "marks"


@pytest_asyncio.fixture(
    params=["order legacy", "order_once legacy", "order_modern legacy", "order_modern auto"],
    ids=lambda param: str(param).replace(" ", "-"),
)
async def asked(
    request: Any, database_urls: DatabaseUrls, tmp_path: Path, marks: Path
) -> AsyncIterator[tuple[Centre, Any, str]]:
    """A centre whose run waits for an answer; the message that began it, and the run's short id."""
    tool, era = request.param.split()
    servers = {"small": stdio(marks, protocol=era)}
    async with open_mcp_centre(database_urls, tmp_path, servers, PLAYBOOKS) as centre:
        await centre.person("ada", Level.OPERATOR)
        message = await centre.say("ada", f"/playbook order tool={tool}")
        await centre.wait_for(STATE, "waiting answer")
        run = await centre.row("SELECT id FROM vtoc_engine.runs")
        yield centre, message, short_id(run["id"])


def lines(marks: Path) -> list[str]:
    """What the tools did."""
    return marks.read_text().splitlines() if marks.exists() else []


async def test_an_answer_goes_back_into_the_call(asked: tuple[Centre, Any, str], marks: Path) -> None:
    centre, message, run = asked
    question = next(each.card for each in centre.transport.sends if "In which colour" in said(each.card))
    assert f"/answer {run} colour=…" in said(question)
    wrong = await centre.ask("ada", f"/answer {run} colour=red copies=12")
    assert "at most 9" in said(wrong)
    assert "Noted" in said(await centre.ask("ada", f"/answer {run} colour=red copies=3"))
    assert "3 red paint" in said(await centre.answer(message))
    assert [line for line in lines(marks) if "began" not in line] == ["3 red paint"]
    assert len(lines(marks)) <= 2
    assert "waits for no answer" in said(await centre.ask("ada", f"/answer {run} colour=blue"))
    assert centre.plugin.calls == ["one:before"]


async def test_declining_goes_back_into_the_call(asked: tuple[Centre, Any, str], marks: Path) -> None:
    centre, message, _ = asked
    await centre.press("ada", "Decline")
    card = said(await centre.answer(message))
    assert "decline" in card.lower()
    assert not [line for line in lines(marks) if "began" not in line]


async def test_only_who_asked_and_leads_may_answer(asked: tuple[Centre, Any, str]) -> None:
    centre, message, run = asked
    await centre.person("bob", Level.OPERATOR)
    await centre.person("eve", Level.LEAD)
    assert "did not start this run" in said(await centre.ask("bob", f"/answer {run} colour=black"))
    await centre.ask("eve", f"/answer {run} colour=green")
    assert "1 green paint" in said(await centre.answer(message))


async def test_a_platform_with_forms_asks_by_a_form(database_urls: DatabaseUrls, tmp_path: Path, marks: Path) -> None:
    caps = Caps(edit=True, buttons=True, forms=True, looks_up_receipts=True)
    servers = {"small": stdio(marks, protocol="legacy")}
    async with open_mcp_centre(database_urls, tmp_path, servers, PLAYBOOKS, caps=caps) as centre:
        await centre.person("ada")
        message = await centre.say("ada", "/playbook order tool=order")
        await centre.wait_for(STATE, "waiting answer")
        form = await centre.send("ada", "", kind=MessageKind.BUTTON, token=centre.token("Answer"))
        assert isinstance(form, OpenForm)
        assert [field.name for field in form.form.fields] == ["colour"]
        await centre.send("ada", "", kind=MessageKind.FORM, token=form.form.token, arguments={"colour": "blue"})
        assert "1 blue paint" in said(await centre.answer(message))


async def test_nobody_answering_fails_the_run_in_words(
    database_urls: DatabaseUrls, tmp_path: Path, marks: Path
) -> None:
    eras = {era: stdio(marks, answer_seconds=1.0, protocol=era) for era in ("legacy", "auto")}
    async with open_mcp_centre(database_urls, tmp_path, eras, PLAYBOOKS) as centre:
        await centre.person("ada")
        for era, tool in (("legacy", "order"), ("auto", "order_modern")):
            card = await centre.ask("ada", f"/playbook order server={era} tool={tool}")
            assert "nobody answered in time" in said(card)
        assert lines(marks) == []


@pytest.mark.parametrize(
    ("tool", "era", "outcome"),
    [("order", "legacy", "done"), ("order_once", "legacy", "loud"), ("order_modern", "auto", "done")],
)
async def test_a_process_that_ended_meanwhile_repeats_the_call_or_fails_loudly(
    database_urls: DatabaseUrls, tmp_path: Path, marks: Path, tool: str, era: str, outcome: str
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    async with http_server(marks) as server:
        servers = {"small": {"url": server.url, "tools": ["*"], "protocol": era}}
        async with open_mcp_centre(database_urls, tmp_path / "first", servers, PLAYBOOKS) as centre:
            await centre.person("ada")
            message = await centre.say("ada", f"/playbook order tool={tool}")
            await centre.wait_for(STATE, "waiting answer")
            run = short_id((await centre.row("SELECT id FROM vtoc_engine.runs"))["id"])
        async with open_mcp_centre(database_urls, tmp_path / "second", servers, PLAYBOOKS) as centre:
            again = await centre.say("ada", f"/answer {run} colour=red", event_id="again")
            assert "Noted" in said(await centre.answer(again))
            card = said(await centre.answer(message, 40))
        if outcome == "done":
            assert "1 red paint" in card
            assert lines(marks) == ["1 red paint"]
        else:
            assert "not known to be repeatable" in card
            assert lines(marks) == ["began paint"]


async def test_a_platform_without_forms_asks_one_value_after_the_other(
    database_urls: DatabaseUrls, tmp_path: Path, marks: Path
) -> None:
    caps = Caps(edit=True, buttons=True, dialog=True, looks_up_receipts=True)
    servers = {"small": stdio(marks, protocol="legacy")}
    async with open_mcp_centre(database_urls, tmp_path, servers, PLAYBOOKS, caps=caps) as centre:
        await centre.person("ada")
        message = await centre.say("ada", "/playbook order tool=order")
        await centre.wait_for(STATE, "waiting answer")
        pressed = await centre.press("ada", "Answer")
        assert "Colour" in said(await centre.answer(pressed))
        assert "Noted" in said(await centre.ask("ada", "violet"))
        assert "1 violet paint" in said(await centre.answer(message))


async def test_an_answer_given_at_another_worker_goes_to_the_one_that_holds_the_call(
    database_urls: DatabaseUrls, tmp_path: Path, marks: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    servers = {"small": stdio(marks, protocol="legacy")}
    async with (
        open_mcp_centre(database_urls, tmp_path / "one", servers, PLAYBOOKS) as one,
        open_mcp_centre(database_urls, tmp_path / "two", servers, PLAYBOOKS) as two,
    ):
        await one.person("ada")
        for number, (asking, answering) in enumerate(((one, two), (two, one), (one, two), (two, one))):
            await asking.say("ada", "/playbook order tool=order_once", event_id=f"ask{number}")
            await asking.wait_for(STATE, "waiting answer")
            run = await asking.row("SELECT id FROM vtoc_engine.runs ORDER BY created_at DESC LIMIT 1")
            text = f"/answer {short_id(run['id'])} colour=red copies={number + 1}"
            await answering.say("ada", text, event_id=f"answer{number}")
            await asking.wait_for(STATE, "succeeded ")
    assert lines(marks) == [line for n in range(4) for line in ("began paint", f"{n + 1} red paint")]


async def test_a_run_that_nobody_started_in_chat_has_nobody_to_ask(
    database_urls: DatabaseUrls, tmp_path: Path, marks: Path
) -> None:
    write_config(tmp_path, {era: stdio(marks, protocol=era) for era in ("legacy", "auto")})
    async with open_api(database_urls, tmp_path, PLAYBOOKS, A_SECRET="hidden-value") as api:
        for era, tool in (("legacy", "order"), ("auto", "order_modern")):
            body = {"playbook": "order", "inputs": {"server": era, "tool": tool}}
            run = (await api.post("/runs", body)).body

            async def ended(run_id: str = run["id"]) -> bool:
                return (await api.get(f"/runs/{run_id}")).body["state"] in ("succeeded", "failed")

            await until(ended, 30, lambda: "the run does not end")
            assert "cancel" in str((await api.get(f"/runs/{run['id']}")).body).lower()
    assert lines(marks) == []
