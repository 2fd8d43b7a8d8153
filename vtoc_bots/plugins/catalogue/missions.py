"""Commands about missions and the mission log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from vtoc_bots import (
    Block,
    Button,
    Buttons,
    Card,
    Context,
    Fields,
    LogEntry,
    Mission,
    MissionCode,
    Pair,
    Rest,
    Severity,
    Table,
    Text,
    UsageError,
    command,
)
from vtoc_bots.plugins.catalogue.alerts import alerts_table
from vtoc_bots.plugins.catalogue.pages import Page, page_buttons

LISTED = 10
ENTRIES = 10
ALERTS = 5
LONGEST_NAME = 120


@command("mission", level="observer", agents="use", aliases=("mission list",), examples=("mission", "mission --closed"))
async def mission_list(ctx: Context, *, closed: Annotated[bool, "closed ones, too"] = False, page: Page = 1) -> Card:
    """List the station's open missions.

    `/mission show M-12` shows one, leads have `/mission open NAME` and `/mission close M-12`, and `/log TEXT` writes to
    its log.
    """
    found = await ctx.desk.missions.listed(ctx, LISTED + 1, (page - 1) * LISTED, closed=closed)
    if not found:
        if page > 1:
            return Card.of("Missions", "There are no more.")
        none = "There has been no mission" if closed else "No mission is open"
        return Card.of("Missions", f"{none} at {ctx.station.callsign}. A lead opens one: `/mission open NAME`.")
    rows = tuple(
        (each.code, each.name, _status(each), each.priority, _time(each.created_at)) for each in found[:LISTED]
    )
    table = Table(columns=("mission", "name", "state", "priority", "opened"), rows=rows)
    again = "/mission --closed" if closed else "/mission"
    return Card.of("Missions", table, *page_buttons(again, page, more=len(found) > LISTED))


@command("mission show", level="observer", agents="use", examples=("mission show M-12",))
async def mission_show(ctx: Context, mission: MissionCode) -> Card:
    """Show a mission: its last log lines, its thread, and the station's open alerts."""
    return await mission_card(ctx, mission)


@command(
    "mission open",
    level="lead",
    agents="propose",
    examples=("mission open Search for Kittiwake", "mission open --priority critical Search for Kittiwake"),
)
async def mission_open(
    ctx: Context,
    name: Rest,
    *,
    priority: Literal["low", "medium", "high", "critical"] = "medium",
    description: Annotated[str, "what it is about, in quotes"] = "",
) -> Card:
    """Open a mission; options stand before its name."""
    named = " ".join(name.split())
    if not named or len(named) > LONGEST_NAME:
        raise UsageError(f"a mission's name has 1 to {LONGEST_NAME} characters, this has {len(named)}")
    mission, mine = await ctx.desk.missions.open(ctx, named, description.strip(), priority)
    if not mine:
        text = (
            f"{mission.label} is open already, since {_time(mission.created_at)}. Close it first, or take another name."
        )
        return Card.of("Not opened", text, _buttons(mission), severity=Severity.WARNING)
    facts = Fields.of(mission=mission.code, name=mission.name, priority=mission.priority, by=ctx.known().name)
    return Card.of(f"Opened {mission.label}", facts, _buttons(mission), severity=Severity.GOOD)


@command(
    "mission close",
    level="lead",
    agents="propose",
    examples=("mission close M-12 Crew of two safe ashore", "mission close M-12 --dry-run"),
)
async def mission_close(
    ctx: Context, mission: MissionCode, outcome: Rest = "", *, failed: bool = False, dry_run: bool = False
) -> Card:
    """Close a mission, with its outcome in words; options stand before those."""
    status: Literal["completed", "failed"] = "failed" if failed else "completed"
    if dry_run:
        return await _closing(ctx, mission, status, outcome.strip())
    found, line, mine = await ctx.desk.missions.close(ctx, mission, status, outcome.strip())
    by = f"by {line.author} at {_time(line.logged_at)}" if line is not None else "before this log began"
    if not mine:
        text = f"{found.label} was closed {by}: {found.status}."
        return Card.of("Closed already", text, severity=Severity.WARNING)
    facts = Fields.of(mission=found.code, state=found.status, closed=by)
    return Card.of(
        f"Closed {found.label}", facts, *([outcome.strip()] if outcome.strip() else []), severity=Severity.GOOD
    )


@command("log", agents="propose", examples=("log Lifeboat launched", "log --mission M-12 Casualty sighted"))
async def log(
    ctx: Context, text: Rest, *, mission: Annotated[MissionCode | None, "whose log; else the only open one's"] = None
) -> Card:
    """Write a line to the mission log: the named mission's, this thread's, the only open one's, else the station's."""
    if not text.strip():
        raise UsageError("there is nothing to log; write it behind the command")
    line = await ctx.desk.missions.log(ctx, text.strip(), mission)
    where = f"{line.code} {line.name}" if line.code is not None else f"the log of {ctx.station.callsign}"
    return Card.of("", f"Logged to {where} at {_time(line.logged_at)}, by {line.author}.")


async def mission_card(ctx: Context, code: str) -> Card:
    """A mission as people see it: facts, last log lines, and what the station's alerts are."""
    story = await ctx.desk.missions.story(ctx, code, ENTRIES)
    mission = story.mission
    facts = [
        Pair(name="mission", value=mission.code),
        Pair(name="state", value=_status(mission)),
        Pair(name="priority", value=mission.priority),
        Pair(name="opened", value=_by(story.opened) or _time(mission.created_at)),
        *([Pair(name="closed", value=_by(story.closed))] if not mission.is_open and story.closed else []),
        *(
            Pair(name=name, value=value)
            for name, value in (("phase", mission.phase), ("for", mission.assigned_to))
            if value
        ),
        Pair(name="thread", value=_thread(ctx, mission)),
    ]
    blocks: list[Block] = [Fields(fields=tuple(facts))]
    if mission.description:
        blocks.append(Text(text=mission.description))
    if story.entries:
        lines = tuple((_time(each.logged_at), each.author, each.entry) for each in story.entries)
        blocks.append(Table(columns=("at", "who", "log"), rows=lines))
    if mission.is_open:
        found = await ctx.desk.alerts.listed(ctx, ALERTS)
        if found:
            blocks += [Text(text=f"**Open alerts at {ctx.station.callsign}**"), alerts_table(found)]
        close = Button(label="Close …", command=f"/mission close {mission.code} --dry-run")
        blocks.append(Buttons(buttons=(close,)))
    severity = Severity.WARNING if mission.is_open and mission.priority == "critical" else Severity.PLAIN
    return Card(title=mission.label, blocks=tuple(blocks), severity=severity)


async def _closing(ctx: Context, code: str, status: str, outcome: str) -> Card:
    """What closing would do, with a button that does it; nothing is changed."""
    story = await ctx.desk.missions.story(ctx, code, 1)
    mission = story.mission
    if not mission.is_open:
        return Card.of("Closed already", f"{mission.label}: {_status(mission)}.", severity=Severity.WARNING)
    last = f"{story.entries[0].entry} ({_time(story.entries[0].logged_at)})" if story.entries else "none"
    facts = Fields.of(mission=mission.code, state=f"{_status(mission)} → {status}", last_log_line=last)
    options = " --failed" if status == "failed" else ""
    # Behind "--", or an outcome that looks like an option would become one.
    close = f"/mission close {mission.code}{options}" + (f" -- {outcome}" if outcome else "")
    button = Button(label=f"Close {mission.code}", command=close, style="bad")
    return Card.of(f"Close {mission.label}?", facts, Buttons(buttons=(button,)), severity=Severity.WARNING)


def _buttons(mission: Mission) -> Buttons:
    return Buttons(buttons=(Button(label=f"Show {mission.code}", command=f"/mission show {mission.code}"),))


def _status(mission: Mission) -> str:
    return mission.status.replace("_", " ")


def _thread(ctx: Context, mission: Mission) -> str:
    if mission.chatkit_thread_id is not None:
        return f"{mission.chatkit_thread_id} in ChatKit channel {ctx.station.slug}"
    return "none yet"


def _by(line: LogEntry | None) -> str:
    return "" if line is None else f"{_time(line.logged_at)} by {line.author}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
