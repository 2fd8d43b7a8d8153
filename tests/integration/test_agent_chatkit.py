"""The agent before our ChatKit server: who is vouched for by a token is answered with that token's rights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api_kit import open_api
from tests.chatkit_kit import open_channels
from tests.integration.test_chatkit_server import Chat, words
from tests.model_kit import fake_model, variables
from vtoc_bots.core.store.urls import DatabaseUrls


@pytest.mark.parametrize("text", ["what is going on?", "@agent what is going on?"])
async def test_free_text_is_answered_with_the_tokens_rights(
    database_urls: DatabaseUrls, tmp_path: Path, text: str
) -> None:
    async with fake_model() as model, open_api(database_urls, tmp_path, **variables(model)) as api:
        model.calls(("whoami", {}), ("propose_command", {"command": "/cancel 7Z3K9QPM"}))
        model.says("Nothing is.")
        _, events = await Chat(api, "observer").begin(text)
        assert "Nothing is." in words(events)
        assert "token observer" in model.results[0]
        assert "needs operator" in model.results[1]
        assert model.asked[0]["messages"][1]["content"] == "what is going on?"
        assert model.breaches == []


async def test_what_people_say_to_each_other_while_a_run_goes_on_is_asked_of_no_model(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    async with fake_model() as model, open_channels(database_urls, tmp_path, **variables(model)) as channels:
        await channels.operator("ada")
        channels.stand.org.thread("toc-s1", "T1")
        await channels.event("@agent waiting", thread_id="T1")
        await channels.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'ready'", 1)
        await channels.event("the wind turns to the west", thread_id="T1")
        await channels.handled()
        station = await channels.api.station("toc-s1")
        async with channels.centre.runtime.store.session(station) as session:
            logged = await session.fetch("SELECT entry FROM ops.mission_logs")
        assert [row["entry"] for row in logged] == ["the wind turns to the west"]
        model.says("From the west.")
        await channels.event("@agent where is the wind from?", thread_id="T1")
        await channels.posted("From the west.", thread="T1")
        channels.centre.plugin.gate.set()
        assert len(model.asked) == 1
        assert model.breaches == []
