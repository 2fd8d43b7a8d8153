"""`vtoc-bots replay`: a recording through the decoder that a live source uses, printed as one JSON line an event."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

import orjson

from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.feeds.capture import Capture
from vtoc_bots.core.feeds.counts import DecodeCounts
from vtoc_bots.core.ports import ConnectorSpec
from vtoc_bots.core.telemetry import TelemetryEvent


def replay(
    path: Path,
    spec: ConnectorSpec,
    format: str | None,
    position: tuple[float, float] | None,
    out: TextIO,
    err: TextIO,
) -> int:
    """Print every event of the file at `path` to `out` and the counts to `err`; returns the exit status.

    0 also for garbage, which is counted; 2 when the file can't be read or the type or format is wrong. A record
    without a time has `event_time` null. The source is the file's name. Needs no database and no clock.
    """
    counts, capture = DecodeCounts(), Capture(path)
    try:
        if spec.decoder is None:
            raise UsageError(f"{spec.type} has nothing to replay from a file")
        decoder = spec.decoder(format=format, head=capture.head(), name=path.name, position=position, source=path.name)
        for data in capture.chunks(decoder):
            _print(counts.take(decoder.feed(data, None)), out)
        _print(counts.take(decoder.finish()), out)
        out.flush()
    except BrokenPipeError:
        # Whoever read the output has enough; the interpreter must not fail when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    except UsageError as error:
        print(f"vtoc-bots replay: {error}", file=err)
        return 2
    if capture.damaged:
        counts.rejected["truncated"] += 1
    print(describe_counts(counts), file=err)
    return 0


def describe_counts(counts: DecodeCounts) -> str:
    """E.g. ``records read 12, decoded 9, rejected 3 (parity 2, truncated 1)``."""
    reasons = ", ".join(f"{reason} {number}" for reason, number in counts.rejected.most_common())
    return f"records read {counts.read}, decoded {counts.decoded}, rejected {counts.rejected.total()}" + (
        f" ({reasons})" if reasons else ""
    )


def event_line(event: TelemetryEvent) -> str:
    """The event as one line of JSON with every field, times as ISO 8601 UTC with Z, null where unknown."""
    fields = event._asdict()
    fields["payload"] = dict(event.payload)
    return orjson.dumps(fields, option=orjson.OPT_UTC_Z).decode()


def _print(events: list[TelemetryEvent], out: TextIO) -> None:
    if events:
        out.write("".join(event_line(event) + "\n" for event in events))
