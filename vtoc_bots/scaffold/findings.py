"""What `vtoc-bots plugin check` finds: a line each, and the grade that they come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

GRADES: Final = {
    1: "loads, is typed and described",
    2: "connects again and says how it is",
    3: "stands repeats, faults and a busy loop",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a grade asks for, whether it is so, and what to do where it is not."""

    grade: int
    holds: bool
    text: str


def reached(findings: Iterable[Finding]) -> int:
    """The highest grade all of whose findings hold, with those below it; 0 for none."""
    failed = {finding.grade for finding in findings if not finding.holds}
    return next((grade - 1 for grade in GRADES if grade in failed), max(GRADES))


def lines_of(name: str, findings: Iterable[Finding]) -> Iterator[str]:
    """What is told of a plugin: its grade, then what the next one takes."""
    found = list(findings)
    grade = reached(found)
    yield f"{name}: grade {grade} of {max(GRADES)}" + (f" ({GRADES[grade]})" if grade else "")
    for number, title in GRADES.items():
        of = [finding for finding in found if finding.grade == number]
        missing = [finding for finding in of if not finding.holds]
        mark = "reached" if number <= grade else f"{len(missing)} to do" if missing else "after the one before"
        yield f"  {number}. {title}: {mark}"
        yield from (f"       - {finding.text}" for finding in missing)
