"""What is wrong with a command's words, where, and how it would be right."""

from __future__ import annotations

import re
from difflib import get_close_matches

from vtoc_bots.core.commands.spec import CommandSpec, Param
from vtoc_bots.core.commands.words import Word, quote, words
from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.values import STRING, WrongValue

_OPTION_OR_PAIR = re.compile(r"--|[^\W\d][\w-]*=")


def wrong_value(text: str, word: Word, param: Param, value: str, error: ValueError) -> UsageError:
    """A value that its type refuses; corrected to the nearest one, else to the type's example."""
    fix = (error.fix if isinstance(error, WrongValue) else None) or param.type.example
    before = word.text.removesuffix(value)
    return _mistake(f"{param.label}: {error}", text, word, before + quote(fix))


def needs_value(text: str, word: Word, param: Param) -> UsageError:
    """An option at the end, or before the next one."""
    message = f"--{param.label} needs a value; write {param.type.accepts}"
    return _mistake(message, text, word, f"{word.text} {quote(param.type.example)}")


def given_twice(text: str, word: Word, key: str) -> UsageError:
    """A parameter or input that has a value already."""
    return _mistake(f"{key} is given twice; give it once", text, word, "")


def no_such_option(spec: CommandSpec, text: str, word: Word, key: str) -> UsageError:
    """An option, or a key before ``=``, that the command doesn't have."""
    bare = key.strip("-")
    known = [param.label for param in spec.params if param.name in spec.by_name]
    shown = word.text.partition("=")[0]
    switches = [f"no-{param.label}" for param in spec.params if param.is_switch]
    if bare.replace("_", "-") in switches:
        return _mistake(f"--{bare} takes no value", text, word, f"--{bare}")
    near = get_close_matches(bare.replace("_", "-"), known + switches, n=1)
    if near:
        fixed = word.text.replace(bare, near[0], 1)
        meant = fixed.partition("=")[0]
        return _mistake(f"/{spec.name} has no {shown}; did you mean {meant}?", text, word, fixed)
    has = f"it has {', '.join(known)}" if known else "it has no options"
    if word.text.startswith("--"):
        return _mistake(f"/{spec.name} has no {shown}; {has}", text, word, "")
    message = f"/{spec.name} has no {shown}; {has}. If it is a value, put it in quotes"
    return _mistake(message, text, word, quote(word.text))


def one_too_many(spec: CommandSpec, text: str, before: Word | None, word: Word) -> UsageError:
    """A word after all places are taken; after a text, the two may have been meant as one."""
    last = spec.positional[-1] if spec.positional else None
    if last is not None and last.type is STRING and before is not None and not text[before.end : word.start].strip():
        joined, end = [before.text, word.text], word.end
        for following in words(text, word.end):
            if _OPTION_OR_PAIR.match(following.text) and not following.quoted:
                break
            joined.append(following.text)
            end = following.end
        whole = Word(word.text, before.start, end)
        message = f"{last.label} is one word, so “{word.text}” is one too many; put a longer text in quotes"
        return _mistake(message, text, whole, quote(" ".join(joined)), word)
    takes = len(spec.positional)
    most = "nothing" if not takes else "one word" if takes == 1 else f"{takes} words"
    options = "" if len(spec.params) == takes else " besides its options"
    return _mistake(f"“{word.text}” is one word too many; /{spec.name} takes {most}{options}", text, word, "")


def pointer(text: str, error: UsageError, width: int = 60) -> str:
    """The line that is wrong and, below it, carets under the wrong word; at most about `width` characters wide."""
    if error.start is None or error.end is None:
        return text
    first = text.rfind("\n", 0, error.start) + 1
    line = text[first:].split("\n", 1)[0]
    start, end = error.start - first, min(error.end - first, len(line))
    cut = max(0, min(start - width // 2, len(line) - width))
    shown = line[cut : cut + width]
    carets = "^" * max(1, min(end, cut + width) - start)
    return f"{shown}\n{' ' * (start - cut)}{carets}"


def _mistake(message: str, text: str, span: Word, replacement: str, wrong: Word | None = None) -> UsageError:
    """`span` is what the correction replaces, `wrong` the word to point at where that is another."""
    before, after = text[: span.start], text[span.end :]
    if not replacement:
        before, after = before.rstrip(), after if after.strip() else ""
    at = wrong or span
    corrected = before + replacement + after
    return UsageError(message, word=at.text, start=at.start, end=at.end, corrected=corrected)
