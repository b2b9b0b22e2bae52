"""aiortc's receiving side, bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from streamer.webrtc.aiortc_internals.queues import DecoderQueue, TrackQueue
from streamer.webrtc.aiortc_internals.receiver import SPEECH_DEPTH, InboundTrack, PictureBuffer, SpeechBuffer
from tests.streamer.support.peers import Viewer
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import LIMIT_S


def rtp(sequence: int, timestamp: int, marker: int = 0, data: bytes = b"x") -> RtpPacket:
    packet: Any = RtpPacket(sequence_number=sequence % 65536, timestamp=timestamp, marker=marker)
    packet._data = data
    return packet  # type: ignore[no-any-return]


def fed(buffer: SpeechBuffer | PictureBuffer, packets: list[RtpPacket]) -> list[int]:
    """Timestamps of the frames that come out, in order."""
    out = []
    for packet in packets:
        _, frame = buffer.add(packet)
        while frame is not None:
            out.append(frame.timestamp)
            frame = buffer.next_frame()
    return out


def test_speech_in_order_is_not_held() -> None:
    assert fed(SpeechBuffer(), [rtp(n, n) for n in range(100)]) == list(range(100))


def test_speech_after_a_missing_packet_is_held_for_two_packets() -> None:
    buffer = SpeechBuffer()
    out = [fed(buffer, [rtp(n, n)]) for n in (0, 1, 3, 4, 5, 6)]
    assert out == [[0], [1], [], [3, 4], [5], [6]]


def test_a_lost_packet_costs_no_delay_afterwards() -> None:
    buffer = SpeechBuffer()
    assert fed(buffer, [rtp(n, n) for n in range(100) if n not in (10, 40, 41)]) == [
        n for n in range(100) if n not in (10, 40, 41)
    ]


def test_after_five_seconds_of_loss_speech_is_as_late_as_before_at_once() -> None:
    """One packet in ten is lost, some in a row, among late ones; what comes then is not held, as before."""
    rng = np.random.default_rng(2)
    buffer, late = SpeechBuffer(), {}
    order = [n if not 250 <= n < 500 or rng.random() > 0.1 else None for n in range(800)]
    for n, came in enumerate(order):
        if came is not None:
            late |= {timestamp: n - timestamp for timestamp in fed(buffer, [rtp(came, came)])}
    assert max(late.values()) <= SPEECH_DEPTH + 3
    assert {late[n] for n in range(510, 790)} == {0}
    assert list(late) == sorted(late)


def test_packets_that_swapped_places_come_out_in_order() -> None:
    order = [0, 1, 3, 2, 4, 5, 7, 6, 8, 9, 10]
    assert fed(SpeechBuffer(), [rtp(n, n) for n in order]) == list(range(11))


@pytest.mark.parametrize("start", [65_530, 30_000])
def test_sequence_numbers_may_wrap_or_start_again(start: int) -> None:
    buffer = SpeechBuffer()
    first = fed(buffer, [rtp(start + n, n) for n in range(20)])
    again = fed(buffer, [rtp(100 + n, 1000 + n) for n in range(20)])
    assert first == list(range(20))
    assert again[-1] == 1019
    assert len(again) >= 16


def test_a_picture_is_whole_at_its_marker() -> None:
    buffer = PictureBuffer()
    packets = [rtp(3 * n + part, n, marker=part == 2) for n in range(10) for part in range(3)]
    assert fed(buffer, packets) == list(range(10))


def test_pictures_wait_for_a_missing_packet_and_then_all_come() -> None:
    buffer = PictureBuffer()
    packets = [rtp(n, n, marker=1) for n in range(10)]
    assert fed(buffer, [*packets[:3], *packets[4:]]) == [0, 1, 2]
    assert fed(buffer, [packets[3]]) == list(range(3, 10))


def test_padding_after_a_picture_is_no_picture() -> None:
    packets = [rtp(0, 0, marker=1), rtp(1, 0, data=b""), rtp(2, 0, data=b""), rtp(3, 1, marker=1), rtp(4, 2, marker=1)]
    assert fed(PictureBuffer(), packets) == [0, 1, 2]


def test_a_full_decoder_queue_loses_old_speech_and_asks_for_a_keyframe_of_video() -> None:
    asked: list[int] = []
    audio, video = DecoderQueue("audio", lambda: asked.append(1)), DecoderQueue("video", lambda: asked.append(2))
    for n in range(200):
        audio.put(("opus", JitterFrame(b"packet", n)))
        video.put(("vp8", JitterFrame(b"picture", n)))
    assert audio.get_nowait()[1].timestamp == 150
    assert video.qsize() <= 30
    assert set(asked) == {2}
    audio.put(None)
    assert [audio.get_nowait() for _ in range(audio.qsize())] == [None]


async def test_a_full_track_queue_keeps_the_newest() -> None:
    frames: Any = list(range(20))
    track = TrackQueue("video")
    for frame in frames:
        await track.put(frame)
    assert [await track.get() for _ in range(8)] == frames[-8:]
    assert track.dropped == 12


async def test_this_aiortc_has_the_names_that_are_replaced_and_its_reports_are_read() -> None:
    """Between two real peers: frames flow through the replaced parts, and both tracks' reports arrive."""
    sender, receiver = Viewer(Microphone(babble(1)), Camera()), RTCPeerConnection()
    inbound: dict[str, InboundTrack] = {}
    readers: list[asyncio.Task[None]] = []
    counts = {"audio": 0, "video": 0}

    async def read(track: Any) -> None:
        while True:
            await track.recv()
            counts[track.kind] += 1

    def on_track(track: Any) -> None:
        of = next(t.receiver for t in receiver.getTransceivers() if t.receiver.track is track)
        inbound[track.kind] = InboundTrack(of)
        readers.append(asyncio.create_task(read(track)))

    receiver.on("track", on_track)
    from aiortc import RTCSessionDescription

    await receiver.setRemoteDescription(RTCSessionDescription(sdp=await sender.offer(), type="offer"))
    await receiver.setLocalDescription(await receiver.createAnswer())
    await sender.take(receiver.localDescription.sdp)
    try:
        async with asyncio.timeout(LIMIT_S):
            while not all(i.report for i in inbound.values()) or len(inbound) < 2 or min(counts.values()) < 10:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        speech, picture = inbound["audio"].report, inbound["video"].report
        assert speech is not None
        assert picture is not None
        apart = speech.pts_at(picture.ntp) / 48_000 - picture.pts / 90_000
        assert abs(apart) < 0.25  # seconds; both tracks began together
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        await receiver.close()
        await sender.close()
