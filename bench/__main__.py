"""Runs the benchmarks named on the command line, or all, and prints one Markdown table."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import time

import structlog

_MESSAGES = ("commands", "markup", "engine", "latency", "slack", "webhooks")
BENCHES = (*_MESSAGES, "failover", "load", "start", "decode", "merge", "map")


def main() -> None:
    """Print the table; a bench that fails is named and the rest run."""
    wanted = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        sys.exit(f"bench: no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    print("| what | figure | floor or bar | ratio |\n|---|---|---|---|")
    failed = []
    for name in wanted:
        began = time.monotonic()
        try:
            rows = asyncio.run(importlib.import_module(f"bench.{name}").run())
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
            continue
        print("\n".join(rows), flush=True)
        print(f"bench {name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
