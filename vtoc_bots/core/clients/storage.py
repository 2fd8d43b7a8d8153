"""Supabase Storage: the objects of one private bucket, and signed addresses of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson

from vtoc_bots.core.clients.answers import Answer, Declined, Service
from vtoc_bots.core.clients.http import ServiceHttp
from vtoc_bots.core.errors import ActionError, VtocError
from vtoc_bots.core.ports import Clock

SERVICE: Final = Service("supabase.storage", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_URL")
SECONDS: Final = 5.0
UPLOAD_SECONDS: Final = 60.0
MOST_LISTED: Final = 100
_TRIES: Final = 2
_ROOT: Final = ("storage", "v1")


class Bucket:
    """One bucket, which is made when something is put into it. `base_url` is the project's address."""

    def __init__(self, http: ServiceHttp, base_url: str, name: str) -> None:
        self.http, self.name, self._base_url = http, name, base_url

    @classmethod
    def at(
        cls,
        base_url: str,
        key: str,
        name: str,
        session: Callable[[], aiohttp.ClientSession],
        clock: Clock,
        timeout_seconds: float = SECONDS,
    ) -> Bucket:
        """The bucket of a project, with the project's service key."""
        headers = {"apikey": key}
        # A key of the newer kind is no token: the project's gateway puts one in its place.
        if not key.startswith("sb_"):
            headers["Authorization"] = f"Bearer {key}"

        async def credential() -> Mapping[str, str]:
            return headers

        http = ServiceHttp(
            session,
            SERVICE,
            base_url,
            clock,
            headers=credential,
            timeout_seconds=timeout_seconds,
            tries=_TRIES,
            status_of=status_of,
        )
        return cls(http, base_url.rstrip("/"), name)

    async def sign(self, path: str, seconds: int) -> str | None:
        """An address at which the object can be had for so long; None where there is no such object."""
        try:
            answer = await self._ask(
                "POST", "object", "sign", self.name, *path.split("/"), operation="sign", json={"expiresIn": seconds}
            )
        except Declined as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        found, place = answer.document().get("signedURL"), f"/object/sign/{self.name}/{path}"
        # What is told to people leads to this object and nowhere else.
        if not isinstance(found, str) or not re.fullmatch(rf"{re.escape(place)}\?token=[\w.=-]+", found):
            raise ActionError(f"{SERVICE.name} signed no address of {place}. Is {SERVICE.address} right?")
        return "/".join([self._base_url, *_ROOT]) + found

    async def upload(self, path: str, data: bytes, content_type: str) -> None:
        """Put an object there, in place of the one that is."""
        try:
            await self._put(path, data, content_type)
        except Declined as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            await self._make()
            await self._put(path, data, content_type)

    async def list(self, folder: str) -> Sequence[str]:
        """The first names in a folder ("" for the whole bucket), those of folders too, `MOST_LISTED` at most."""
        order = {"column": "name", "order": "asc"}
        body = {"prefix": folder, "limit": MOST_LISTED, "offset": 0, "sortBy": order}
        try:
            found = (await self._ask("POST", "object", "list", self.name, operation="list", json=body)).json()
        except Declined as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return ()
            raise
        if not isinstance(found, list):
            raise ActionError(f"{SERVICE.name} listed nothing. Is {SERVICE.address} right?")
        return [str(each["name"]) for each in found if isinstance(each, dict) and "name" in each]

    async def remove(self, paths: Sequence[str]) -> None:
        """Delete objects; those that are gone already are left out."""
        await self._ask("DELETE", "object", self.name, operation="remove", json={"prefixes": list(paths)})

    async def look(self) -> str:
        """How it is, in words. Raises VtocError with what is wrong."""
        try:
            found = (await self._ask("GET", "bucket", self.name, operation="look")).document()
        except Declined as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return f"bucket {self.name} is made with the first large file"
            raise
        if found.get("public"):
            raise VtocError(f"bucket {self.name} is public; make it private in the project's Storage page")
        return f"bucket {self.name}, {self.http.counts.answered} answered, {self.http.counts.failed} failed"

    async def _put(self, path: str, data: bytes, content_type: str) -> None:
        headers = {"Content-Type": content_type, "x-upsert": "true"}
        try:
            await self._ask(
                "POST",
                "object",
                self.name,
                *path.split("/"),
                operation="upload",
                data=data,
                headers=headers,
                timeout_seconds=UPLOAD_SECONDS,
            )
        except Declined as error:
            if error.status != HTTPStatus.CONFLICT:  # a conflict: another process has put it there by now
                raise

    async def _make(self) -> None:
        try:
            body = {"id": self.name, "name": self.name, "public": False}
            await self._ask("POST", "bucket", operation="make_bucket", json=body)
        except Declined as error:
            if error.status != HTTPStatus.CONFLICT:  # a conflict: another process has made it by now
                raise

    async def _ask(self, method: str, *path: str, operation: str, **given: Any) -> Answer:
        # Whatever is asked here may be asked twice: the same object stands there, or is gone, afterwards.
        return await self.http.request(method, *_ROOT, *path, operation=operation, repeatable=True, **given)


def status_of(status: int, body: bytes) -> int:
    """The status that an answer really has: Storage says 400 to most faults, and in the body which one it was."""
    if status != HTTPStatus.BAD_REQUEST:
        return status
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return status
    if not isinstance(found, dict):
        return status
    if "InvalidJWT" in (found.get("code"), str(found.get("error")).replace(" ", "")):
        return HTTPStatus.UNAUTHORIZED
    told = str(found.get("statusCode"))
    return int(told) if re.fullmatch(r"[45]\d\d", told) else status
