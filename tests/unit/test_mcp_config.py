"""config/mcp.yml: what it may say, what is wrong with it and where, and that docs and schema say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vtoc_bots.core.clients.mcp.config import OAuth, ServerConfig, ServerEntry, load_mcp, mcp_schema
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.settings import documented_settings
from vtoc_bots.core.web.mcp.host import McpSettings
from vtoc_bots.core.web.mcp.lookups import LOOKUPS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
VARIABLES = {"CLOCK_LICENCE": "l", "RADAR_CLIENT": "c", "RADAR_SECRET": "s", "RADAR_TOKEN": "t"}


def load(folder: Path, text: str, **variables: str) -> tuple[ServerConfig, ...]:
    (folder / "mcp.yml").write_text(text, encoding="utf-8")
    return load_mcp(folder / "mcp.yml", variables)


def test_without_the_file_there_are_no_servers(tmp_path: Path) -> None:
    assert load_mcp(tmp_path / "mcp.yml", {}) == ()
    assert load_mcp(ROOT / "config" / "mcp.yml", {}) == ()


def test_variables_are_filled_in_and_never_shown(tmp_path: Path) -> None:
    program = "a: {command: x, env: {KEY: 'pre-${ONE}'}, tools: ['*']}"
    service = "b: {url: 'https://b', token: '${TWO}', tools: [t]}"
    first, second = load(tmp_path, f"servers: {{{program}, {service}}}", ONE="hidden-1", TWO="hidden-2")
    assert dict(first.env) == {"KEY": "pre-hidden-1"}
    assert second.token == "hidden-2"
    assert "hidden" not in repr((first, second))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("servers:\n  a: {tools: [t]}", 2, "give command or url"),
        ("servers:\n  a: {command: x, url: 'https://b', tools: [t]}", 2, "give command or url"),
        ("servers:\n  a:\n    command: x", 2, "tools is missing"),
        ("servers:\n  a:\n    command: x\n    tools: [t]\n    tool: t", 5, "Did you mean tools?"),
        ("servers:\n  A b: {command: x, tools: [t]}", 2, "only small letters"),
        ("servers:\n  a: {command: x, tools: [t], token: x}", 2, "token and oauth are for a url"),
        ("servers:\n  a: {url: 'https://b', tools: [t], env: {A: b}}", 2, "are for a command"),
        ("servers:\n  a: {url: 'https://b', tools: [t], token: '${GONE}'}", 2, "GONE is not set"),
        ("servers:\n  a: {url: 'ftp://b', tools: [t]}", 2, "not an HTTP URL"),
        ("servers:\n  a: {command: x, tools: [t], diagnostics: {radar: [{tool: u}]}}", 2, "which tools does not allow"),
        ("server: {}", 1, "Did you mean servers?"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(StartupError) as raised:
        load(tmp_path, text)
    assert words in str(raised.value)
    assert f"mcp.yml:{line}" in str(raised.value)


def test_a_disabled_server_needs_no_variables(tmp_path: Path) -> None:
    assert load(tmp_path, "servers: {a: {url: 'https://b', tools: [t], token: '${GONE}', enabled: false}}") == ()


def test_globs_allow_tools(tmp_path: Path) -> None:
    (server,) = load(tmp_path, "servers: {a: {command: x, tools: ['check_*', reboot], repeatable: ['check_*']}}")
    assert [server.entry.allows(tool) for tool in ("check_power", "reboot", "reboots", "")] == [
        True,
        True,
        False,
        False,
    ]
    assert [server.entry.may_repeat(tool) for tool in ("check_power", "reboot")] == [True, False]


def test_the_published_schema_is_the_one_of_the_code() -> None:
    assert json.loads((ROOT / "config" / "mcp.schema.json").read_text()) == mcp_schema()


def test_the_examples_of_the_documentation_and_of_the_shipped_file_work(tmp_path: Path) -> None:
    text = re.findall(r"```yaml\n(servers:.*?)```", PAGE, re.DOTALL)[0]
    assert [server.name for server in load(tmp_path, text, **VARIABLES)] == ["clock", "radar"]
    lines = (ROOT / "config" / "mcp.yml").read_text(encoding="utf-8").splitlines()
    start = lines.index("# servers:")
    shown = "\n".join(line.removeprefix("# ") for line in lines[start:])
    assert [server.name for server in load(tmp_path, shown, **VARIABLES)] == ["clock", "radar"]


def test_every_key_is_documented() -> None:
    part = PAGE.split("| key | default |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+)`", part)) >= set(ServerEntry.model_fields) | set(OAuth.model_fields)


def test_every_lookup_and_variable_is_documented_and_no_other() -> None:
    tools = [
        f"| `{name}` | {f'`{each.address}`' if each.address else '–'} | {each.operation.summary} |"
        for name, each in LOOKUPS.items()
    ]
    table = PAGE.split("| tool | resource |")[1].split("\n\n")[0]
    assert [line for line in table.splitlines() if line.startswith("| `")] == tools
    settings = [
        f"| `{each.name}` | {each.default or '–'} | {each.accepts} | {each.about} |"
        for each in documented_settings(McpSettings)
    ]
    assert [line for line in PAGE.splitlines() if line.startswith("| `VTOC_")] == settings
