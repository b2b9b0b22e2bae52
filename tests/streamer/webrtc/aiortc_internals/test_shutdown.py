"""Connections end, whatever their peers send and whatever has failed in them."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc.rtp import RtcpByePacket

from streamer.executors import Pool
from streamer.webrtc import connection as connections
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.connection import Connection
from streamer.webrtc.peer import Peer
from streamer.webrtc.sdp_offer import read_offer
from streamer.webrtc.viewer import Viewer as OurViewer
from tests.streamer.support.offers import GOOD
from tests.streamer.support.peers import Viewer
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import LIMIT_S, eventually


class Publisher:
    """A peer that sends camera and microphone, and our end of its connection; what comes is counted."""

    def __init__(self, ours: Connection | None = None) -> None:
        self.peer = Viewer(Microphone(babble(5)), Camera())
        self.ours = ours or Connection()
        self.came = {"sound": 0, "pictures": 0}
        self._readers: list[asyncio.Task[None]] = []

    async def connect(self) -> None:
        await self.peer.take(await self.ours.answer(read_offer(await self.peer.offer())))
        for name, inbound in (("sound", self.ours.sound_in), ("pictures", self.ours.pictures_in)):
            self._readers.append(asyncio.create_task(self._read(name, inbound)))
        await self.more()

    async def _read(self, name: str, inbound: Any) -> None:
        while await inbound.receive() is not None:
            self.came[name] += 1

    async def more(self) -> None:
        """Returns when five more of each have come."""
        before = dict(self.came)
        await eventually(lambda: all(self.came[name] >= count + 5 for name, count in before.items()))

    @property
    def receivers(self) -> list[Any]:
        return [transceiver.receiver for transceiver in self.ours._connection.getTransceivers()]

    @property
    def sockets(self) -> list[Any]:
        [ice] = {receiver.transport.transport._connection for receiver in self.receivers}
        return [protocol.transport for protocol in ice._protocols]

    async def close(self) -> None:
        await self.ours.close()
        await self.peer.close()
        await asyncio.gather(*self._readers)


@asynccontextmanager
async def publisher() -> AsyncIterator[Publisher]:
    one = Publisher()
    try:
        await one.connect()
        yield one
    finally:
        await one.close()


def decoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.endswith("-decoder")]


async def test_a_bye_ends_nothing_while_media_goes_on() -> None:
    async with publisher() as one:
        for receiver in one.receivers:
            await receiver._handle_rtcp_packet(RtcpByePacket(sources=[1]))
        await one.more()


async def test_a_connection_ends_though_its_report_task_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CLOSE_TIMEOUT", 0.2)
    before = decoders()
    async with publisher() as one:
        for receiver in one.receivers:  # as where it cannot write its report: ``close`` waits for a word from it
            receiver._RTCRtpReceiver__rtcp_task.cancel()
            await receiver._RTCRtpReceiver__rtcp_exited.wait()
            receiver._RTCRtpReceiver__rtcp_exited = asyncio.Event()
        sockets = one.sockets
        assert sockets
        async with asyncio.timeout(LIMIT_S):
            await one.ours.close()
        assert all(socket.is_closing() for socket in sockets)
        assert decoders() == before
        assert one.ours._connection._RTCPeerConnection__isClosed.done()  # type: ignore[attr-defined]


async def test_a_connection_whose_close_raises_ends_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    before = decoders()
    async with publisher() as one:

        async def broken() -> None:
            raise RuntimeError("it cannot")

        one.receivers[0].stop = broken
        sockets = one.sockets
        await one.ours.close()
        assert all(socket.is_closing() for socket in sockets)
        assert decoders() == before


async def test_a_decoder_at_work_does_not_hold_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiortc joins its decoder's thread on the event loop; here that thread is at a picture that does not end."""
    at_work, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        at_work.set()
        go_on.wait(LIMIT_S)

    async with publisher() as one:
        assert one.ours.pictures_in is not None
        monkeypatch.setattr("streamer.webrtc.aiortc_internals.decoders.refusal", slow)
        await eventually(at_work.is_set)
        closing = asyncio.create_task(one.ours.close())
        await eventually(lambda: one.ours._connection.connectionState == "closed")
        assert not closing.done()
        monkeypatch.undo()
        go_on.set()
        await closing


def parts_of(connection: Any) -> list[weakref.ref[Any]]:
    """What one of our connections is made of, libraries' objects included."""
    transceivers = connection._connection.getTransceivers()
    ends = [end for one in transceivers for end in (one, one.sender, one.receiver)]
    dtls = {one.receiver.transport for one in transceivers}
    ice = [one.transport for one in dtls]
    aioice = [one._connection for one in ice]
    sockets = [protocol for one in aioice for protocol in one._protocols]
    parts = [connection, connection._connection, *ends, *dtls, *ice, *aioice, *sockets]
    return [weakref.ref(part) for part in parts]


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """Leaves objects to their reference counts alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("kind", ["publisher", "peer"])
async def test_a_connection_that_closed_is_freed_without_the_collector(kind: str) -> None:
    pool = Pool("codec", 1, 1)
    one = Publisher(Connection() if kind == "publisher" else Peer(Broadcast(pool)))
    await one.connect()
    parts = parts_of(one.ours)
    await one.close()
    del one
    await eventually(lambda: [part() for part in parts if part() is not None] == [])
    pool.close()


@pytest.mark.usefixtures("_no_collector")
async def test_a_viewer_that_closed_is_freed_without_the_collector() -> None:
    pool = Pool("codec", 1, 1)
    ours, theirs = OurViewer(Broadcast(pool)), Viewer(receive=("audio", "video"))
    await theirs.take(await ours.answer(read_offer(await theirs.offer())))
    await eventually(ours.connected.is_set)
    parts = parts_of(ours)
    assert len(parts) > 10
    came = await ours.datagrams()
    await ours.close()
    assert await ours.datagrams() == came > 0
    assert ours.packets == 0
    await theirs.close()
    del ours
    await eventually(lambda: [part() for part in parts if part() is not None] == [])
    pool.close()


async def closed_while_it_waits() -> list[weakref.ref[Any]]:
    """Closes a connection whose peer never comes; returns its parts."""
    ours = Connection()
    await ours.answer(read_offer(GOOD))
    [guard] = ours._guards
    await eventually(lambda: bool(guard.connecting))
    parts = parts_of(ours)
    await ours.close()
    assert not guard.connecting
    return parts


@pytest.mark.usefixtures("_no_collector")
async def test_a_connection_that_closes_before_its_peer_comes_is_freed_too() -> None:
    parts = await closed_while_it_waits()
    await eventually(lambda: [part() for part in parts if part() is not None] == [])


@pytest.mark.usefixtures("_no_collector")
async def test_connections_that_close_while_they_connect_leave_nothing_at_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """aiortc goes on connecting after its ``close``, and starts senders that nothing stops."""
    pool, parts = Pool("codec", 1, 1), []
    for turns in range(0, 120, 12):  # of the event loop, which are few until they are connected
        ours, theirs = OurViewer(Broadcast(pool)), Viewer(receive=("audio", "video"))
        await theirs.take(await ours.answer(read_offer(await theirs.offer())))
        for _ in range(turns):
            await asyncio.sleep(0)
        parts += parts_of(ours)
        await ours.close()
        await theirs.close()
    del ours
    await eventually(lambda: [part() for part in parts if part() is not None] == [])
    assert [record for record in caplog.records if record.name == "asyncio"] == []
    pool.close()


async def test_an_answer_that_is_cancelled_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice forgets the sockets that it has opened, where it is cancelled before all are open."""
    loop = asyncio.get_running_loop()
    open_endpoint, opened, go_on, sockets = loop.create_datagram_endpoint, asyncio.Event(), asyncio.Event(), []

    async def slow(*arguments: Any, **options: Any) -> Any:
        transport, protocol = await open_endpoint(*arguments, **options)
        sockets.append(transport)
        opened.set()
        await go_on.wait()
        return transport, protocol

    monkeypatch.setattr(loop, "create_datagram_endpoint", slow)
    ours = Connection()
    answering = asyncio.create_task(ours.answer(read_offer(GOOD)))
    await opened.wait()
    answering.cancel()
    loop.call_soon(go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await answering
    await ours.close()
    assert [socket for socket in sockets if not socket.is_closing()] == []
