"""What the platforms of the World can do, and how much goes in one message of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vtoc_bots.core.transports import Caps


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of chat platform. `name` is its transport's."""

    name: str
    caps: Caps
    longest_text: int = 4000


TELEGRAM: Final = Profile(
    "telegram",
    Caps(edit=True, threads=True, dialog=True, private=True, buttons=True, files=True, text_limit=4096),
    4096,
)
SLACK: Final = Profile(
    "slack",
    Caps(
        edit=True,
        threads=True,
        forms=True,
        form_errors=True,
        private=True,
        buttons=True,
        files=True,
        text_limit=3000,
        looks_up_receipts=True,
    ),
    40_000,
)
DISCORD: Final = Profile(
    "discord",
    Caps(
        edit=True,
        threads=True,
        forms=True,
        private=True,
        buttons=True,
        files=True,
        text_limit=2000,
        looks_up_receipts=True,
    ),
    2000,
)
TERMINAL: Final = Profile(
    "console", Caps(buttons=True, files=True, text_limit=100_000, looks_up_receipts=True), 100_000
)
"""A terminal's abilities under a name of its own: `terminal` is the transport of a process's own terminal."""
PLAIN: Final = Profile("plain", Caps(text_limit=1000), 1000)
"""Text in, text out, and nothing else."""
