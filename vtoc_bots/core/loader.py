"""Finds, loads and unloads plugins; a broken one is reported by name while the rest run."""

from __future__ import annotations

import importlib.metadata
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import pluggy
import structlog

from vtoc_bots.core import hookspecs
from vtoc_bots.core.commands import CommandSpec
from vtoc_bots.core.declarations import KINDS, Declared, call_alone, check_hooks, declared_by, implements
from vtoc_bots.core.errors import PluginError, StartupError
from vtoc_bots.core.ports import ActionSpec, ConnectorSpec, Observer, Policy
from vtoc_bots.core.scopes import Scope
from vtoc_bots.core.transports import TransportSpec

logger = structlog.get_logger(__name__)

GROUP: Final = "vtoc_bots.plugins"
"""The entry points that name plugins."""
OWN: Final = "vtoc-bots"
"""Our own distribution: its plugins come first, so that no other can take their names."""


class ReadsSettings(Protocol):
    """What loading needs of the settings; hooks are given the whole object."""

    def missing(self, *names: str) -> tuple[str, ...]:
        """Those of these variables that are not set."""
        ...


class Entry(Protocol):
    """An entry point, as far as loading goes."""

    name: str
    value: str
    dist: Any

    def load(self) -> Any:
        """Import what it names."""
        ...


@dataclass(frozen=True, slots=True)
class PluginManifest:
    """What a plugin says of itself, as its module's `manifest`.

    It stays off while one of `required_settings` is not set. `secrets` are the variables that must never be shown,
    `hosts` those it talks to; `cli` is a typer group for ``vtoc-bots NAME …``.
    """

    summary: str = ""
    required_settings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    cli: Any = None


class PluginState(StrEnum):
    """What became of a plugin."""

    ON = "on"
    OFF = "off"
    LACKS_SETTINGS = "lacks settings"
    BROKEN = "broken"


@dataclass(slots=True)
class PluginReport:
    """One installed plugin: what became of it, why, and the names of what it registers, by kind."""

    name: str
    distribution: str
    version: str
    module: str
    state: PluginState = PluginState.ON
    reason: str = ""
    registers: dict[str, list[str]] = field(default_factory=dict)
    manifest: PluginManifest | None = None

    def end(self, state: PluginState, reason: str) -> None:
        """It is not on (any more), and why."""
        self.state, self.reason, self.registers = state, reason, {}


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin that is on. What is made for it later adds its undoing to `scope`."""

    report: PluginReport
    plugin: Any
    declared: Declared
    scope: Scope


@dataclass(slots=True)
class Loaded:
    """The plugins of one runtime under its own manager, and everything they declare, by what it is."""

    manager: pluggy.PluginManager
    reports: list[PluginReport] = field(default_factory=list)
    plugins: dict[str, LoadedPlugin] = field(default_factory=dict)
    """Those that are on, in the order they were loaded."""

    @property
    def transports(self) -> list[TransportSpec]:
        """Chat platforms."""
        return self._all("transports")

    @property
    def accounts(self) -> dict[str, str]:
        """The account of each chat platform, by its transport's name."""
        return {spec.name: spec.account for spec in self.transports}

    @property
    def connectors(self) -> list[ConnectorSpec]:
        """Types of telemetry feed."""
        return self._all("connectors")

    @property
    def commands(self) -> list[CommandSpec]:
        """Commands."""
        return self._all("commands")

    @property
    def actions(self) -> list[ActionSpec]:
        """Actions."""
        return self._all("actions")

    @property
    def policies(self) -> list[Policy]:
        """Policies."""
        return self._all("policies")

    @property
    def observers(self) -> list[Observer]:
        """Observers."""
        return self._all("observers")

    @property
    def playbook_paths(self) -> list[Path]:
        """Playbook files, and folders of them."""
        return self._all("playbooks")

    @property
    def routes(self) -> list[Callable[[Any], None]]:
        """One function a plugin that adds its HTTP routes to an application; a failing one is reported, not raised."""
        having = [each for each in self.plugins.values() if implements(self.manager, each.plugin, "vtoc_routes")]
        return [partial(self._add_routes, each) for each in having]

    @property
    def modules(self) -> dict[str, str]:
        """The names of the plugins that are on, by module, for the watchdog."""
        return {each.report.module: each.report.name for each in self.plugins.values()}

    def fail(self, name: str, reason: str) -> None:
        """Report a plugin as broken after it was loaded; what it declared stays until it is unloaded."""
        report = self.plugins[name].report
        report.state, report.reason = PluginState.BROKEN, reason
        logger.error("plugin_broken", plugin=name, error=reason)

    async def unload(self, name: str) -> list[PluginError]:
        """Undo everything that was made for a plugin and forget what it declared; what could not be undone."""
        plugin = self.plugins.pop(name)
        if plugin.report.state is PluginState.ON:
            plugin.report.end(PluginState.OFF, "unloaded")
        return await plugin.scope.close()

    async def close(self) -> list[PluginError]:
        """Unload every plugin, the last one first; what could not be undone."""
        return [error for name in reversed(list(self.plugins)) for error in await self.unload(name)]

    def _all(self, kind: str) -> list[Any]:
        return [item for plugin in self.plugins.values() for item in plugin.declared[kind]]

    def _add_routes(self, plugin: LoadedPlugin, web: Any) -> None:
        try:
            call_alone(self.manager, plugin.plugin, "vtoc_routes", web=web)
        except Exception as error:
            self.fail(plugin.report.name, f"vtoc_routes failed ({type(error).__name__}: {error})")


def installed() -> list[Entry]:
    """Every installed plugin, on or off: our own, then the others by distribution and name."""
    found: list[Any] = list(importlib.metadata.entry_points(group=GROUP))
    return sorted(found, key=lambda entry: (_name_of(entry.dist) != OWN, _name_of(entry.dist), entry.name))


def load(
    settings: ReadsSettings,
    disabled: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
    entries: Iterable[Entry] | None = None,
) -> Loaded:
    """Load every installed plugin (or `entries`) that is not disabled, then the `extra` ones (objects by name).

    A plugin is on with all it declares or, where anything is wrong with it, broken and without effect; a disabled one
    is not even imported. Raises StartupError where a plugin's settings are wrong.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    loaded, off = Loaded(manager), frozenset(disabled)
    for entry in installed() if entries is None else entries:
        module = entry.value.partition(":")[0]
        report = PluginReport(entry.name, _name_of(entry.dist), _version_of(entry.dist), module)
        loaded.reports.append(report)
        if entry.name in off:
            report.end(PluginState.OFF, "named in PLUGINS_DISABLED")
        else:
            _load_one(loaded, report, settings, entry.load)
    for name, plugin in (extra or {}).items():
        module = str(getattr(plugin, "__module__", None) or getattr(plugin, "__name__", name))
        report = PluginReport(name, "given", "", module)
        loaded.reports.append(report)
        _load_one(loaded, report, settings, partial(_same, plugin))
    unknown = off - {report.name for report in loaded.reports}
    if unknown:
        logger.warning("unknown_plugins_disabled", names=sorted(unknown))
    return loaded


def report_rows(reports: Iterable[PluginReport]) -> list[tuple[str, str, str, str]]:
    """(plugin, state, distribution and version, what it registers or why it doesn't) for a table."""
    return [
        (
            report.name,
            str(report.state),
            f"{report.distribution} {report.version}".strip(),
            report.reason or "; ".join(f"{kind}: {', '.join(names)}" for kind, names in report.registers.items()),
        )
        for report in reports
    ]


def manifest_of(plugin: Any) -> PluginManifest | None:
    """What a plugin says of itself, if it does. Raises PluginError where its `manifest` is something else."""
    manifest = getattr(plugin, "manifest", None)
    if manifest is not None and not isinstance(manifest, PluginManifest):
        raise PluginError(f"its manifest is a {type(manifest).__name__}; it must be a PluginManifest")
    return manifest


def _load_one(loaded: Loaded, report: PluginReport, settings: ReadsSettings, get: Callable[[], Any]) -> None:
    """Import and register one plugin with all that it declares or, if anything is wrong, with nothing."""
    forget = partial(_forget, loaded.manager, report.name)
    if report.name in loaded.plugins:
        other = loaded.plugins[report.name].report.distribution
        report.end(PluginState.BROKEN, f"{other} has a plugin of this name already; disable or rename one")
        return
    try:
        plugin = get()
        report.manifest = manifest_of(plugin)
        missing = settings.missing(*report.manifest.required_settings) if report.manifest else ()
        if missing:
            report.end(PluginState.LACKS_SETTINGS, f"not set: {', '.join(missing)}")
            return
        loaded.manager.register(plugin, report.name)
        check_hooks(loaded.manager, plugin)
        declared = declared_by(loaded.manager, plugin, settings)
        _check_names(loaded, declared)
    except (KeyboardInterrupt, StartupError):
        forget()
        raise
    except BaseException as error:
        # An import may do anything, SystemExit and a Rust library's panic included; this process must live on.
        forget()
        known = isinstance(error, PluginError | pluggy.PluginValidationError)
        report.end(PluginState.BROKEN, str(error) if known else f"{type(error).__name__}: {error}")
        # The place, not the traceback: a renderer that shows local variables would show settings.
        logger.error("plugin_broken", plugin=report.name, error=report.reason, where=_place_of(error))
        return
    scope = Scope(report.name)
    scope.add("its registration", forget)
    report.registers = {
        kind: [KINDS[kind].names(item)[0] for item in items] for kind, items in declared.items() if items
    }
    if implements(loaded.manager, plugin, "vtoc_routes"):
        report.registers["routes"] = ["HTTP"]
    loaded.plugins[report.name] = LoadedPlugin(report, plugin, declared, scope)


def _check_names(loaded: Loaded, declared: Declared) -> None:
    """Raises PluginError where a name is taken, by a plugin before this one or by itself."""
    for kind, items in declared.items():
        names_of = KINDS[kind].names
        taken = {
            name: f"plugin {plugin.report.name}"
            for plugin in loaded.plugins.values()
            for item in plugin.declared[kind]
            for name in names_of(item)
        }
        for item in items:
            for name in names_of(item):
                if name in taken:
                    raise PluginError(f"{KINDS[kind].hook}: {name} is registered by {taken[name]} already; rename one")
                taken[name] = "this plugin"


def _place_of(error: BaseException) -> str:
    """``file:line in function`` where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


def _forget(manager: pluggy.PluginManager, name: str) -> None:
    if manager.has_plugin(name):
        manager.unregister(name=name)


def _same(plugin: Any) -> Any:
    return plugin


def _name_of(distribution: Any) -> str:
    return str(distribution.name) if distribution is not None else ""


def _version_of(distribution: Any) -> str:
    return str(distribution.version) if distribution is not None else ""
