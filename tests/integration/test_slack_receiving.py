"""The middleware by itself: how each answer of the inbox is told to Slack, and what happens before it is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from tests import slack_payloads as payloads
from tests.slack_server import BOT_USER, FakeSlack
from tests.slack_transport import Alone, open_alone
from vtoc_bots import (
    Acknowledgement,
    Form,
    FormField,
    Invalid,
    MessageKind,
    NotSent,
    OpenForm,
    TransientError,
    new_id,
)
from vtoc_bots.plugins.slack import receive

HALL, ADA = "C0HALL0001", "U0ADA00001"
FORM = Form("f" * 32, "/track watch", (FormField("target", "Target"), FormField("radius", "Radius")))


@pytest_asyncio.fixture
async def alone() -> AsyncIterator[Alone]:
    async with open_alone() as opened:
        yield opened


async def answered(alone: Alone, payload: dict[str, object]) -> BoltResponse:
    """What the Bolt app answers, as over HTTP and Socket Mode."""
    return await alone.transport._app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=payload))


def said(alone: Alone, text: str = f"<@{BOT_USER}> status") -> dict[str, object]:
    return payloads.callback(alone.slack, payloads.said(alone.slack, ADA, text, HALL))


def asking(alone: Alone, answer: Acknowledgement) -> None:
    alone.inbox.answers.append(answer)


def test_bolt_has_nothing_to_say_where_the_token_is_a_variable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    receive.accepting_app(receive.Receiver.__new__(receive.Receiver), "xoxb-1")
    assert caplog.messages == []


async def test_nothing_is_answered_before_it_is_accepted(alone: Alone) -> None:
    alone.inbox.open.clear()
    answering = asyncio.create_task(answered(alone, said(alone)))
    done, _ = await asyncio.wait({answering}, timeout=0.1)
    assert not done
    alone.inbox.open.set()
    assert (await answering).status == 200


async def test_what_is_not_accepted_is_answered_503(alone: Alone) -> None:
    alone.inbox.fails = lambda message: TransientError("the database is away")
    assert (await answered(alone, said(alone))).status == 503
    assert (await answered(alone, payloads.slash(alone.slack, ADA, "/vtoc", "status", HALL))).status == 503


async def test_a_transport_that_does_not_run_answers_503_and_sends_nothing() -> None:
    async with open_alone() as alone:
        payload, outbound = said(alone), alone.outbound("Hello")
    assert (await answered(alone, payload)).status == 503
    with pytest.raises(NotSent):
        await alone.transport.send(outbound)
    assert len(alone.transport.routes()) == 1


async def test_a_form_is_open_before_its_command_is_answered(alone: Alone) -> None:
    asking(alone, OpenForm(FORM, new_id()))
    response = await answered(alone, payloads.slash(alone.slack, ADA, "/vtoc", "track watch", HALL))
    assert (response.status, response.body) == (200, "")
    [view] = alone.slack.views
    assert view["title"]["text"] == "/track watch"
    assert alone.inbox.unopened_forms == []


@pytest.mark.parametrize("manner", ["expired_trigger_id", "fail", "hang", "drop", "limit"])
async def test_a_form_that_does_not_open_is_told_to_the_inbox(
    alone: Alone, manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "OPEN_SECONDS", 0.2)
    alone.slack.manners = lambda method, arguments: manner if method == "views.open" else None
    asking(alone, OpenForm(FORM, new_id()))
    assert (await answered(alone, payloads.slash(alone.slack, ADA, "/vtoc", "track watch", HALL))).status == 200
    [message] = alone.inbox.unopened_forms
    assert message.command == "track"


async def test_a_trigger_that_is_too_old_opens_nothing(alone: Alone) -> None:
    payload = payloads.slash(alone.slack, ADA, "/vtoc", "track watch", HALL)
    now = alone.slack.now
    alone.slack.now = lambda: now() + 3.5
    asking(alone, OpenForm(FORM, new_id()))
    await answered(alone, payload)
    assert (alone.slack.views, len(alone.inbox.unopened_forms)) == ([], 1)


async def test_wrong_values_are_shown_at_their_fields_and_others_at_the_first(alone: Alone) -> None:
    asking(alone, OpenForm(FORM, new_id()))
    await answered(alone, payloads.slash(alone.slack, ADA, "/vtoc", "track watch", HALL))
    submitted = payloads.submitted(alone.slack, ADA, alone.slack.views[0], {"target": "A1"})
    asking(alone, Invalid({"radius": "not a distance", "minutes": "too many"}))
    response = await answered(alone, submitted)
    assert response.status == 200
    assert response.headers["content-type"] == ["application/json;charset=utf-8"]
    assert '"response_action": "errors"' in response.body
    assert '"errors": {"radius": "not a distance", "target": "minutes: too many"}' in response.body


async def test_the_same_press_has_the_same_name_and_another_press_another(alone: Alone) -> None:
    element = {"action_id": "vtoc:1", "type": "button", "text": {"type": "plain_text", "text": "Go"}}
    shown = {"ts": "1.1", "user": BOT_USER, "bot_id": "B0BOT0001"}
    first, second = (payloads.pressed(alone.slack, ADA, shown, HALL, element, "vtoc1|", "t" * 21) for _ in range(2))
    for payload in (first, first, second):
        assert (await answered(alone, payload)).status == 200
    names = [message.event_id for message in alone.inbox.handed]
    assert names[0] == names[1] != names[2]
    assert {message.kind for message in alone.inbox.messages} == {MessageKind.BUTTON}


async def test_where_the_direct_messages_of_a_user_are_is_asked_once_and_not_waited_for(alone: Alone) -> None:
    for _ in range(2):
        await answered(alone, payloads.shortcut(alone.slack, ADA, "vtoc_status"))
    assert len(alone.slack.of("conversations.open")) == 1
    alone.slack.manners = lambda method, arguments: "fail"
    await answered(alone, payloads.shortcut(alone.slack, "U0BOB00001", "vtoc_status"))
    direct = alone.slack.direct(ADA).id
    assert [m.conversation.channel for m in alone.inbox.messages] == [direct, direct, "U0BOB00001"]


async def test_socket_mode_alone_serves_no_route() -> None:
    slack = FakeSlack()
    async with open_alone(slack, {"SLACK_SIGNING_SECRET": None, "SLACK_APP_LEVEL_TOKEN": slack.app_token}) as alone:
        assert alone.transport.routes() == ()
