"""docs/api.md names every operation and variable of the API, as they are."""

from __future__ import annotations

import re

from tests.docs_kit import page
from vtoc_bots.core.api_host import OPERATIONS
from vtoc_bots.core.settings import documented_settings
from vtoc_bots.core.web.openapi import openapi
from vtoc_bots.core.web.settings import ApiSettings

PAGE = page("docs/api.md")


def test_every_operation_is_documented_and_no_other() -> None:
    wanted = [
        f"| {each.method} `{each.path}` | {'a signature' if each.signed else each.level} | {each.summary} |"
        for each in OPERATIONS
    ]
    assert [line for line in PAGE.splitlines() if re.match(r"\| [A-Z]+ `/", line)] == wanted


def test_every_variable_is_documented_and_no_other() -> None:
    wanted = [
        f"| `{each.name}` | {each.default or '–'} | {each.accepts} | {each.about} |"
        for each in documented_settings(ApiSettings)
        if each.about
    ]
    part = PAGE.split("## Variables")[1]
    assert [line for line in part.splitlines() if line.startswith("| `")] == wanted


def test_every_status_that_an_operation_may_answer_is_explained() -> None:
    documented = {int(status) for status in re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE)}
    assert {status for each in OPERATIONS for status in each.problems} == documented


def test_operations_have_names_of_their_own_and_say_what_they_do() -> None:
    assert len({each.id for each in OPERATIONS}) == len(OPERATIONS)
    document = openapi(OPERATIONS, "1")
    for methods in document["paths"].values():
        for found in methods.values():
            assert found["summary"]
            assert found["responses"]
