"""The app's manifest for Slack: exactly what the plugin uses, and the command that prints it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import orjson
import typer
import yaml

from vtoc_bots.plugins.slack.wire import SHORTCUTS

SCOPES: Final = (
    "app_mentions:read",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:write",
    "metadata.message:read",
    "mpim:history",
    "reactions:read",
)
EVENTS: Final = (
    "app_home_opened",
    "app_mention",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "reaction_added",
)
COMMANDS: Final = (
    ("/vtoc", "Give a command to the operations centre", "<command> [values]"),
    ("/vtoc-status", "Show what is going on at this station", ""),
    ("/vtoc-help", "Show what you may use", "[command]"),
)
_SHORTCUT_TEXTS: Final = {
    "vtoc_playbook": ("global", "Run a playbook", "Choose a playbook and run it"),
    "vtoc_status": ("global", "Station status", "Show what is going on at this station"),
    "vtoc_run_message": ("message", "Run as a command", "Give this message to the operations centre as a command"),
}
PATH: Final = "/slack/events"

slack_group = typer.Typer(help="Slack: what an app needs.", no_args_is_help=True)


def app_manifest(url: str | None = None, name: str = "vTOC") -> dict[str, Any]:
    """The manifest: for Socket Mode or, with the `url` people reach this server at, for HTTP."""
    endpoint = f"{url.rstrip('/')}{PATH}" if url else None
    where = {"url": endpoint} if endpoint else {}
    request = {"request_url": endpoint} if endpoint else {}
    return {
        "_metadata": {"major_version": 1, "minor_version": 1},
        "display_information": {
            "name": name,
            "description": "Commands, playbooks and approvals of the operations centre",
            "background_color": "#1f2d3d",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": name.lower().replace(" ", "-"), "always_online": True},
            "shortcuts": [
                {"name": text[1], "type": text[0], "callback_id": callback, "description": text[2]}
                for callback, text in ((callback, _SHORTCUT_TEXTS[callback]) for callback in SHORTCUTS)
            ],
            "slash_commands": [
                {
                    "command": command,
                    "description": about,
                    **({"usage_hint": hint} if hint else {}),
                    "should_escape": True,
                    **where,
                }
                for command, about, hint in COMMANDS
            ],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": {**request, "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True, **request},
            "org_deploy_enabled": False,
            "socket_mode_enabled": endpoint is None,
            "token_rotation_enabled": False,
        },
    }


@slack_group.callback()
def _group() -> None:
    """Slack: what an app needs."""


@slack_group.command("manifest")
def manifest_command(
    url: Annotated[
        str | None, typer.Option(help="The address people reach this server at (https://…): for HTTP, no Socket Mode.")
    ] = None,
    name: Annotated[str, typer.Option(help="The app's name, 35 characters at most.")] = "vTOC",
    form: Annotated[Literal["json", "yaml"], typer.Option("--format", help="How it is written.")] = "yaml",
) -> None:
    """Print the manifest to paste at api.slack.com/apps, Create New App, From a manifest."""
    if url is not None and not url.startswith("https://"):
        typer.echo("vtoc-bots: slack: --url must begin with https://, Slack sends to no other", err=True)
        raise typer.Exit(2)
    if not 0 < len(name) <= 35:
        typer.echo("vtoc-bots: slack: --name must have 1 to 35 characters", err=True)
        raise typer.Exit(2)
    made = app_manifest(url, name)
    typer.echo(
        orjson.dumps(made, option=orjson.OPT_INDENT_2).decode()
        if form == "json"
        else yaml.safe_dump(made, sort_keys=False, allow_unicode=True).rstrip()
    )
