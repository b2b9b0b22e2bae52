"""Bounds what aiortc 1.16.0 leaves unbounded on the receiving side, and reads what it does not publish.

- aiortc puts the layers of a simulcast into one jitter buffer: here one layer is passed on.
- aiortc's audio jitter buffer holds 80 ms, and 280 ms for good after one lost packet: here only what comes after a
  missing packet is held, 40 ms at most.
- aiortc's video jitter buffer waits for the next frame before it hands one on: here the RTP marker ends a frame.
- aiortc's decoder and track queues grow without limit: here they are bounded. So is the size of pictures
  (:mod:`streamer.webrtc.aiortc_internals.decoders`).
- aiortc does not hand on the packets that it decodes: here speech can go out again as the very packets that came in.
- aiortc's tracks start at pts 0, each at its own first packet: here the sender's reports are read too (RFC 3550,
  6.4.1).
- aiortc ends a track for good at an RTCP BYE, and joins its thread on the event loop: here a BYE ends nothing (a sender
  may go on, RFC 3550, 6.3.7; one that has gone is noticed by its silence), and the thread ends by itself.
"""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from collections.abc import Callable
from typing import Any

from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.codecs import is_rtx
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtcpSrPacket, RtpPacket
from aiortc.utils import uint16_add

from streamer.media.sender_report import SenderReport
from streamer.webrtc.aiortc_internals import decoders
from streamer.webrtc.aiortc_internals.decoders import Decoded
from streamer.webrtc.aiortc_internals.nacks import BoundedNacks
from streamer.webrtc.aiortc_internals.queues import DecoderQueue, TrackQueue
from streamer.webrtc.aiortc_internals.timestamps import Timestamps
from streamer.webrtc.encoder_habits import EncoderHabits, Habit
from streamer.webrtc.simulcast import BestLayer

SPEECH_DEPTH = 2
"""Packets (20 ms each) after a missing one that wait for it."""

_PREFIX = "_RTCRtpReceiver__"
_CAPACITY = {"audio": 64, "video": 512}  # packets that a jitter buffer can hold
_RATE = {"audio": 48_000, "video": 90_000}  # timestamps a second
_NO_FORMAT = 128  # a payload type that no packet has: they are of 7 bits
_REORDER = {"audio": 0, "video": 90_000}  # timestamps that a packet may go back: 1 s of B-frames


class SpeechBuffer(JitterBuffer):
    """Puts audio packets in order. What is in order leaves at once: the pacer's delay is all the buffer that it needs.

    A lost packet costs its own 20 ms and no delay afterwards.
    """

    def __init__(self) -> None:
        super().__init__(capacity=_CAPACITY["audio"])
        self._origin: Any  # int, once a packet has come
        self._newest: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        if self._newest is None or uint16_add(packet.sequence_number, -self._newest) < 0x8000:
            self._newest = packet.sequence_number
        return super().add(packet)

    def next_frame(self) -> JitterFrame | None:
        """Takes the next packet's frame; steps over a missing one once :data:`SPEECH_DEPTH` later ones are due."""
        return None if self._newest is None else self._remove_frame(self._newest)

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        known = 0 if self._newest is None else uint16_add(self._newest + 1, -self._origin)
        if known > self.capacity:
            self._newest, known = sequence_number, 1  # the sender began a new sequence
        for later in reversed(range(known)):
            packet: Any = self._packets[self._origin % self.capacity]
            if packet is None and later < SPEECH_DEPTH:
                return None
            self.remove(1)
            if packet is not None:
                return JitterFrame(data=packet._data, timestamp=packet.timestamp)
        return None


class PictureBuffer(JitterBuffer):
    """Puts video packets in order and ends a frame at its marker bit (RFC 7741, 4.1; RFC 6184, 5.1)."""

    def __init__(self) -> None:
        super().__init__(capacity=_CAPACITY["video"], is_video=True)
        self._origin: Any  # int, once a packet has come

    def next_frame(self) -> JitterFrame | None:
        """Takes the next whole frame, if all of its packets are there."""
        return self._remove_frame(0)

    def restart(self) -> None:
        """Forgets what it holds: the next packet begins another sequence."""
        self.remove(self.capacity)
        self._origin = None

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        parts: list[Any] = []
        while len(parts) < self.capacity:
            packet = self._packets[(self._origin + len(parts)) % self.capacity]
            if packet is None:
                return None
            if parts and packet.timestamp != parts[0].timestamp:  # padding, or a sender that sets no marker
                frame = self._take(parts)
                if frame.data:
                    return frame
                parts = []
                continue
            parts.append(packet)
            if packet.marker:
                return self._take(parts)
        return None

    def _take(self, parts: list[Any]) -> JitterFrame:
        self.remove(len(parts))
        return JitterFrame(data=b"".join(part._data for part in parts), timestamp=parts[0].timestamp)


class EncoderWatch:
    """Calls ``noticed`` on the event loop with how a sender's encoder is set, where that makes its pictures late.

    ``asked``: set while a keyframe is asked for.
    """

    def __init__(self, asked: threading.Event) -> None:
        self.noticed: Callable[[Habit], None] = _nothing
        self._asked = asked
        self._habits = EncoderHabits()

    def restart(self) -> None:
        """Begins with what another encoder sends."""
        self._habits = EncoderHabits()

    def add(self, item: Any) -> None:
        """Takes what comes: a codec, and a frame with its timestamp."""
        codec, frame = item
        key = decoders.is_keyframe(codec.name, frame.data)
        habit = self._habits.frame(frame.timestamp, key=key, asked=self._asked.is_set())
        if habit is not None:
            self.noticed(habit)


class InboundTrack:
    """Bounds one receiver and keeps its sender's newest report. Make it before the first packet comes.

    ``refused`` is called with the reason, on the event loop, when its pictures begin to be left out. ``encoder``
    watches how its sender encodes. ``layered``: its sender sends several sizes at once.
    """

    def __init__(self, receiver: RTCRtpReceiver, *, layered: bool = False) -> None:
        self.report: SenderReport | None = None
        self.track: MediaStreamTrack = receiver.track
        self.refused: Callable[[str], None] = _nothing
        self._refusal = ""  # the reason that was given last
        self._receiver = receiver
        self._kind: str = receiver.track.kind
        decode_error: threading.Event = self._private("decoder_error")
        self.encoder = EncoderWatch(decode_error)
        self.decoder_queue = DecoderQueue(self._kind, decode_error.set, self.encoder.add)
        self.track_queue = TrackQueue(self._kind)
        self._buffer = SpeechBuffer() if self._kind == "audio" else PictureBuffer()
        self._timestamps = Timestamps(_REORDER[self._kind])
        self._thread: threading.Thread | None = None
        self._layers = BestLayer() if layered else None
        self._layer: int | None = None  # the SSRC of the last packet that was passed on
        self._passed = 0.0  # time.monotonic() of that packet
        loop = asyncio.get_running_loop()

        def deliver(decoded: Decoded) -> None:
            loop.call_soon_threadsafe(self.track_queue.add, decoded)

        def refused(reason: str) -> None:
            loop.call_soon_threadsafe(self._refuse, reason)

        decoding = decoders.DecoderLoop(self.decoder_queue, deliver, decode_error.set, refused)
        self._replace(self._receiver, _PREFIX + "jitter_buffer", self._buffer)
        self._replace(self._receiver, _PREFIX + "timestamp_mapper", self._timestamps)
        if self._kind == "video":
            self._replace(self._receiver, _PREFIX + "nack_generator", BoundedNacks(decode_error.set))
        self._replace(self._receiver, _PREFIX + "decoder_queue", decoding)
        self._replace(self.track, "_queue", self.track_queue)
        self._handle_rtp, self._handle_rtcp = receiver._handle_rtp_packet, receiver._handle_rtcp_packet
        self._start = receiver.receive
        self._replace(self._receiver, "_handle_rtp_packet", self._on_rtp)
        self._replace(self._receiver, "_handle_rtcp_packet", self._on_rtcp)
        self._replace(self._receiver, "receive", self._receive)

    async def receive(self) -> Decoded | None:
        """Waits for the next picture or 20 ms of speech; None where the track has ended."""
        try:
            decoded: Any = await self.track.recv()
        except MediaStreamError:
            return None
        return decoded  # type: ignore[no-any-return]

    async def ended(self, seconds: float) -> bool:
        """Waits so long for the decoder's thread to end. Call it when the receiver was stopped."""
        if self._thread is None:
            return True
        await asyncio.to_thread(self._thread.join, seconds)
        return not self._thread.is_alive()

    @property
    def dropped(self) -> int:
        """Frames lost to a full queue."""
        return self.decoder_queue.dropped + self.track_queue.dropped

    def packet(self, pts: int) -> bytes | None:
        """Takes the packet that the speech at ``pts`` was decoded from; a second call gives None."""
        return self.decoder_queue.packets.pop(pts, None)

    async def _on_rtp(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if self._layers is None:
            await self._take(packet, arrival_time_ms)
            return
        now = time.monotonic()
        counted = copy.copy(packet)
        counted.payload_type = _NO_FORMAT  # aiortc estimates the bitrate from it, and goes no further
        await self._handle_rtp(counted, arrival_time_ms)
        packet.extensions.abs_send_time = None
        for one in self._layers.add(packet, now):
            if self._layer not in (None, one.ssrc):
                self._begin_layer(now - self._passed)
            self._layer, self._passed = one.ssrc, now
            await self._take(one, arrival_time_ms)

    def _begin_layer(self, gap: float) -> None:
        """Goes on with another layer, whose numbers and timestamps are its own, ``gap`` seconds after the last one."""
        assert isinstance(self._buffer, PictureBuffer)
        self._buffer.restart()
        self._timestamps.jump(round(gap * _RATE["video"]))
        self._replace(self._receiver, _PREFIX + "nack_generator", BoundedNacks(self._private("decoder_error").set))
        self.encoder.restart()
        self.decoder_queue.needs_keyframe = True
        self._private("decoder_error").set()  # asks for one

    async def _take(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        await self._handle_rtp(packet, arrival_time_ms)
        codec = self._private("codecs").get(packet.payload_type)
        if codec is None or self._private("decoder_thread") is None or self._buffer._origin is None:
            return
        if is_rtx(codec):
            codec = self._private("codecs")[codec.parameters["apt"]]
        while (frame := self._buffer.next_frame()) is not None:  # aiortc takes one; a filled hole may release more
            frame.timestamp = self._timestamps.map(frame.timestamp)
            self.decoder_queue.put((codec, frame))

    async def _on_rtcp(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpByePacket):
            return
        of_another = self._layers is not None and getattr(packet, "ssrc", None) != self._layer
        if isinstance(packet, RtcpSrPacket) and packet.sender_info.ntp_timestamp and not of_another:
            pts = self._timestamps.near(packet.sender_info.rtp_timestamp)
            if pts is not None:
                self.report = SenderReport(packet.sender_info.ntp_timestamp, pts, _RATE[self._kind])
        await self._handle_rtcp(packet)

    async def _receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Starts the decoder's thread, and leaves aiortc nothing to join."""
        await self._start(parameters)
        thread = self._private("decoder_thread")
        if isinstance(thread, threading.Thread):
            self._thread = thread
            self._replace(self._receiver, _PREFIX + "decoder_thread", _Unjoined())

    def _refuse(self, reason: str) -> None:
        if reason != self._refusal:
            self._refusal = reason
            self.refused(reason)

    def _private(self, name: str) -> Any:
        return getattr(self._receiver, _PREFIX + name)

    def _replace(self, of: object, name: str, value: object) -> None:
        if not hasattr(of, name):
            raise AttributeError(f"aiortc's {type(of).__name__} has no {name} any more (need aiortc 1.16.0)")
        setattr(of, name, value)


def receive_nothing(receiver: RTCRtpReceiver) -> None:
    """Takes the bandwidth estimator from a receiver that no media comes to: its 1001 objects are two thirds of what a
    viewer adds to the garbage collector's work, which holds the event loop."""
    name = _PREFIX + "remote_bitrate_estimator"
    if not hasattr(receiver, name):
        raise AttributeError(f"aiortc's receiver has no {name} any more (need aiortc 1.16.0)")
    setattr(receiver, name, None)


class _Unjoined:
    """Stands where aiortc has a decoder's thread, which it joins on the event loop."""

    def join(self) -> None:
        """Returns at once: the thread ends when the picture that it decodes is done."""


def _nothing(*_: object) -> None:
    """Does nothing: the callback was not set."""
