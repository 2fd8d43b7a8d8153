"""What an MCP client is offered, without a word of the SDK: tools, resources and prompts, and what they give."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias
from urllib.parse import unquote

from vtoc_bots.core.access import Ask
from vtoc_bots.core.web.typed import Call

JSON: Final = "application/json"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or a sound, as its content type says."""

    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """What stands at an address."""

    uri: str
    content_type: str
    data: str | bytes


Content: TypeAlias = str | Media | Contents
"""A part of what is given; a bare string is words."""
Read: TypeAlias = Callable[[str], Awaitable[Contents]]
"""Gives what stands at an address, decided and audited."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a tool gives: words and whatever else there is to show, and the same as data."""

    contents: tuple[Content, ...]
    data: Mapping[str, Any]
    failed: bool = False


class Client(Protocol):
    """What a tool may want of the client that uses it, while it is being used."""

    @property
    def can_ask(self) -> bool:
        """Whether a person can be asked through it."""

    async def tell(self, done: float, total: float | None, text: str) -> None:
        """Tell how far it is: done, of how much, in words."""

    async def note(self, level: Level, data: Mapping[str, Any]) -> None:
        """Tell what happened, where the client wants to know of this level."""

    async def ask(self, message: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Ask a person for values; None where they would not say. Where the client answers by calling again, the tool
        is used again from its start: nothing may have been done before everything is asked.
        """


class Offer(Protocol):
    """A tool, where `schema` is there, and a resource, where `address` is.

    `decides`: `use` decides by itself on what the arguments come to; else the decision on `ask(arguments)` stands.
    """

    @property
    def name(self) -> str:
        """The tool's name."""

    @property
    def title(self) -> str:
        """In a few words."""

    @property
    def description(self) -> str:
        """In a sentence or more."""

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of its arguments."""

    @property
    def changes(self) -> bool:
        """Whether using it changes anything."""

    @property
    def decides(self) -> bool:
        """Whether `use` decides."""

    @property
    def address(self) -> str | None:
        """Its URI, or a template of it with parts in braces."""

    @property
    def content_type(self) -> str:
        """Of what stands at the address."""

    def ask(self, arguments: Mapping[str, Any] | None) -> Ask:
        """What is decided on; without arguments: whether it is offered."""

    async def use(self, call: Call, arguments: Mapping[str, Any], client: Client) -> Given:
        """Do it. Raises VtocError."""

    async def read(self, call: Call, uri: str, parts: Mapping[str, str]) -> Contents:
        """What stands at the address with these parts. Raises VtocError."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a prompt; `choices` are what it may be, where there are few."""

    name: str
    description: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()


class Prompt(Protocol):
    """Words that a person picks for their assistant, as a command in the client."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def title(self) -> str:
        """In a few words."""

    @property
    def description(self) -> str:
        """In a sentence."""

    @property
    def arguments(self) -> Sequence[Argument]:
        """What it takes."""

    def ask(self) -> Ask:
        """What is decided on."""

    async def said(self, arguments: Mapping[str, str], read: Read) -> Sequence[Content]:
        """What the person says with it, part by part. Raises VtocError."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is offered besides the station's playbooks."""

    offers: tuple[Offer, ...]
    prompts: tuple[Prompt, ...]


def is_template(address: str) -> bool:
    """Whether an address has parts to be filled in."""
    return "{" in address


def parts_of(address: str, uri: str) -> dict[str, str] | None:
    """The parts that this URI has where the address has braces; None where it is another's."""
    scheme, _, place = address.partition("://")
    given_scheme, separator, given_place = uri.partition("://")
    wanted, given = place.split("/"), given_place.rstrip("/").split("/")
    if not separator or given_scheme != scheme or len(wanted) != len(given):
        return None
    if not all(want.startswith("{") or want == got for want, got in zip(wanted, given, strict=True)):
        return None
    return {want[1:-1]: unquote(got) for want, got in zip(wanted, given, strict=True) if want.startswith("{")}


def offer_at(offers: Sequence[Offer], uri: str) -> tuple[Offer, dict[str, str]] | None:
    """The resource of a URI, with the parts of it; None where there is none."""
    for offer in offers:
        parts = None if offer.address is None else parts_of(offer.address, uri)
        if parts is not None:
            return offer, parts
    return None
