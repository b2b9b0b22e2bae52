"""A session's life by a clock that only the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from streamer.clock import SECOND_NS, FakeClock, SystemClock
from streamer.engine.engine import Engine
from streamer.errors import ConflictError, UnknownSessionError
from streamer.executors import Executors
from streamer.session.encoder_faults import MOST_FAULTS
from streamer.session.idle_timeout import IDLE_WAIT
from streamer.session.options import SessionOptions
from streamer.session.server_parts import ServerParts
from streamer.session.session import Session
from streamer.telemetry.metrics import skew_histogram
from streamer.webrtc.encoder_faults import EncoderFaults
from streamer.webrtc.liveness import CONNECT_WAIT, SILENCE
from streamer.webrtc.peer import Peer
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.peers import SilentPeer
from tests.streamer.support.waiting import LIMIT_S


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(FakeModels, SystemClock())
    await engine.start()
    yield engine
    await engine.close()


class Life:
    """A running session, its clock and its peer."""

    def __init__(self, engine: Engine) -> None:
        self.clock = FakeClock()
        parts = ServerParts(engine=engine, clock=self.clock, executors=Executors(), skew=skew_histogram())
        self.session = Session(SessionOptions(), parts)
        self.peer = SilentPeer()
        self.task = asyncio.create_task(self.session.run())

    async def attach(self, *, connected: bool) -> None:
        self.session.claim()
        self.session.attach(cast(Peer, self.peer))
        if connected:
            self.peer.connected.set()
        await self.clock.advance(SECOND_NS)

    async def pass_time(self, nanoseconds: int, packets: int = 0) -> None:
        """Moves time on by half seconds, each with ``packets`` packets."""
        for _ in range(nanoseconds // (SECOND_NS // 2)):
            self.peer.count += packets
            await self.clock.advance(SECOND_NS // 2)


async def test_states_follow_one_another(engine: Engine) -> None:
    life = Life(engine)
    assert life.session.state == "new"
    await life.attach(connected=True)
    assert life.session.state == "live"
    ending = asyncio.create_task(life.session.end("a test says so"))
    await asyncio.sleep(0)
    assert life.session.state == "draining"
    await ending
    await life.task
    assert (life.session.state, life.session.reason, life.peer.closed) == ("closed", "a test says so", True)


async def test_no_offer_in_time_ends_it(engine: Engine) -> None:
    life = Life(engine)
    await life.pass_time(IDLE_WAIT)
    assert life.session.state == "new"
    await life.pass_time(SECOND_NS)
    await life.task
    assert life.session.reason == "no offer came"


async def test_a_peer_that_never_connects_ends_it(engine: Engine) -> None:
    life = Life(engine)
    await life.attach(connected=False)
    await life.pass_time(CONNECT_WAIT - 2 * SECOND_NS)
    assert life.session.state == "live"
    await life.pass_time(4 * SECOND_NS)
    await life.task
    assert life.session.reason == "the peer never connected"


async def test_a_peer_that_falls_silent_ends_it_within_five_seconds(engine: Engine) -> None:
    life = Life(engine)
    await life.attach(connected=True)
    await life.pass_time(3600 * SECOND_NS // 10, packets=1)
    assert life.session.state == "live"
    await life.pass_time(SILENCE - SECOND_NS)
    assert life.session.state == "live"
    await life.pass_time(2 * SECOND_NS)
    await life.task
    assert life.session.reason == "the peer fell silent"
    assert SILENCE + SECOND_NS <= 5 * SECOND_NS


def fail(faults: EncoderFaults, encoder: str, times: int) -> None:
    for _ in range(times):
        faults.add(encoder)


async def test_frames_that_cannot_be_encoded_are_reported_and_end_it_where_none_can(engine: Engine) -> None:
    life = Life(engine)
    await life.attach(connected=True)
    fail(life.session.broadcast.faults, "vp8", 3)
    life.session.broadcast.faults.end_row("vp8")
    await life.pass_time(2 * SECOND_NS, packets=1)
    assert life.session.state == "live"
    assert [event["code"] for event in life.session.events.to_json()] == ["encoder"]
    fail(life.session.broadcast.faults, "vp8", MOST_FAULTS - 1)
    await life.pass_time(SECOND_NS, packets=1)
    assert life.session.state == "live"
    fail(life.session.broadcast.faults, "vp8", 1)
    life.session.broadcast.faults.end_row("h264")  # another codec's encoder works
    await life.pass_time(SECOND_NS, packets=1)
    await life.task
    assert life.session.reason == "its frames cannot be encoded"


async def test_a_peer_that_says_goodbye_ends_it_at_once(engine: Engine) -> None:
    life = Life(engine)
    await life.attach(connected=True)
    life.peer.gone.set()
    await asyncio.wait_for(life.task, LIMIT_S)
    assert life.session.reason == "the peer left"


async def test_one_offer_a_session_unless_it_could_not_be_answered(engine: Engine) -> None:
    life = Life(engine)
    life.session.claim()
    with pytest.raises(ConflictError):
        life.session.claim()
    life.session.release()
    await life.attach(connected=True)
    with pytest.raises(ConflictError):
        life.session.claim()
    await life.session.end("done")
    with pytest.raises(UnknownSessionError):
        life.session.attach(cast(Peer, life.peer))
    await life.task


async def test_a_part_that_fails_ends_the_session_and_frees_it(engine: Engine, caplog: Any) -> None:
    life = Life(engine)
    await life.attach(connected=True)

    async def broken() -> int:
        raise RuntimeError("the transport is gone")

    life.peer.datagrams = broken  # type: ignore[method-assign]
    await life.pass_time(SECOND_NS)
    await asyncio.wait_for(life.task, LIMIT_S)
    assert (life.session.state, life.peer.closed) == ("closed", True)
    assert "transport is gone" in caplog.text


async def test_cancelling_a_session_frees_it_too(engine: Engine) -> None:
    life = Life(engine)
    await life.attach(connected=True)
    life.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life.task
    assert (life.session.state, life.peer.closed) == ("closed", True)
