"""Web pages of allowed origins use the API and the ChatKit server; those of others do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api_kit import Api, open_api
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.settings import load_settings
from vtoc_bots.core.store.urls import DatabaseUrls
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
    assert {"X-Correlation-Id", "X-Next-Cursor", "Link"} <= {*said.headers["Access-Control-Expose-Headers"].split(", ")}
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


@pytest.mark.parametrize(
    "wrong", ["*", "https://*.example", "ops.example", "null", "https://ops.example/app", "https://u@ops.example"]
)
def test_what_is_no_origin_stops_the_start(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(StartupError, match="VTOC_CORS_ORIGINS"):
        load_settings(tmp_path, tmp_path, {"VTOC_CORS_ORIGINS": wrong}).read(ApiSettings)


def test_origins_are_as_browsers_write_them(tmp_path: Path) -> None:
    given = {"VTOC_CORS_ORIGINS": "HTTPS://Ops.Example:443/ http://[::1]:8000"}
    found = load_settings(tmp_path, tmp_path, given).read(ApiSettings).cors_origins
    assert found == ("https://ops.example", "http://[::1]:8000")
