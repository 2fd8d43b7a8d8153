"""The Bot API's machine-readable specification: says what is wrong with a request's parameters."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from tests.docs_kit import ROOT

PATH = Path(os.environ.get("VTOC_TEST_DATA", ROOT.parent / "shared")) / "specs" / "telegram-bot-api-10.1.json"
UNIONS = {"InputFile", "InputMedia", "BotCommandScope"}


@cache
def spec() -> dict[str, Any] | None:
    """The specification, None where it is not at hand."""
    return json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else None


def problem_of(method: str, params: dict[str, str], files: dict[str, bytes]) -> str | None:
    """What is wrong with a form-encoded request; None where nothing is, or the specification is not at hand."""
    found = spec()
    if found is None:
        return None
    if method not in found["methods"]:
        return f"method {method} not found"
    fields = {field["name"]: field for field in found["methods"][method].get("fields", [])}
    attached = {name for name in files if f"attach://{name}" in json.dumps(params)}
    for name in (params.keys() | files.keys()) - attached - fields.keys():
        return f"{method} has no parameter {name}"
    for name, field in fields.items():
        if name in files:
            if "InputFile" not in field["types"]:
                return f"{name} takes no file"
        elif name in params:
            value = _read(params[name], field["types"])
            wrong = _wrong(value, field["types"], name)
            if wrong:
                return wrong
        elif field["required"]:
            return f"{method} needs {name}"
    return None


def _read(text: str, types: list[str]) -> Any:
    """A form's text as the value it stands for."""
    if types == ["String"] or "InputFile" in types:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _wrong(value: Any, types: list[str], where: str) -> str | None:
    reasons = [_mismatch(value, kind, where) for kind in types]
    return None if None in reasons else reasons[0]


def _mismatch(value: Any, kind: str, where: str) -> str | None:
    if kind.startswith("Array of "):
        if not isinstance(value, list):
            return f"{where} is not an array"
        inner = [part.strip() for part in kind.removeprefix("Array of ").replace(" and ", ",").split(",")]
        return next((wrong for each in value if (wrong := _wrong(each, inner, f"{where}[]"))), None)
    plain = {"Integer": int, "String": str, "Boolean": bool, "Float": (int, float), "InputFile": str}
    if kind in plain:
        fits = isinstance(value, plain[kind]) and (kind == "Boolean" or not isinstance(value, bool))
        return None if fits else f"{where} is no {kind}: {value!r}"
    return _wrong_object(value, kind, where)


def _wrong_object(value: Any, kind: str, where: str) -> str | None:
    found = spec()
    assert found is not None
    described = found["types"][kind]
    if described.get("subtypes"):
        return _wrong(value, described["subtypes"], where)
    if not isinstance(value, dict):
        return f"{where} is no {kind}: {value!r}"
    fields = {field["name"]: field for field in described.get("fields", [])}
    unknown = value.keys() - fields.keys()
    if unknown:
        return f"{where}: {kind} has no {', '.join(sorted(unknown))}"
    for name, field in fields.items():
        if name in value:
            wrong = _wrong(value[name], field["types"], f"{where}.{name}")
            if wrong:
                return wrong
        elif field["required"]:
            return f"{where}: {kind} needs {name}"
    return None
