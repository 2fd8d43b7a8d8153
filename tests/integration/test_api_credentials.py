"""Who gets in: tokens and signed-in users, for their station alone, at every route."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from tests.api_kit import JWT_SECRET, Api, open_api
from vtoc_bots.core.access import Level
from vtoc_bots.core.api_host import OPERATIONS
from vtoc_bots.core.store.urls import DatabaseUrls

KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("one", "two")}


@pytest_asyncio.fixture
async def project() -> AsyncIterator[dict[str, Any]]:
    """A Supabase project that publishes its keys; `published` says which, `asked` counts."""
    state: dict[str, Any] = {"published": ["one"], "asked": 0, "broken": False}

    async def jwks(request: web.Request) -> web.Response:
        state["asked"] += 1
        if state["broken"]:
            return web.Response(status=500)
        algorithm = jwt.get_algorithm_by_name("ES256")
        keys = [
            {**algorithm.to_jwk(KEYS[name].public_key(), as_dict=True), "kid": name, "alg": "ES256", "use": "sig"}
            for name in state["published"]
        ]
        symmetric = {"kty": "oct", "kid": "sym", "k": "c2VjcmV0", "alg": "HS256"}
        return web.json_response({"keys": [*keys, symmetric, {"kty": "new"}, None]})

    app = web.Application()
    app.router.add_get("/auth/v1/.well-known/jwks.json", jwks)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    state["url"] = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield state
    await runner.cleanup()


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path, project: dict[str, Any]) -> AsyncIterator[Api]:
    async with open_api(database_urls, tmp_path, SUPABASE_URL=project["url"]) as opened:
        yield opened


def path_of(template: str, slug: str) -> str:
    path = template.replace("{slug}", slug).replace("{source}", "radar")
    return re.sub(r"\{\w+\}", str(uuid4()), path)


async def test_every_route_refuses_no_credential_a_bad_one_and_another_stations(api: Api) -> None:
    expired = await api.make_token("expired", "toc-s1", Level.ADMIN, days=1)
    await api.centre.runtime.store.execute(
        "UPDATE vtoc.api_tokens SET expires_at = now() - interval '1 s' WHERE name = 'expired'"
    )
    bad = (None, "vtoc_" + "A" * 43, api.tokens["operator"] + "x", expired, "x", "a.b.c", "é", "")
    for operation in OPERATIONS:
        if operation.signed:
            continue
        path = path_of(operation.path, "toc-s1")
        for token in bad:
            said = await api.call(operation.method, path, token=token)
            assert (said.status, said.headers["WWW-Authenticate"][:6]) == (401, "Bearer"), (operation.id, token)
            assert said.headers["Content-Type"] == "application/problem+json"
        for header in ("X-Station-Id", "X-Station-Slug", "X-ChatKit-Station", "X-TOC-Station"):
            if not operation.station_in_path:
                said = await api.call(operation.method, path, token="lead", headers={header: "TOC_S2"})
                assert said.status == 403, operation.id
        if operation.station_in_path:
            said = await api.call(operation.method, path_of(operation.path, "TOC_S2"), token="lead")
            assert (said.status, "for station toc-s1" in said.body["detail"]) == (403, True), operation.id
            said = await api.call(operation.method, path_of(operation.path, "toc-s9"), token="lead")
            assert said.status == 404, operation.id
    assert await api.centre.row("SELECT count(*) AS n FROM vtoc_engine.runs") == {"n": 0}


async def test_a_scheme_other_than_bearer_is_refused(api: Api) -> None:
    for value in (f"Basic {api.tokens['lead']}", api.tokens["lead"], "Bearer", f"Bearer  {'x' * 5000}"):
        assert (await api.get("/stations", token=None, headers={"Authorization": value})).status == 401


async def test_a_token_is_stored_as_a_hash_noted_when_used_and_gone_when_revoked(api: Api) -> None:
    token = await api.make_token("short lived", "toc-s1", Level.OBSERVER)
    assert (await api.get("/stations", token="short lived")).status == 200
    row = await api.centre.row("SELECT * FROM vtoc.api_tokens WHERE name = 'short lived'")
    assert token not in str(row)
    assert row["last_used_at"] is not None
    await api.centre.runtime.store.execute("UPDATE vtoc.api_tokens SET revoked_at = now() WHERE id = $1", row["id"])
    api.centre.runtime.api.authenticator.forget()
    assert (await api.get("/stations", token="short lived")).status == 401


async def claims(api: Api, **changes: Any) -> dict[str, Any]:
    station = await api.station("toc-s1")
    now = int(time.time())
    issuer = api.centre.runtime.settings.variables["SUPABASE_URL"] + "/auth/v1"
    made = {
        "sub": str(uuid4()),
        "aud": "authenticated",
        "iss": issuer,
        "exp": now + 600,
        "station_id": str(station.id),
        "station_role": "ops",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


async def test_a_signed_in_user_works_at_the_station_of_the_claims(api: Api) -> None:
    token = jwt.encode(await claims(api), JWT_SECRET, "HS256")
    said = await api.post("/runs", {"playbook": "count"}, token=token)
    assert (said.status, said.body["station"], said.body["mine"]) == (202, "toc-s1", True)
    row = await api.centre.row("SELECT actor FROM vtoc_engine.audit WHERE event = 'run.asked'")
    assert row["actor"].startswith("user:")
    in_metadata = await claims(api, station_id=None, station_role=None)
    station = await api.station("toc-s2")
    in_metadata["app_metadata"] = {
        "station_id": str(station.id),
        "station_role": "vtoc_ops",
        "station_level": "observer",
    }
    token = jwt.encode(in_metadata, JWT_SECRET, "HS256")
    assert (await api.get("/stations", token=token)).body[0]["slug"] == "toc-s2"
    assert (await api.post("/runs", {"playbook": "count"}, token=token)).status == 403


async def test_a_signed_token_that_does_not_hold_is_refused(api: Api) -> None:
    other = str((await api.station("toc-i1")).id)
    for changes in (
        {"aud": "anon"},
        {"aud": None},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"sub": None},
        {"iss": "https://elsewhere.example/auth/v1"},
        {"iss": None},
        {"station_id": None},
        {"station_id": str(uuid4())},
        {"station_id": other},
        {"station_role": "intel"},
        {"station_role": "chef"},
        {"station_level": "owner"},
        {"nbf": int(time.time()) + 600},
        {"station_id": None, "user_metadata": {"station_id": str((await api.station("toc-s1")).id)}},
    ):
        token = jwt.encode(await claims(api, **changes), JWT_SECRET, "HS256")
        assert (await api.get("/stations", token=token)).status == 401, changes
    good = await claims(api)
    forged = jwt.encode(good, JWT_SECRET + "x", "HS256")
    unsigned = jwt.encode(good, None, "none")  # type: ignore[arg-type]  # that is what an attacker does
    wrong = jwt.encode(good, JWT_SECRET, "HS384")
    for token in (forged, unsigned, wrong):
        assert (await api.get("/stations", token=token)).status == 401


async def test_published_keys_are_kept_and_read_anew_for_a_new_one(
    api: Api, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def signed(body: dict[str, Any], key: str, kid: str | None = None) -> str:
        return jwt.encode(body, KEYS[key], "ES256", headers={"kid": kid or key})

    good = await claims(api)
    for _ in range(3):
        assert (await api.get("/stations", token=signed(good, "one"))).status == 200
    assert project["asked"] == 1
    assert (await api.get("/stations", token=signed(good, "two", "one"))).status == 401
    project["published"] = ["one", "two"]
    assert (await api.get("/stations", token=signed(good, "two"))).status == 401, "not asked again so soon"
    users = api.centre.runtime.api.users
    assert users is not None
    keys = users.keys
    assert keys is not None
    monkeypatch.setattr(keys, "_read_at", keys._read_at - 31)
    assert (await api.get("/stations", token=signed(good, "two"))).status == 200
    monkeypatch.setattr(keys, "_read_at", keys._read_at - 3600)
    project["broken"] = True
    assert (await api.get("/stations", token=signed(good, "two"))).status == 200, "a known key outlives the project"
    assert (
        await api.get("/stations", token=jwt.encode(good, "secret" * 6, "HS256", headers={"kid": "sym"}))
    ).status == 401


async def test_with_nothing_set_no_signed_token_holds(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    async with open_api(database_urls, tmp_path, SUPABASE_JWT_SECRET="") as api:
        station = str((await api.station("toc-s1")).id)
        body = {"sub": "u", "aud": "authenticated", "exp": int(time.time()) + 600, "station_id": station}
        for token in (
            jwt.encode(body, JWT_SECRET, "HS256"),
            jwt.encode(body, KEYS["one"], "ES256", headers={"kid": "one"}),
        ):
            said = await api.get("/stations", token=token)
            assert (said.status, "nothing is set here" in said.body["detail"]) == (401, True)


async def test_the_projects_keys_are_a_probe_of_health(api: Api, project: dict[str, Any]) -> None:
    async def state() -> Any:
        results = await api.centre.runtime.health.check()
        return next((each.ok, each.required) for each in results if each.name == "client.supabase")

    assert await state() == (True, False)
    assert project["asked"] == 1


async def test_what_describes_the_api_is_open_and_complete(api: Api) -> None:
    said = await api.get("/openapi.json", token=None)
    assert said.body["openapi"] == "3.1.0"
    described = {(method, path) for path, methods in said.body["paths"].items() for method in methods}
    assert described == {(each.method.lower(), f"/api/v1{each.path}") for each in OPERATIONS}
    page = await api.get("/docs", token=None)
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    for operation in OPERATIONS:
        assert f"<section id='{operation.id}'>".encode() in page.body
    assert b"http://" not in page.body.replace(b"https://", b"")
    assert b"<script" not in page.body
