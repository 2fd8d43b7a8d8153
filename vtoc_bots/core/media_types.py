"""Media types as they may stand in a header (RFC 9110 §8.3.1), whatever somebody said that a file is."""

from __future__ import annotations

import re
from typing import Final

UNKNOWN: Final = "application/octet-stream"
LONGEST: Final = 200
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*"
_PARAMETER: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|\"[ !#-\[\]-~]*\")"
_MEDIA_TYPE: Final = re.compile(rf"{_NAME}/{_NAME}(?: ?; ?{_PARAMETER})*")


def media_type(given: str) -> str:
    """The type as it was given; UNKNOWN where it is none, or none that anybody uses."""
    return given if len(given) <= LONGEST and _MEDIA_TYPE.fullmatch(given) else UNKNOWN
