"""Finds, loads and validates plugins; a broken one is reported by name while the rest run."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import pluggy
import structlog

from vtoc_bots.core import hookspecs
from vtoc_bots.core.commands import CommandSpec
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.ports import ActionSpec, ConnectorSpec, Observer, Policy, TransportSpec

logger = structlog.get_logger(__name__)

GROUP: Final = "vtoc_bots.plugins"
"""The entry points that name plugins."""


class ReadsSettings(Protocol):
    """What loading needs of the settings."""

    def missing(self, *names: str) -> tuple[str, ...]:
        """Those of these variables that are not set."""
        ...


@dataclass(frozen=True, slots=True)
class PluginManifest:
    """What a plugin says of itself, as its module's `manifest`.

    It stays off while one of `required_settings` is not set. `secrets` are the variables that must never be shown,
    `hosts` those it talks to; `cli` is a typer group for `vtoc-bots NAME …`.
    """

    summary: str = ""
    required_settings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    cli: Any = None


@dataclass(slots=True)
class PluginReport:
    """What became of one installed plugin. `state`: on, off (disabled or lacking settings) or broken."""

    name: str
    distribution: str
    version: str
    module: str
    state: str = "on"
    reason: str = ""
    registers: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Loaded:
    """Everything that the plugins of one runtime declared, by what it is."""

    manager: pluggy.PluginManager
    reports: list[PluginReport] = field(default_factory=list)
    transports: list[TransportSpec] = field(default_factory=list)
    connectors: list[ConnectorSpec] = field(default_factory=list)
    commands: list[CommandSpec] = field(default_factory=list)
    actions: list[ActionSpec] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    observers: list[Observer] = field(default_factory=list)
    playbook_paths: list[Path] = field(default_factory=list)
    routes: list[Callable[[Any], None]] = field(default_factory=list)

    @property
    def modules(self) -> dict[str, str]:
        """Plugins' names by module, for the watchdog."""
        return {report.module: report.name for report in self.reports if report.state == "on"}


# Hook, the list of Loaded it fills, what must be of it, how one is named, and whether that name is unique.
_HOOKS: Final[tuple[tuple[str, str, tuple[type, ...], Callable[[Any], str], bool], ...]] = (
    ("vtoc_transports", "transports", (TransportSpec,), lambda spec: spec.name, True),
    ("vtoc_connectors", "connectors", (ConnectorSpec,), lambda spec: spec.type, True),
    ("vtoc_commands", "commands", (CommandSpec,), lambda spec: spec.name, True),
    ("vtoc_actions", "actions", (ActionSpec,), lambda spec: spec.name, True),
    ("vtoc_policies", "policies", (object,), lambda policy: policy.name, False),
    ("vtoc_observers", "observers", (object,), lambda observer: observer.name, False),
    ("vtoc_playbooks", "playbook_paths", (Path,), str, True),
)


class Entry(Protocol):
    """An entry point, as far as loading goes."""

    name: str
    value: str
    dist: Any

    def load(self) -> Any:
        """Import what it names."""
        ...


def installed() -> list[Entry]:
    """Every installed plugin, on or off, by name."""
    found: list[Any] = list(importlib.metadata.entry_points(group=GROUP))
    return sorted(found, key=lambda entry: entry.name)


def load(
    settings: ReadsSettings,
    disabled: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
    entries: Iterable[Entry] | None = None,
) -> Loaded:
    """Load every installed plugin that is not disabled, and the `extra` ones (objects by name, for tests).

    Each has its own manager's hooks called alone, so one that raises is named and adds nothing, and the rest run.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    loaded = Loaded(manager)
    off = frozenset(disabled)
    for entry in installed() if entries is None else entries:
        report = PluginReport(entry.name, _name_of(entry.dist), _version_of(entry.dist), entry.value.partition(":")[0])
        loaded.reports.append(report)
        if entry.name in off:
            report.state, report.reason = "off", "named in PLUGINS_DISABLED"
        else:
            _take(loaded, report, settings, entry.load)
    for name, plugin in (extra or {}).items():
        module = getattr(plugin, "__module__", None) or getattr(plugin, "__name__", name)
        report = PluginReport(name, "given", "", str(module))
        loaded.reports.append(report)
        _take(loaded, report, settings, lambda plugin=plugin: plugin)  # type: ignore[misc]  # bound for this turn
    unknown = off - {report.name for report in loaded.reports}
    if unknown:
        logger.warning("unknown_plugins_disabled", names=sorted(unknown))
    return loaded


def _take(loaded: Loaded, report: PluginReport, settings: ReadsSettings, get: Callable[[], Any]) -> None:
    """Import and register one plugin, and add what it declares."""
    try:
        plugin = get()
        manifest = getattr(plugin, "manifest", None)
        missing = settings.missing(*manifest.required_settings) if manifest is not None else ()
        if missing:
            report.state, report.reason = "off", f"not set: {', '.join(missing)}"
            return
        loaded.manager.register(plugin, report.name)
        loaded.manager.check_pending()
        _add(loaded, report, _declared(loaded, plugin, settings), plugin)
    except StartupError:
        raise
    except (Exception, SystemExit) as error:
        # An import may do anything; whatever it was must not take the process down.
        if loaded.manager.has_plugin(report.name):
            loaded.manager.unregister(name=report.name)
        report.state, report.reason = "broken", f"{type(error).__name__}: {error}"
        logger.error(
            "plugin_broken", plugin=report.name, error=report.reason, exc_info=not isinstance(error, ValueError)
        )


def _declared(loaded: Loaded, plugin: Any, settings: ReadsSettings) -> dict[str, list[Any]]:
    """What a plugin's hooks return, checked. Raises ValueError naming the hook."""
    others = [each for each in loaded.manager.get_plugins() if each is not plugin]
    found: dict[str, list[Any]] = {}
    for hook, _, types, named, _ in _HOOKS:
        caller = loaded.manager.subset_hook_caller(hook, others)
        takes_settings = hook in ("vtoc_transports", "vtoc_connectors")
        results = caller(settings=settings) if takes_settings else caller()
        items = [item for result in results for item in result]
        for item in items:
            if not isinstance(item, types):
                expected = " or ".join(kind.__name__ for kind in types)
                raise ValueError(f"{hook} returned {item!r}; it must return {expected} objects")
            named(item)
        found[hook] = items
    return found


def _add(loaded: Loaded, report: PluginReport, declared: Mapping[str, list[Any]], plugin: Any) -> None:
    """Add everything or, where a name is taken, nothing."""
    for hook, attribute, _, named, unique in _HOOKS:
        taken = {named(item) for item in getattr(loaded, attribute)} if unique else set()
        for item in declared[hook]:
            if unique and named(item) in taken:
                raise ValueError(f"{hook}: {named(item)} is registered by another plugin already; rename one")
            taken.add(named(item))
    for hook, attribute, _, named, _ in _HOOKS:
        getattr(loaded, attribute).extend(declared[hook])
        if declared[hook]:
            report.registers[attribute.replace("playbook_paths", "playbooks")] = [named(i) for i in declared[hook]]
    if any(impl.plugin is plugin for impl in loaded.manager.hook.vtoc_routes.get_hookimpls()):
        others = [each for each in loaded.manager.get_plugins() if each is not plugin]
        loaded.routes.append(partial(_call_routes, loaded.manager.subset_hook_caller("vtoc_routes", others)))
        report.registers["routes"] = ["HTTP"]


def _call_routes(caller: Any, app: Any) -> None:
    caller(web=app)


def _name_of(distribution: Any) -> str:
    return str(distribution.name) if distribution is not None else ""


def _version_of(distribution: Any) -> str:
    return str(distribution.version) if distribution is not None else ""
