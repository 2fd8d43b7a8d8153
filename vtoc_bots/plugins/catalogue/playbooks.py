"""Commands about playbooks and their runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from annotated_types import Interval

from vtoc_bots import Card, Context, Fields, Pair, PlaybookId, RunId, RunView, Severity, Table, command, short_id
from vtoc_bots.plugins.catalogue.pages import Page, page_buttons

STATES = {
    "succeeded": Severity.GOOD,
    "failed": Severity.BAD,
    "cancelled": Severity.WARNING,
}


@command(
    "playbook",
    level="observer",
    private=True,
    examples=("playbook op_airtrack_merge", "playbook op_airtrack_merge area=40nm --dry-run"),
)
async def playbook(ctx: Context, id: PlaybookId, *, dry_run: bool = False, **inputs: str) -> Card | None:
    """Run a playbook; its result comes here when it is done."""
    return await ctx.desk.start(ctx, id, inputs, dry_run=dry_run)


@command("playbooks", level="observer", agents="use")
async def playbooks(ctx: Context) -> Card:
    """List the playbooks that you may run at this station."""
    found = ctx.desk.playbooks(ctx)
    if not found:
        return Card.of("Playbooks", "There is none that you may run at this station; /station shows where you are.")
    rows = []
    for each in found:
        inputs = " ".join(spec.name if spec.required else f"[{spec.name}]" for spec in each.inputs)
        rows.append((each.id, each.title, inputs, "yes" if each.has_approvals else ""))
    table = Table(columns=("playbook", "what it does", "inputs", "approval"), rows=tuple(rows))
    return Card.of("Playbooks", table, "Run one with `/playbook ID`, or see its plan with `/playbook ID --dry-run`.")


@command("runs", level="observer", agents="use", examples=("runs", "runs --limit 30"))
async def runs(ctx: Context, *, limit: Annotated[int, Interval(ge=1, le=50)] = 10, page: Page = 1) -> Card:
    """List the station's newest runs."""
    found = await ctx.desk.runs(ctx, limit + 1, (page - 1) * limit)
    if not found:
        return Card.of("Runs", "Nothing has been run at this station yet." if page == 1 else "There are no more.")
    pages = page_buttons(f"/runs --limit {limit}", page, more=len(found) > limit)
    return Card.of("Runs", runs_table(found[:limit]), *pages)


def runs_table(found: Sequence[RunView]) -> Table:
    """Runs as a table: id, playbook, state, when it was asked for, how long it took."""
    rows = tuple(
        (short_id(each.id), each.playbook, _state(each.state, each.waiting_for), _time(each.created_at), _took(each))
        for each in found
    )
    return Table(columns=("run", "playbook", "state", "started", "took"), rows=rows)


@command("run", level="observer", agents="use", examples=("run 7Z3K9QPM",))
async def run(ctx: Context, id: RunId) -> Card:
    """Show one run: its steps, how long each took, and what went wrong."""
    found, steps = await ctx.desk.run(ctx, id)
    facts = [
        Pair(name="run", value=short_id(found.id)),
        Pair(name="state", value=_state(found.state, found.waiting_for)),
        Pair(name="asked", value=_time(found.created_at)),
        Pair(name="took", value=_took(found)),
        *(Pair(name=name, value=str(value)) for name, value in found.inputs.items() if value is not None),
    ]
    if found.error:
        facts.append(Pair(name="error", value=found.error))
    rows = tuple(
        (
            step["step"],
            step["state"],
            str(step["tries"]),
            _span(step["started_at"], step["finished_at"]),
            step["error"] or "",
        )
        for step in steps
    )
    table = Table(columns=("step", "state", "tries", "took", "error"), rows=rows, numeric=(2,))
    severity = STATES.get(found.state, Severity.PLAIN)
    tables = [table] if rows else []
    if called := [(each["tool"], each["given"], each["outcome"]) for each in await ctx.desk.calls(ctx, found)]:
        tables.append(Table(columns=("agent's tool", "given", "outcome"), rows=tuple(called)))
    title, fields = f"Run: {found.title}", Fields(fields=tuple(facts))
    return Card.of(title, fields, *tables, severity=severity, private=found.private)


@command("answer", level="observer", agents="never", private=True, examples=("answer 7Z3K9QPM colour=red",))
async def answer(ctx: Context, run: RunId, /, **values: str) -> Card:
    """Answer what a run of yours asks; leads may answer for anyone."""
    return await ctx.desk.answer(ctx, run, values)


@command("decline", level="observer", agents="never", examples=("decline 7Z3K9QPM",))
async def decline(ctx: Context, run: RunId) -> Card:
    """Decline what a run of yours asks; leads may for anyone."""
    return await ctx.desk.answer(ctx, run, None)


@command("cancel", examples=("cancel 7Z3K9QPM",))
async def cancel(ctx: Context, run: RunId) -> Card:
    """Cancel a run of yours; leads may cancel anyone's."""
    if await ctx.desk.cancel(ctx, run):
        return Card.of("Cancelling", f"Run {run.upper()} stops after what it is doing now.")
    return Card.of("Too late", f"Run {run.upper()} had ended already.", severity=Severity.WARNING)


def _state(state: str, waiting_for: str | None) -> str:
    return f"{state} for {waiting_for}" if state == "waiting" and waiting_for else state


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"


def _took(run: object) -> str:
    return _span(getattr(run, "started_at", None), getattr(run, "finished_at", None))


def _span(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return ""
    seconds = (end - start).total_seconds()
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
