"""Where this installation keeps what comes with it, and whose process this is."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def packaged_playbooks() -> tuple[Path, ...]:
    """The playbooks that come with the package: beside it in a checkout, inside it when installed."""
    package = Path(__file__).parents[1]
    inside = package / "_packaged" / "playbooks"
    return (inside if inside.is_dir() else package.parent / "playbooks",)


def user_name() -> str:
    """The operating system's user, by the process's real user id."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without an entry
        return f"uid{os.getuid()}"
