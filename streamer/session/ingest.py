"""Puts what comes into a session on media time: a publisher's tracks, stored media, speech that a client streams."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np

from mytalk.appearance.backdrop import composed
from mytalk.media.face_source import FaceSource
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.picture import Picture, VideoFrame
from streamer.clock import SAMPLE_NS
from streamer.errors import ConflictError
from streamer.media.audio import CHUNK, CHUNK_TIME, OUTPUT_RATE, SpeechChunk, Stereo, mixed
from streamer.media.looped_speech import LoopedSpeech
from streamer.media.pacer import Pacer
from streamer.media.sender_report import picture_offset
from streamer.media.timeline import HOLD, PictureTimeline, SpeechTimeline
from streamer.media.video_delay import DubbedSpeech, HeldPictures
from streamer.protocol.generation import Cleared
from streamer.protocol.messages import FaceChanged
from streamer.session.camera_watch import LEFT_WAIT, CameraWatch
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
        self.camera = CameraWatch(setup.events)
        self._idles = setup.options.on_camera_left == "idle"
        self._origin = origin
        self._pictures = PictureTimeline(origin)
        self._clock = setup.clock
        self._codecs = setup.codecs
        self._publisher = publisher
        self._dubbed = dubbed
        self._pacer, self._link = pacer, link
        self._face = setup.face
        self._coming: FaceSource | None = None  # a face that is being brought in
        self._showing: dict[FaceSource, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None  # once it was started
        self._untouched: tuple[Picture, Picture] | None = None  # a picture with a matte, and as it is to be seen
        self._stored_speech = setup.speech
        self._voice = setup.voice
        self._generation = setup.generation.number
        self._last: Picture | None = None
        self._held = HeldPictures(setup.video_delay) if setup.video_delay else None
        self._given: Picture | None = None  # the newest that link and pacer got
        self._given_until: int | None = None  # its media time
        self._events = setup.events
        self._unseen = 0  # samples (48 kHz) of speech for pictures that were never filmed, not reported yet
        self._position = 0  # chunks of a stored speech that were said or left out
        self._resumed = 0  # media time at which the last stall ended

    # --- for the session

    def start(self, group: asyncio.TaskGroup) -> None:
        """Takes in what no publisher sends, in tasks of ``group``, until they are cancelled."""
        if self._stored_speech is not None:
            group.create_task(self._speak(self._stored_speech))
        if self._dubbed is not None:
            group.create_task(self._dub(self._dubbed))
        self._group = group
        if self._face is not None:
            self._showing[self._face] = group.create_task(self._show(self._face))

    def change_face(self, source: FaceSource) -> None:
        """Brings another stored face in; its pictures have the size of those before. Raises ``ConflictError`` while
        one is being brought in."""
        if self._coming is not None:
            raise ConflictError("another face is being brought in (wait for face.changed)")
        assert self._group is not None
        began = -(-((self._clock.now() - self._origin) // SAMPLE_NS) // FRAME_SAMPLES) * FRAME_SAMPLES
        if source is self._face:
            self._events.add_message(FaceChanged(began))
            return
        self._coming = source
        self._showing[source] = self._group.create_task(self._show(source, began))
        self._link.change_face(self._face_changed)

    def _face_changed(self, at: int) -> None:
        """Frees the face that has gone."""
        assert self._face is not None
        assert self._coming is not None
        self._showing.pop(self._face).cancel()
        self._face, self._coming = self._coming, None
        self._untouched = None
        self._events.add_message(FaceChanged(at))

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
        self.camera.picture(now)
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
        if self._face is None:
            self.camera.look(now, connected=self._is_connected)
            self._go_on_without(now)
        for frame in self._held.due(media + 2 * CHUNK_TIME) if self._held is not None else ():
            self._give(frame)
        if self._face is None and media - HOLD > (self._given_until or 0):
            self._link.no_picture_before(media - HOLD)
        self._align()

    def skip_to(self, now: int) -> int:
        """Goes on at ``now`` after a stall, in one step: what was to come or to be said meanwhile is left out. A stored
        speech, a stored clip and utterances go on where they were. Returns the media time at which speech goes on."""
        left_out = self.speech.skip_to(now)
        self._position += left_out // CHUNK_TIME
        self._resumed = self.speech.at
        self.camera.skip(now)
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
            samples = np.zeros((CHUNK, 2), np.int16) if self._is_away else next(chunks)
            self._say(self.speech.accept(self._position * CHUNK, samples, self._clock.now()))
            self._position += 1

    async def _dub(self, dubbed: DubbedSpeech) -> None:
        """Says what a client streams as it falls due, later where the loop was late; none of it is lost."""
        while True:
            await self._clock.sleep_until(self._origin + self.speech.at * SAMPLE_NS + TICK)
            if self._is_away:
                samples = np.zeros((CHUNK, 2), np.int16)
                self._leave_out(dubbed.leave_out())
            else:
                self._leave_out(0)
                samples = dubbed.take()
                if self._voice is not None:
                    samples = mixed(samples, self._voice.take(self.speech.at))
            self._say([self.speech.append(samples)])

    def _leave_out(self, samples: int) -> None:
        """Counts speech for pictures that were never filmed, and reports it: about every second, and at its end."""
        if self._unseen >= OUTPUT_RATE or (self._unseen and not samples):
            self._events.add("speech.late", dropped_ms=self._unseen * 1000 // OUTPUT_RATE)
            self._unseen = 0
        self._unseen += samples

    def _say(self, chunks: list[SpeechChunk]) -> None:
        away = self._is_away
        for chunk in chunks:
            if away:
                chunk = replace(chunk, away=True)
            self._pacer.sound(chunk)
            self._link.say(chunk)

    # --- pictures

    async def _show(self, source: FaceSource, began: int = 0) -> None:
        """Shows a stored portrait or clip from media time ``began`` on, paced by the session's clock."""
        frames, moved = source.frames(endless=True), began
        while True:
            frame = next(frames) if source.still else await self._codecs.run(_next_frame, frames)
            moved = max(moved, self._resumed - frame.at)
            await self._clock.sleep_until(self._origin + (frame.at + moved) * SAMPLE_NS)
            frame = replace(frame, at=frame.at + moved) if moved else frame
            if source is self._face:
                self._take(frame)
            else:
                self._link.show_coming(frame)

    @property
    def _is_connected(self) -> bool:
        return self._publisher is not None and not self._publisher.gone.is_set()

    @property
    def _has_microphone(self) -> bool:
        return self._publisher is not None and self._publisher.sound_in is not None and self._is_connected

    @property
    def _is_away(self) -> bool:
        """Whether the camera has left, its last picture has been given on, and nothing is to be heard meanwhile.
        A microphone beside a camera that is silent goes on."""
        if self._given_until is None or self._face is not None or self._idles:
            return False
        if self.speech.at - self._given_until <= LEFT_WAIT // SAMPLE_NS:
            return False
        return self._dubbed is not None or self._stored_speech is not None or not self._has_microphone

    def _go_on_without(self, now: int) -> None:
        """Has the last picture of a camera that left live on as a portrait, where that was asked for."""
        if not (self._idles and self.camera.left) or self._last is None:
            return
        while (at := self._pictures.stand_in(now, FRAME_SAMPLES)) is not None:
            self._take(VideoFrame(self._last, at, at, Fraction(1, SAMPLE_RATE)))

    def _take(self, frame: VideoFrame) -> None:
        self._last = frame.picture
        if self._held is not None:
            self._held.add(frame)
        else:
            self._give(frame)

    def _give(self, frame: VideoFrame) -> None:
        self._given_until = frame.at
        if self._idles:
            self._link.portray(frame.picture is self._given)
        self._given = frame.picture
        self._pacer.expect(frame if frame.picture.matte is None else replace(frame, picture=self._seen(frame.picture)))
        self._link.show(frame)

    def _seen(self, picture: Picture) -> Picture:
        """Returns a portrait as it is to be seen where the engine does not make it: composed once."""
        if self._untouched is None or self._untouched[0] is not picture:
            self._untouched = picture, composed(picture)
        return self._untouched[1]

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
