"""Words, form answers and native options to a command's values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from vtoc_bots.core.commands.mistakes import (
    given_twice,
    needs_value,
    no_such_option,
    one_too_many,
    wrong_value,
)
from vtoc_bots.core.commands.spec import Call, CommandSpec, InvalidValues, MissingArguments, Param, ParamKind
from vtoc_bots.core.commands.words import Word, words
from vtoc_bots.core.documents import nearest
from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.values import REST, STRING

_KEY = re.compile(r"[^\W\d][\w-]*")
_CORRECTIONS: Final = 8
"""Wrong words of one command that are corrected together."""


def bind_text(spec: CommandSpec, text: str, start: int = 0) -> Call | MissingArguments:
    """The command's values from the words of `text` after character `start`.

    Raises UsageError with the first wrong word, its place, and the whole text corrected where that can be.
    """
    try:
        return _Binder(spec, text, start).bind()
    except UsageError as error:
        error.corrected = _settled(spec, error.corrected, start)
        raise


def bind_values(spec: CommandSpec, values: Mapping[str, Any]) -> Call | MissingArguments:
    """The command's values from those of a form, of native options, of `Call.arguments` or `MissingArguments.given`.

    Each value is text, canonical JSON, or of its type; None and, but for a required text, ``""`` mean not given.
    Raises InvalidValues naming every wrong one.
    """
    bound: dict[str, Any] = {}
    inputs: dict[str, str] = {}
    errors: dict[str, str] = {}
    by_name = {param.name: param for param in spec.params}
    for key, value in values.items():
        name = key.replace("-", "_")
        param = by_name.get(name)
        is_text = param is not None and param.type.name in (STRING.name, REST.name)
        if value is None or (value == "" and not is_text):
            continue
        if param is None and not spec.inputs:
            errors[key] = f"/{spec.name} has no {key}"
        elif param is None:
            inputs[name] = value if isinstance(value, str) else str(value)
        else:
            _read(param, value, bound, errors)
    if errors:
        raise InvalidValues("; ".join(f"{name}: {message}" for name, message in errors.items()), errors)
    return _whole(spec, bound, inputs)


def _read(param: Param, value: Any, bound: dict[str, Any], errors: dict[str, str]) -> None:
    try:
        bound[param.name] = param.type.read(value)
    except ValueError as error:
        errors[param.name] = str(error)


def _whole(spec: CommandSpec, values: dict[str, Any], inputs: dict[str, str]) -> Call | MissingArguments:
    if spec.required <= values.keys():
        return Call(spec, {**spec.defaults, **values}, inputs)
    fields = tuple(param.form_field() for param in spec.params if param.required and param.name not in values)
    given = {param.name: param.type.canonical(values[param.name]) for param in spec.params if param.name in values}
    return MissingArguments(spec, {**inputs, **given}, fields)


def _settled(spec: CommandSpec, corrected: str | None, start: int) -> str | None:
    """The corrected text once nothing is wrong with it any more; None where that isn't reached."""
    for _ in range(_CORRECTIONS):
        if corrected is None:
            return None
        try:
            _Binder(spec, corrected, start).bind()
        except UsageError as error:
            corrected = error.corrected
        else:
            return corrected
    return None


class _Binder:
    """One pass over a command's words."""

    __slots__ = ("inputs", "only_places", "placed", "places", "source", "spec", "text", "values")

    def __init__(self, spec: CommandSpec, text: str, start: int) -> None:
        self.spec, self.text = spec, text
        self.values: dict[str, Any] = {}
        self.inputs: dict[str, str] = {}
        self.places = iter(spec.positional)
        self.placed: Word | None = None
        self.source = words(text, start)
        self.only_places = False

    def bind(self) -> Call | MissingArguments:
        for word in self.source:
            text = word.text
            if word.quoted or self.only_places:
                self._place(word)
            elif text.startswith("--"):
                self._option(word)
            elif "=" in text:
                self._pair(word)
            else:
                self._place(word)
        return _whole(self.spec, self.values, self.inputs)

    def _place(self, word: Word) -> None:
        """Give the next free place a value."""
        for param in self.places:
            if param.name not in self.values:
                break
        else:
            raise one_too_many(self.spec, self.text, self.placed, word)
        if param.kind is ParamKind.REST:
            rest = self.text[word.start :].rstrip()
            word = Word(rest, word.start, word.start + len(rest))
            self.source.close()
        self.values[param.name] = self._parsed(param, word, word.text)
        self.placed = word

    def _option(self, word: Word) -> None:
        key, equals, value = word.text[2:].partition("=")
        param = self._named(key)
        if param is None:
            self._unnamed(word, key, value if equals else None)
        elif equals:
            self._set(param, word, self._parsed(param, word, value))
        elif param.is_switch:
            self._set(param, word, True)
        else:
            follows = next(self.source, None)
            if follows is None or (follows.text.startswith("--") and not follows.quoted):
                raise needs_value(self.text, word, param)
            self._set(param, word, self._parsed(param, follows, follows.text))

    def _unnamed(self, word: Word, key: str, value: str | None) -> None:
        """The bare ``--`` before places, ``--no-switch``, or a free input with or without a value."""
        switch = self._named(key[3:]) if key.startswith("no-") and value is None else None
        if word.text == "--":
            self.only_places = True
        elif switch is not None and switch.is_switch:
            self._set(switch, word, False)
        elif not self.spec.inputs or not _KEY.fullmatch(key):
            raise no_such_option(self.spec, self.text, word, key)
        elif value is not None:
            self._input(word, key, value)
        else:
            follows = next(words(self.text, word.end), None)
            if follows is None or (follows.text.startswith("--") and not follows.quoted):
                self._input(word, key, "yes")
            else:
                next(self.source)
                self._input(word, key, follows.text)

    def _pair(self, word: Word) -> None:
        """``key=value``, or a place's value that has an equals sign in it."""
        key, _, value = word.text.partition("=")
        param = self._named(key)
        if param is not None:
            self._set(param, word, self._parsed(param, word, value))
        elif not _KEY.fullmatch(key):
            self._place(word)
        elif self.spec.inputs:
            self._input(word, key, value)
        elif self._is_text(key):
            self._place(word)
        else:
            raise no_such_option(self.spec, self.text, word, key)

    def _is_text(self, key: str) -> bool:
        """Whether ``key=value`` begins the remaining text that is taken as it stands, and is no mistyped option."""
        free = next((param for param in self.spec.positional if param.name not in self.values), None)
        return free is not None and free.kind is ParamKind.REST and not nearest(key.lower(), self.spec.by_name)

    def _named(self, key: str) -> Param | None:
        return self.spec.by_name.get(key) or self.spec.by_name.get(key.lower())

    def _set(self, param: Param, word: Word, value: Any) -> None:
        if param.name in self.values:
            raise given_twice(self.text, word, param.label)
        self.values[param.name] = value

    def _input(self, word: Word, key: str, value: str) -> None:
        name = key.replace("-", "_")
        if name in self.inputs:
            raise given_twice(self.text, word, key)
        self.inputs[name] = value

    def _parsed(self, param: Param, word: Word, value: str) -> Any:
        try:
            return param.type.parse(value)
        except ValueError as error:
            raise wrong_value(self.text, word, param, value, error) from error
