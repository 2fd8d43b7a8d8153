"""Plugins: found, checked, reported, unloaded; a broken one never hurts the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from textwrap import dedent
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from vtoc_bots.core.access import Ask, Decision, Operator, Station
from vtoc_bots.core.cards import Card
from vtoc_bots.core.commands import CommandSpec, command
from vtoc_bots.core.errors import PluginError, StartupError
from vtoc_bots.core.hookspecs import hookimpl
from vtoc_bots.core.loader import GROUP, Loaded, PluginManifest, PluginState, installed, load, report_rows
from vtoc_bots.core.playbooks.actions import action
from vtoc_bots.core.ports import ConnectorSpec
from vtoc_bots.core.scopes import Scope
from vtoc_bots.core.settings import load_settings
from vtoc_bots.core.transports import TransportSpec


class SomeSettings:
    """Settings in which nothing but HERE is set."""

    def missing(self, *names: str) -> tuple[str, ...]:
        return tuple(name for name in names if name != "HERE")


async def handler(ctx: Any) -> Card:
    """Do something."""
    return Card.of("x")


def plugin(**members: Any) -> ModuleType:
    """A plugin module; hooks are given as plain functions and marked here."""
    module = ModuleType(f"plugin_{uuid4().hex}")
    for name, member in members.items():
        marked = hookimpl(member) if name.startswith("vtoc_") else member
        setattr(module, name, marked)
    return module


def commands(*names: str, aliases: Iterable[str] = ()) -> Callable[[], Iterable[CommandSpec]]:
    return lambda: [command(name, aliases=aliases)(handler) for name in names]


def loaded(**plugins: Any) -> Loaded:
    return load(SomeSettings(), extra=plugins, entries=())


def reason(found: Loaded, name: str) -> str:
    report = next(report for report in found.reports if report.name == name)
    assert report.state is PluginState.BROKEN
    assert report.registers == {}
    return report.reason


class NightPolicy:
    name = "night"

    async def verdict(self, operator: Operator, station: Station, ask: Ask) -> Decision | None:
        return None


class Counter:
    name = "counter"

    async def observe(self, event: str, detail: Mapping[str, Any]) -> None:
        return None


def test_what_a_plugin_declares_is_there_and_reported(tmp_path: Path) -> None:
    @action("tracks.count", summary="Count")
    async def count(ctx: Any, number: int) -> int:
        return number

    seen: list[object] = []

    def transports(settings: object) -> list[TransportSpec]:
        seen.append(settings)
        return [TransportSpec("pigeon", lambda context: None)]  # type: ignore[arg-type, return-value]  # never opened

    found = loaded(
        full=plugin(
            vtoc_transports=transports,
            vtoc_connectors=lambda: [ConnectorSpec("radar", BaseModel, lambda entry, context: None)],  # type: ignore[arg-type, return-value]  # never opened
            vtoc_commands=commands("track watch", aliases=("watch",)),
            vtoc_actions=lambda: (count,),
            vtoc_policies=lambda: iter([NightPolicy()]),
            vtoc_observers=lambda: [Counter()],
            vtoc_playbooks=lambda: [tmp_path],
            vtoc_routes=lambda web: None,
        )
    )
    assert [spec.name for spec in found.transports] == ["pigeon"]
    assert [spec.type for spec in found.connectors] == ["radar"]
    assert [spec.name for spec in found.commands] == ["track watch"]
    assert [spec.name for spec in found.actions] == ["tracks.count"]
    assert [policy.name for policy in found.policies] == ["night"]
    assert [observer.name for observer in found.observers] == ["counter"]
    assert found.playbook_paths == [tmp_path]
    assert len(found.routes) == 1
    assert found.reports[0].registers == {
        "transports": ["pigeon"],
        "connectors": ["radar"],
        "commands": ["track watch"],
        "actions": ["tracks.count"],
        "policies": ["night"],
        "observers": ["counter"],
        "playbooks": [str(tmp_path)],
        "routes": ["HTTP"],
    }
    assert isinstance(seen[0], SomeSettings)


def exits() -> Any:
    sys.exit("no")


def raises() -> Any:
    raise RuntimeError("out of cheese")


def fails_late() -> Iterable[CommandSpec]:
    yield from commands("late")()
    raise RuntimeError("out of cheese")


async def asynchronous() -> Any:
    return []


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"vtoc_commands": raises}, "RuntimeError: out of cheese"),
        ({"vtoc_commands": exits}, "SystemExit: no"),
        ({"vtoc_commands": fails_late}, "RuntimeError: out of cheese"),
        ({"vtoc_commands": asynchronous}, "vtoc_commands must be a plain function"),
        ({"vtoc_comands": commands()}, "there is no hook vtoc_comands. Did you mean vtoc_commands?"),
        ({"vtoc_commands": lambda settings: []}, "vtoc_commands"),
        ({"vtoc_commands": lambda: 5}, "vtoc_commands returned 5; it must return an iterable of functions decorated"),
        ({"vtoc_commands": lambda: [handler]}, "vtoc_commands returned function handler; it must return functions"),
        ({"vtoc_policies": lambda: [handler]}, "objects with a name and an async verdict"),
        ({"vtoc_policies": lambda: [SimpleNamespace(name="x", verdict=len)]}, "a name and an async verdict"),
        ({"vtoc_observers": lambda: [NightPolicy()]}, "objects with a name and an async observe"),
        ({"vtoc_playbooks": lambda: ["x.yml"]}, "paths of files or folders that exist"),
        ({"vtoc_playbooks": lambda: [Path("/no/such/file.yml")]}, "paths of files or folders that exist"),
        ({"vtoc_commands": commands("same", "same")}, "same is registered by this plugin already"),
        ({"manifest": "x"}, "its manifest is a str; it must be a PluginManifest"),
    ],
)
def test_a_broken_plugin_is_named_with_its_reason_and_the_rest_run(members: dict[str, Any], said: str) -> None:
    good = plugin(vtoc_commands=commands("good"))
    other = plugin(vtoc_commands=commands("other"))
    found = loaded(good=good, bad=plugin(**{"vtoc_observers": lambda: [Counter()], **members}), other=other)
    assert said in reason(found, "bad")
    assert [spec.name for spec in found.commands] == ["good", "other"]
    assert found.observers == []
    assert not found.manager.has_plugin("bad")


def test_a_broken_plugin_is_logged_with_the_place_and_without_its_variables() -> None:
    def breaks() -> Any:
        token = "123:SECRET"  # noqa: F841  what must not be shown
        raise RuntimeError("out of cheese")

    with capture_logs() as logs:
        loaded(bad=plugin(vtoc_commands=breaks))
    assert logs[0]["plugin"] == "bad"
    assert " in breaks" in logs[0]["where"]
    assert "SECRET" not in str(logs)


def test_a_hook_that_is_not_marked_is_noticed() -> None:
    module = plugin(vtoc_commands=commands("a"))
    module.vtoc_actions = commands()  # type: ignore[attr-defined]  # a module takes any attribute
    assert "vtoc_actions is not marked; put @hookimpl above it" in reason(loaded(bad=module), "bad")


def test_a_hook_may_be_a_method_of_an_object() -> None:
    class Plugin:
        @hookimpl
        def vtoc_commands(self) -> Iterable[CommandSpec]:
            return commands("method")()

    assert [spec.name for spec in loaded(thing=Plugin()).commands] == ["method"]


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        (commands("map"), commands("map"), "map"),
        (commands("status", aliases=("state",)), commands("state"), "state"),
        (commands("state"), commands("status", aliases=("state",)), "state"),
    ],
)
def test_a_name_that_is_taken_breaks_the_later_plugin(first: Any, second: Any, name: str) -> None:
    found = loaded(early=plugin(vtoc_commands=first), late=plugin(vtoc_commands=second))
    assert len(found.commands) == 1
    assert f"vtoc_commands: {name} is registered by plugin early already" in reason(found, "late")


def test_one_module_under_two_names_is_one_plugin() -> None:
    module = plugin(vtoc_commands=commands("map"))
    found = loaded(one=module, two=module)
    assert len(found.commands) == 1
    assert "already registered" in reason(found, "two")


def test_a_plugin_that_lacks_settings_is_off_and_says_which() -> None:
    lacking = plugin(
        manifest=PluginManifest(required_settings=("HERE", "TOKEN", "SECRET")), vtoc_commands=commands("never")
    )
    found = loaded(lacking=lacking, has=plugin(manifest=PluginManifest(required_settings=("HERE",))))
    assert (found.reports[0].state, found.reports[0].reason) == (PluginState.LACKS_SETTINGS, "not set: TOKEN, SECRET")
    assert found.reports[1].state is PluginState.ON
    assert found.commands == []


def test_wrong_settings_of_a_plugin_stop_the_start() -> None:
    def wrong() -> Any:
        raise StartupError("TOKEN: is not accepted")

    with pytest.raises(StartupError, match="TOKEN"):
        loaded(bad=plugin(vtoc_commands=wrong))


def test_routes_that_fail_are_reported_and_the_rest_are_added() -> None:
    added: list[str] = []

    def breaks(web: list[str]) -> None:
        raise RuntimeError("no such path")

    found = loaded(bad=plugin(vtoc_routes=breaks), good=plugin(vtoc_routes=lambda web: web.append("good")))
    for add in found.routes:
        add(added)
    assert added == ["good"]
    assert (found.reports[0].state, found.reports[0].reason) == (
        PluginState.BROKEN,
        "vtoc_routes failed (RuntimeError: no such path)",
    )


async def test_unloading_undoes_everything_the_last_first_and_reports_what_it_could_not() -> None:
    found = loaded(one=plugin(vtoc_commands=commands("a")), two=plugin(vtoc_commands=commands("b")))
    undone: list[str] = []

    async def later() -> None:
        undone.append("async")

    scope = found.plugins["one"].scope
    scope.add("a list", lambda: undone.append("plain"))
    scope.add("a failure", raises)
    scope.add("a task", later)
    errors = await found.unload("one")
    assert undone == ["async", "plain"]
    assert [str(error) for error in errors] == [
        "plugin one: a failure could not be undone (RuntimeError: out of cheese)"
    ]
    assert [spec.name for spec in found.commands] == ["b"]
    assert found.reports[0].state is PluginState.OFF
    assert not found.manager.has_plugin("one")
    assert await found.close() == []
    assert found.commands == []


async def test_a_closed_scope_takes_nothing_more() -> None:
    scope = Scope("gone")
    assert await scope.close() == []
    assert await scope.close() == []
    with pytest.raises(PluginError, match="a socket was added after it was unloaded"):
        scope.add("a socket", lambda: None)


def test_the_watchdog_learns_which_module_is_whose() -> None:
    module = plugin(vtoc_commands=commands("a"))
    assert loaded(mine=module).modules == {module.__name__: "mine"}


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a distribution for this test: its modules by name, and its entry points."""

    def install(name: str, modules: dict[str, str], entry_points: dict[str, str]) -> None:
        folder = tmp_path / name
        info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = "\n".join(f"{entry} = {value}" for entry, value in entry_points.items())
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}\n")
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(dedent(text))
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(folder)

    return install


GOOD = """
    from vtoc_bots import Card, CommandSpec, Context, command, hookimpl

    @command("{name}")
    async def {name}(ctx: Context) -> Card:
        \"\"\"Say hello.\"\"\"
        return Card.of("hello")

    @hookimpl
    def vtoc_commands() -> list[CommandSpec]:
        return [{name}]
"""


def only(*names: str) -> list[Any]:
    return [entry for entry in installed() if entry.name in names]


def test_an_installed_distribution_is_found_by_its_entry_point(distribution: Callable[..., None]) -> None:
    distribution("vtoc-hello", {"vtoc_hello_a": GOOD.format(name="hello")}, {"hello": "vtoc_hello_a"})
    found = load(SomeSettings(), entries=only("hello"))
    assert [spec.name for spec in found.commands] == ["hello"]
    assert report_rows(found.reports) == [("hello", "on", "vtoc-hello 1.2", "commands: hello")]


def test_our_own_plugins_come_first_whatever_others_are_called(distribution: Callable[..., None]) -> None:
    distribution("a-first", {"vtoc_hello_b": GOOD.format(name="hello")}, {"aaa": "vtoc_hello_b"})
    names = [entry.name for entry in installed()]
    assert names.index("terminal") < names.index("aaa")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:", "SyntaxError"),
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("class Panic(BaseException): pass\nraise Panic('rust')", "Panic: rust"),
        (
            "from vtoc_bots import command\n@command('x')\nasync def x(ctx, a: bytes): 'X.'",
            "command x: vtoc_broken.x: parameter a: <class 'bytes'> has no text form",
        ),
    ],
)
def test_an_import_that_fails_takes_nothing_down(distribution: Callable[..., None], text: str, said: str) -> None:
    distribution("vtoc-broken", {"vtoc_broken": text}, {"broken": "vtoc_broken", "gone": "vtoc_no_such"})
    distribution("vtoc-hello", {"vtoc_hello_c": GOOD.format(name="hello")}, {"hello": "vtoc_hello_c"})
    found = load(SomeSettings(), entries=only("broken", "gone", "hello"))
    assert said in reason(found, "broken")
    assert "No module named 'vtoc_no_such'" in reason(found, "gone")
    assert [spec.name for spec in found.commands] == ["hello"]


def test_a_disabled_plugin_is_not_even_imported(distribution: Callable[..., None]) -> None:
    distribution("vtoc-never", {"vtoc_never": "raise SystemExit(3)"}, {"never": "vtoc_never"})
    found = load(SomeSettings(), ["never"], entries=only("never"))
    assert (found.reports[0].state, found.reports[0].reason) == (PluginState.OFF, "named in PLUGINS_DISABLED")
    assert "vtoc_never" not in sys.modules


def test_a_second_plugin_of_one_name_is_broken(distribution: Callable[..., None]) -> None:
    distribution("vtoc-one", {"vtoc_hello_d": GOOD.format(name="hello")}, {"hello": "vtoc_hello_d"})
    distribution("vtoc-two", {"vtoc_hello_e": GOOD.format(name="howdy")}, {"hello": "vtoc_hello_e"})
    found = load(SomeSettings(), entries=only("hello"))
    assert [report.state for report in found.reports] == [PluginState.ON, PluginState.BROKEN]
    assert found.reports[1].reason == "vtoc-one has a plugin of this name already; disable or rename one"


def test_all_built_in_plugins_load_without_settings(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, tmp_path, environ={})
    found = load(settings, entries=[entry for entry in installed() if entry.dist.name == "vtoc-bots"])
    assert found.reports
    assert [report.reason for report in found.reports if report.state is PluginState.BROKEN] == []
