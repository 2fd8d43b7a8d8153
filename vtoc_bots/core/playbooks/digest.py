"""Digests over canonical JSON: what an approval is bound to, and what a playbook's version is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal values give equal bytes. Raises TypeError on what JSON lacks."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def canonical_digest(value: Any) -> str:
    """Hexadecimal SHA-256 of the value's canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def approval_digest(arguments: Mapping[str, Any], plan: Any, playbook_digest: str) -> str:
    """What an approval is bound to: another argument, plan or version of the playbook gives another digest.

    `plan` is any JSON value that says what is going to be done, and where.
    """
    return canonical_digest({"arguments": dict(arguments), "plan": plan, "playbook": playbook_digest})
