"""Commands about oneself and the centre: help, rights, stations, health."""

from __future__ import annotations

from vtoc_bots import (
    Card,
    CommandName,
    Context,
    Fields,
    MissionCode,
    NotFound,
    Pair,
    Severity,
    StationSlug,
    Table,
    UsageError,
    command,
    command_card,
    list_card,
)
from vtoc_bots.plugins.catalogue.missions import mission_card


@command("help", level="observer", agents="use", aliases=("vtoc-help",), examples=("help", "help playbook"))
async def help_command(ctx: Context, command: CommandName | None = None) -> Card:
    """Show what you may use, or how one command is used."""
    usable = [spec for spec in ctx.desk.commands if ctx.desk.may(ctx.operator, ctx.station, spec)]
    if command is None:
        return list_card(usable)
    spec = ctx.desk.commands.get(command)
    if spec is None or spec not in usable:
        raise UsageError(f"there is no command /{command.removeprefix('/')} that you may use; /help lists yours")
    return command_card(spec)


@command("whoami", level="observer", agents="use")
async def whoami(ctx: Context) -> Card:
    """Show who you are here and what you may do."""
    operator = ctx.known()
    level = operator.level_at(ctx.station.slug)
    facts = Fields.of(
        operator=operator.name,
        account=f"{ctx.message.transport}:{ctx.message.sender.name}",
        station=f"{ctx.station.callsign} ({ctx.station.role})",
        level=level or "none here",
    )
    rows = tuple((station, str(held)) for station, held in sorted(operator.levels.items()))
    return Card.of("Who you are", facts, Table(columns=("station", "level"), rows=rows))


@command("why", level="observer", agents="use", examples=("why 7Z3K9QPM",))
async def why(ctx: Context, id: str) -> Card:
    """Explain what happened under an id (the last word of every reply): who did what, and why it was allowed."""
    rows = []
    for row in await ctx.desk.story(ctx, id):
        detail = row["detail"] or {}
        said = detail.get("reason") or detail.get("error") or detail.get("state") or ""
        verdict = detail.get("verdict", "")
        who = detail.get("name") or row["actor"].partition(":")[0]
        rows.append((f"{row['at']:%H:%M:%SZ}", who, row["event"], row["subject"], verdict, str(said)))
    columns = ("at", "who", "event", "what", "verdict", "reason")
    return Card.of(f"Why {id.upper()}", Table(columns=columns, rows=tuple(rows)))


@command("status", level="observer", agents="use", aliases=("vtoc-status",), examples=("status", "status M-12"))
async def status(ctx: Context, mission: MissionCode | None = None) -> Card:
    """Show what is going on at this station, or in a mission."""
    if mission is not None:
        return await mission_card(ctx, mission)
    counts = await ctx.desk.counts(ctx)
    states = await ctx.services.telemetry.sources(ctx.station)
    fresh = sum(state.state in ("fresh", "finished") for state in states)
    facts = Fields.of(
        station=ctx.station.callsign,
        open_missions=await ctx.desk.missions.open_count(ctx),
        open_alerts=await ctx.desk.alerts.open_count(ctx),
        active_runs=counts["active_runs"],
        waiting_approvals=counts["open_approvals"],
        sources=f"{fresh} of {len(states)} in order",
        unhandled_messages=max(0, counts["waiting_messages"] - 1),
        unsent_replies=counts["unsent"],
    )
    return Card.of("Status", facts, exercise=any(state.exercise for state in states))


@command("station", level="observer", examples=("station", "station toc-s2"))
async def station(ctx: Context, slug: StationSlug | None = None) -> Card:
    """Show the stations, or make one your own."""
    known = await ctx.desk.people.stations()
    operator = ctx.known()
    mine = [each for each in known if operator.level_at(each.slug) is not None]
    if slug is None:
        rows = tuple(
            (
                each.callsign,
                each.role,
                _place(each.latitude, each.longitude),
                "here" if each.slug == ctx.station.slug else "",
            )
            for each in mine
        )
        return Card.of("Stations", Table(columns=("station", "role", "position", ""), rows=rows))
    wanted = slug.lower().replace("_", "-")
    chosen = next((each for each in mine if each.slug == wanted), None)
    if chosen is None:
        raise NotFound(f"you have no level at a station {slug}; /station lists yours")
    await ctx.desk.set_station(operator, chosen)
    return Card.of("Station", f"You work at {chosen.callsign} ({chosen.role}) now.", severity=Severity.GOOD)


@command("health", level="observer", agents="use")
async def health(ctx: Context) -> Card:
    """Show how the parts of this installation are."""
    results = await ctx.desk.health()
    rows = []
    for result in sorted(results, key=lambda each: (each.ok, each.name)):
        state = "ok" if result.ok else "FAILED" if result.required else "degraded"
        latency = "" if result.latency_seconds is None else f"{result.latency_seconds * 1000:.0f} ms"
        seen = f"{result.last_success_at:%H:%M:%SZ}" if result.last_success_at else "never"
        rows.append((result.name, state, latency, seen, result.detail))
    failed = any(not result.ok and result.required for result in results)
    facts = Fields(fields=tuple(Pair(name=name, value=value) for name, value in ctx.desk.about.items()))
    table = Table(columns=("part", "state", "latency", "last success", "detail"), rows=tuple(rows))
    return Card.of("Health", facts, table, severity=Severity.BAD if failed else Severity.GOOD)


@command("link", level=None, agents="never", private=True, examples=("link K7M2P-9QRST-VWX34",))
async def link(ctx: Context, code: str) -> Card:
    """Join this account to an operator, with an invitation code."""
    return await ctx.desk.link(ctx, code)


def _place(latitude: float | None, longitude: float | None) -> str:
    return "none" if latitude is None or longitude is None else f"{latitude:.4f}, {longitude:.4f}"
