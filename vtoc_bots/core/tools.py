"""Tools of other services, as actions and commands see them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ToolFile(_Part):
    """A file that a tool gave, stored as a blob; `size` in bytes."""

    blob: str
    name: str
    content_type: str
    size: int


class ToolResult(_Part):
    """What a tool gave: its text, its data (JSON; null where it gave none), files, and addresses of resources.

    A text too long for a step's output is cut, and data too large is null; the whole of either is then a file.
    """

    server: str
    tool: str
    text: str = ""
    data: Any = None
    files: tuple[ToolFile, ...] = ()
    links: tuple[str, ...] = ()


class Diagnosis(_Part):
    """What one check of a system found. `remedy` is what to do about it."""

    server: str
    title: str
    ok: bool
    said: str = ""
    remedy: str = ""
