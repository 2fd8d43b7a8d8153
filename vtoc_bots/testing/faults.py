"""The part of the transport contract about what goes wrong: each failure is told as what it is, and told at once."""

from __future__ import annotations

import asyncio

import pytest

from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import NotSent, RateLimited, Refused, StartupError, Unknown, VtocError
from vtoc_bots.core.messages import Message
from vtoc_bots.core.transports import ReportsHealth
from vtoc_bots.testing.memory import MemoryInbox, OpenedContext
from vtoc_bots.testing.platform import LIMITED_SECONDS, Fault
from vtoc_bots.testing.stage import PATIENCE_SECONDS, Stage, answer, text_of

MEANS: dict[Fault, tuple[type[Exception], ...]] = {
    Fault.REFUSED: (Refused,),
    Fault.LIMITED: (RateLimited,),
    Fault.LIMITED_BARE: (RateLimited,),
    Fault.FAILING: (Unknown,),
    # Core ends a send that takes too long by cancelling it, and holds it for unknown.
    Fault.HANGING: (Unknown, TimeoutError),
    Fault.DROPPED: (Unknown,),
    Fault.UNREACHABLE: (NotSent,),
}
ONCE = (Fault.LIMITED, Fault.LIMITED_BARE, Fault.FAILING, Fault.HANGING, Fault.DROPPED)
"""After these nothing is tried again inside `send`: core does that, and knows when."""


def _possible(stage: Stage, fault: Fault) -> None:
    if fault in stage.platform.cannot:
        pytest.skip(f"{fault.name} makes no sense on this platform")


async def _failed(stage: Stage, message: Message, fault: Fault) -> Exception:
    """What a send raises while the platform behaves like that."""
    stage.platform.fails(fault)
    sending = stage.transport.send(answer(message, Card.of("Try", "firstword")))
    try:
        await asyncio.wait_for(sending, stage.platform.patience_seconds)
    except (VtocError, TimeoutError) as error:
        return error
    finally:
        await stage.platform.recovers()
    raise AssertionError(f"send() returned although the platform was {fault.value}")


class FaultContract:
    """Tests of a transport's failures; see TransportContract."""

    pytestmark = pytest.mark.asyncio

    @pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
    async def test_a_send_that_fails_says_what_is_known_and_the_next_one_goes_on(
        self, stage: Stage, fault: Fault
    ) -> None:
        """Refused, RateLimited with the time to wait, NotSent or Unknown; then everything is as before."""
        _possible(stage, fault)
        message = await stage.said("/help")
        error = await _failed(stage, message, fault)
        assert isinstance(error, MEANS[fault]), f"{type(error).__name__} is wrong for {fault.value}: {error}"
        if isinstance(error, RateLimited):
            assert error.after_seconds > 0
            if fault is Fault.LIMITED:
                assert LIMITED_SECONDS <= error.after_seconds < LIMITED_SECONDS + 2, "the platform's own time to wait"
        assert stage.platform.secret is None or stage.platform.secret not in str(error)
        _, shown = await stage.send(message, Card.of("Again", "secondword"))
        assert "secondword" in text_of(shown)

    @pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name.lower())
    async def test_a_failed_send_is_not_tried_again_by_the_transport(self, stage: Stage, fault: Fault) -> None:
        """One request to send came in, not several."""
        _possible(stage, fault)
        message = await stage.said("/help")
        before = stage.platform.sends
        await _failed(stage, message, fault)
        await stage.a_moment()
        assert stage.platform.sends == before + 1

    async def test_it_says_how_it_is(self, stage: Stage) -> None:
        """Only of transports that report their health."""
        transport = stage.transport
        if not isinstance(transport, ReportsHealth):
            pytest.skip("it reports no health")
        await stage.said("/help")
        assert (await asyncio.wait_for(transport.probe(), PATIENCE_SECONDS)).strip()

    async def test_a_wrong_credential_is_one_line_that_names_the_variable(self, stage: Stage) -> None:
        """A person must act, so it is a StartupError; the credential itself is not in it."""
        platform = stage.platform
        if platform.credential is None:
            pytest.skip("it has no credential")
        await stage.close()
        platform.refuses_credential()
        opened = OpenedContext(platform.account, stage.clock, stage.opened.context.data_dir, platform.address)
        with pytest.raises(StartupError) as caught:
            await asyncio.wait_for(platform.open(opened.context).run(MemoryInbox()), PATIENCE_SECONDS)
        text = str(caught.value)
        assert platform.credential in text
        assert "\n" not in text
        assert platform.secret is None or platform.secret not in text
