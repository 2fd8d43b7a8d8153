"""One configured ADS-B source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from vtoc_bots import (
    Capture,
    CaptureFeed,
    ConfigError,
    Decoder,
    DecodesDocuments,
    FilePoller,
    HttpPoller,
    LiveFeed,
    OpenContext,
    Reader,
    TcpReader,
    TelemetryEvent,
    Thresholds,
    UsageError,
)
from vtoc_bots.plugins.connectors.adsb.decode import decoder_of
from vtoc_bots.plugins.connectors.adsb.opensky_token import OpenSkyToken
from vtoc_bots.plugins.connectors.adsb.settings import AdsbSettings, Input, OpenSkyAccount, opensky_interval

_EVERY_SECONDS = 1.0


class AdsbConnector:
    """Replays a recording, or reads a live source for ever. Raises ConfigError when its settings contradict."""

    def __init__(self, settings: AdsbSettings, context: OpenContext, account: OpenSkyAccount | None = None) -> None:
        self._settings, self._context, self._account = settings, context, account or OpenSkyAccount()
        source = settings.input
        is_recording = source.kind == "file" and context.mode != "online"
        if context.mode == "offline" and not is_recording:
            raise self._error("mode: offline replays a file. Give url: file://… or another mode.")
        if settings.speed is not None and not is_recording:
            raise self._error("speed is for recordings. Remove it, or give url: file://… and mode: offline.")
        self._feed = self._capture(source) if is_recording else self._live(source)

    def events(self) -> AsyncIterator[TelemetryEvent]:
        """Its events: of a recording to its end, live until cancelled."""
        return self._feed.events()

    def stats(self) -> Mapping[str, Any]:
        """Counters since the start; live also connection, queue and last error."""
        return self._feed.stats()

    def state(self) -> str:
        """fresh, late, silent or waiting; of a recording waiting, fresh, finished or failed."""
        return self._feed.state()

    def _capture(self, source: Input) -> CaptureFeed:
        def decoder_for(head: bytes, name: str) -> Decoder:
            return self._decoder(source.format, head, name)

        return CaptureFeed(
            self._context.slug, source.path, self._context.clock, decoder_for, speed=self._settings.speed
        )

    def _live(self, source: Input) -> LiveFeed:
        settings = self._settings
        decoder = self._decoder(*self._format_of(source))
        interval = settings.interval_seconds or self._usual_interval(source)
        if source.format == "opensky" and interval < self._usual_interval(source):
            raise self._error(
                f"OpenSky's credits allow a request in {self._usual_interval(source):g} s for this area. "
                "Raise interval_seconds or ask for a smaller area (lamin, lamax, lomin, lomax)."
            )
        usual = Thresholds()
        return LiveFeed(
            self._context.slug,
            self._reader(source, interval, isinstance(decoder, DecodesDocuments)),
            decoder,
            self._context.clock,
            thresholds=Thresholds(
                settings.late_seconds or max(usual.late_seconds, 2 * interval),
                settings.silent_seconds or max(usual.silent_seconds, 5 * interval),
            ),
            queue_limit=settings.queue_limit,
        )

    def _reader(self, source: Input, interval: float, documents: bool) -> Reader:
        settings, slug, clock = self._settings, self._context.slug, self._context.clock
        if source.kind == "tcp":
            return TcpReader(
                slug,
                source.host,
                source.port,
                clock,
                connect_seconds=settings.timeout_seconds,
                silence_seconds=settings.silence_seconds,
            )
        if source.kind == "file":
            return FilePoller(slug, source.path, clock, interval_seconds=interval, documents=documents)
        token = None
        if source.format == "opensky" and self._account.client_id:
            token = OpenSkyToken(slug, self._account, clock, self._context.http, settings.timeout_seconds)
        return HttpPoller(
            slug,
            source.url,
            clock,
            self._context.http,
            interval_seconds=interval,
            timeout_seconds=settings.timeout_seconds,
            authorise=token.headers if token else None,
        )

    def _format_of(self, source: Input) -> tuple[str | None, bytes, str]:
        """(format, head, name) for the decoder; the head of a file only where the format is not given."""
        if source.format is not None or source.kind != "file":
            return source.format, b"", ""
        try:
            return None, Capture(source.path).head(), source.path.name
        except UsageError as error:
            raise self._error(f"{error} Or give format, and it may appear later.") from error

    def _decoder(self, format: str | None, head: bytes, name: str) -> Decoder:
        own = self._settings.position
        return decoder_of(
            format=format,
            head=head,
            name=name,
            position=own or self._context.station_position,
            position_is_exact=own is not None,
            source=self._context.slug,
            timezone=ZoneInfo(self._settings.timezone),
        )

    def _usual_interval(self, source: Input) -> float:
        if source.format != "opensky":
            return _EVERY_SECONDS
        account = "anonymous"
        if self._account.client_id:
            account = "feeder" if self._settings.feeder else "user"
        return opensky_interval(source.url, account)

    def _error(self, message: str) -> ConfigError:
        return ConfigError(f"sources.{self._context.slug}: {message}")
