"""For which station a request is, and who in which channel asked: found by the platform's rules of precedence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from vtoc_bots.core.access import Station
from vtoc_bots.core.config import slug_of
from vtoc_bots.core.web.auth import Principal
from vtoc_bots.core.web.problems import Refusal

STATION_HEADERS: Final = ("X-Station-Id", "X-Station-Slug", "X-ChatKit-Station", "X-TOC-Station")
CHANNEL_HEADERS: Final = ("X-ChatKit-Channel", "X-ChatKit-Thread")
INITIATOR_HEADERS: Final = ("X-ChatKit-User", "X-ChatKit-Initiator")
_LONGEST: Final = 200


class ChatContext(NamedTuple):
    """Where an agent action was asked for, and by whom; None where nothing says it."""

    channel_slug: str | None
    initiator_id: str | None


def station_named(path_slug: str | None, headers: Mapping[str, str]) -> str | None:
    """The station that a request names: by its path, else by the first header of STATION_HEADERS that is there."""
    for value in (path_slug, *(headers.get(name) for name in STATION_HEADERS)):
        if value is not None and value.strip():
            return slug_of(value)
    return None


def station_of(principal: Principal, named: str | None, stations: Sequence[Station]) -> Station:
    """The station of a request, by its slug or id. Raises Refusal: 404 for an unknown one, 403 for another's."""
    own = principal.station
    if named is None or named in (own.slug, str(own.id)):
        return own
    if not any(named in (each.slug, str(each.id)) for each in stations):
        raise Refusal(404, f"there is no station {named[:_LONGEST]}")
    raise Refusal(403, f"this credential is for station {own.slug} and for no other")


def chat_context(body: Mapping[str, Any], headers: Mapping[str, str]) -> ChatContext:
    """The chat context of an agent action, of its metadata, then its own members, then the headers."""
    metadata = _mapping(body.get("metadata"))
    chatkit = _mapping(metadata.get("chatkit"))
    channel = (
        metadata.get("channel_slug"),
        *_named(metadata.get("channel"), "slug", "id"),
        chatkit.get("channel_slug"),
        *_named(chatkit.get("channel"), "slug", "id"),
        body.get("channel_slug"),
        *(headers.get(name) for name in CHANNEL_HEADERS),
    )
    initiator = (
        chatkit.get("initiator_id"),
        chatkit.get("user_id"),
        metadata.get("initiator_id"),
        *_named(metadata.get("initiator"), "id", "user_id"),
        *_named(metadata.get("user"), "id", "user_id"),
        body.get("initiator_id"),
        *(headers.get(name) for name in INITIATOR_HEADERS),
    )
    return ChatContext(_first(channel), _first(initiator))


def _named(value: Any, *members: str) -> Iterator[Any]:
    """What names a thing: the text itself, or these members of an object, in order."""
    if isinstance(value, Mapping):
        yield from (value.get(member) for member in members)
    else:
        yield value


def _first(values: Sequence[Any]) -> str | None:
    """The first that says something; a number is an id too."""
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value.strip()[:_LONGEST].replace("\x00", "")
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
