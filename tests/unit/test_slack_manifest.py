"""The app's manifest has exactly what the plugin uses, and is printed without any token."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.docs_kit import ROOT, page
from vtoc_bots.cli import app
from vtoc_bots.plugins.slack.manifest import COMMANDS, EVENTS, SCOPES, app_manifest
from vtoc_bots.plugins.slack.routes import PATH
from vtoc_bots.plugins.slack.wire import SHORTCUTS

FOLDER = ROOT / "vtoc_bots/plugins/slack"
SCOPES_OF = {
    "chat.postMessage": {"chat:write"},
    "chat.postEphemeral": {"chat:write"},
    "chat.update": {"chat:write"},
    "chat.delete": {"chat:write"},
    "conversations.open": {"im:write"},
    "conversations.list": {"channels:read", "groups:read"},
    "conversations.history": {"channels:history", "groups:history", "im:history", "mpim:history"},
    "conversations.replies": {"channels:history", "groups:history", "im:history", "mpim:history"},
    "files.getUploadURLExternal": {"files:write"},
    "files.completeUploadExternal": {"files:write"},
    "views.open": set(),
    "views.publish": set(),
    "auth.test": set(),
    "apps.connections.open": set(),
}
"""Slack's documentation: what each method needs of a bot."""
SCOPES_OF_EVENTS = {
    "app_home_opened": set(),
    "app_mention": {"app_mentions:read"},
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
    "message.mpim": {"mpim:history"},
    "reaction_added": {"reactions:read"},
}


def test_the_scopes_are_those_of_the_methods_and_events_that_are_used_and_no_others() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))
    methods = set(re.findall(r'"((?:chat|conversations|files|views|auth|apps)\.(?!slack)[A-Za-z.]+)"', source))
    assert methods == SCOPES_OF.keys()
    # To fetch files, and to read the metadata by which a message is found again.
    needed = {"commands", "files:read", "metadata.message:read"}
    for name in methods:
        needed |= SCOPES_OF[name]
    for event in EVENTS:
        needed |= SCOPES_OF_EVENTS[event]
    assert set(SCOPES) == needed
    assert list(SCOPES) == sorted(SCOPES)


def test_the_shortcuts_and_commands_are_those_that_are_understood() -> None:
    features = app_manifest()["features"]
    assert {each["callback_id"] for each in features["shortcuts"]} == SHORTCUTS.keys()
    assert [each["command"] for each in features["slash_commands"]] == ["/vtoc", "/vtoc-status", "/vtoc-help"]
    assert all(len(each["name"]) <= 24 and len(each["description"]) <= 150 for each in features["shortcuts"])
    assert all(len(about) <= 100 for _, about, _ in COMMANDS)


def test_without_an_address_it_is_for_socket_mode_and_with_one_for_http() -> None:
    assert app_manifest()["settings"]["socket_mode_enabled"] is True
    assert "request_url" not in json.dumps(app_manifest())
    made = app_manifest("https://vtoc.example.org/")
    assert made["settings"]["socket_mode_enabled"] is False
    endpoint = f"https://vtoc.example.org{PATH}"
    assert made["settings"]["event_subscriptions"]["request_url"] == endpoint
    assert made["settings"]["interactivity"]["request_url"] == endpoint
    assert {each["url"] for each in made["features"]["slash_commands"]} == {endpoint}


def test_the_command_prints_it_while_no_token_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SLACK_BOT_TOKEN", "SLACK_APP_LEVEL_TOKEN", "SLACK_SIGNING_SECRET"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(app, ["slack", "manifest"])
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(done.stdout) == app_manifest()
    done = CliRunner().invoke(
        app, ["slack", "manifest", "--format", "json", "--url", "https://a.example", "--name", "X"]
    )
    assert json.loads(done.stdout) == app_manifest("https://a.example", "X")


@pytest.mark.parametrize("arguments", [["--url", "http://a.example"], ["--name", "x" * 36], ["--name", ""]])
def test_what_slack_would_not_take_is_refused(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["slack", "manifest", *arguments])
    assert done.exit_code == 2


def test_every_setting_is_in_the_plugins_readme() -> None:
    from vtoc_bots.core.settings import documented_settings
    from vtoc_bots.plugins.slack.settings import SlackSettings

    readme = page("vtoc_bots/plugins/slack/README.md")
    for setting in documented_settings(SlackSettings):
        assert f"| `{setting.name}` | {setting.default}" in readme, setting.name
        assert setting.about in readme
