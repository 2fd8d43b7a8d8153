"""Help as cards: the list of what one may use, one command, and what was wrong with a text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vtoc_bots.core.cards import Block, Card, Severity, Table, Text
from vtoc_bots.core.commands.mistakes import pointer
from vtoc_bots.core.commands.spec import CommandSpec, MissingArguments, Param, ParamKind
from vtoc_bots.core.errors import UsageError


def usage_line(spec: CommandSpec) -> str:
    """``/track watch <target> [--radius <distance>] [--quiet]``; what may be left out stands in brackets."""
    parts = [f"/{spec.name}", *map(_usage, spec.params)]
    if spec.inputs:
        parts.append("[key=value …]")
    return " ".join(parts)


def list_card(specs: Iterable[CommandSpec]) -> Card:
    """The commands with their summaries; pass those that the asker may use."""
    rows = tuple((f"/{spec.name}", spec.summary) for spec in specs)
    if not rows:
        return Card.of("Help", "There is no command that you may use here. /whoami says who you are.")
    return Card.of(
        "Help", Table(columns=("command", "does"), rows=rows), "`/help <command>` explains one, with examples."
    )


def command_card(spec: CommandSpec) -> Card:
    """One command: usage, parameters, examples, and who may use it."""
    blocks: list[Block | str] = [spec.summary, code_block(usage_line(spec))]
    if spec.params:
        rows = tuple((_name(param), _takes(param), _default(param), param.help) for param in spec.params)
        with_help = any(param.help for param in spec.params)
        columns = ("parameter", "takes", "default", "meaning") if with_help else ("parameter", "takes", "default")
        blocks.append(Table(columns=columns, rows=tuple(row[: len(columns)] for row in rows)))
    if spec.help:
        blocks.append(spec.help)
    if spec.examples:
        blocks.append(code_block("\n".join(f"/{example.removeprefix('/')}" for example in spec.examples)))
    blocks.append(_who(spec))
    return Card.of(f"/{spec.name}", *blocks)


def mistake_card(text: str, error: UsageError) -> Card:
    """What is wrong, where, and the text as it would be right."""
    blocks: list[Block | str] = [str(error)]
    if error.start is not None:
        blocks.append(code_block(pointer(text, error)))
    if error.corrected is not None:
        blocks.append(Text(text=f"Try: {code_span(error.corrected)}"))
    return Card.of("Not understood", *blocks, severity=Severity.WARNING)


def missing_card(missing: MissingArguments) -> Card:
    """What a command still needs, for platforms that can't open a form."""
    spec = missing.spec
    rows = tuple((each.label, each.help) for each in missing.fields)
    blocks: list[Block | str] = [
        f"{missing.message}.",
        Table(columns=("needs", "takes"), rows=rows),
        code_block(usage_line(spec)),
    ]
    if spec.examples:
        blocks.append(f"For example {code_span('/' + spec.examples[0].removeprefix('/'))}")
    return Card.of("Something is missing", *blocks, severity=Severity.WARNING)


def code_span(text: str) -> str:
    """The text as a CommonMark code span, whatever it holds; line ends become spaces (CommonMark 0.31, 6.1)."""
    line = " ".join(text.splitlines())
    fence = "`" * (_longest_run(line) + 1)
    # A reader takes one space off both ends, so that backticks and spaces may stand there.
    pad = " " if line[:1] in ("`", " ") or line[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def code_block(text: str) -> str:
    """The text as a CommonMark fenced code block, whatever it holds (CommonMark 0.31, 4.5)."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _usage(param: Param) -> str:
    word = "|".join(value for value, _ in param.type.choices) or param.type.name
    if param.is_switch:
        shown = f"--{'no-' if param.default is True else ''}{param.label}"
    elif param.kind is ParamKind.OPTION:
        shown = f"--{param.label} <{word}>"
    elif param.kind is ParamKind.REST:
        shown = f"<{param.label} …>"
    else:
        shown = f"<{param.label}>"
    return shown if param.required else f"[{shown.strip('<>') if param.is_positional else shown}]"


def _name(param: Param) -> str:
    return param.label if param.is_positional else f"--{param.label}"


def _takes(param: Param) -> str:
    return f"nothing (--no-{param.label} is its opposite)" if param.is_switch else param.type.accepts


def _default(param: Param) -> str:
    if param.required:
        return "required"
    return "–" if param.default is None else param.type.show(param.default)


def _who(spec: CommandSpec) -> str:
    who = "Open to anyone" if spec.level is None else f"Needs {spec.level}"
    where = f", at {' and '.join(sorted(spec.roles))} stations" if spec.roles else ""
    also = f". Also {', '.join(f'/{alias}' for alias in spec.aliases)}" if spec.aliases else ""
    return f"{who}{where}{also}."
