"""``${{ JMESPath }}`` inside a playbook's values: parsed once, evaluated over data only, at a bounded cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import jmespath
import orjson
from jmespath.exceptions import JMESPathError, LexerError, ParseError
from jmespath.functions import Functions

from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.playbooks.interpreter import Interpreter, Node, OverBudget

ROOTS: Final = ("inputs", "steps", "station", "run")
MAX_CHARACTERS: Final = 2_000
MAX_BRACKETS: Final = 60
MAX_NODES: Final = 120
"""Parts of one expression; walking a syntax tree takes some Python frames for each."""

_OPEN: Final = "${{"
_ESCAPED: Final = "$${{"
_QUOTES: Final = "\"'`"
_QUOTED: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`""", re.DOTALL)


class ExpressionError(VtocError):
    """An expression can't be read, or could not be evaluated."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value without expressions."""

    value: Any


@dataclass(frozen=True, slots=True)
class Expression:
    """One parsed expression; keeps the type of what it finds."""

    text: str
    tree: Node


@dataclass(frozen=True, slots=True)
class Joined:
    """Text with expressions inside; always gives text."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, some of whose values hold expressions."""

    items: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class MappingOf:
    """A mapping, some of whose values hold expressions."""

    items: tuple[tuple[str, Template], ...]


Template: TypeAlias = Literal | Expression | Joined | ListOf | MappingOf


def parse_template(value: Any) -> Template:
    """The template of a plain value: text is searched for ``${{ … }}``, ``$${{`` stands for a plain ``${{``.

    Text that is one expression and nothing else keeps that expression's type; other text stays text.
    Raises ExpressionError naming the expression and what is wrong with it.
    """
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, list):
        items = tuple(parse_template(item) for item in value)
        return Literal(value) if all(isinstance(item, Literal) for item in items) else ListOf(items)
    if isinstance(value, dict):
        for key in value:
            if _OPEN in str(key):
                raise ExpressionError(f"the key {key!r} holds an expression; only values may")
        pairs = tuple((str(key), parse_template(item)) for key, item in value.items())
        if all(isinstance(item, Literal) for _, item in pairs):
            return Literal({key: item.value for key, item in pairs if isinstance(item, Literal)})
        return MappingOf(pairs)
    return Literal(value)


def expressions_of(template: Template) -> Iterator[Expression]:
    """Every expression in a template."""
    match template:
        case Expression():
            yield template
        case Joined():
            yield from (part for part in template.parts if isinstance(part, Expression))
        case ListOf():
            for item in template.items:
                yield from expressions_of(item)
        case MappingOf():
            for _, item in template.items:
                yield from expressions_of(item)
        case Literal():
            return


def evaluate(template: Template, scope: Mapping[str, Any]) -> Any:
    """The template's value over `scope` (plain JSON values under ROOTS). Raises ExpressionError.

    The result may share lists and mappings with the scope: don't change it.
    """
    match template:
        case Literal():
            return template.value
        case Expression():
            return _evaluate(template, scope)
        case Joined():
            return "".join(
                part if isinstance(part, str) else as_text(_evaluate(part, scope)) for part in template.parts
            )
        case ListOf():
            return [evaluate(item, scope) for item in template.items]
        case MappingOf():
            return {key: evaluate(item, scope) for key, item in template.items}


def is_true(value: Any) -> bool:
    """JMESPath's truth: false, null, and empty text, lists and mappings are false; everything else, 0 too, is true."""
    return not (value is None or value is False or (isinstance(value, str | list | Mapping) and not value))


def as_text(value: Any) -> str:
    """A value inside a text: text as it is, null as nothing, everything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _evaluate(expression: Expression, scope: Mapping[str, Any]) -> Any:
    interpreter = Interpreter()
    try:
        return interpreter.charge(interpreter.visit(expression.tree, scope))
    except OverBudget:
        raise ExpressionError(f"${{{{ {expression.text} }}}} looks at too many values; narrow it") from None
    except (JMESPathError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        raise ExpressionError(f"${{{{ {expression.text} }}}} failed: {_first_line(error)}") from error


def _parse_text(text: str) -> Template:
    parts = list(_split(text))
    if not any(isinstance(part, Expression) for part in parts):
        return Literal("".join(part for part in parts if isinstance(part, str)))
    filled = [part for part in parts if isinstance(part, Expression) or part.strip()]
    if len(filled) == 1 and isinstance(filled[0], Expression):
        return filled[0]
    return Joined(tuple(parts))


def _split(text: str) -> Iterator[str | Expression]:
    """Plain pieces and expressions of a text, in order."""
    at = 0
    while True:
        opening = text.find(_OPEN, at)
        if opening < 0:
            yield text[at:]
            return
        if text.startswith(_ESCAPED, opening - 1) and opening > at:
            yield text[at : opening - 1] + _OPEN
            at = opening + len(_OPEN)
            continue
        yield text[at:opening]
        end = _end_of_expression(text, opening + len(_OPEN))
        yield parse_expression(text[opening + len(_OPEN) : end].strip())
        at = end + 2


def _end_of_expression(text: str, start: int) -> int:
    """Where the ``}}`` is that ends the expression: not one in quotes, nor of a mapping inside the expression."""
    quote, depth, at = "", 0, start
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in _QUOTES:
            quote = character
        elif character == "{":
            depth += 1
        elif character == "}":
            if depth == 0 and text.startswith("}}", at):
                return at
            depth = max(0, depth - 1)
        at += 1
    raise ExpressionError(f"{text[start - 3 :]!r} has no closing }}}}; to write ${{{{ itself, write $${{{{")


def parse_expression(text: str) -> Expression:
    """One expression, without its braces. Raises ExpressionError saying where it stops making sense."""
    if not text:
        raise ExpressionError("${{ }} is empty; name a value, e.g. ${{ inputs.area }}")
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"an expression has {len(text):,} characters, {MAX_CHARACTERS:,} at most")
    if sum(text.count(bracket) for bracket in "([{!") > MAX_BRACKETS:
        raise ExpressionError(f"${{{{ {text[:40]}… }}}} has more than {MAX_BRACKETS} brackets; split it into steps")
    _check_literals(text)
    try:
        parsed = jmespath.compile(text)
    except LexerError as error:
        raise ExpressionError(f"${{{{ {text} }}}}: {error.message} at column {error.lexer_position + 1}") from error
    except ParseError as error:
        at = "ends too early" if error.token_value is None else f"can't read {error.token_value!r}"
        raise ExpressionError(f"${{{{ {text} }}}} {at} at column {error.lex_position + 1}") from error
    except (JMESPathError, ValueError, RecursionError) as error:
        raise ExpressionError(f"${{{{ {text} }}}}: {_first_line(error)}") from error
    tree = parsed.parsed
    if _count_nodes(tree) > MAX_NODES:
        raise ExpressionError(f"${{{{ {text[:40]}… }}}} has more than {MAX_NODES} parts; split it into steps")
    if tree["type"] == "expref" or _has_stray_reference(tree):
        raise ExpressionError(
            f"${{{{ {text} }}}}: &… stands only where a function takes one, e.g. sort_by(list, &name)"
        )
    return Expression(text, tree)


def nodes_of(node: Node) -> Iterator[Node]:
    """The nodes directly below a node; a slice's children are plain numbers."""
    return (child for child in node["children"] if isinstance(child, dict))


def _has_stray_reference(tree: Node) -> bool:
    """Whether an ``&expression`` stands where it would become a value: it has no JSON form."""
    pending = [tree]
    while pending:
        node = pending.pop()
        known = Functions.FUNCTION_TABLE.get(node["value"]) if node["type"] == "function_expression" else None
        wanted = [argument["types"] for argument in known["signature"]] if known else []
        for index, child in enumerate(nodes_of(node)):
            if child["type"] == "expref" and (index >= len(wanted) or wanted[index] != ["expref"]):
                return True
            pending.append(child)
    return False


def _count_nodes(tree: Node) -> int:
    count, pending = 0, [tree]
    while pending:
        count += 1
        pending.extend(nodes_of(pending.pop()))
    return count


def _check_literals(text: str) -> None:
    """Literals in backquotes must be JSON: jmespath takes other text in them too, but deprecates it."""
    for found in _QUOTED.findall(text):
        if found.startswith("`"):
            try:
                orjson.loads(found[1:-1].replace("\\`", "`"))
            except ValueError:
                raise ExpressionError(f"${{{{ {text} }}}}: {found} is not JSON; write text as 'text'") from None


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
