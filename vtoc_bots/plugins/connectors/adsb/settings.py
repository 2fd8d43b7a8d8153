"""What can be set of an ADS-B source: its entry in connectors.yml, and the OpenSky account in the environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from vtoc_bots import Position

Format = Literal["aircraft", "jsonport", "v2", "opensky", "sbs", "beast", "avr"]

_HOST_HERE: Final = re.compile("^localhost/")
_INPUT_KEYS: Final = ("url", "api_url", "log_path")
_PORTS: Final = {"jsonport": 30047, "sbs": 30003, "beast": 30005, "avr": 30002}
_WEB: Final = {"readsb": "aircraft", "v2": "v2", "opensky": "opensky"}
_LEAST_INTERVAL: Final = {"v2": 1.0}
_CREDIT_SECONDS: Final = {"anonymous": 216.0, "user": 21.6, "feeder": 10.8}
"""Seconds in which OpenSky grants one credit (400, 4,000 and 8,000 a day)."""
_SCHEMES: Final = (
    "readsb+http://, jsonport://, v2+https://, opensky+https://, sbs://, beast://, avr://, tcp:// (with format) "
    "or file://"
)


class Input(NamedTuple):
    """Where a source's bytes come from: a web address, a TCP server or a file. `format` None means: detect it."""

    kind: Literal["web", "tcp", "file"]
    format: str | None
    url: str = ""
    host: str = ""
    port: int = 0
    path: Path = Path()


class AdsbSettings(BaseModel):
    """A source of type adsb. Seconds; degrees WGS84."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    url: str = Field(description="Where to read from; `api_url` and `log_path` mean the same")
    format: Format | None = Field(None, description="The format, where the address does not tell it")
    position: Position | None = Field(None, description="The receiver's position, by default the station's")
    timezone: str = Field("UTC", description="The time zone of the SBS server's clock, e.g. Europe/Zurich")
    interval_seconds: float | None = Field(
        None, ge=0.2, description="How often to ask or look; default as often as allowed"
    )
    timeout_seconds: float = Field(15.0, gt=0, description="How long an answer or a connection may take")
    silence_seconds: float = Field(90.0, gt=0, description="A stream that sends nothing for so long is connected anew")
    late_seconds: float | None = Field(None, gt=0, description="Age of the last event from which the source is late")
    silent_seconds: float | None = Field(None, gt=0, description="Age of the last event from which it is silent")
    queue_limit: int = Field(20_000, ge=1, description="Most events that wait for the consumer")
    speed: float | None = Field(None, gt=0, description="Replays a recording so many times as fast as it happened")
    feeder: bool = Field(False, description="Whether the OpenSky account feeds it (more credits)")

    @model_validator(mode="before")
    @classmethod
    def _one_input(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = [key for key in _INPUT_KEYS if value.get(key) is not None]
        if not given:
            raise ValueError(f"url is missing; give one of {_SCHEMES}")
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} name the input twice; keep one")
        rest = {key: item for key, item in value.items() if key not in _INPUT_KEYS}
        return {**rest, "url": value[given[0]]}

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ValueError, OSError, LookupError):
            raise ValueError("no such timezone; take an IANA name such as UTC or Europe/Zurich") from None

    @model_validator(mode="after")
    def _sensible(self) -> AdsbSettings:
        least = _LEAST_INTERVAL.get(self.input.format or "", 0.0)
        if self.interval_seconds is not None and self.interval_seconds < least:
            raise ValueError(f"interval_seconds: the provider allows one request in {least:g} s; give that or more")
        return self

    @property
    def input(self) -> Input:
        """What `url` and `format` say. Raises ValueError when they make no sense."""
        return input_of(self.url, self.format)


class OpenSkyAccount(BaseModel):
    """An OpenSky API client, made on its account page. Without one, requests are anonymous."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    client_id: str | None = Field(None, alias="OPENSKY_CLIENT_ID", description="OpenSky API client")
    client_secret: SecretStr | None = Field(None, alias="OPENSKY_CLIENT_SECRET", description="That client's secret")
    token_url: str = Field(
        "https://auth.opensky-network.org/auth/realms/opensky-network/protocol/openid-connect/token",
        alias="OPENSKY_TOKEN_URL",
        description="Where its tokens come from",
    )


def input_of(url: str, format: str | None) -> Input:
    """The input an address stands for; a text without a scheme is a file's path. Raises ValueError with what to do."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return Input("file", format, path=Path(url.removeprefix("file:")).expanduser())
    scheme = scheme.lower()
    if scheme == "file":
        return Input("file", format, path=Path(unquote(_HOST_HERE.sub("/", rest))).expanduser())
    prefix, _, web = scheme.rpartition("+")
    if web in ("http", "https"):
        return Input("web", _web_format(prefix, rest, format), url=f"{web}://{rest}")
    if scheme in _PORTS or scheme == "tcp":
        return _tcp_input(scheme, url, format)
    raise ValueError(f"unknown scheme {scheme}://; give one of {_SCHEMES}")


def opensky_interval(url: str, account: str) -> float:
    """Seconds between two requests that an account's credits allow: ``anonymous``, ``user`` or ``feeder``.

    A request costs 1 credit up to 25 square degrees, 2 up to 100, 3 up to 400, else 4 (OpenSky REST API, limitations).
    """
    query = parse_qs(urlsplit(url).query)
    try:
        south, north, west, east = (float(query[key][-1]) for key in ("lamin", "lamax", "lomin", "lomax"))
        area = abs((north - south) * (east - west))
    except (KeyError, ValueError):
        area = 360.0 * 180.0
    cost = 1 if area <= 25 else 2 if area <= 100 else 3 if area <= 400 else 4
    return _CREDIT_SECONDS[account] * cost


def _web_format(prefix: str, rest: str, format: str | None) -> str:
    if prefix:
        if prefix not in _WEB:
            raise ValueError(f"unknown scheme {prefix}+…; give one of {_SCHEMES}")
        return format or _WEB[prefix]
    path = rest.partition("?")[0]
    if format is None and path.endswith("/aircraft.json"):
        return "aircraft"
    if format is None and path.endswith("/states/all"):
        return "opensky"
    if format is None:
        raise ValueError("http does not tell the format; write readsb+http, v2+https or opensky+https, or give format")
    return format


def _tcp_input(scheme: str, url: str, format: str | None) -> Input:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{url} has no valid port; write {scheme}://host:port") from None
    if not host:
        raise ValueError(f"{url} names no host; write {scheme}://host:port")
    format = format or (scheme if scheme in _PORTS else None)
    if format is None:
        raise ValueError("tcp does not tell the format; give format too")
    if port is None and scheme == "tcp":
        raise ValueError(f"{url} names no port; write tcp://host:port")
    return Input("tcp", format, host=host, port=port or _PORTS[scheme])
