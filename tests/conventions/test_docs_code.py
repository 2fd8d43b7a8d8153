"""The code in README.md and docs/plugins.md runs, and does what the pages say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from typer.testing import CliRunner

from tests.docs_kit import blocks, module_of
from vtoc_bots import (
    Accepted,
    Ask,
    Card,
    Level,
    Message,
    OpenContext,
    Operator,
    Outbound,
    OutboundKind,
    Station,
    TelemetryEvent,
    UsageError,
    Verdict,
)
from vtoc_bots.core.access import Access
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.commands import Commands
from vtoc_bots.core.loader import Loaded, PluginState, load
from vtoc_bots.core.playbooks.load import load_playbooks

PAGE = "docs/plugins.md"
STATION = Station(uuid4(), "toc-s1", "TOC-S1", "TOC-S1", "ops")
(FIRST, COMMANDS, ACTIONS, PLAYBOOKS, CONNECTORS, POLICIES, OBSERVERS, SETTINGS, TRANSPORTS, ROUTES, MARKUP) = blocks(
    PAGE, "python"
)


class Variables(dict[str, str]):
    """Settings that hold these variables."""

    def missing(self, *names: str) -> tuple[str, ...]:
        return tuple(name for name in names if name not in self)

    def read(self, model: Any) -> Any:
        return model.model_validate(dict(self))


def loaded(module: ModuleType, **variables: str) -> Loaded:
    """The module as the only plugin; it is on."""
    found = load(Variables(variables), extra={"mine": module}, entries=())
    assert [(report.state, report.reason) for report in found.reports] == [(PluginState.ON, "")]
    return found


async def answer(found: Loaded, text: str) -> Card:
    call = Commands(found.commands).parse(text)
    card = await call(SimpleNamespace(station=STATION))  # type: ignore[operator]  # missing arguments would fail here
    assert isinstance(card, Card)
    return card


@pytest.mark.parametrize("code", [FIRST, blocks("README.md", "python")[0]])
async def test_the_first_plugin_greets_in_ten_lines(tmp_path: Path, code: str) -> None:
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    found = loaded(module_of(code, tmp_path / "vtoc_hello.py"))
    assert "TOC-S1 greets Ada." in (await answer(found, "/hello Ada")).model_dump_json()


async def test_the_command_parses_what_its_signature_says(tmp_path: Path) -> None:
    found = loaded(module_of(COMMANDS, tmp_path / "commands.py"))
    shown = (await answer(found, "/watch 40nm --every 5m --quiet calm night")).model_dump_json()
    assert "0:05:00" in shown
    assert "calm night" in shown
    with pytest.raises(UsageError, match="a minute or more"):
        await answer(found, "/watch 40nm --every 5s")


async def test_the_action_counts_and_its_playbook_loads(tmp_path: Path) -> None:
    found = loaded(module_of(ACTIONS, tmp_path / "actions.py"))
    (tmp_path / "demo_count.yml").write_text(blocks(PAGE, "yaml")[0], encoding="utf-8")
    folders = loaded(module_of(PLAYBOOKS, tmp_path / "playbooks.py")).playbook_paths
    actions = {spec.name: spec for spec in found.actions}
    playbooks, errors = load_playbooks(folders, actions)
    assert errors == []
    assert list(playbooks) == ["demo_count"]

    async def latest(station: Station, *, types: tuple[str, ...]) -> list[TelemetryEvent]:
        seen = TelemetryEvent("a3e31a", "icao", "roof", "adsb", latitude=1.0, longitude=2.0)
        return [seen, seen._replace(latitude=None), seen._replace(latitude=60.0, source="hill")]

    async def progress(text: str, done: int, total: int) -> None:
        assert (done, total) == (1, 3)

    ctx = SimpleNamespace(
        station=STATION, progress=progress, services=SimpleNamespace(telemetry=SimpleNamespace(latest=latest))
    )
    inputs = actions["demo.count"].inputs.model_validate({"area": "1,2,40nm", "types": ["adsb"]})
    result = await actions["demo.count"].call(ctx, area=inputs.area, types=inputs.types)  # type: ignore[attr-defined]  # a model made at run time
    assert (result.reports, result.sources) == (1, ["roof"])


async def test_the_connector_decodes_replays_and_rejects(tmp_path: Path) -> None:
    [spec] = loaded(module_of(CONNECTORS, tmp_path / "buoy.py")).connectors
    log = tmp_path / "buoys.log"
    log.write_bytes(b"B1,43.1,5.9\nnonsense\nB2,99,0\nB3,43.2,6.0\nB4,4")
    context = OpenContext("harbour", SystemClock(), tmp_path, None, lambda: None, lambda: None)  # type: ignore[arg-type, return-value]  # it needs neither
    connector = spec.open(spec.settings.model_validate({"log_path": str(log)}), replace(context, mode="offline"))
    events = [event async for event in connector.events()]
    assert [(event.entity_id, event.source, event.latitude) for event in events] == [
        ("b1", "harbour", 43.1),
        ("b3", "harbour", 43.2),
    ]
    assert connector.stats()["rejected"] == {"syntax": 1, "position": 1, "truncated": 1}
    assert (
        "reconnects"
        in spec.open(spec.settings.model_validate({"log_path": str(log)}), replace(context, mode="online")).stats()
    )
    assert spec.decoder is not None
    decoder = spec.decoder(format=None, head=b"", name="", position=None, source="x")
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=1)
    whole = decoder.feed(log.read_bytes(), at) + decoder.finish()
    pieces = spec.decoder(format=None, head=b"", name="", position=None, source="x")
    cut = [result for byte in log.read_bytes() for result in pieces.feed(bytes([byte]), at)] + pieces.finish()
    assert whole == cut


async def test_the_policy_denies_what_it_says(tmp_path: Path) -> None:
    access = Access(policies=loaded(module_of(POLICIES, tmp_path / "policies.py")).policies)
    ada = Operator(uuid4(), "Ada", {"toc-s1": Level.LEAD})
    decision = await access.decide(ada, STATION, Ask("command:cancel"))
    assert (decision.verdict, decision.by) == (Verdict.DENY, "policy two-stations")
    assert (await access.decide(ada, STATION, Ask("command:map"))).allowed
    assert (await access.decide(replace(ada, levels={"*": Level.LEAD}), STATION, Ask("command:cancel"))).allowed


async def test_the_observer_counts(tmp_path: Path) -> None:
    [observer] = loaded(module_of(OBSERVERS, tmp_path / "observers.py")).observers
    await observer.observe("run_changed", {})
    assert observer.seen == {"run_changed": 1}  # type: ignore[attr-defined]  # the example's own


def test_the_manifest_keeps_a_plugin_off_until_its_token_is_set_and_brings_a_group(tmp_path: Path) -> None:
    module = module_of(SETTINGS, tmp_path / "pigeon.py")
    lacking = load(Variables(), extra={"pigeon": module}, entries=())
    assert lacking.reports[0].reason == "not set: PIGEON_TOKEN"
    manifest = loaded(module, PIGEON_TOKEN="coo").reports[0].manifest
    assert manifest is not None
    assert CliRunner().invoke(manifest.cli, ["count"]).output == "2 pigeons\n"


async def test_the_transport_hands_over_what_arrives_and_releases_what_is_sent(tmp_path: Path) -> None:
    [spec] = loaded(module_of(TRANSPORTS, tmp_path / "loft.py")).transports
    transport = spec.open(SimpleNamespace(account=spec.account))  # type: ignore[arg-type]  # it needs no more
    handed: asyncio.Queue[Message] = asyncio.Queue()

    async def accept(message: Message) -> Accepted:
        await handed.put(message)
        return Accepted(uuid4())

    running = asyncio.create_task(transport.run(SimpleNamespace(accept=accept)))  # type: ignore[arg-type]  # no forms here
    await transport.arrivals.put(("14083", "coast", "/help"))  # type: ignore[attr-defined]  # the example's own
    message = await asyncio.wait_for(handed.get(), 5)
    running.cancel()
    assert (str(message.conversation), message.event_id, message.text) == ("pigeon:loft:coast", "ring:14083", "/help")
    outbound = Outbound(uuid4(), "k", message.conversation, OutboundKind.REPLY, Card.of("Hello"), uuid4())
    assert (await transport.send(outbound)).ref == "GB-22-N-14083"


async def test_the_route_answers(tmp_path: Path) -> None:
    app = web.Application()
    for add in loaded(module_of(ROUTES, tmp_path / "routes.py")).routes:
        add(app)
    async with TestClient(TestServer(app)) as client:
        assert await (await client.get("/hello?name=Ada")).json() == {"hello": "Ada"}


def test_the_dialect_writes_a_card_in_notes_that_fit(tmp_path: Path) -> None:
    card = Card.of("Fog", "**No** flight <today>: `x < y`", "> " + "coo " * 60)
    notes = module_of(MARKUP, tmp_path / "notes.py").notes(SimpleNamespace(card=card, may_be_repeat=True))
    assert notes[0].startswith("(may be a repeat)\n\n<b>Fog</b>\n\n<b>No</b> flight &lt;today&gt;: <tt>x &lt; y</tt>")
    assert len(notes) == 3
    assert all(note.count("<q>") == note.count("</q>") == 1 for note in notes)
