"""Signals in a monitored text: what declared detectors find."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vtoc_bots import ConfigError

Severity = Literal["low", "medium", "high"]

LONGEST: Final = 12_000
"""Characters of a text that are searched."""
MOST_VALUES: Final = 5
"""Values of one signal that are kept."""
BUILT_IN: Final = Path(__file__).with_name("detectors.yml")
_ORDER: Final = ("low", "medium", "high")


class Detector(BaseModel):
    """Finds the values of one signal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signal: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")
    severity: Severity = "low"
    pattern: str
    exact: bool = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    def find(self, text: str) -> list[str]:
        """The values in a text, each once, in order."""
        found = re.finditer(self.pattern, text, 0 if self.exact else re.IGNORECASE)
        values = (match[1] if match.re.groups and match[1] is not None else match[0] for match in found)
        return list(dict.fromkeys(" ".join(value.split()) for value in values if value.strip()))[:MOST_VALUES]


class _Detectors(BaseModel):
    model_config = ConfigDict(extra="forbid")

    detectors: tuple[Detector, ...]


def load_detectors(path: Path | None) -> tuple[Detector, ...]:
    """The detectors of a file, or those that come with the plugin. Raises ConfigError."""
    path = path or BUILT_IN
    try:
        return _Detectors.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).detectors
    except OSError as error:
        raise ConfigError(f"VTOC_SLACK_DETECTORS can't be read ({error.strerror})", str(path)) from error
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"these are no detectors: {_first_line(error)}", str(path)) from error


def detected(text: str, detectors: Sequence[Detector]) -> list[dict[str, Any]]:
    """The signals in a text: ``{signal, severity, values}``, in the detectors' order."""
    text = text[:LONGEST]
    found = ((detector, detector.find(text)) for detector in detectors)
    return [
        {"signal": detector.signal, "severity": detector.severity, "values": values}
        for detector, values in found
        if values
    ]


def highest(signals: Sequence[dict[str, Any]]) -> Severity | None:
    """The highest severity among signals, None where there are none."""
    return max((signal["severity"] for signal in signals), key=_ORDER.index, default=None)


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0]
