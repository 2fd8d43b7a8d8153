"""A small MCP server on the real SDK, as a process of its own: `python -m tests.mcp_server stdio` or `http PORT`.

MARKS names a file to which each call of `mark` adds a line, so that tests see what was done, and how often.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from pathlib import Path
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp_types import CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

server = MCPServer("small", version="1.0")
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080600000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


class Sum(BaseModel):
    """A sum."""

    sum: int


class Wanted(BaseModel):
    """What is asked of a person."""

    colour: str = Field(description="which colour")
    copies: int = Field(1, ge=1, le=9)


def _mark(text: str) -> None:
    with Path(os.environ["MARKS"]).open("a") as file:
        file.write(f"{text}\n")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> Sum:
    """Add two numbers."""
    return Sum(sum=a + b)


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def environment(name: str) -> str:
    """A variable of this process."""
    return os.environ.get(name, "not set")


@server.tool()
def mark(text: str, ctx: Context[Any, Any]) -> str:
    """Do something that can be seen, and tell under which key."""
    _mark(text)
    meta: dict[str, Any] = dict(ctx.request_context.meta or {})
    return f"marked {text} under {meta.get('vtoc-bots/idempotency-key')}"


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def trace(ctx: Context[Any, Any]) -> str:
    """The traceparent with which it is called."""
    meta: dict[str, Any] = dict(ctx.request_context.meta or {})
    return str(meta.get("traceparent"))


@server.tool()
def fail(words: str) -> str:
    """Fail."""
    raise ToolError(words)


@server.tool()
def picture() -> CallToolResult:
    """A picture, and what it shows."""
    image = ImageContent(type="image", data=base64.b64encode(PNG).decode(), mime_type="image/png")
    return CallToolResult(content=[TextContent(type="text", text="one pixel"), image])


@server.tool()
def much(characters: int) -> str:
    """Long text."""
    return "x" * characters


@server.tool()
async def count(to: int, ctx: Context[Any, Any]) -> str:
    """Count, telling how far it is."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to, f"counted {number}")
    return f"counted to {to}"


@server.tool()
async def hang(text: str) -> str:
    """Do something that can be seen, and never answer."""
    _mark(text)
    await asyncio.Event().wait()
    return "never"


@server.tool()
async def die(text: str) -> str:
    """Do something that can be seen, and end the process."""
    _mark(text)
    os._exit(3)


@server.tool(annotations=ToolAnnotations(idempotent_hint=True))
async def order(what: str, ctx: Context[Any, Any]) -> str:
    """Ask in which colour, then do it; safe to call again."""
    return await _ordered(what, ctx)


@server.tool()
async def order_once(what: str, ctx: Context[Any, Any]) -> str:
    """Ask in which colour, then do it; not safe to call again."""
    _mark(f"began {what}")
    return await _ordered(what, ctx)


async def _ordered(what: str, ctx: Context[Any, Any]) -> str:
    asked = await ctx.elicit(f"In which colour is {what}?", Wanted)
    if asked.action != "accept":
        return f"no {what}: {asked.action}"
    _mark(f"{asked.data.copies} {asked.data.colour} {what}")
    return f"{asked.data.copies} {asked.data.colour} {what}"


async def _colour(what: str) -> Elicit[Wanted]:
    return Elicit(f"In which colour is {what}?", Wanted)


@server.tool()
async def order_modern(what: str, wanted: Annotated[Wanted, Resolve(_colour)]) -> str:
    """Ask in which colour as either era of the protocol does, then do it."""
    _mark(f"{wanted.copies} {wanted.colour} {what}")
    return f"{wanted.copies} {wanted.colour} {what}"


@server.tool()
def check(ok: bool) -> dict[str, Any]:
    """A check of a system."""
    return {"status": "ok" if ok else "failed", **({} if ok else {"remediation": "turn it off and on"})}


def main() -> None:
    """Serve."""
    if sys.argv[1] == "stdio":
        print("small server is here", file=sys.stderr, flush=True)
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))


if __name__ == "__main__":
    main()
