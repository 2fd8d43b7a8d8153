"""A small strict Supabase Storage over a real socket: refuses what Supabase refuses, in its words and statuses."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

import jwt
from aiohttp import web

SIGNING = "the-secret-by-which-this-project-signs-addresses"
SERVICE_KEY = jwt.encode({"role": "service_role", "iss": "supabase"}, SIGNING, "HS256")
ANON_KEY = jwt.encode({"role": "anon", "iss": "supabase"}, SIGNING, "HS256")
SECRET_KEY = "sb_secret_" + "Q7xk2" * 6
MOST_BYTES = 8 * 2**20
_KEY = re.compile(r"(\w|/|!|-|\.|\*|'|\(|\)| |&|\$|@|=|;|:|\+|,|\?)+")
Operation = Literal["sign", "upload", "list", "remove", "look", "make_bucket", "get"]
Manner = Literal["well", "hang", "500", "503", "429", "409", "garbage", "half", "drop", "401", "nothing"]


class Fault(Exception):
    """An answer that is none of success: its status is in the body, and the answer's own is mostly 400."""

    def __init__(self, told: int, error: str, message: str, status: int = 400) -> None:
        self.status, self.body = status, {"statusCode": str(told), "error": error, "message": message}


@dataclass(slots=True)
class Stored:
    """An object. `versions` counts how often it was put there."""

    data: bytes
    content_type: str
    versions: int = 1


class StorageServer:
    """One project. `manner` is how it answers an operation."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Stored]] = {}
        """By bucket and path."""
        self.public: dict[str, bool] = {}
        self.asked: list[Operation] = []
        """What came through the gateway, in order; signed addresses that people opened are ``get``."""
        self.gate: asyncio.Event | None = None
        """While it is not set, uploads wait."""
        self.manner: Callable[[Operation], Manner] = lambda operation: "well"
        self.sign_as: Callable[[str], Any] | None = None
        """What is given as a signed address instead."""
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.address = ""

    @property
    def app(self) -> web.Application:
        """Its routes."""
        app = web.Application(client_max_size=2 * MOST_BYTES)
        root = "/storage/v1"
        app.add_routes(
            [
                web.post(f"{root}/bucket", self._door("make_bucket", self._make_bucket)),
                web.get(f"{root}/bucket/{{bucket}}", self._door("look", self._look)),
                web.post(f"{root}/object/sign/{{bucket}}/{{path:.+}}", self._door("sign", self._sign)),
                web.get(f"{root}/object/sign/{{bucket}}/{{path:.+}}", self._door("get", self._get)),
                web.post(f"{root}/object/list/{{bucket}}", self._door("list", self._list)),
                web.post(f"{root}/object/{{bucket}}/{{path:.+}}", self._door("upload", self._upload)),
                web.delete(f"{root}/object/{{bucket}}", self._door("remove", self._remove)),
            ]
        )
        return app

    def _door(self, operation: Operation, inside: Callable[..., Any]) -> Callable[..., Any]:
        """What the gateway and Storage itself check before anything else."""

        async def answered(request: web.Request) -> web.StreamResponse:
            try:
                role = "anon" if operation == "get" else _role(request)
                self.asked.append(operation)
                manner = self.manner(operation)
                if manner != "well":
                    await request.read()
                    return await _misbehave(request, manner)
                done: web.StreamResponse = await inside(request, role)
                return done
            except Fault as fault:
                return web.json_response(fault.body, status=fault.status)

        return answered

    async def _make_bucket(self, request: web.Request, role: str) -> web.Response:
        body = await request.json()
        name = body["name"]
        _by_service(role)
        if name in self.objects:
            raise Fault(409, "Duplicate", "The resource already exists")
        self.objects[name], self.public[name] = {}, bool(body.get("public", False))
        return web.json_response({"name": name})

    async def _look(self, request: web.Request, role: str) -> web.Response:
        name = request.match_info["bucket"]
        self._bucket(name, role)
        return web.json_response({"id": name, "name": name, "public": self.public[name], "file_size_limit": None})

    async def _sign(self, request: web.Request, role: str) -> web.Response:
        body = await request.json()
        seconds = body.get("expiresIn")
        if not isinstance(seconds, int) or seconds < 1:
            raise Fault(400, "Error", "body must have required property 'expiresIn'")
        bucket, path = request.match_info["bucket"], request.match_info["path"]
        if role != "service_role" or path not in self.objects.get(bucket, {}):
            raise Fault(404, "not_found", "Object not found")
        until = int(self.now().timestamp()) + seconds
        token = jwt.encode({"url": f"{bucket}/{path}", "exp": until}, SIGNING, "HS256")
        if self.sign_as is not None:
            return web.json_response({"signedURL": self.sign_as(path)})
        return web.json_response({"signedURL": f"/object/sign/{quote(bucket)}/{quote(path)}?token={token}"})

    async def _upload(self, request: web.Request, role: str) -> web.Response:
        bucket, path = request.match_info["bucket"], request.match_info["path"]
        if not _KEY.fullmatch(path):
            raise Fault(400, "InvalidKey", f"Invalid key: {path}")
        data = await request.read()
        if self.gate is not None:
            await self.gate.wait()
        there = self._bucket(bucket, "service_role")
        _by_service(role)
        if "Content-Type" not in request.headers or not data:
            raise Fault(400, "InvalidRequest", "No content provided")
        if len(data) > MOST_BYTES:
            raise Fault(413, "Payload too large", "The object exceeded the maximum allowed size")
        before = there.get(path)
        if before is not None and request.headers.get("x-upsert") != "true":
            raise Fault(409, "Duplicate", "The resource already exists")
        there[path] = Stored(data, request.headers["Content-Type"], 1 if before is None else before.versions + 1)
        return web.json_response({"Id": "5e0b1f2c", "Key": f"{bucket}/{path}"})

    async def _list(self, request: web.Request, role: str) -> web.Response:
        body = await request.json()
        if "prefix" not in body:
            raise Fault(400, "Error", "body must have required property 'prefix'")
        there = self.objects.get(request.match_info["bucket"], {}) if role == "service_role" else {}
        folder = f"{body['prefix'].rstrip('/')}/" if body["prefix"] else ""
        behind = [path.removeprefix(folder) for path in sorted(there) if path.startswith(folder)]
        names = dict.fromkeys(name.partition("/")[0] for name in behind)
        found = [{"name": name, "id": None if f"{folder}{name}" not in there else "5e0b1f2c"} for name in names]
        begin = body.get("offset", 0)
        return web.json_response(found[begin : begin + body.get("limit", 100)])

    async def _remove(self, request: web.Request, role: str) -> web.Response:
        prefixes = (await request.json()).get("prefixes")
        if not isinstance(prefixes, list) or not 1 <= len(prefixes) <= 1000:
            raise Fault(400, "Error", "body/prefixes must NOT have fewer than 1 items")
        there = self._bucket(request.match_info["bucket"], role)
        gone = [path for path in prefixes if there.pop(path, None) is not None]
        return web.json_response([{"name": path} for path in gone])

    async def _get(self, request: web.Request, role: str) -> web.Response:
        """What somebody's browser asks by a signed address: without any key."""
        bucket, path, token = request.match_info["bucket"], request.match_info["path"], request.query.get("token", "")
        try:
            claims = jwt.decode(token, SIGNING, ["HS256"], options={"verify_exp": False})
        except jwt.PyJWTError as error:
            raise Fault(400, "InvalidJWT", str(error)) from error
        if claims["exp"] < self.now().timestamp():
            raise Fault(400, "InvalidJWT", '"exp" claim timestamp check failed')
        if claims["url"] != f"{bucket}/{path}":
            raise Fault(400, "InvalidSignature", "Invalid signature")
        found = self._bucket(bucket, "service_role").get(path)
        if found is None:
            raise Fault(404, "not_found", "Object not found")
        kind = "text/plain" if "text/html" in found.content_type else found.content_type
        headers = {"Content-Type": kind}
        if "download" in request.query:
            name = quote(request.query["download"], safe="")
            headers["Content-Disposition"] = f"attachment; filename={name}; filename*=UTF-8''{name};"
        return web.Response(body=found.data, headers=headers)

    def _bucket(self, name: str, role: str) -> dict[str, Stored]:
        if role != "service_role" or name not in self.objects:
            raise Fault(404, "Bucket not found", "Bucket not found")
        return self.objects[name]


def _by_service(role: str) -> None:
    if role != "service_role":
        raise Fault(403, "Unauthorized", "new row violates row-level security policy")


def _role(request: web.Request) -> str:
    """Whose key it is. The gateway refuses unknown ones, Storage those that are no token."""
    key, bearer = request.headers.get("apikey"), request.headers.get("Authorization")
    if key is None:
        raise _at_the_gateway("No API key found in request")
    if key not in (SERVICE_KEY, ANON_KEY, SECRET_KEY):
        raise _at_the_gateway("Invalid API key")
    if key == SECRET_KEY:
        if bearer is not None:
            raise Fault(403, "Unauthorized", "Invalid Compact JWS")
        return "service_role"
    if bearer is None:
        raise Fault(403, "Unauthorized", "headers must have required property 'authorization'")
    if bearer != f"Bearer {key}":
        raise Fault(403, "Unauthorized", "signature verification failed")
    role: str = jwt.decode(key, SIGNING, ["HS256"])["role"]
    return role


def _at_the_gateway(message: str) -> Fault:
    fault = Fault(401, "", message, status=401)
    fault.body = {"message": message, "hint": "Double check your Supabase `anon` or `service_role` API key."}
    return fault


async def _misbehave(request: web.Request, manner: Manner) -> web.StreamResponse:
    if manner == "401":
        raise _at_the_gateway("Invalid API key")
    if manner == "nothing":
        return web.json_response({})
    if manner == "garbage":
        return web.Response(text="<html>Welcome to the hotel's network</html>", content_type="text/html")
    if manner == "hang":
        await asyncio.Event().wait()
    if manner in ("half", "drop"):
        half = web.StreamResponse(headers={"Content-Length": "500", "Content-Type": "application/json"})
        if manner == "half":
            await half.prepare(request)
            await half.write(b'{"signedURL": "/object/sign/')
        assert request.transport is not None
        request.transport.abort()
        return half
    told = {"409": "The resource already exists"}.get(manner, "Too many connections")
    words = json.dumps({"statusCode": manner, "error": "internal", "message": told})
    return web.Response(status=400 if manner == "409" else int(manner), text=words, content_type="application/json")


@asynccontextmanager
async def storage() -> AsyncIterator[StorageServer]:
    """A project that listens, without a bucket."""
    server = StorageServer()
    runner = web.AppRunner(server.app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
