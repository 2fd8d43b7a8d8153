"""A strict gateway: sessions, sequence numbers, resumes, compression, and every way to end a connection."""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests import discord_payloads as payloads

MESSAGE_CONTENT = 1 << 15
PRIVILEGED = 1 << 1 | 1 << 8 | MESSAGE_CONTENT


@dataclass
class GatewaySession:
    """A session: what was dispatched in it, and its connection while there is one."""

    id: str
    shard: tuple[int, int]
    intents: int
    events: list[dict[str, Any]] = field(default_factory=list)
    socket: Socket | None = None
    resumable: bool = True


class Socket:
    """One connection."""

    def __init__(self, socket: web.WebSocketResponse, compressed: bool) -> None:
        self.ws = socket
        self.closing = False
        """Whether it is the server that ends it."""
        self._deflate = zlib.compressobj() if compressed else None

    async def send(self, packet: dict[str, Any]) -> None:
        """Send a packet, compressed where the client asked for it."""
        text = json.dumps(packet)
        if self._deflate is None:
            await self.ws.send_str(text)
        else:
            data = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self.ws.send_bytes(data)

    def cut(self) -> None:
        """Break the connection without a word."""
        transport = self.ws._req.transport if self.ws._req is not None else None
        if transport is not None:
            transport.abort()


class Gateway:
    """The gateway of one application."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.url = ""
        self.allowed = 0
        """Privileged intents that the application has."""
        self.heartbeat_ms = 41250
        self.deaf = False
        """Whether heartbeats are not acknowledged."""
        self.refuses = 0
        """How many connections more are refused at once; below zero: all."""
        self.refuses_resumes = False
        self.sessions: list[GatewaySession] = []
        self.identified: list[tuple[int, float]] = []
        """(shard, when) of each session begun."""
        self.resumed: list[int] = []
        """The sequence numbers with which sessions were resumed."""
        self.heartbeats = 0
        self.urls: list[str] = []
        self._sockets: set[Socket] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection."""
        self.urls.append(request.path_qs)
        if self.refuses:
            self.refuses -= 1
            raise web.HTTPServiceUnavailable
        query = request.query
        assert (query["v"], query["encoding"]) == ("10", "json")
        socket = web.WebSocketResponse(max_msg_size=4096)
        await socket.prepare(request)
        connection = Socket(socket, query.get("compress") == "zlib-stream")
        self._sockets.add(connection)
        await connection.send({"op": 10, "d": {"heartbeat_interval": self.heartbeat_ms}, "s": None, "t": None})
        session: GatewaySession | None = None
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                await socket.close(code=4002)
                break
            packet = json.loads(frame.data)
            if packet["op"] == 1:
                self.heartbeats += 1
                if not self.deaf:
                    await connection.send({"op": 11, "d": None, "s": None, "t": None})
            elif packet["op"] == 2 and session is None:
                session = await self._identify(connection, packet["d"])
            elif packet["op"] == 6 and session is None:
                session = await self._resume(connection, packet["d"])
            else:
                await socket.close(code=4005 if session else 4003)
        if session is not None and session.socket is connection:
            session.socket = None
            session.resumable &= connection.closing or socket.close_code not in (1000, 1001)
        self._sockets.discard(connection)
        return socket

    async def _identify(self, connection: Socket, data: dict[str, Any]) -> GatewaySession | None:
        shard = tuple(data.get("shard", (0, 1)))
        if data["token"] != self.token:
            await connection.ws.close(code=4004)
        elif data["intents"] & PRIVILEGED & ~self.allowed:
            await connection.ws.close(code=4014)
        elif not 0 <= shard[0] < shard[1]:
            await connection.ws.close(code=4010)
        elif any(at > time.monotonic() - 4.5 for other, at in self.identified if other != shard[0]):
            await connection.send({"op": 9, "d": False, "s": None, "t": None})
        else:
            self.identified.append((shard[0], time.monotonic()))
            session = GatewaySession(payloads.snowflake(), (shard[0], shard[1]), data["intents"], socket=connection)
            self.sessions.append(session)
            await self._ready(session)
            return session
        return None

    async def _ready(self, session: GatewaySession) -> None:
        ready = {
            "v": 10,
            "user": payloads.BOT | {"verified": True, "mfa_enabled": True, "email": None},
            "guilds": [{"id": payloads.GUILD, "unavailable": True}],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self.url,
            "shard": list(session.shard),
            "application": {"id": payloads.APP, "flags": 0},
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guild_join_requests": [],
            "geo_ordered_rtc_regions": [],
            "user_settings": {},
            "auth": {},
            "_trace": ["[]"],
        }
        await self.dispatch("READY", ready, session)
        channels = [payloads.text_channel(payloads.HALL, "hall"), payloads.text_channel(payloads.OPS, "ops")]
        threads = [payloads.thread_channel(payloads.THREAD, payloads.HALL, "mission")]
        await self.dispatch("GUILD_CREATE", payloads.guild(channels, threads), session)

    async def _resume(self, connection: Socket, data: dict[str, Any]) -> GatewaySession | None:
        found = next((each for each in self.sessions if each.id == data["session_id"]), None)
        if data["token"] != self.token:
            await connection.ws.close(code=4004)
            return None
        if found is None or not found.resumable or self.refuses_resumes or data["seq"] > len(found.events):
            await connection.send({"op": 9, "d": False, "s": None, "t": None})
            return None
        self.resumed.append(data["seq"])
        found.socket = connection
        for event in found.events[data["seq"] :]:
            await connection.send(event)
        await self.dispatch("RESUMED", {"_trace": []}, found)
        return found

    @property
    def live(self) -> list[GatewaySession]:
        """The sessions that have a connection."""
        return [each for each in self.sessions if each.socket is not None]

    async def dispatch(self, name: str, data: Any, session: GatewaySession | None = None) -> None:
        """An event, to the newest session; without a connection it waits for a resume."""
        to = session or self.sessions[-1]
        event = {"op": 0, "t": name, "s": len(to.events) + 1, "d": data}
        to.events.append(event)
        if to.socket is not None and not to.socket.ws.closed:
            await to.socket.send(event)

    async def cut(self) -> None:
        """Break every connection."""
        for session in self.sessions:
            session.socket = None
        for socket in list(self._sockets):
            socket.cut()

    async def close(self, code: int) -> None:
        """Close every connection with a code."""
        for socket in list(self._sockets):
            socket.closing = True
            await socket.ws.close(code=code)

    async def send(self, packet: dict[str, Any]) -> None:
        """A packet without a sequence number to every connection: 7 to connect again, 9 for an invalid session."""
        for session in self.live:
            if packet["op"] == 9 and not packet["d"]:
                session.resumable = False
            assert session.socket is not None
            await session.socket.send({"s": None, "t": None, **packet})
