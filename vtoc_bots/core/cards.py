"""Platform-neutral replies: a card and its blocks. Core never sees a platform's markup."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field


class Severity(StrEnum):
    """How much a card should alarm; always shown in words or shape too, never by colour alone."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Part):
    """CommonMark text."""

    type: Literal["text"] = "text"
    text: str


class Pair(_Part):
    """A name with a short value."""

    name: str
    value: str


class Fields(_Part):
    """Names with short values, shown side by side or below each other."""

    type: Literal["fields"] = "fields"
    fields: tuple[Pair, ...]

    @classmethod
    def of(cls, **values: object) -> Fields:
        """Fields from keyword arguments; an underscore in a name becomes a space."""
        return cls(fields=tuple(Pair(name=k.replace("_", " "), value=str(v)) for k, v in values.items()))


class Table(_Part):
    """Rows under column heads; every row has as many cells as there are columns."""

    type: Literal["table"] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    """Indices of the columns that are aligned to the right."""


class Image(_Part):
    """A picture, stored as a blob. `alt` says in words what it shows."""

    type: Literal["image"] = "image"
    blob: str
    alt: str
    name: str = "picture.png"
    content_type: str = "image/png"
    size: int = 0


class File(_Part):
    """A file, stored as a blob."""

    type: Literal["file"] = "file"
    blob: str
    name: str
    content_type: str
    size: int = 0


class PlanStep(_Part):
    """One step of a plan and its state: planned, running, done, skipped, waiting or failed."""

    title: str
    state: Literal["planned", "running", "done", "skipped", "waiting", "failed"] = "planned"
    detail: str = ""


class Plan(_Part):
    """The steps of a playbook, before or while it runs."""

    type: Literal["plan"] = "plan"
    steps: tuple[PlanStep, ...]


class Progress(_Part):
    """How far something is: `done` of `total`, or a bare text where the total is unknown."""

    type: Literal["progress"] = "progress"
    text: str
    done: int | None = None
    total: int | None = None


class Button(_Part):
    """A choice. `token` names a stored value; the value itself never travels.

    Handlers give `command` (what pressing it does, in text form) and core replaces it by a token when the card is
    stored.
    """

    label: str
    command: str | None = None
    answer: str | None = None
    """Instead of a command: the answer to the question that this card asks."""
    token: str | None = None
    style: Literal["plain", "good", "bad"] = "plain"
    replaces: bool = False
    """Whether the answer replaces this card, as a page does, where the platform can edit. A private answer to a card
    that others see comes by itself."""
    once: bool = False
    """Whether it does its work one time, however often and by whomever it is pressed."""


class Buttons(_Part):
    """Choices in a row; more than five may be shown as a menu."""

    type: Literal["buttons"] = "buttons"
    buttons: tuple[Button, ...]


class Divider(_Part):
    """A line between blocks."""

    type: Literal["divider"] = "divider"


Block: TypeAlias = Annotated[
    Text | Fields | Table | Image | File | Plan | Progress | Buttons | Divider, Field(discriminator="type")
]


class Card(_Part):
    """A reply: title, blocks, severity, footer.

    `private` asks the transport to show it to the asker alone; `asks` says that the asker's next message answers it.
    """

    title: str = ""
    blocks: tuple[Block, ...] = ()
    severity: Severity = Severity.PLAIN
    footer: str = ""
    private: bool = False
    exercise: bool = False
    asks: bool = False

    @classmethod
    def of(cls, title: str, *blocks: Block | str, **options: Any) -> Card:
        """A card whose bare strings are text blocks."""
        parts = tuple(Text(text=block) if isinstance(block, str) else block for block in blocks)
        return cls(title=title, blocks=parts, **options)

    def blobs(self) -> tuple[str, ...]:
        """SHA-256 names of the blobs that its pictures and files need."""
        return tuple(block.blob for block in self.blocks if isinstance(block, Image | File))
