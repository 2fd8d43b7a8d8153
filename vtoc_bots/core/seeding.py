"""What an installation begins with: its stations as rows, and the default ChatKit channel of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import aiohttp

from vtoc_bots.core.clients.chatkit import ChatKitOrganisation
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.errors import NotFound, VtocError
from vtoc_bots.core.settings import Settings
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.stations import Stations
from vtoc_bots.core.store.threads import ThreadRows

_PLUGIN: Final = "chatkit"


async def seed(store: Store, settings: Settings) -> list[str]:
    """Make the rows of the configured stations, and the channels that they lack; safe to repeat.

    Channels are an organisation's where one is set, else threads of ours. What was done, in sentences; an organisation
    that can't be reached is told there too, since a process that starts makes the channels as well.
    """
    await Stations(store).sync(settings.stations)
    names = _listed([station.slug for station in settings.stations])
    told = [f"Stations: {names}."]
    if _PLUGIN in settings.plugins_disabled:
        return told
    callsigns = {station.slug: station.callsign for station in settings.stations}
    if settings.chatkit_api_base_url is None or settings.chatkit_org_id is None:
        await _own_channels(store, callsigns)
        return [*told, f"ChatKit channels that live here: {names}."]
    try:
        made = await _organisations_channels(settings, callsigns)
    except VtocError as error:
        return [*told, f"ChatKit channels were not made: {error}. `vtoc-bots run` makes them when it can."]
    return [*told, f"ChatKit channels made at {settings.chatkit_org_id}: {_listed(made)}."]


async def _own_channels(store: Store, callsigns: dict[str, str]) -> None:
    rows, clock = ThreadRows(store), SystemClock()
    for slug, callsign in callsigns.items():
        try:
            await rows.open(slug, slug, callsign, clock.now())
        except NotFound:  # somebody deleted it, and it is not made again
            continue


async def _organisations_channels(settings: Settings, callsigns: dict[str, str]) -> list[str]:
    key = settings.chatkit_api_key
    async with aiohttp.ClientSession() as session:
        api = ChatKitOrganisation.at(
            str(settings.chatkit_api_base_url),
            str(settings.chatkit_org_id),
            None if key is None else key.get_secret_value(),
            lambda: session,
            SystemClock(),
        )
        return await api.keep_channels(callsigns)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
