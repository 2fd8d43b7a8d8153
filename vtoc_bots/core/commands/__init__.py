"""Commands: typed functions callable from chat; the signature is the parser, the help, the form and the schema."""

from __future__ import annotations

from vtoc_bots.core.commands.binding import bind_text, bind_values
from vtoc_bots.core.commands.complete import ChoiceSource, Completion, choices, complete
from vtoc_bots.core.commands.declare import command
from vtoc_bots.core.commands.help import (
    code_block,
    code_span,
    command_card,
    list_card,
    missing_card,
    mistake_card,
    usage_line,
)
from vtoc_bots.core.commands.mistakes import pointer
from vtoc_bots.core.commands.registry import QUESTION_COMMAND, Commands, Found, May, everyone
from vtoc_bots.core.commands.schema import json_schema
from vtoc_bots.core.commands.spec import (
    Call,
    CommandSpec,
    InvalidValues,
    MissingArguments,
    Param,
    ParamKind,
    UnknownCommand,
)
from vtoc_bots.core.commands.words import quote, words

__all__ = [
    "QUESTION_COMMAND",
    "Call",
    "ChoiceSource",
    "CommandSpec",
    "Commands",
    "Completion",
    "Found",
    "InvalidValues",
    "May",
    "MissingArguments",
    "Param",
    "ParamKind",
    "UnknownCommand",
    "bind_text",
    "bind_values",
    "choices",
    "code_block",
    "code_span",
    "command",
    "command_card",
    "complete",
    "everyone",
    "json_schema",
    "list_card",
    "missing_card",
    "mistake_card",
    "pointer",
    "quote",
    "usage_line",
    "words",
]
