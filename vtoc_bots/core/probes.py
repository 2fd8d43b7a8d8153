"""What `/readyz` and `/health` look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.loader import Loaded
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.queue import Worker
from vtoc_bots.core.sources import Sources
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.transports import ReportsHealth, Transport
from vtoc_bots.core.web.health import Health

TRANSPORT: Final = "transport."
"""What the names of a chat platform's parts begin with."""
MENU: Final = ".menu"
"""And that of the part which publishes commands in the platform's menus ends so."""


def register_transport(health: Health, name: str, transport: Transport | None, failing: Mapping[str, str]) -> None:
    """The probe of one chat platform. It is not a required one: the others run on without it."""

    async def platform() -> str | None:
        broken = failing.get(f"{TRANSPORT}{name}")
        if broken is not None:
            raise VtocError(broken)
        told = await transport.probe() if isinstance(transport, ReportsHealth) else None
        unpublished = failing.get(f"{TRANSPORT}{name}{MENU}")
        if unpublished is not None:
            raise VtocError(f"its menus are not published: {unpublished}")
        return told

    health.register(f"{TRANSPORT}{name}", platform, required=False)


def register_probes(
    health: Health,
    store: Store,
    sources: Sources,
    loaded: Loaded,
    failing: Mapping[str, str],
    workers: Sequence[Worker],
    clock: Clock,
) -> None:
    """The probes of the database, this process's parts, the sources read here, the plugins, and what actions need."""

    async def database() -> str | None:
        return f"answers in {await store.probe() * 1000:.1f} ms"

    async def parts() -> str | None:
        broken = {name: why for name, why in failing.items() if not name.startswith(TRANSPORT)}
        for worker in workers:
            broken.update({f"queue.{lane}": "not connected" for lane, ok in worker.connected.items() if not ok})
        if broken:
            raise VtocError("; ".join(f"{name}: {why}" for name, why in sorted(broken.items())))
        return None

    async def read_here() -> str | None:
        states = sources.states()
        silent = [slug for slug, (state, _) in states.items() if state == "silent"]
        if silent:
            raise VtocError(f"nothing comes from {', '.join(silent)}")
        return f"{len(states)} read here"

    async def plugins() -> str | None:
        broken = [report.name for report in loaded.reports if report.state == "broken"]
        if broken:
            raise VtocError(f"not loaded: {', '.join(broken)}; see `vtoc-bots plugin list`")
        return None

    for spec in loaded.actions:
        if spec.probe is not None:
            health.register(f"action.{spec.name}", partial(spec.probe, clock), required=False)
    health.register("database", database)
    health.register("parts", parts)
    health.register("sources", read_here, required=False)
    health.register("plugins", plugins, required=False)
