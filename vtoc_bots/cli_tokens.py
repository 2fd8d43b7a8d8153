"""The command line's ``token`` group: a station's credentials for the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from vtoc_bots.console import CONFIG, DATA, Config, Data
from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.settings import Settings

WithStore = Callable[[Path, Path, Callable[[Any, Settings], Awaitable[None]]], None]


def token_group(with_store: WithStore) -> typer.Typer:
    """The group; `with_store` does work with the open store."""
    group = typer.Typer(help="API tokens: a station's credentials for the HTTP API.", no_args_is_help=True)

    @group.command("create")
    def create(
        name: Annotated[str, typer.Argument(help="What it is for; it stands in the audit log.")],
        station: Annotated[str | None, typer.Option(help="A station's slug; default this process's own.")] = None,
        level: Annotated[str, typer.Option(help="observer, operator, lead or admin.")] = "operator",
        days: Annotated[
            int | None, typer.Option(min=1, max=3650, help="How long it is good; default for ever.")
        ] = None,
        config: Config = CONFIG,
        data: Data = DATA,
    ) -> None:
        """Make a token and show it, once; only its hash is kept."""
        with_store(config, data, lambda store, settings: _create(store, settings, name, station, level, days))

    @group.command("list")
    def show(config: Config = CONFIG, data: Data = DATA) -> None:
        """List tokens, never what they are: id, station, level, when they were used and when they end."""
        with_store(config, data, _show)

    @group.command("revoke")
    def revoke(
        token: Annotated[str, typer.Argument(help="The id that `token list` shows.")],
        config: Config = CONFIG,
        data: Data = DATA,
    ) -> None:
        """End a token; within two seconds nobody gets in with it any more."""
        with_store(config, data, lambda store, settings: _revoke(store, token))

    return group


async def _create(store: Any, settings: Settings, name: str, station: str | None, level: str, days: int | None) -> None:
    from vtoc_bots.core.access import Level
    from vtoc_bots.core.config import slug_of
    from vtoc_bots.core.ids import short_id
    from vtoc_bots.core.store.api_tokens import ApiTokens
    from vtoc_bots.core.store.stations import Stations

    stations = Stations(store)
    await stations.sync(settings.stations)
    slug = slug_of(station or settings.station.slug)
    found = await stations.get(slug)
    if found is None:
        raise VtocError(f"there is no station {slug}; config/stations.yml lists them")
    parsed = Level.parse(level)
    detail = {"name": name, "level": level}
    audit = _audit("token.created", lambda token_id: (token_id, slug, detail))
    token, token_id, until = await ApiTokens(store).create(found, name, parsed, days, audit)
    typer.echo(token)
    ends = "it does not end by itself" if until is None else f"it ends {until:%Y-%m-%d %H:%MZ}"
    typer.echo(f"Token {short_id(token_id)}: {level} at {slug}; {ends}. It is not shown again.", err=True)


async def _show(store: Any, settings: Settings) -> None:
    from vtoc_bots.core.ids import short_id
    from vtoc_bots.core.store.api_tokens import ApiTokens

    now = datetime.now(UTC)
    for row in await ApiTokens(store).list():
        used = "never used" if row["last_used_at"] is None else f"used {row['last_used_at']:%Y-%m-%d %H:%MZ}"
        state = "good"
        if row["revoked_at"] is not None:
            state = f"revoked {row['revoked_at']:%Y-%m-%d %H:%MZ}"
        elif row["expires_at"] is not None:
            ends = f"{row['expires_at']:%Y-%m-%d %H:%MZ}"
            state = f"ended {ends}" if row["expires_at"] <= now else f"good until {ends}"
        typer.echo(f"{short_id(row['id'])}  {row['name']}: {row['level']} at {row['station']}; {state}; {used}")


async def _revoke(store: Any, token: str) -> None:
    from vtoc_bots.core.ids import parse_short_id
    from vtoc_bots.core.store.api_tokens import ApiTokens

    bits = parse_short_id(token)
    if bits is None:
        raise VtocError(f"{token} is no token's id; `vtoc-bots token list` shows them")
    audit = _audit("token.revoked", lambda row: (row["id"], row["station"], {"name": row["name"]}))
    row = await ApiTokens(store).revoke(bits, audit)
    typer.echo(f"Token {token.upper()} ({row['name']}) is revoked.")


def _audit(event: str, told: Callable[[Any], tuple[Any, str, dict[str, Any]]]) -> Callable[[Any], dict[str, Any]]:
    """What makes the audit row of a token: of the id, station and detail that `told` takes from the statement's row."""
    from vtoc_bots.core.audit import audit_row
    from vtoc_bots.core.installation import user_name

    def make(row: Any) -> dict[str, Any]:
        token_id, station, detail = told(row)
        return audit_row(
            actor=f"user:{user_name()}",
            event=event,
            subject=f"token:{token_id}",
            station=station,
            detail=detail,
            correlation_id=token_id,
            at=datetime.now(UTC),
        )

    return make
