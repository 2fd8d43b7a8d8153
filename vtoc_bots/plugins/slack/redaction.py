"""Data-loss rules: what is taken out of a monitored text before anything of it is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

ALWAYS: Final = ("card", "key")
OPTIONAL: Final = ("email", "phone")

_CARD: Final = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?!\d)")
_KEYS: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\bxox[abeoprs]-[\w-]{8,}|\bxapp-[\w-]{8,}"
    r"|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\bsk-[\w-]{16,}|\bSG\.[\w-]{16,}\.[\w-]{16,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|\b\d{8,10}:[A-Za-z0-9_-]{35}\b",
    re.DOTALL,
)
_NAMED: Final = re.compile(
    r"\b((?:pass(?:word|phrase|wd)?|secret|api[_ -]?key|access[_ -]?key|token|bearer)\b[ \t]*[:=]?[ \t]+"
    r"|(?:pass(?:word|phrase|wd)?|secret|api[_-]?key|access[_-]?key|token)[:=])"
    r"([^\s<>,;]*[\d_+/=-][^\s<>,;]*)",
    re.IGNORECASE,
)
_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_PHONE: Final = re.compile(r"(?<![\w.:/-])(?:\+\d|\(?0\d)[\d ()/-]{6,18}\d(?![\w.:])")


def redacted(text: str, rules: Iterable[str] = ALWAYS) -> tuple[str, tuple[str, ...]]:
    """The text with what the rules flag replaced by ``[redacted RULE]``, and the rules that flagged something."""
    flagged: list[str] = []
    for rule in rules:
        changed = _apply(rule, text)
        if changed != text:
            flagged.append(rule)
            text = changed
    return text, tuple(flagged)


def _apply(rule: str, text: str) -> str:
    mark = f"[redacted {rule}]"
    match rule:
        case "card":
            return _CARD.sub(lambda found: mark if is_card_number(found[0]) else found[0], text)
        case "key":
            return _NAMED.sub(lambda found: f"{found[1]}{mark}", _KEYS.sub(mark, text))
        case "email":
            return _EMAIL.sub(mark, text)
        case "phone":
            return _PHONE.sub(mark, text)
    raise ValueError(f"there is no rule {rule!r}; there are {', '.join((*ALWAYS, *OPTIONAL))}")


def is_card_number(text: str) -> bool:
    """Whether the digits are those of a payment card: 13 to 19 of them, of which the last checks the others (Luhn)."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    total = 0
    for index, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if index % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
