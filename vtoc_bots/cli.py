"""The command line: ``vtoc-bots``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vtoc_bots import __version__
from vtoc_bots.cli_tokens import token_group
from vtoc_bots.console import CONFIG, DATA, Config, Data, logs_on_stderr, told
from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.settings import Settings, load_settings
from vtoc_bots.plugin_cli import plugins
from vtoc_bots.plugin_groups import PluginGroups

app = typer.Typer(
    name="vtoc-bots",
    cls=PluginGroups,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
operators = typer.Typer(help="Operators: who may do what.", no_args_is_help=True)
audits = typer.Typer(help="The audit log: verify and export.", no_args_is_help=True)
databases = typer.Typer(help="The database: its schema.", no_args_is_help=True)
playbook_files = typer.Typer(help="Playbook files: schema and checks.", no_args_is_help=True)
app.add_typer(operators, name="operator")
app.add_typer(plugins, name="plugin")
app.add_typer(audits, name="audit")
app.add_typer(databases, name="db")
app.add_typer(playbook_files, name="playbook")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vtoc-bots {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Durable, authorised chat operations for operations centres."""


@app.command()
def run(
    config: Config = CONFIG,
    data: Data = DATA,
    prompt: Annotated[
        bool, typer.Option("--prompt", help="Also an operator prompt here; logs go to DATA/log.")
    ] = False,
    only: Annotated[
        Literal["all", "worker", "web", "transports"], typer.Option(help="Do only one duty; more machines do more.")
    ] = "all",
) -> None:
    """Run everything: chat platforms, sources, playbooks, web server."""
    from vtoc_bots.core.runtime import Duties

    duties = Duties(
        worker=only in ("all", "worker"),
        web=only in ("all", "web"),
        transports=only in ("all", "transports"),
        sources=only in ("all", "worker"),
    )
    mode: Literal["prompt"] | None = "prompt" if prompt else None
    _exit_with(lambda: _run(config, data, duties, mode, None, 0.0, logs_to_file=prompt))


@app.command()
def chat(
    config: Config = CONFIG,
    data: Data = DATA,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where pictures are saved; default DATA/out.")] = None,
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="Piped: how long to wait for the answers.")] = 60.0,
) -> None:
    """An operator prompt; piped, each line in gets its replies out. Works alone and beside `vtoc-bots run`."""
    from vtoc_bots.core.runtime import Duties

    duties = Duties(worker=None, web=False, transports=False)
    mode: Literal["prompt", "piped"] = "prompt" if sys.stdin.isatty() and sys.stdout.isatty() else "piped"
    _exit_with(lambda: _run(config, data, duties, mode, out, wait, logs_to_file=True))


@app.command()
def mcp(config: Config = CONFIG, data: Data = DATA) -> None:
    """Speak MCP on stdin and stdout, as the user of the data folder; logs go to DATA/log. Over HTTP it is at /mcp."""
    from vtoc_bots.core.runtime import Duties

    duties = Duties(worker=None, web=False, transports=False, sources=False, stdio=True)
    _exit_with(lambda: _run(config, data, duties, None, None, 0.0, logs_to_file=True))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A capture.")],
    type: Annotated[str, typer.Option(help="The connector's type, e.g. adsb.")],
    format: Annotated[str | None, typer.Option(help="Its format; detected where not given.")] = None,
    position: Annotated[str | None, typer.Option(metavar="LAT,LON", help="The receiver's position.")] = None,
) -> None:
    """Decode a capture: one JSON line an event on stdout, counts on stderr. Needs no database."""
    from vtoc_bots.core.feeds.replay import replay as replayed
    from vtoc_bots.core.loader import load
    from vtoc_bots.core.values import POSITION

    def done() -> None:
        settings = load_settings(CONFIG, DATA, environ={})
        with logs_on_stderr(settings):
            specs = {spec.type: spec for spec in load(settings).connectors}
        if type not in specs:
            raise VtocError(f"replay: no plugin has the type {type}; there are {', '.join(sorted(specs))}")
        where = None if position is None else POSITION.parse(position)
        raise typer.Exit(replayed(file, specs[type], format, where, sys.stdout, sys.stderr))

    told(done)


@operators.command("add")
def operator_add(
    name: str,
    level: Annotated[str, typer.Option(help="observer, operator, lead or admin.")] = "operator",
    station: Annotated[str, typer.Option(help="A station's slug, or * for every station.")] = "*",
    config: Config = CONFIG,
    data: Data = DATA,
) -> None:
    """Add an operator with a level at a station."""

    async def work(store: Any, settings: Settings) -> None:
        from vtoc_bots.core.access import Level
        from vtoc_bots.core.store.operators import Operators

        where = station.lower().replace("_", "-")
        if where != "*" and where not in {entry.slug for entry in settings.stations}:
            raise VtocError(f"there is no station {station}; config/stations.yml lists them, * means every station")
        made = await Operators(store).add(name, {where: Level.parse(level)})
        typer.echo(f"{made.name} is {level} at {'every station' if where == '*' else where}.")
        typer.echo(f"Next: vtoc-bots operator invite {made.name!r}")

    _with_store(config, data, work)


@operators.command("invite")
def operator_invite(
    name: str,
    hours: Annotated[int, typer.Option(min=1, max=24 * 30, help="How long the code may be used.")] = 24,
    config: Config = CONFIG,
    data: Data = DATA,
) -> None:
    """Make a code with which an operator joins an account of theirs: they send `/link CODE` from it."""

    async def work(store: Any, settings: Settings) -> None:
        from vtoc_bots.core.installation import user_name
        from vtoc_bots.core.store.operators import Operators

        code, until = await Operators(store).invite(name, user_name(), hours)
        typer.echo(f"/link {code}")
        typer.echo(f"Give this to {name} alone; it works once, until {until:%Y-%m-%d %H:%MZ}.", err=True)

    _with_store(config, data, work)


@operators.command("list")
def operator_list(config: Config = CONFIG, data: Data = DATA) -> None:
    """List operators, their levels and accounts."""

    async def work(store: Any, settings: Settings) -> None:
        from vtoc_bots.core.store.operators import Operators

        for row in await Operators(store).list():
            levels = (
                ", ".join(f"{level} at {station}" for station, level in sorted(row["levels"].items())) or "no level"
            )
            state = "" if row["is_active"] else " (inactive)"
            accounts = ", ".join(row["identities"]) or "no account yet"
            typer.echo(f"{row['name']}{state}: {levels}; {accounts}")

    _with_store(config, data, work)


@audits.command("verify")
def audit_verify(config: Config = CONFIG, data: Data = DATA) -> None:
    """Check the hash chain; exit 1 when it is broken. Reports the unsealed tail."""

    async def work(store: Any, settings: Settings) -> None:
        from vtoc_bots.core.audit import verify

        report = await verify(store)
        typer.echo(f"{report.sealed} rows sealed, {report.erased} of them erased; the chain ends in {report.head.hash}")
        age = f", the oldest {report.oldest_unsealed_seconds:.1f} s old" if report.unsealed else ""
        typer.echo(f"{report.unsealed} rows not sealed yet{age}")
        for problem in report.problems:
            typer.echo(f"BROKEN at {problem.position or 'the unsealed tail'}: {problem.message}", err=True)
        if not report.ok:
            raise typer.Exit(1)
        typer.echo("The chain holds.")

    _with_store(config, data, work)


@audits.command("export")
def audit_export(config: Config = CONFIG, data: Data = DATA) -> None:
    """Write the audit log as JSON lines to stdout."""

    async def work(store: Any, settings: Settings) -> None:
        from vtoc_bots.core.audit import export

        await export(store, sys.stdout.buffer.write)

    _with_store(config, data, work)


@databases.command("upgrade")
def db_upgrade(config: Config = CONFIG, data: Data = DATA) -> None:
    """Migrate every schema to this version, under a lock; safe to repeat."""

    async def work(settings: Settings) -> None:
        from vtoc_bots.core.database import configured_urls, opened_store
        from vtoc_bots.core.store.upgrade import upgrade

        urls = configured_urls(settings)
        if urls is not None:
            await upgrade(urls)
        else:
            async with opened_store(settings):
                pass
        typer.echo("The database is up to date.")

    def upgraded() -> None:
        settings = load_settings(config, data)
        with logs_on_stderr(settings):
            asyncio.run(work(settings))

    told(upgraded)


@playbook_files.command("schema")
def playbook_schema_command() -> None:
    """Print the JSON Schema of playbook files."""
    import orjson

    from vtoc_bots.core.playbooks.schema import playbook_schema

    typer.echo(orjson.dumps(playbook_schema(), option=orjson.OPT_INDENT_2).decode())


@playbook_files.command("check")
def playbook_check(files: list[Path], config: Config = CONFIG, data: Data = DATA) -> None:
    """Check playbook files against the installed actions; exit 1 when something is wrong."""
    from vtoc_bots.core.loader import load
    from vtoc_bots.core.playbooks.load import load_playbooks

    def checked() -> None:
        settings = load_settings(config, data)
        with logs_on_stderr(settings):
            loaded = load(settings, settings.plugins_disabled)
        found, errors = load_playbooks(files, {spec.name: spec for spec in loaded.actions})
        for error in errors:
            typer.echo(str(error), err=True)
        if errors:
            raise typer.Exit(1)
        typer.echo(f"{len(found)} playbook{'' if len(found) == 1 else 's'} in order: {', '.join(sorted(found))}")

    told(checked)


async def _run(
    config: Path,
    data: Path,
    duties: Any,
    mode: Literal["prompt", "piped"] | None,
    out: Path | None,
    wait: float,
    *,
    logs_to_file: bool,
) -> int:
    from vtoc_bots.core.observe.logging import configure_logging, log_path
    from vtoc_bots.core.observe.tracing import configure_tracing
    from vtoc_bots.core.runtime import Runtime
    from vtoc_bots.core.transports import TerminalOptions

    settings = load_settings(config, data)
    if mode is not None:
        options = TerminalOptions(mode, out or data / "out", wait)
        settings = settings.model_copy(update={"terminal": options})
    file = log_path(data) if logs_to_file else None
    logs = configure_logging(level=settings.log_level, secrets=settings.secrets(), file=file)
    tracing = configure_tracing(settings.variables)
    try:
        return await Runtime(settings, duties, alone=True).run()
    finally:
        await tracing.close()
        logs.close()


def _with_store(config: Path, data: Path, work: Callable[[Any, Settings], Awaitable[None]]) -> None:
    """Do `work` with the open store; what goes wrong is one line and exit code 2."""

    async def opened(settings: Settings) -> None:
        from vtoc_bots.core.database import opened_store

        async with opened_store(settings) as store:
            await work(store, settings)

    def done() -> None:
        settings = load_settings(config, data)
        with logs_on_stderr(settings):
            asyncio.run(opened(settings))

    told(done)


app.add_typer(token_group(_with_store), name="token")


def _exit_with(work: Callable[[], Coroutine[Any, Any, int]]) -> None:
    import uvloop

    def done() -> None:
        raise typer.Exit(uvloop.run(work()))

    told(done)


def main() -> None:
    """The console script."""
    app()
