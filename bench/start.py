"""Import time, start to ready (cold and warm), and idle memory, of real processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROUNDS = 3


async def run() -> list[str]:
    """Rows with their bars; the interpreter's own start is the floor of the import."""
    bare = min(_python("pass") for _ in range(5))
    imported = min(_python("import vtoc_bots") for _ in range(5))
    starts = [_started() for _ in range(ROUNDS)]
    cold, warm, memory = (sorted(values)[ROUNDS // 2] for values in zip(*starts, strict=True))
    return [
        f"| `import vtoc_bots` | {imported - bare:.3f} s | 0.15 s (bar; bare interpreter {bare:.3f} s) | "
        f"{(imported - bare) / 0.15:.2f} |",
        f"| start to ready, cold (new database) | {cold:.1f} s | 5 s (bar) | {cold / 5:.2f} |",
        f"| start to ready, warm | {warm:.1f} s | 2 s (bar) | {warm / 2:.2f} |",
        f"| idle memory of `vtoc-bots run`, unique to it | {memory:.0f} MB | 150 MB (bar) | {memory / 150:.2f} |",
    ]


def _python(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def _started() -> tuple[float, float, float]:
    """Seconds to ready on a new folder, then again on the same; and megabytes when idle."""
    folder = Path(tempfile.mkdtemp(prefix="vtoc-bench-"))
    try:
        cold, _ = _ready(folder, 0.0)
        warm, memory = _ready(folder, 3.0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return cold, warm, memory


def _ready(folder: Path, idle_seconds: float) -> tuple[float, float]:
    command = [sys.executable, "-m", "vtoc_bots", "run", "--data", str(folder), "--config", str(folder / "config")]
    began = time.perf_counter()
    environment = {**os.environ, "API_PORT": "0"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if '"event":"ready"' in line:
                break
        else:
            raise RuntimeError("vtoc-bots ended before it was ready")
        taken = time.perf_counter() - began
        time.sleep(idle_seconds)
        memory = psutil.Process(process.pid).memory_full_info().uss / 1e6
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    return taken, memory
