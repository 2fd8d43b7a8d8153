"""The agent before our ChatKit server: who is vouched for by a token is answered with that token's rights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api_kit import open_api
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
