"""Signed webhooks: HMAC-SHA256 of the raw body, with a time against replay where the sender gives one."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from vtoc_bots.core.web.problems import Refusal

SIGNATURE_HEADER: Final = "X-ChatKit-Signature"
TIMESTAMP_HEADER: Final = "X-ChatKit-Timestamp"
WINDOW_SECONDS: Final = 300
_LONGEST_TIMESTAMP: Final = 12


def signature_of(secret: str, body: bytes, timestamp: str | None = None) -> str:
    """Lower-case hexadecimal HMAC-SHA256 of the body, or of ``timestamp.body`` where there is a timestamp."""
    signed = body if timestamp is None else timestamp.encode("utf-8", "surrogateescape") + b"." + body
    return hmac.digest(secret.encode(), signed, "sha256").hex()  # several times faster than an HMAC object


def check_signature(secret: str | None, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Raises Refusal (401) unless the body is signed with the secret and, with a timestamp, at most 5 minutes ago.

    An unset secret refuses every call. The timestamp is in seconds since 1970; what it says is believed only once the
    signature holds, which covers it.
    """
    if not secret:
        raise Refusal(401, "no secret is set here, so no webhook can be trusted. Set CHATKIT_WEBHOOK_SECRET")
    given = headers.get(SIGNATURE_HEADER, "")
    timestamp = headers.get(TIMESTAMP_HEADER)
    expected = signature_of(secret, body, timestamp)
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape")):
        raise Refusal(401, f"{SIGNATURE_HEADER} is missing or is not the signature of this body")
    if timestamp is None:
        return
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _LONGEST_TIMESTAMP):
        raise Refusal(401, f"{TIMESTAMP_HEADER} is not in seconds since 1970")
    if abs(now.timestamp() - int(timestamp)) > WINDOW_SECONDS:
        raise Refusal(401, f"{TIMESTAMP_HEADER} is more than {WINDOW_SECONDS // 60} minutes from now; sign it anew")
