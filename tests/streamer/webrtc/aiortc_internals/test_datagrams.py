"""Datagrams of strangers and of peers: what is malformed, foreign or too much is counted, and nothing raises."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aioice import Candidate
from aioice.ice import CandidatePair
from aioice.stun import Class, Message, Method
from aiortc import RTCIceGatherer, RTCIceTransport
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.webrtc import refusals
from streamer.webrtc.aiortc_internals.datagrams import (
    CHECK_BURST,
    ERROR_BURST,
    MOST_ADDRESSES,
    MOST_WAITING,
    DatagramGuard,
)
from streamer.webrtc.rate_limit import RateLimit
from streamer.webrtc.refusals import Refusals

PEER, STRANGER = ("198.51.100.7", 5000), ("203.0.113.9", 6000)
RTP = b"\x80" + bytes(40)


def stun(*attributes: bytes, kind: int = 1) -> bytes:
    body = b"".join(attributes)
    return struct.pack("!HHI12s", kind, len(body), 0x2112A442, os.urandom(12)) + body


SHORT_PRIORITY = struct.pack("!HH", 0x0024, 2) + bytes(4)
"""An attribute of 4 bytes that says it has 2: 28 bytes of STUN that a parser stumbles over."""


class Socket:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Any]] = []

    def sendto(self, data: bytes, addr: Any) -> None:
        self.sent.append((data, addr))


class Guarded:
    """One ICE transport whose socket is in memory; ``PEER`` is the address that its peer has named."""

    def __init__(self, transport: RTCIceTransport) -> None:
        self.refusals = Refusals()
        self.transport = transport
        self.connection: Any = transport._connection
        DatagramGuard(transport, self.refusals)
        self.socket = Socket()

    async def open(self) -> None:
        await self.transport.iceGatherer.gather()
        self.protocol: Any = self.connection._protocols[0]
        self.protocol.transport, self.real = self.socket, self.protocol.transport
        await self.connection.add_remote_candidate(Candidate("1", 1, "udp", 1, *PEER, "host"))

    async def close(self) -> None:
        self.protocol.transport = self.real
        await self.transport.stop()

    def receive(self, *data: bytes, addr: tuple[str, int] = PEER) -> None:
        for one in data:
            self.protocol.datagram_received(one, addr)

    @property
    def waiting(self) -> int:
        return int(self.connection._queue.qsize())


@pytest.fixture
async def guarded() -> AsyncIterator[Guarded]:
    guarded = Guarded(RTCIceTransport(RTCIceGatherer(iceServers=[])))
    await guarded.open()
    yield guarded
    await guarded.close()


async def test_malformed_stun_is_counted_and_said_once(guarded: Guarded, caplog: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(refusals, "_lines", RateLimit(1e-9, 1))
    for _ in range(50):
        guarded.receive(stun(SHORT_PRIORITY), stun(b"\x00\x06\x00\x02\xff\xff\0\0"), b"", stun()[:-1], addr=STRANGER)
    assert guarded.refusals.counts == {"malformed": 200}
    assert guarded.waiting == 0
    assert len(caplog.records) == 1


async def test_media_comes_from_the_peer_alone(guarded: Guarded) -> None:
    guarded.receive(RTP, RTP, addr=STRANGER)
    assert (guarded.waiting, guarded.refusals.counts) == (0, {"stranger": 2})
    guarded.receive(RTP)
    assert guarded.waiting == 1


async def test_media_that_looks_like_stun_behind_its_first_byte_arrives(guarded: Guarded) -> None:
    alike = b"\x80\x60" + stun(SHORT_PRIORITY)[2:]  # a sequence number that equals the length of the rest
    guarded.receive(alike)
    assert (guarded.waiting, guarded.refusals.counts) == (1, {})


async def test_datagrams_that_nobody_reads_wait_up_to_a_bound(guarded: Guarded) -> None:
    guarded.receive(*[RTP] * (MOST_WAITING + 100))
    assert (guarded.waiting, guarded.refusals.counts) == (MOST_WAITING, {"full": 100})


async def test_a_full_queue_lets_others_run(guarded: Guarded) -> None:
    guarded.connection._nominated[1] = CandidatePair(guarded.protocol, guarded.connection._remote_candidates[0])
    guarded.receive(*[RTP] * 320)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    for _ in range(320):
        await guarded.transport._recv()
    task.cancel()
    assert turns >= 19


async def test_addresses_that_a_peer_shows_are_bounded(guarded: Guarded) -> None:
    check = Message(Method.BINDING, Class.REQUEST, attributes={"PRIORITY": 1, "USERNAME": "a:b"})
    for port in range(2000, 2000 + 3 * MOST_ADDRESSES):
        guarded.connection.check_incoming(check, (PEER[0], port), guarded.protocol)
    assert len(guarded.connection._remote_candidates) == MOST_ADDRESSES
    assert len(guarded.connection._check_list) <= 2 * MOST_ADDRESSES
    assert guarded.refusals.counts["candidate"] == 2 * MOST_ADDRESSES + 1


async def test_checks_of_addresses_that_do_not_answer_are_paced(guarded: Guarded) -> None:
    request = Message(Method.BINDING, Class.REQUEST)
    for number in range(3 * CHECK_BURST):
        guarded.protocol.send_stun(request, (PEER[0], 2000 + number))
    assert len(guarded.socket.sent) in (CHECK_BURST, CHECK_BURST + 1)  # one more where the loop took 50 ms
    [pair] = [pair for pair in guarded.connection._check_list if pair.remote_addr == PEER][:1]
    pair.state = CandidatePair.State.SUCCEEDED
    before = len(guarded.socket.sent)
    for _ in range(CHECK_BURST):
        guarded.protocol.send_stun(request, PEER)
    assert len(guarded.socket.sent) == before + CHECK_BURST


async def test_requests_without_credentials_draw_few_answers(guarded: Guarded) -> None:
    guarded.receive(*(stun() for _ in range(10 * ERROR_BURST)), addr=STRANGER)
    assert ERROR_BURST <= len(guarded.socket.sent) <= ERROR_BURST + 3
    assert guarded.refusals.counts["error"] >= 9 * ERROR_BURST - 3


ATTRIBUTE = st.builds(
    lambda kind, size, body: struct.pack("!HH", kind, size) + body,
    st.sampled_from([1, 6, 8, 9, 0x20, 0x24, 0x25, 0x8028, 0x8029, 0x802A, 0x8022]),
    st.integers(0, 40),
    st.binary(max_size=40),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=64), st.lists(ATTRIBUTE, max_size=4).map(lambda parts: stun(*parts))))
async def test_no_datagram_raises(guarded: Guarded, data: bytes) -> None:
    guarded.receive(data, addr=STRANGER)
    assert guarded.waiting == 0
