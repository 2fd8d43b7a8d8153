"""ADS-B: aircraft by readsb's JSON, the v2 APIs, OpenSky, SBS-1, Beast and AVR, live and from recordings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from vtoc_bots import ConnectorSpec, PluginManifest, hookimpl
from vtoc_bots.plugins.connectors.adsb.connector import AdsbConnector
from vtoc_bots.plugins.connectors.adsb.decode import decoder_of
from vtoc_bots.plugins.connectors.adsb.detect import FORMATS
from vtoc_bots.plugins.connectors.adsb.settings import AdsbSettings, OpenSkyAccount

if TYPE_CHECKING:
    from vtoc_bots import Settings

manifest = PluginManifest(summary="Aircraft by ADS-B: readsb, v2 APIs, OpenSky, SBS-1, Beast, AVR")


def connector_spec(account: OpenSkyAccount | None = None) -> ConnectorSpec:
    """The connector type; `account` is for sources that ask OpenSky."""
    return ConnectorSpec(
        type="adsb",
        settings=AdsbSettings,
        open=partial(AdsbConnector, account=account),
        decoder=decoder_of,
        formats=FORMATS,
        description="Aircraft by ADS-B: readsb, v2 APIs, OpenSky, SBS-1, Beast, AVR",
    )


@hookimpl
def vtoc_connectors(settings: Settings) -> tuple[ConnectorSpec, ...]:
    """Offers sources of type adsb."""
    return (connector_spec(settings.read(OpenSkyAccount)),)
