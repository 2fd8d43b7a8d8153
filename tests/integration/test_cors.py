"""Web pages of allowed origins use the API and the ChatKit server; those of others do not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api_kit import Api, open_api
from tests.mcp_caller_kit import HEADERS, INITIALIZE, endpoint, open_quiet_api
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.settings import load_settings
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.web.mcp.host import McpSettings
from vtoc_bots.core.web.settings import ApiSettings

PAGE, OTHER = "https://ops.example", "https://evil.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-chatkit-channel",
}


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(database_urls, tmp_path, VTOC_CORS_ORIGINS=f"{PAGE}, http://localhost:5173/") as opened:
        yield opened


def allows(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("Access-Control-")}


def exposed(headers: Mapping[str, str]) -> set[str]:
    return {*headers["Access-Control-Expose-Headers"].split(", ")}


async def asked(api: Api, method: str, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers of a request to any path."""
    url = f"{api.centre.runtime.address}{path}"
    async with api.session.request(method, url, headers=headers) as answer:
        await answer.read()
        return answer.status, dict(answer.headers)


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/telemetry/events", "/chatkit", "/chatkit/files/a"])
async def test_a_preflight_of_an_allowed_page_is_answered_without_a_credential(api: Api, path: str) -> None:
    status, headers = await asked(api, "OPTIONS", path, Origin=PAGE, **PREFLIGHT)
    assert status == 204
    given = allows(headers)
    assert given["Access-Control-Allow-Origin"] == PAGE
    assert "POST" in given["Access-Control-Allow-Methods"]
    assert given["Access-Control-Allow-Headers"] == PREFLIGHT["Access-Control-Request-Headers"]
    assert "Access-Control-Allow-Credentials" not in given
    assert "Origin" in headers["Vary"]


@pytest.mark.parametrize("origin", [OTHER, "null", "https://ops.example.evil.example", "http://ops.example", "*"])
async def test_a_page_of_another_origin_is_told_nothing(api: Api, origin: str) -> None:
    for method, path, more in (("OPTIONS", "/api/v1/runs", PREFLIGHT), ("GET", "/api/v1/openapi.json", {})):
        _, headers = await asked(api, method, path, Origin=origin, **more)
        assert allows(headers) == {}
        assert "Origin" in headers["Vary"]


async def test_answers_and_refusals_can_be_read_by_an_allowed_page(api: Api) -> None:
    said = await api.get("/runs", headers={"Origin": PAGE})
    assert (said.status, allows(said.headers)["Access-Control-Allow-Origin"]) == (200, PAGE)
    assert {"X-Correlation-Id", "X-Next-Cursor", "Link"} <= exposed(said.headers)
    for path, status in (("/runs", 401), ("/no-such-thing", 404)):
        said = await api.get(path, token=None, headers={"Origin": "http://localhost:5173"})
        assert (said.status, allows(said.headers)["Access-Control-Allow-Origin"]) == (status, "http://localhost:5173")


async def test_streams_can_be_read_too_and_what_is_not_the_apis_can_not(api: Api) -> None:
    run = (await api.post("/runs", {"playbook": "count"})).body["id"]
    said = await api.get(f"/runs/{run}/events", headers={"Origin": PAGE})
    assert said.headers["Content-Type"].startswith("text/event-stream")
    assert allows(said.headers)["Access-Control-Allow-Origin"] == PAGE
    for path in ("/metrics", "/readyz", "/chatkitten"):
        assert allows((await asked(api, "GET", path, Origin=PAGE))[1]) == {}


async def test_without_the_setting_no_page_is_told_anything(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    async with open_api(database_urls, tmp_path) as api:
        status, headers = await asked(api, "OPTIONS", "/api/v1/runs", Origin=PAGE, **PREFLIGHT)
        assert (status, allows(headers)) == (405, {})
        assert "Vary" not in headers


async def test_a_page_that_is_named_speaks_mcp_and_no_other(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    wanted = "authorization,content-type,mcp-protocol-version,mcp-session-id,mcp-method,mcp-name,last-event-id"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    async with open_quiet_api(database_urls, tmp_path, VTOC_MCP_ORIGINS=f"{PAGE}/", VTOC_MCP_HOSTS="b.example") as api:
        for page in (PAGE, "http://localhost:6274"):
            status, headers = await asked(api, "OPTIONS", "/mcp", Origin=page, **preflight)
            given = allows(headers)
            assert (status, given["Access-Control-Allow-Origin"]) == (204, page)
            assert given["Access-Control-Allow-Headers"] == wanted
            assert {"GET", "POST", "DELETE"} <= {*given["Access-Control-Allow-Methods"].split(", ")}
        mine = {**HEADERS, "Origin": PAGE, "Authorization": f"Bearer {api.tokens['operator']}"}
        async with api.session.post(endpoint(api), json=INITIALIZE, headers=mine) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
            assert {"Mcp-Session-Id", "Mcp-Protocol-Version"} <= exposed(answer.headers)
            assert "Mcp-Session-Id" in answer.headers
        for page, host in ((OTHER, ""), ("http://localhost:6274", "b.example")):
            more = {"Host": host} if host else {}
            status, headers = await asked(api, "OPTIONS", "/mcp", Origin=page, **preflight, **more)
            assert (status, allows(headers)) == (405, {})
            async with api.session.post(endpoint(api), json=INITIALIZE, headers={**mine, "Origin": page, **more}) as no:
                assert (no.status, allows(dict(no.headers))) == (403, {})
        assert allows((await asked(api, "GET", "/api/v1/openapi.json", Origin=PAGE))[1]) == {}


@pytest.mark.parametrize("variable", ["VTOC_CORS_ORIGINS", "VTOC_MCP_ORIGINS"])
@pytest.mark.parametrize(
    "wrong", ["*", "https://*.example", "ops.example", "null", "https://ops.example/app", "https://u@ops.example"]
)
def test_what_is_no_origin_stops_the_start(tmp_path: Path, variable: str, wrong: str) -> None:
    with pytest.raises(StartupError, match=variable):
        load_settings(tmp_path, tmp_path, {variable: wrong}).read(
            ApiSettings if variable == "VTOC_CORS_ORIGINS" else McpSettings
        )


def test_origins_are_as_browsers_write_them(tmp_path: Path) -> None:
    given = {"VTOC_CORS_ORIGINS": "HTTPS://Ops.Example:443/ http://[::1]:8000"}
    found = load_settings(tmp_path, tmp_path, given).read(ApiSettings).cors_origins
    assert found == ("https://ops.example", "http://[::1]:8000")
