"""One session: media comes in, waits for its time, leaves. States: new -> live -> draining -> closed."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from typing import Literal

import av
from aiortc.mediastreams import MediaStreamError

from mytalk.errors import MyTalkError
from mytalk.media.face_source import FaceSource
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture, VideoFrame
from mytalk.presets import PROFILES
from streamer.clock import MILLISECOND_NS, SAMPLE_NS, SECOND_NS, Clock
from streamer.engine import Engine
from streamer.errors import ConflictError, UnknownSessionError
from streamer.options import SessionOptions
from streamer.pacer import Pacer
from streamer.receive import Inbound
from streamer.seat import LipSync, Models, Seat
from streamer.speech import CHUNK_TIME, Downsampler, SpeechChunk, stereo_of
from streamer.stored import LoopedSpeech
from streamer.timeline import HOLD, PictureTimeline, SpeechTimeline, picture_offset
from streamer.webrtc import VIDEO_RATE, Peer

log = logging.getLogger(__name__)

State = Literal["new", "live", "draining", "closed"]

OFFER_WAIT = 30 * SECOND_NS
"""A session without an offer ends after this long."""

CONNECT_WAIT = 15 * SECOND_NS
"""A session whose peer never connects ends after this long."""

SILENCE = 4 * SECOND_NS
"""A session whose peer sends no datagram at all ends after this long. A live peer sends reports every second."""

MARGIN = 100 * MILLISECOND_NS // SAMPLE_NS
"""Media time between a frame's motion being possible and the frame leaving: motion, pixels, and the wait for a turn."""

_TICK = CHUNK_TIME * SAMPLE_NS  # 20 ms
_WATCH = SECOND_NS // 2


class Session:
    """Made by :class:`streamer.sessions.Sessions`, which also runs it."""

    def __init__(
        self,
        options: SessionOptions,
        engine: Engine,
        clock: Clock,
        face: FaceSource | None = None,
        speech: LoopedSpeech | None = None,
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.token = secrets.token_urlsafe(32)
        self.options = options
        self.state: State = "new"
        self.reason = ""  # why it ended
        self.failure: MyTalkError | None = None  # why its pictures leave untouched
        self._engine = engine
        self._clock = clock
        self._face = face  # None: the peer's camera
        self._stored_speech = speech  # None: the peer's microphone
        self._claimed = False
        self._peer: Peer | None = None
        self._attached = asyncio.Event()
        self._ended = asyncio.Event()
        self._closed = asyncio.Event()
        self._began = asyncio.Event()
        self._born = clock.now()
        profile = PROFILES[options.profile]
        self._delay = (profile.hop + profile.lookahead) * FRAME_SAMPLES + MARGIN

    # --- for the server

    def claim(self) -> None:
        """Reserves the session for one offer. Raises ``ConflictError`` for a second one."""
        if self._claimed or self.state != "new":
            raise ConflictError("the session has its offer already (need one session a connection; make another)")
        self._claimed = True

    def release(self) -> None:
        """Takes back a claim whose offer could not be answered."""
        self._claimed = False

    def attach(self, peer: Peer) -> None:
        """Takes the answered peer; media flows as soon as it connects. ``UnknownSessionError``: it ended meanwhile."""
        if self._ended.is_set():
            raise UnknownSessionError("the session ended while its offer was answered (make another)")
        self._peer = peer
        self.state = "live"
        self._attached.set()

    async def end(self, reason: str) -> None:
        """Ends the session and returns when everything of it is freed."""
        self._end(reason)
        await self._closed.wait()

    def pictures(self) -> dict[str, int]:
        """Pictures so far, by what became of them."""
        if not self._began.is_set():
            return {}
        return {**asdict(self._pacer.counts), "dropped": self._seat.dropped}

    def stats(self) -> dict[str, object]:
        """Counts and milliseconds for people and for `/metrics`."""
        stats: dict[str, object] = {"age_ms": (self._clock.now() - self._born) // MILLISECOND_NS}
        if self._began.is_set():
            sounds, pictures = self._pacer.waiting
            stats |= {
                "delay_ms": self._pacer.delay * SAMPLE_NS // MILLISECOND_NS,
                "sounds_waiting": sounds,
                "pictures_waiting": pictures,
                "late_speech_ms": self._speech.late * 1000 // 48_000,
                "filled_speech_ms": self._speech.filled * 1000 // 48_000,
                "pictures": self.pictures(),
                "engine": self._seat.stats,
            }
        return stats

    async def run(self) -> None:
        """Lives the whole session; returns when it is closed. Raises nothing but ``CancelledError``."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._watch()), group.create_task(self._live())]
                await self._ended.wait()
                for task in tasks:
                    task.cancel()
        except* Exception as failures:
            self.reason = "a part of the session failed"
            log.exception("session %s failed", self.id[:6], exc_info=failures)
        finally:
            await self._free()

    # --- lifetime

    def _end(self, reason: str) -> None:
        if not self._ended.is_set():
            self.reason = reason
            self.state = "draining"
            self._ended.set()

    async def _free(self) -> None:
        self.state = "draining"
        self._ended.set()
        try:
            if self._began.is_set():
                self._seat.close()
            if self._peer is not None:
                await self._peer.close()
        finally:
            self.state = "closed"
            self._closed.set()

    async def _watch(self) -> None:
        """Ends the session when its peer is gone, whether or not it said goodbye."""
        heard, heard_at = 0, self._born
        while True:
            await self._clock.sleep_until(self._clock.now() + _WATCH)
            now = self._clock.now()
            peer = self._peer
            if peer is None:
                if now - self._born > OFFER_WAIT:
                    self._end("no offer came")
                heard_at = now
                continue
            datagrams = await peer.datagrams()
            if datagrams != heard:
                heard, heard_at = datagrams, now
            if peer.gone.is_set():
                self._end("the peer left")
            elif now - heard_at > (SILENCE if peer.connected.is_set() else CONNECT_WAIT):
                self._end("the peer fell silent" if peer.connected.is_set() else "the peer never connected")

    async def _live(self) -> None:
        await self._attached.wait()
        assert self._peer is not None
        peer = self._peer
        async with asyncio.TaskGroup() as group:
            group.create_task(self._end_with(peer))
            if self._stored_speech is not None:
                group.create_task(self._speak(peer, self._stored_speech))
            elif peer.sound_in is not None:
                group.create_task(self._hear(peer.sound_in))
            if self._face is not None:
                group.create_task(self._show(self._face))
            elif peer.pictures_in is not None:
                group.create_task(self._see(peer.pictures_in))
            await self._began.wait()
            group.create_task(self._tick(peer))
            group.create_task(self._release(peer))

    async def _end_with(self, peer: Peer) -> None:
        await peer.gone.wait()
        self._end("the peer left")

    def _begin(self, origin: int) -> None:
        """Media time 0 is ``origin``: the first packet of either track, or the moment of connection."""
        if self._began.is_set():
            return
        self._origin = origin
        self._speech = SpeechTimeline(origin)
        self._pictures = PictureTimeline(origin)
        self._pacer = Pacer(origin, self._delay)
        self._downsample = Downsampler()
        self._last: Picture | None = None
        self._seat: Seat = self._engine.seat(self._open_stream, self._finished, self._failed)
        self._began.set()

    def _open_stream(self, models: Models) -> LipSync:
        return models.stream(self.options.for_stream())

    # --- in

    async def _hear(self, inbound: Inbound) -> None:
        """The peer's microphone."""
        while (frame := await _receive(inbound)) is not None:
            if not isinstance(frame, av.AudioFrame) or frame.pts is None:
                continue
            now = self._clock.now()
            samples = stereo_of(frame)
            self._begin(now - len(samples) * SECOND_NS // frame.sample_rate)
            self._say(self._speech.accept(frame.pts, samples, now, inbound.packet(frame.pts)))

    async def _speak(self, peer: Peer, speech: LoopedSpeech) -> None:
        """A stored speech, as it would come from a microphone."""
        await peer.connected.wait()
        self._begin(self._clock.now())
        for position, samples in enumerate(speech.chunks()):
            await self._clock.sleep_until(self._origin + (position + 1) * _TICK)
            self._say(self._speech.accept(position * len(samples), samples, self._clock.now()))

    async def _see(self, inbound: Inbound) -> None:
        """The peer's camera."""
        while (frame := await _receive(inbound)) is not None:
            if not isinstance(frame, av.VideoFrame) or frame.pts is None:
                continue
            now = self._clock.now()
            self._begin(now)
            time_base = Fraction(frame.time_base or Fraction(1, VIDEO_RATE))
            at = self._pictures.place(frame.pts, time_base, now)
            if at is not None:
                self._picture(VideoFrame(Picture.from_av(frame), at, frame.pts, time_base))

    async def _show(self, source: FaceSource) -> None:
        """A stored portrait or clip, paced by the session's clock."""
        await self._began.wait()
        frames = source.frames(endless=True)
        while True:
            frame = next(frames) if source.still else await asyncio.to_thread(_next_frame, frames)
            await self._clock.sleep_until(self._origin + frame.at * SAMPLE_NS)
            self._picture(frame)

    async def _tick(self, peer: Peer) -> None:
        """Media time goes on where a track stalls; the sender's reports move the pictures to their speech."""
        while True:
            now = self._clock.now()
            self._say(self._speech.advance(now))
            if self._face is None and self._last is None:
                self._seat.no_picture_before(max(0, (now - self._origin) // SAMPLE_NS - HOLD))
            elif self._face is None and self._last is not None:
                while (at := self._pictures.hold(now, FRAME_SAMPLES)) is not None:
                    self._picture(VideoFrame(self._last, at, at, Fraction(1, 16_000)))
            self._align(peer)
            await self._clock.sleep_until(now + _TICK)

    def _align(self, peer: Peer) -> None:
        sound, pictures = peer.sound_in, peer.pictures_in
        if sound is None or pictures is None or sound.report is None or pictures.report is None:
            return
        if self._speech.offset is not None:
            self._pictures.align(picture_offset(sound.report, pictures.report, self._speech.offset))

    def _say(self, chunks: list[SpeechChunk]) -> None:
        for chunk in chunks:
            self._pacer.sound(chunk)
            self._seat.speech(self._downsample(chunk.samples))

    def _picture(self, frame: VideoFrame) -> None:
        self._last = frame.picture
        self._pacer.expect(frame)
        self._seat.picture(frame)

    # --- out

    def _finished(self, frame: VideoFrame) -> None:
        self._pacer.picture(frame, self._clock.now())

    def _failed(self, failure: MyTalkError) -> None:
        self.failure = failure
        log.error("session %s goes on with untouched pictures: %s", self.id[:6], failure)

    async def _release(self, peer: Peer) -> None:
        while True:
            now = self._clock.now()
            released = self._pacer.release(now)
            for chunk in released.sounds:
                peer.sound_out.push(chunk)
            for frame in released.pictures:
                peer.pictures_out.push(frame)
            due = self._pacer.next_due()
            await self._clock.sleep_until(now + _TICK if due is None else min(due, now + _TICK))


async def _receive(inbound: Inbound) -> object | None:
    """The next frame of a track, or None when it has ended."""
    try:
        return await inbound.track.recv()
    except MediaStreamError:
        return None


def _next_frame(frames: Iterator[VideoFrame]) -> VideoFrame:
    return next(frames)
