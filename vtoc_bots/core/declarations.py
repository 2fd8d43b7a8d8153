"""What one plugin's hooks declare, asked of it alone and checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pluggy

from vtoc_bots.core import hookspecs
from vtoc_bots.core.commands import CommandSpec
from vtoc_bots.core.documents import nearest
from vtoc_bots.core.errors import PluginError
from vtoc_bots.core.ports import ActionSpec, ConnectorSpec
from vtoc_bots.core.transports import TransportSpec

Declared = Mapping[str, tuple[Any, ...]]
"""Items by kind: transports, connectors, commands, actions, policies, observers, playbooks."""

HOOK_PREFIX: Final = "vtoc_"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing that a hook declares."""

    hook: str
    fits: Callable[[Any], bool]
    wanted: str
    """What the hook must return, in words."""
    names: Callable[[Any], tuple[str, ...]]
    """What an item is called; no other item of the kind may be."""
    takes_settings: bool = False


def _is(*types: type) -> Callable[[Any], bool]:
    return lambda item: isinstance(item, types)


def _has(method: str) -> Callable[[Any], bool]:
    """A Protocol's object: named, and with its async method."""
    return lambda item: (
        isinstance(getattr(item, "name", None), str) and inspect.iscoroutinefunction(getattr(item, method, None))
    )


def _name(item: Any) -> tuple[str, ...]:
    return (item.name,)


KINDS: Final[Mapping[str, Kind]] = {
    "transports": Kind("vtoc_transports", _is(TransportSpec), "TransportSpec objects", _name, takes_settings=True),
    "connectors": Kind(
        "vtoc_connectors", _is(ConnectorSpec), "ConnectorSpec objects", lambda spec: (spec.type,), takes_settings=True
    ),
    "commands": Kind(
        "vtoc_commands", _is(CommandSpec), "functions decorated with @command", lambda spec: tuple(spec.names)
    ),
    "actions": Kind("vtoc_actions", _is(ActionSpec), "functions decorated with @action", _name, takes_settings=True),
    "policies": Kind("vtoc_policies", _has("verdict"), "objects with a name and an async verdict", _name),
    "observers": Kind("vtoc_observers", _has("observe"), "objects with a name and an async observe", _name),
    "playbooks": Kind(
        "vtoc_playbooks",
        lambda path: isinstance(path, Path) and path.exists(),
        "paths of files or folders that exist",
        lambda path: (str(path),),
    ),
}


def check_hooks(manager: pluggy.PluginManager, plugin: Any) -> None:
    """Raises PluginError for a registered plugin's hooks that don't exist, aren't marked, or are async."""
    known = sorted(name for name in vars(hookspecs) if name.startswith(HOOK_PREFIX))
    implemented = {caller.name: caller for caller in manager.get_hookcallers(plugin) or ()}
    for name, caller in implemented.items():
        if not caller.has_spec():
            raise PluginError(f"there is no hook {name}.{nearest(name, known)} Hooks are {', '.join(known)}")
        for implementation in caller.get_hookimpls():
            if implementation.plugin is plugin and inspect.iscoroutinefunction(implementation.function):
                raise PluginError(
                    f"{name} must be a plain function: hooks declare, the runtime awaits what they return"
                )
    for name, value in _own_members(plugin):
        if name.startswith(HOOK_PREFIX) and name not in implemented and callable(value):
            raise PluginError(f"{name} is not marked; put @hookimpl above it")


def declared_by(manager: pluggy.PluginManager, plugin: Any, settings: Any) -> Declared:
    """Everything a registered plugin declares. Raises PluginError naming the hook, and whatever a hook raises."""
    declared: dict[str, tuple[Any, ...]] = {}
    for name, kind in KINDS.items():
        arguments = {"settings": settings} if kind.takes_settings else {}
        items: list[Any] = []
        for result in call_alone(manager, plugin, kind.hook, **arguments):
            if not isinstance(result, Iterable):
                raise PluginError(f"{kind.hook} returned {_shown(result)}; it must return an iterable of {kind.wanted}")
            items.extend(result)
        for item in items:
            if not kind.fits(item):
                raise PluginError(f"{kind.hook} returned {_shown(item)}; it must return {kind.wanted}")
        declared[name] = tuple(items)
    return declared


def call_alone(manager: pluggy.PluginManager, plugin: Any, hook: str, **arguments: Any) -> list[Any]:
    """The results of one plugin's implementations of a hook."""
    others = [each for each in manager.get_plugins() if each is not plugin]
    results: list[Any] = manager.subset_hook_caller(hook, others)(**arguments)
    return results


def implements(manager: pluggy.PluginManager, plugin: Any, hook: str) -> bool:
    """Whether a registered plugin has that hook."""
    return any(caller.name == hook for caller in manager.get_hookcallers(plugin) or ())


def _own_members(plugin: Any) -> list[tuple[str, Any]]:
    if isinstance(plugin, ModuleType):
        return list(vars(plugin).items())
    return inspect.getmembers(plugin)


def _shown(value: Any) -> str:
    """A value in an error: short, and without what its repr may hold."""
    name = getattr(value, "__qualname__", None) or getattr(value, "name", None)
    return f"{type(value).__name__} {name}" if isinstance(name, str) else str(value)[:80]
