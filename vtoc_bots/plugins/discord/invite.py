"""The link that brings the bot into a server, with the permissions it needs and no others."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import Annotated, Final
from urllib.parse import urlencode

import typer
from dotenv import dotenv_values

PERMISSIONS: Final = MappingProxyType(
    {
        "View Channels": 1 << 10,
        "Send Messages": 1 << 11,
        "Embed Links": 1 << 14,
        "Attach Files": 1 << 15,
        "Read Message History": 1 << 16,
        "Send Messages in Threads": 1 << 38,
    }
)

app = typer.Typer(help="Discord.", no_args_is_help=True)


def invite_link(app_id: str, guild_id: str | None = None) -> str:
    """Where an administrator of a server adds the bot to it."""
    query = {
        "client_id": app_id,
        "scope": "bot applications.commands",
        "permissions": str(sum(PERMISSIONS.values())),
        **({"guild_id": guild_id, "disable_guild_select": "true"} if guild_id else {}),
    }
    return f"https://discord.com/oauth2/authorize?{urlencode(query)}"


@app.callback()
def discord() -> None:
    """Discord."""


@app.command()
def invite(
    app_id: Annotated[str | None, typer.Option("--app", help="The application's id; default DISCORD_APP_ID.")] = None,
    guild: Annotated[
        str | None, typer.Option(help="The server's id, to have it chosen; default DISCORD_GUILD_ID.")
    ] = None,
) -> None:
    """Print the link by which an administrator adds the bot to a server."""
    # As core reads them: the process's environment, then the files; the first that has one wins.
    variables = {**dotenv_values(".env.local"), **dotenv_values(".env.station"), **os.environ}
    found = app_id or variables.get("DISCORD_APP_ID")
    if not found:
        typer.echo(
            "discord: DISCORD_APP_ID is not set. Copy it from the Developer Portal (General Information).", err=True
        )
        raise typer.Exit(2)
    typer.echo(invite_link(found, guild or variables.get("DISCORD_GUILD_ID")))
    names = ", ".join(PERMISSIONS)
    typer.echo(f"It asks for: {names}; and for slash commands.", err=True)
