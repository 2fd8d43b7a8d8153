"""What Discord refuses beyond its OpenAPI description: limits over several values, and names that must be unique."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

NAME = re.compile(r"[-_'\w]{1,32}")


def units(text: str) -> int:
    """UTF-16 units: the strictest count there is."""
    return len(text.encode("utf-16-le")) // 2


def problems_of_message(body: Mapping[str, Any], files: Sequence[str]) -> list[str]:
    """What is wrong with a message that is sent or edited; `files` are the names of what came with it."""
    return list(_message(body, files))


def _message(body: Mapping[str, Any], files: Sequence[str]) -> Iterator[str]:
    embeds = body.get("embeds") or []
    if units(body.get("content") or "") > 2000:
        yield "content is longer than 2000"
    if not (body.get("content") or embeds or files or body.get("components")):
        yield "Cannot send an empty message"
    if body.get("enforce_nonce") and not body.get("nonce"):
        yield "enforce_nonce needs a nonce"
    if len(embeds) > 10:
        yield "more than 10 embeds"
    if sum(_embed_size(each) for each in embeds) > 6000:
        yield "the embeds hold more than 6000 characters"
    for index, embed in enumerate(embeds):
        yield from (f"embeds[{index}]: {problem}" for problem in _embed(embed, files))
    yield from _components(body.get("components") or [])
    yield from _attachments(body.get("attachments") or [], files)


def _embed_size(embed: Mapping[str, Any]) -> int:
    texts = [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
    texts.append((embed.get("author") or {}).get("name"))
    texts += [text for each in embed.get("fields") or [] for text in (each["name"], each["value"])]
    return sum(units(text or "") for text in texts)


def _embed(embed: Mapping[str, Any], files: Sequence[str]) -> Iterator[str]:
    limits = {"title": 256, "description": 4096}
    yield from (f"{name} is longer than {most}" for name, most in limits.items() if units(embed.get(name) or "") > most)
    if not embed.keys() - {"color", "timestamp"}:
        yield "it is empty"
    if units((embed.get("footer") or {}).get("text") or "") > 2048 or (embed.get("footer") or {}).get("text") == "":
        yield "the footer is empty or too long"
    if units((embed.get("author") or {}).get("name") or "") > 256:
        yield "the author is too long"
    if len(embed.get("fields") or []) > 25:
        yield "more than 25 fields"
    for each in embed.get("fields") or []:
        if not (each["name"].strip() and each["value"].strip()):
            yield "a field is empty"
        if units(each["name"]) > 256 or units(each["value"]) > 1024:
            yield "a field is too long"
    if "timestamp" in embed:
        datetime.fromisoformat(embed["timestamp"])
    url = (embed.get("image") or {}).get("url", "")
    if url.startswith("attachment://") and url.removeprefix("attachment://") not in files:
        yield f"{url} is not attached"


def _components(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if len(rows) > 5:
        yield "more than 5 rows"
    ids = Counter(each.get("custom_id") for row in rows for each in row["components"])
    yield from (f"custom_id {each} is there twice" for each, count in ids.items() if count > 1)
    for row in rows:
        kinds = [each["type"] for each in row["components"]]
        if len(kinds) > 5 or (3 in kinds and len(kinds) > 1) or not kinds:
            yield "a row holds five buttons or one menu"
        for each in row["components"]:
            if each["type"] == 2 and not each.get("label") and not each.get("emoji"):
                yield "a button without label"
            if each["type"] == 3:
                values = [option["value"] for option in each["options"]]
                if len(set(values)) < len(values) or not 0 < len(values) <= 25:
                    yield "a menu's values must be unique, 1 to 25"


SHORTEST_ID = 15
"""Digits of a message's or file's id; what is shorter counts the files of a request."""


def _attachments(attachments: Iterable[Mapping[str, Any]], files: Sequence[str]) -> Iterator[str]:
    names = {each["id"]: each.get("filename") for each in attachments}
    if len(files) > 10:
        yield "more than 10 files"
    for index, name in enumerate(files):
        if names.get(str(index)) != name:
            yield f"files[{index}] is {name}, but attachments say {names.get(str(index))}"
    if any(len(each) < SHORTEST_ID and int(each) >= len(files) for each in names):
        yield "an attachment without its file"


def problems_of_modal(data: Mapping[str, Any]) -> list[str]:
    """What is wrong with a form."""
    labels = data["components"]
    ids = Counter(each["component"]["custom_id"] for each in labels)
    found = [f"custom_id {each} is there twice" for each, count in ids.items() if count > 1]
    if not 1 <= len(labels) <= 5:
        found.append("a form holds 1 to 5 inputs")
    for each in labels:
        inner = each["component"]
        if inner["type"] == 3:
            values = [option["value"] for option in inner["options"]]
            if len(set(values)) < len(values) or sum(bool(option.get("default")) for option in inner["options"]) > 1:
                found.append("a menu's values must be unique, with one default at most")
        elif len(inner.get("value") or "") > (inner.get("max_length") or 4000):
            found.append("a value longer than the input takes")
    return found


def problems_of_commands(commands: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with commands that are published together."""
    names = Counter(each["name"] for each in commands)
    found = [f"command {name} is there twice" for name, count in names.items() if count > 1]
    if len(commands) > 100:
        found.append("more than 100 commands")
    for each in commands:
        found += _options(each, each["name"], 0)
        if _command_size(each) > 8000:
            found.append(f"{each['name']} holds more than 8000 characters")
    return found


def _command_size(part: Mapping[str, Any]) -> int:
    texts = [part["name"], part.get("description", ""), *(str(each["value"]) for each in part.get("choices") or ())]
    return sum(map(len, texts)) + sum(_command_size(each) for each in part.get("options") or ())


def _options(part: Mapping[str, Any], at: str, depth: int) -> list[str]:
    found = []
    if not NAME.fullmatch(part["name"]) or part["name"] != part["name"].lower():
        found.append(f"{at}: {part['name']!r} is no name")
    if not 1 <= len(part.get("description", "")) <= 100:
        found.append(f"{at}: its description must have 1 to 100 characters")
    options = part.get("options") or []
    kinds = {each["type"] for each in options}
    if len(options) > 25 or len({each["name"] for each in options}) < len(options):
        found.append(f"{at}: more than 25 options, or two of a name")
    if kinds & {1, 2} and kinds - {1, 2}:
        found.append(f"{at}: subcommands beside options")
    if (2 in kinds and depth > 0) or (1 in kinds and depth > 1):
        found.append(f"{at}: too deep")
    if part.get("choices") and part.get("autocomplete"):
        found.append(f"{at}: choices and autocomplete")
    required = [bool(each.get("required")) for each in options if each["type"] > 2]
    if required != sorted(required, reverse=True):
        found.append(f"{at}: required options come first")
    for each in options:
        found += _options(each, f"{at} {each['name']}", depth + 1)
    return found
