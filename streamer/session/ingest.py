"""What comes into a session, put on media time: the peer's tracks, stored media, and speech that a client streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from aiortc.mediastreams import MediaStreamError

from mytalk.media.face_source import FaceSource
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.picture import Picture, VideoFrame
from streamer.client_stream.utterances import UtteranceQueue
from streamer.clock import SAMPLE_NS, SECOND_NS, Clock
from streamer.executors import Pool
from streamer.media.audio import CHUNK, CHUNK_TIME, OUTPUT_RATE, SpeechChunk, mixed, stereo_of
from streamer.media.looped_speech import LoopedSpeech
from streamer.media.pacer import Pacer
from streamer.media.timeline import HOLD, PictureTimeline, SpeechTimeline, picture_offset
from streamer.media.video_delay import DubbedSpeech, HeldPictures
from streamer.protocol.generation import Cleared
from streamer.session.engine_link import EngineLink
from streamer.session.options import SessionOptions
from streamer.webrtc.aiortc_internals.receiver import InboundTrack
from streamer.webrtc.connection import Connection
from streamer.webrtc.encoded import VIDEO_RATE

SPEECH_AWAITED = SECOND_NS // 2
"""How long pictures wait at first for the speech that their publisher has announced; until then they are left out."""

TICK = CHUNK_TIME * SAMPLE_NS
"""20 ms, in nanoseconds."""

Begin = Callable[[int], tuple[Pacer, EngineLink]]
"""Media time 0 is at this moment (ns): what takes speech and pictures from there on."""


class Ingest:
    """One session's. ``face`` and ``speech`` None: the peer's own. ``peer`` None: a session that has both without one.

    ``began`` is set once, when the first packet of either track has come, or at the moment of connection where neither
    is to; ``origin`` and ``speech`` are there from then on. ``dubbed``: what a client says, for pictures or on arrival;
    None where the session's speech comes from elsewhere.
    """

    origin: int  # ns: media time 0
    speech: SpeechTimeline
    _group: asyncio.TaskGroup
    _pictures: PictureTimeline
    _pacer: Pacer
    _place: EngineLink

    def __init__(
        self,
        options: SessionOptions,
        clock: Clock,
        codecs: Pool,
        peer: Connection | None,
        face: FaceSource | None,
        speech: LoopedSpeech | None,
        voice: UtteranceQueue | None,
        begin: Begin,
    ) -> None:
        self.began = asyncio.Event()
        self._options = options
        self._clock = clock
        self._codecs = codecs
        self._peer = peer
        self._face = face
        self._stored_speech = speech
        self._voice = voice
        self._on_begin = begin
        self.generation = 0
        self._last: Picture | None = None
        delay = options.video_delay * SAMPLE_RATE // 1000
        self._held = HeldPictures(delay) if delay else None
        self.dubbed = DubbedSpeech(delay) if options.speech == "stream" else None
        self._given = 0  # pictures to seat and pacer

    # --- for the session

    def start(self, group: asyncio.TaskGroup) -> None:
        """Takes in what comes, in tasks of ``group``, until they are cancelled."""
        self._group = group
        if self._stored_speech is not None:
            group.create_task(self._speak(self._stored_speech))
        if self.dubbed is not None:
            group.create_task(self._dub(self.dubbed))
        if self._face is not None:
            group.create_task(self._show(self._face))
        self._receive_from(self._peer)

    def replace(self, peer: Connection) -> None:
        """Another publisher in the place of one that has gone; its tracks count their own time."""
        self._peer = peer
        if self.began.is_set():
            self.speech.restart()
            self._pictures.restart()
        self._receive_from(peer)

    def clear(self, cleared: Cleared) -> None:
        """Takes a barge-in: nothing is said that has come so far."""
        self.generation = cleared.generation
        self.speech.clear()
        if self.dubbed is not None:
            self.dubbed.clear()

    def advance(self, now: int) -> None:
        """To be called every tick: media time goes on where a track stalls, pictures whose time has come are given
        on, and the sender's reports move the pictures to their speech."""
        if self.dubbed is None:
            self._say(self.speech.advance(now))
        media = (now - self.origin) // SAMPLE_NS
        if self._face is None and not self._given:
            self._place.no_picture_before(max(0, media - HOLD))
        if self._face is None and self._last is not None:
            while (at := self._pictures.hold(now, FRAME_SAMPLES)) is not None:
                self._picture(VideoFrame(self._last, at, at, Fraction(1, SAMPLE_RATE)))
        for frame in self._held.due(media + 2 * CHUNK_TIME) if self._held is not None else ():
            self._give(frame)
        self._align()

    @property
    def left_out(self) -> dict[str, int]:
        """Pictures that were not held, where pictures are."""
        return {"held_left_out": self._held.left_out} if self._held is not None else {}

    def stats(self) -> dict[str, int]:
        """Counts and milliseconds for people, once it has begun."""
        return {
            "late_speech_ms": self.speech.late * 1000 // OUTPUT_RATE,
            "late_dub_ms": self.dubbed.late * 1000 // OUTPUT_RATE if self.dubbed is not None else 0,
            "pictures_held": len(self._held) if self._held is not None else 0,
            "filled_speech_ms": self.speech.filled * 1000 // OUTPUT_RATE,
            "stretched_speech_ms": self.speech.stretched * 1000 // OUTPUT_RATE,
        }

    def _begin(self, origin: int) -> None:
        """Media time 0 is ``origin``: the first packet of either track, or the moment of connection."""
        if self.began.is_set():
            return
        self.origin = origin
        self.speech = SpeechTimeline(origin)
        self._pictures = PictureTimeline(origin)
        self._pacer, self._place = self._on_begin(origin)
        self.began.set()

    # --- speech

    async def _hear(self, inbound: InboundTrack) -> None:
        """The peer's microphone."""
        while (frame := await _receive(inbound)) is not None:
            if not isinstance(frame, av.AudioFrame) or frame.pts is None:
                continue
            now = self._clock.now()
            samples = stereo_of(frame)
            self._begin(now - len(samples) * SECOND_NS // frame.sample_rate)
            self._say(self.speech.accept(frame.pts, samples, now, inbound.packet(frame.pts)))

    async def _speak(self, speech: LoopedSpeech) -> None:
        """A stored speech, as it would come from a microphone. A barge-in ends it; it begins again after its pause."""
        if self._peer is not None:
            await self._peer.connected.wait()
        self._begin(self._clock.now())
        chunks, generation, position = speech.chunks(), self.generation, 0
        while True:
            await self._clock.sleep_until(self.origin + (position + 1) * TICK)
            if generation != self.generation:
                chunks, generation = speech.chunks(from_pause=True), self.generation
            self._say(self.speech.accept(position * CHUNK, next(chunks), self._clock.now()))
            position += 1

    async def _dub(self, dubbed: DubbedSpeech) -> None:
        """What a client says, as it falls due: where the loop stood still it is late, and none of it is lost."""
        if self._peer is not None:
            await self._peer.connected.wait()
        self._begin(self._clock.now())
        while True:
            at = self.speech.at
            await self._clock.sleep_until(self.origin + at * SAMPLE_NS + TICK)
            samples = dubbed.take()
            if self._voice is not None:
                samples = mixed(samples, self._voice.take(at))
            self._say([self.speech.append(samples)])

    def _say(self, chunks: list[SpeechChunk]) -> None:
        for chunk in chunks:
            self._pacer.sound(chunk)
            self._place.say(chunk)

    # --- pictures

    async def _see(self, inbound: InboundTrack) -> None:
        """The peer's camera. Where a microphone is to come, media time begins with its first packet: speech keeps to a
        grid of 20 ms, and on another's it would wait for its next line."""
        waits = self._peer is not None and self._peer.sound_in is not None and self._options.speech == "live"
        until = None
        while (frame := await _receive(inbound)) is not None:
            if not isinstance(frame, av.VideoFrame) or frame.pts is None:
                continue
            now = self._clock.now()
            until = until or now + (SPEECH_AWAITED if waits else 0)
            if now < until and not self.began.is_set():
                continue
            self._begin(now)
            time_base = Fraction(frame.time_base or Fraction(1, VIDEO_RATE))
            at = self._pictures.place(frame.pts, time_base, now)
            if at is not None:
                self._picture(VideoFrame(Picture.from_av(frame), at, frame.pts, time_base))

    async def _show(self, source: FaceSource) -> None:
        """A stored portrait or clip, paced by the session's clock."""
        await self.began.wait()
        frames = source.frames(endless=True)
        while True:
            frame = next(frames) if source.still else await self._codecs.run(_next_frame, frames)
            await self._clock.sleep_until(self.origin + frame.at * SAMPLE_NS)
            self._picture(frame)

    def _picture(self, frame: VideoFrame) -> None:
        self._last = frame.picture
        if self._held is not None:
            self._held.add(frame)
        else:
            self._give(frame)

    def _give(self, frame: VideoFrame) -> None:
        self._given += 1
        self._pacer.expect(frame)
        self._place.show(frame)

    # --- the peer's tracks

    def _receive_from(self, peer: Connection | None) -> None:
        if peer is not None and peer.sound_in is not None and self._options.speech == "live":
            self._group.create_task(self._hear(peer.sound_in))
        if peer is not None and peer.pictures_in is not None and self._options.source == "live":
            self._group.create_task(self._see(peer.pictures_in))

    def _align(self) -> None:
        if self._peer is None:
            return
        sound, pictures = self._peer.sound_in, self._peer.pictures_in
        if sound is None or pictures is None or sound.report is None or pictures.report is None:
            return
        if self.speech.offset is not None:
            self._pictures.align(picture_offset(sound.report, pictures.report, self.speech.offset))


async def _receive(inbound: InboundTrack) -> object | None:
    """The next frame of a track, or None when it has ended."""
    try:
        return await inbound.track.recv()
    except MediaStreamError:
        return None


def _next_frame(frames: Iterator[VideoFrame]) -> VideoFrame:
    return next(frames)
