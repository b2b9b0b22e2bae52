"""Puts what comes into a session on media time: a publisher's tracks, stored media, speech that a client streams."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from mytalk.media.face_source import FaceSource
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.picture import Picture, VideoFrame
from streamer.clock import SAMPLE_NS
from streamer.media.audio import CHUNK, CHUNK_TIME, OUTPUT_RATE, SpeechChunk, Stereo, mixed
from streamer.media.looped_speech import LoopedSpeech
from streamer.media.pacer import Pacer
from streamer.media.timeline import HOLD, PictureTimeline, SpeechTimeline, picture_offset
from streamer.media.video_delay import DubbedSpeech, HeldPictures
from streamer.protocol.generation import Cleared
from streamer.session.engine_link import EngineLink
from streamer.session.media_setup import MediaSetup
from streamer.webrtc.connection import Connection

TICK = CHUNK_TIME * SAMPLE_NS
"""20 ms, in nanoseconds."""


class Ingest:
    """Puts one session's sounds and pictures on media time, which is 0 at ``origin`` (ns), and hands them on.

    ``publisher`` None: the session has a face and a speech without one. ``dubbed``: speech that a client streams for
    pictures; None where the session's speech comes from elsewhere.
    """

    def __init__(
        self,
        setup: MediaSetup,
        *,
        origin: int,
        publisher: Connection | None,
        dubbed: DubbedSpeech | None,
        pacer: Pacer,
        link: EngineLink,
    ) -> None:
        self.speech = SpeechTimeline(origin)
        self._origin = origin
        self._pictures = PictureTimeline(origin)
        self._clock = setup.clock
        self._codecs = setup.codecs
        self._publisher = publisher
        self._dubbed = dubbed
        self._pacer, self._link = pacer, link
        self._face = setup.face
        self._stored_speech = setup.speech
        self._voice = setup.voice
        self._generation = setup.generation.number
        self._last: Picture | None = None
        self._held = HeldPictures(setup.video_delay) if setup.video_delay else None
        self._given = 0  # pictures to link and pacer
        self._position = 0  # chunks of a stored speech that were said or left out
        self._resumed = 0  # media time at which the last stall ended

    # --- for the session

    def start(self, group: asyncio.TaskGroup) -> None:
        """Takes in what no publisher sends, in tasks of ``group``, until they are cancelled."""
        if self._stored_speech is not None:
            group.create_task(self._speak(self._stored_speech))
        if self._dubbed is not None:
            group.create_task(self._dub(self._dubbed))
        if self._face is not None:
            group.create_task(self._show(self._face))

    def replace(self, publisher: Connection) -> None:
        """Takes another publisher in the place of one that has gone; its tracks count their own time."""
        self._publisher = publisher
        self.speech.restart()
        self._pictures.restart()

    def sound(self, samples: Stereo, *, pts: int, now: int, packet: bytes | None) -> None:
        """Takes a packet of the publisher's microphone, see :meth:`SpeechTimeline.accept`."""
        self._say(self.speech.accept(pts, samples, now, packet))

    def picture(self, picture: Picture, *, pts: int, time_base: Fraction, now: int) -> None:
        """Takes a picture of the publisher's camera."""
        at = self._pictures.place(pts, time_base, now)
        if at is not None:
            self._take(VideoFrame(picture, at, pts, time_base))

    def clear(self, cleared: Cleared) -> None:
        """Takes a barge-in: nothing is said that has come so far."""
        self._generation = cleared.generation
        self.speech.clear()
        if self._dubbed is not None:
            self._dubbed.clear()

    def advance(self, now: int) -> None:
        """Goes on to ``now``; to be called every tick. Media time goes on where a track stalls, pictures whose time
        has come are given on, and the sender's reports move the pictures to their speech."""
        if self._dubbed is None:
            self._say(self.speech.advance(now))
        media = (now - self._origin) // SAMPLE_NS
        if self._face is None and not self._given:
            self._link.no_picture_before(max(0, media - HOLD))
        if self._face is None and self._last is not None:
            while (at := self._pictures.hold(now, FRAME_SAMPLES)) is not None:
                self._take(VideoFrame(self._last, at, at, Fraction(1, SAMPLE_RATE)))
        for frame in self._held.due(media + 2 * CHUNK_TIME) if self._held is not None else ():
            self._give(frame)
        self._align()

    def skip_to(self, now: int) -> int:
        """Goes on at ``now`` after a stall, in one step: what was to come or to be said meanwhile is left out. A stored
        speech, a stored clip and utterances go on where they were. Returns the media time at which speech goes on."""
        left_out = self.speech.skip_to(now)
        self._position += left_out // CHUNK_TIME
        self._resumed = self.speech.at
        self._pictures.skip_to(self._resumed)
        if self._dubbed is not None:
            self._dubbed.skip(left_out // CHUNK_TIME * CHUNK)
        if self._held is not None:
            self._held.due(self._resumed)
        return self._resumed

    @property
    def left_out(self) -> dict[str, int]:
        """Counts the pictures that were not held, where pictures are."""
        return {"held_left_out": self._held.left_out} if self._held is not None else {}

    def stats(self) -> dict[str, int]:
        """Returns counts and milliseconds of the timelines."""
        return {
            "late_speech_ms": self.speech.late * 1000 // OUTPUT_RATE,
            "late_dub_ms": self._dubbed.late * 1000 // OUTPUT_RATE if self._dubbed is not None else 0,
            "pictures_held": len(self._held) if self._held is not None else 0,
            "filled_speech_ms": self.speech.filled * 1000 // OUTPUT_RATE,
            "stretched_speech_ms": self.speech.stretched * 1000 // OUTPUT_RATE,
        }

    # --- speech

    async def _speak(self, speech: LoopedSpeech) -> None:
        """Says a stored speech as a microphone would. A barge-in ends it; it begins again after its pause."""
        chunks, generation = speech.chunks(), self._generation
        while True:
            await self._clock.sleep_until(self._origin + (self._position + 1) * TICK)
            if generation != self._generation:
                chunks, generation = speech.chunks(from_pause=True), self._generation
            self._say(self.speech.accept(self._position * CHUNK, next(chunks), self._clock.now()))
            self._position += 1

    async def _dub(self, dubbed: DubbedSpeech) -> None:
        """Says what a client streams as it falls due, later where the loop was late; none of it is lost."""
        while True:
            await self._clock.sleep_until(self._origin + self.speech.at * SAMPLE_NS + TICK)
            samples = dubbed.take()
            if self._voice is not None:
                samples = mixed(samples, self._voice.take(self.speech.at))
            self._say([self.speech.append(samples)])

    def _say(self, chunks: list[SpeechChunk]) -> None:
        for chunk in chunks:
            self._pacer.sound(chunk)
            self._link.say(chunk)

    # --- pictures

    async def _show(self, source: FaceSource) -> None:
        """Shows a stored portrait or clip, paced by the session's clock."""
        frames, moved = source.frames(endless=True), 0
        while True:
            frame = next(frames) if source.still else await self._codecs.run(_next_frame, frames)
            moved = max(moved, self._resumed - frame.at)
            await self._clock.sleep_until(self._origin + (frame.at + moved) * SAMPLE_NS)
            self._take(replace(frame, at=frame.at + moved) if moved else frame)

    def _take(self, frame: VideoFrame) -> None:
        self._last = frame.picture
        if self._held is not None:
            self._held.add(frame)
        else:
            self._give(frame)

    def _give(self, frame: VideoFrame) -> None:
        self._given += 1
        self._pacer.expect(frame)
        self._link.show(frame)

    def _align(self) -> None:
        if self._publisher is None:
            return
        sound, pictures = self._publisher.sound_in, self._publisher.pictures_in
        if sound is None or pictures is None or sound.report is None or pictures.report is None:
            return
        if self.speech.offset is not None:
            self._pictures.align(picture_offset(sound.report, pictures.report, self.speech.offset))


def _next_frame(frames: Iterator[VideoFrame]) -> VideoFrame:
    return next(frames)
