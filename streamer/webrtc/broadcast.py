"""Encodes a session's media once, for the peer of a call and any number of viewers. A sink of the pacer.

Each picture is encoded once for every codec that somebody watches in, and speech once, or not at all where it can leave
as the packets it came in. Nobody watching costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import VideoFrame
from streamer.clock import ntp_now
from streamer.executors import Pool
from streamer.media.audio import OUTPUT_RATE, SpeechChunk
from streamer.protocol.generation import Cleared
from streamer.webrtc.bitrate import common_rate
from streamer.webrtc.encoded import Encoded
from streamer.webrtc.encoder_faults import EncoderFaults
from streamer.webrtc.speech_encoder import SpeechEncoder
from streamer.webrtc.video_encoder import H264, Vp8, encoder_of

KEYFRAME_PAUSE = SAMPLE_RATE // 4
"""Media time between two keyframes at least, however many viewers ask."""

_SPEECH = "opus"  # the speech encoder's name among the faults
_RATE_PAUSE = 2 * SAMPLE_RATE  # media time between two changes of the bitrate
_SOUND_BOUND = 50  # chunks: 1 s. Full (the thread is stuck): the oldest is dropped and counted.
_PICTURE_BOUND = 4  # pictures. Full (encoding takes longer than a frame): the oldest is dropped and counted.


class Audience(Protocol):
    """Takes encoded media: the peer of a call, a WHEP viewer, a recorder, a stream's client."""

    codec: str | None  # as ``encoder_of`` takes it; None: only listens

    @property
    def rate(self) -> int:
        """Bits a second of video that this member can take."""

    def sound(self, encoded: Encoded) -> None:
        """Takes 20 ms of Opus."""

    def picture(self, encoded: Encoded) -> None:
        """Takes one picture in the member's codec. The first may not be a keyframe: one follows soon."""


class Broadcast:
    """Encodes what it is given for its audience. ``run`` is a task of the session; ``join`` and ``leave`` may be called
    at any time.
    """

    def __init__(self, codecs: Pool) -> None:
        self.dropped = 0  # items lost to a full queue
        self.encoded = 0  # pictures, over all codecs
        self.faults = EncoderFaults()
        self.audience: list[Audience] = []
        self._codecs = codecs
        self._encoders: dict[str, H264 | Vp8] = {}
        self._wanted: set[str] = set()  # codecs in which a keyframe was asked for
        self._last_key: dict[str, int] = {}  # codec -> media time
        self._last_rate = 0
        self._speech: SpeechEncoder | None = None
        self._sounds: deque[tuple[SpeechChunk, int]] = deque()
        self._pictures: deque[tuple[VideoFrame, int]] = deque()
        self._sound_waits, self._picture_waits = asyncio.Event(), asyncio.Event()

    @property
    def waiting(self) -> int:
        """Items that wait to be encoded."""
        return len(self._sounds) + len(self._pictures)

    # --- the audience

    @property
    def codecs(self) -> list[str]:
        """Codecs in use, the one with most viewers first: another viewer in one of them costs no encode."""
        watched = [member.codec for member in self.audience if member.codec is not None]
        return sorted(set(watched), key=watched.count, reverse=True)

    def join(self, member: Audience) -> None:
        """Gives ``member`` what leaves from now on; its first picture is a keyframe."""
        self.audience.append(member)
        self.refresh(member)

    def leave(self, member: Audience) -> None:
        """Gives ``member`` nothing more. An encoder that nobody needs any longer is freed."""
        if member in self.audience:
            self.audience.remove(member)
        for codec in self._encoders.keys() - set(self.codecs):
            del self._encoders[codec]
            self.faults.end_row(codec)
        if not self.audience:
            self._speech = None
            self.faults.end_row(_SPEECH)
            self._sounds.clear()
            self._pictures.clear()

    def refresh(self, member: Audience) -> None:
        """Makes a keyframe for ``member``, soon."""
        if member.codec is not None:
            self._wanted.add(member.codec)

    # --- as a sink

    def sound(self, chunk: SpeechChunk) -> None:
        """Takes the next 20 ms of speech."""
        if self.audience:
            self._sounds.append((chunk, ntp_now()))
            self.dropped += _bounded(self._sounds, _SOUND_BOUND)
            self._sound_waits.set()

    def picture(self, frame: VideoFrame) -> None:
        """Takes the next picture."""
        if self.codecs:
            self._pictures.append((frame, ntp_now()))
            self.dropped += _bounded(self._pictures, _PICTURE_BOUND)
            self._picture_waits.set()

    def clear(self, cleared: Cleared) -> None:
        """Barge-in: silence for the sounds that wait, and none of the pictures."""
        self._sounds = deque((chunk.silenced(), ntp) for chunk, ntp in self._sounds)
        self._pictures.clear()

    # --- encoding

    async def run(self) -> None:
        """Encodes until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._encode_sounds())
            group.create_task(self._encode_pictures())

    async def _encode_sounds(self) -> None:
        while True:
            while not self._sounds:
                self._sound_waits.clear()
                await self._sound_waits.wait()
            chunk, ntp = self._sounds.popleft()
            packet = chunk.packet if chunk.packet is not None else await self._opus(chunk)
            if packet is not None:
                timestamp = chunk.at * (OUTPUT_RATE // SAMPLE_RATE)
                encoded = Encoded(packet, [packet], chunk.at, timestamp, ntp)
                for member in self.audience:
                    member.sound(encoded)

    async def _opus(self, chunk: SpeechChunk) -> bytes | None:
        self._speech = encoder = self._speech or SpeechEncoder()
        try:
            packet = await self._codecs.run(encoder.encode, chunk)
        except Exception:
            self.faults.add(_SPEECH)
            return None
        self.faults.end_row(_SPEECH)
        return packet

    async def _encode_pictures(self) -> None:
        while True:
            while not self._pictures:
                self._picture_waits.clear()
                await self._picture_waits.wait()
            frame, ntp = self._pictures.popleft()
            self._set_rates(frame.at)
            for codec in self.codecs:
                if codec not in self._encoders:
                    self._encoders[codec] = encoder_of(codec)
            async with asyncio.TaskGroup() as group:
                for codec, encoder in self._encoders.items():
                    group.create_task(self._encode(codec, encoder, frame, ntp))

    async def _encode(self, codec: str, encoder: H264 | Vp8, frame: VideoFrame, ntp: int) -> None:
        key = codec in self._wanted and frame.at - self._last_key.get(codec, -KEYFRAME_PAUSE) >= KEYFRAME_PAUSE
        try:
            encoded = await self._codecs.run(encoder.encode, frame, ntp, keyframe=key)
        except Exception:
            self.faults.add(codec)
            return
        self.faults.end_row(codec)
        if encoded is None:
            return
        self.encoded += 1
        if encoded.key:
            self._wanted.discard(codec)
            self._last_key[codec] = frame.at
        for member in self.audience:
            if member.codec == codec:
                member.picture(encoded)

    def _set_rates(self, now: int) -> None:
        if now - self._last_rate < _RATE_PAUSE:
            return
        self._last_rate = now
        for codec, encoder in self._encoders.items():
            encoder.bitrate = common_rate(member.rate for member in self.audience if member.codec == codec)


def _bounded(queue: deque[Any], bound: int) -> int:
    if len(queue) <= bound:
        return 0
    queue.popleft()
    return 1
