"""Scopes: what was registered or opened together is undone together, the last first."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from vtoc_bots.core.errors import PluginError

Disposer: TypeAlias = Callable[[], Awaitable[object] | object]
"""Undoes one thing; plain or async."""


class Scope:
    """The disposers of one plugin. One that fails is reported and does not keep the others from running."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._disposers: list[tuple[str, Disposer]] = []
        self._closed = False

    def add(self, what: str, disposer: Disposer) -> None:
        """Undo `what` (in words, for errors) when the scope is closed. Raises PluginError once it is."""
        if self._closed:
            raise PluginError(f"plugin {self.name}: {what} was added after it was unloaded")
        self._disposers.append((what, disposer))

    async def close(self) -> list[PluginError]:
        """Undo everything, the last first; what could not be. Closing again does nothing."""
        self._closed = True
        errors: list[PluginError] = []
        while self._disposers:
            what, disposer = self._disposers.pop()
            try:
                result = disposer()
                if inspect.isawaitable(result):
                    await result
            except Exception as error:
                made = PluginError(f"plugin {self.name}: {what} could not be undone ({type(error).__name__}: {error})")
                made.__cause__ = error
                errors.append(made)
        return errors
