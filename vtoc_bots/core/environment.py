"""Variables from the process's environment and the .env files, merged; the first that has one wins."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from dotenv.parser import parse_stream

from vtoc_bots.core.errors import ConfigError

ENV_FILES: Final = (".env.station", ".env.local")
SECRET_WORDS: Final = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "KEY", "CREDENTIALS")
MIN_SECRET_CHARACTERS: Final = 6
"""A shorter value stands in ordinary words too; hiding it everywhere would garble logs."""


def merged(environ: Mapping[str, str], folder: Path | None) -> dict[str, str]:
    """The variables of `environ`, then `.env.station`, then `.env.local` of `folder`; the first that has one wins.

    A variable that is there but blank wins too, and counts as not set. Raises ConfigError on a line that is no
    ``NAME=value``.
    """
    values: dict[str, str] = {}
    layers = [environ] if folder is None else [environ, *(read_env_file(folder / name) for name in ENV_FILES)]
    for layer in layers:
        for name, value in layer.items():
            values.setdefault(name, value)
    return {name: value for name, value in values.items() if value.strip()}


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of one file, none when it is not there; the last of a repeated name wins. Nothing is expanded."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't be read ({error}); check its permissions and encoding", str(path)) from error
    values = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            blank = len(binding.original.string) - len(binding.original.string.lstrip())
            line = binding.original.line + binding.original.string.count("\n", 0, blank)
            raise ConfigError("is not NAME=value; put a value with special characters in quotes", f"{path}:{line}")
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def secret_values(variables: Mapping[str, str]) -> Iterator[str]:
    """Values that must never be shown: of variables named like a secret, and the passwords in URLs.

    A password is given both as it is written in the URL and decoded.
    """
    for name, value in variables.items():
        if is_secret_name(name) and len(value) >= MIN_SECRET_CHARACTERS:
            yield value
        yield from url_passwords(value)


def is_secret_name(name: str) -> bool:
    """Whether a variable or key is named like a secret (``SLACK_BOT_TOKEN``, ``api_key``, ``key``)."""
    words = name.upper().replace("-", "_").split("_")
    return any(word in SECRET_WORDS for word in words)


def url_passwords(value: str) -> Iterator[str]:
    """The password of a URL, as written and decoded; nothing for any other text."""
    if "://" not in value or "@" not in value:
        return
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    for form in {password, unquote(password)} if password else ():
        if len(form) >= MIN_SECRET_CHARACTERS:
            yield form
