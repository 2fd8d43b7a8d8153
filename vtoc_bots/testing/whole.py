"""The part of the transport contract that is played in a whole centre: Postgres, the engine, and the transport."""

from __future__ import annotations

import pytest

from vtoc_bots.core.access import Level
from vtoc_bots.core.hookspecs import hookimpl
from vtoc_bots.core.messages import Sender
from vtoc_bots.core.runtime import Duties
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.core.transports import TransportSpec
from vtoc_bots.testing.platform import FakePlatform, Fault
from vtoc_bots.testing.stage import free_port
from vtoc_bots.testing.world import OpensWorld, World

OPERATOR = "Whole Ada"


class TestedTransport:
    """A plugin that offers the transport under test."""

    def __init__(self, platform: FakePlatform) -> None:
        self._platform = platform

    @hookimpl
    def vtoc_transports(self) -> list[TransportSpec]:
        """The one."""
        return [TransportSpec(self._platform.transport, self._platform.open, account=self._platform.account)]


class WholeContract:
    """Tests of a transport in a whole centre; see TransportContract."""

    pytestmark = pytest.mark.asyncio

    async def test_in_a_whole_centre_operators_are_answered_and_strangers_let_in(
        self, platform: FakePlatform, open_world: OpensWorld
    ) -> None:
        """An operator's command is answered; somebody unknown learns how to be let in; nothing is said twice."""
        if not platform.transport:
            pytest.skip(f"{type(platform).__name__} does not say what its transport is called")
        port = free_port()
        platform.address = f"http://127.0.0.1:{port}"
        await platform.start()
        try:
            world = await open_world(
                platforms=(),
                plugins={"tested": TestedTransport(platform)},
                environ={"API_PORT": str(port), **platform.variables},
                duties=Duties(web=True, sources=False),
            )
            await platform.ready()
            await _play(platform, world)
        finally:
            await platform.stop()


async def _play(platform: FakePlatform, world: World) -> None:
    ada, stranger, room = platform.people[0], platform.people[-1], platform.rooms[0]
    await _known(platform, world, ada)
    await platform.says(ada, "/whoami", room)
    await _seen(platform, world, OPERATOR, 1)
    if Fault.FAILING not in platform.cannot:
        platform.fails(Fault.FAILING)
        await platform.says(ada, "/whoami", room)
        await _seen(platform, world, OPERATOR, 2)
        await platform.recovers()
    if stranger.user_id != ada.user_id:
        await platform.says(stranger, "/whoami", room)
        await _seen(platform, world, "/link", 1)
    await world.settled()
    assert sum(OPERATOR in shown.text for shown in platform.shown) <= 2, "something was shown twice"


async def _known(platform: FakePlatform, world: World, who: Sender) -> None:
    operators = Operators(world.store)
    await operators.add(OPERATOR, {"*": Level.ADMIN})
    code, _ = await operators.invite(OPERATOR, "the suite", 1)
    await operators.redeem(code, platform.transport, who.workspace, who.user_id, who.name)


async def _seen(platform: FakePlatform, world: World, text: str, times: int) -> None:
    async def there() -> bool:
        return sum(text in shown.text for shown in platform.shown) >= times

    await world.until(there, lambda: f"{text!r} {times} times; there is {[shown.text for shown in platform.shown]}")
