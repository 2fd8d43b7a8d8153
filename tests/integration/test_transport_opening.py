"""Transports are opened without holding the event loop up, and only the modules that one needs are imported."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from vtoc_bots import Caps, Inbox, Outbound, Receipt, TransportContext, TransportSpec, hookimpl
from vtoc_bots.core.runtime import Duties, Runtime
from vtoc_bots.core.settings import load_settings
from vtoc_bots.core.store.urls import DatabaseUrls

HEAVY = "vtoc_kit_heavy_sdk"
SOURCE = "import threading\n\nTHREAD = threading.get_ident()\n"


class _Quiet:
    caps = Caps()

    async def run(self, inbox: Inbox) -> None:
        await asyncio.Event().wait()

    async def send(self, outbound: Outbound) -> Receipt:
        raise AssertionError


class _Platforms:
    def __init__(self) -> None:
        self.opened: dict[str, int] = {}
        """Threads in which transports were opened, by name."""

    @hookimpl
    def vtoc_transports(self) -> Iterable[TransportSpec]:
        def opener(name: str) -> Any:
            def opened(context: TransportContext) -> Any:
                assert name != "heavy" or HEAVY in sys.modules
                self.opened[name] = threading.get_ident()
                return _Quiet()

            return opened

        return (
            TransportSpec("heavy", opener("heavy"), imports=HEAVY),
            TransportSpec("missing", opener("missing"), imports="vtoc_kit_that_is_not_installed"),
            TransportSpec("light", opener("light")),
        )


async def test_an_sdk_is_imported_off_the_loop_and_a_missing_one_stops_its_transport_alone(
    database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{HEAVY}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, HEAVY, raising=False)
    environ = {"DATABASE_URL": database_urls.main.text, "DATABASE_ADMIN_URL": database_urls.admin.text}
    settings = load_settings(tmp_path / "config", tmp_path / "data", environ=environ)
    platforms = _Platforms()
    runtime = Runtime(settings, Duties(web=False, sources=False), plugins={"platforms": platforms})
    assert HEAVY not in sys.modules
    task = asyncio.create_task(runtime.run())
    ready = asyncio.create_task(runtime.ready.wait())
    await asyncio.wait({task, ready}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    try:
        assert runtime.ready.is_set()
        loop_thread = threading.get_ident()
        assert platforms.opened == {"heavy": loop_thread, "light": loop_thread}
        assert loop_thread != sys.modules[HEAVY].THREAD
        assert "ModuleNotFoundError" in runtime.parts.failing["transport.missing"]
    finally:
        ready.cancel()
        runtime.stop()
        await task


SPECS = {
    "telegram": ("telegram", {"TELEGRAM_BOT_TOKEN": "77001:AAtokenOfTheTests"}),
    "slack": ("slack_bolt", {"SLACK_BOT_TOKEN": "xoxb-of-the-tests", "SLACK_SIGNING_SECRET": "secret"}),
    "discord": ("discord", {"DISCORD_BOT_TOKEN": "t" * 24, "DISCORD_APP_ID": "1100000000000000001"}),
}
OPENS = """
import asyncio, importlib, sys
from pathlib import Path
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.settings import load_settings
from vtoc_bots.testing.memory import OpenedContext

name, sdk, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
plugin = importlib.import_module(f"vtoc_bots.plugins.{name}")
[spec] = plugin.vtoc_transports(load_settings(folder, folder, environ=dict(each.split("=") for each in sys.argv[4:])))
assert sdk not in sys.modules, "offering it imports its SDK"
importlib.import_module(spec.imports)
assert sdk in sys.modules
before = set(sys.modules)

async def opened():
    spec.open(OpenedContext("a", SystemClock(), folder).context)

asyncio.run(opened())
ours = (sdk, "slack_sdk", "vtoc_bots")
print(sorted(each for each in set(sys.modules) - before if each.partition(".")[0] in ours))
"""


@pytest.mark.parametrize("name", SPECS)
def test_opening_one_of_ours_imports_no_more_of_its_sdk_than_the_module_that_it_names(
    name: str, tmp_path: Path
) -> None:
    sdk, variables = SPECS[name]
    given = [f"{key}={value}" for key, value in variables.items()]
    command = [sys.executable, "-c", OPENS, name, sdk, str(tmp_path), *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "[]"
