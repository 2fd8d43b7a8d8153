"""The commands of the database: ``vtoc-bots db``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from vtoc_bots.console import CONFIG, DATA, Config, Data, logs_on_stderr, told
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.settings import Settings, load_settings
from vtoc_bots.core.store.urls import DatabaseUrls

databases = typer.Typer(help="The database: its roles and its schema.", no_args_is_help=True)


@databases.command("provision")
def db_provision(
    print_sql: Annotated[
        bool,
        typer.Option("--print-sql", help="Only print what needs the rights, for psql; no password in clear."),
    ] = False,
    config: Config = CONFIG,
    data: Data = DATA,
) -> None:
    """Make roles, logins, schemas, tables, grants and policies, then stations and their channels; safe to repeat."""
    if print_sql:
        told(lambda: _print_sql(config, data))
        return

    async def work(urls: DatabaseUrls) -> None:
        from vtoc_bots.core.store.upgrade import provision_and_upgrade

        await provision_and_upgrade(urls)

    async def seeded(settings: Settings) -> None:
        from vtoc_bots.core.database import opened_store
        from vtoc_bots.core.seeding import seed

        async with opened_store(settings) as store:
            for line in await seed(store, settings):
                typer.echo(line)

    _with_urls(config, data, work, "The database is provisioned and up to date.", seeded)


@databases.command("upgrade")
def db_upgrade(config: Config = CONFIG, data: Data = DATA) -> None:
    """Migrate every schema to this version, under a lock; safe to repeat."""

    async def work(urls: DatabaseUrls) -> None:
        from vtoc_bots.core.store.upgrade import upgrade

        await upgrade(urls)

    _with_urls(config, data, work, "The database is up to date.")


def _print_sql(config: Path, data: Path) -> None:
    from vtoc_bots.core.database import configured_urls
    from vtoc_bots.core.store.provision import provisioning_sql

    urls = configured_urls(load_settings(config, data))
    if urls is None:
        raise StartupError("db provision: DATABASE_URL is not set; the embedded database provisions itself at start")
    typer.echo(provisioning_sql(urls))


def _with_urls(
    config: Path,
    data: Path,
    work: Callable[[DatabaseUrls], Awaitable[None]],
    said: str,
    then: Callable[[Settings], Awaitable[None]] | None = None,
) -> None:
    """Do `work` on the configured databases, which the embedded one does whenever it is opened; `then` what follows."""

    async def done(settings: Settings) -> None:
        from vtoc_bots.core.database import configured_urls, opened_store

        urls = configured_urls(settings)
        if urls is not None:
            await work(urls)
        else:
            async with opened_store(settings):
                pass
        typer.echo(said)
        if then is not None:
            await then(settings)

    def opened() -> None:
        settings = load_settings(config, data)
        with logs_on_stderr(settings):
            asyncio.run(done(settings))

    told(opened)
