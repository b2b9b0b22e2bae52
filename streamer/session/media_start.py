"""Reads the tracks of whoever publishes to a session, and begins its media at the first packet."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import av

from mytalk.media.face_source import FaceSource
from streamer.clock import SECOND_NS
from streamer.errors import ConflictError
from streamer.media.audio import OUTPUT_RATE, Stereo, stereo_of
from streamer.media.video_delay import DubbedSpeech
from streamer.protocol.events import Event
from streamer.protocol.messages import FaceChanged, PlaybackFinished, Warning
from streamer.session.media_loop import MediaLoop
from streamer.session.media_setup import MediaSetup
from streamer.webrtc.aiortc_internals.decoders import CameraPicture
from streamer.webrtc.aiortc_internals.receiver import InboundTrack
from streamer.webrtc.connection import Connection
from streamer.webrtc.encoder_habits import ADVICE, Habit

log = logging.getLogger(__name__)

SPEECH_AWAITED = SECOND_NS // 2
"""How long pictures wait at first for the speech that their publisher has announced; until then they are left out."""

MOST_PUBLISHERS = 4
"""Publishers that wait for ``run`` to read them, which takes one turn of the event loop. More raise ``QueueFull``."""


class MediaStart:
    """Makes the :class:`MediaLoop` once, whole: at the first packet of either track, or as the publisher connects where
    it sends no speech. ``publisher`` None: the session has a face and a speech without one, and begins at once.

    ``loop`` is None until then.
    """

    def __init__(self, setup: MediaSetup, publisher: Connection | None) -> None:
        self.loop: MediaLoop | None = None
        self._setup = setup
        self._clock = setup.clock
        self._publisher = publisher
        self._next = asyncio.Queue[Connection](MOST_PUBLISHERS)
        self._begun = asyncio.Event()
        self._dubbed = DubbedSpeech(setup.video_delay) if setup.options.speech == "stream" else None

    async def run(self) -> None:
        """Reads tracks, and moves media once it has begun, until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            self._read(group, self._publisher)
            group.create_task(self._read_next(group))
            await self._begun.wait()
            assert self.loop is not None
            await self.loop.run()

    def replace(self, publisher: Connection) -> None:
        """Takes another publisher in the place of one that has gone; its tracks count their own time."""
        self._publisher = publisher
        if self.loop is not None:
            self.loop.replace(publisher)
        self._next.put_nowait(publisher)

    def change_face(self, source: FaceSource) -> None:
        """Shows another stored face: from the beginning where media has not begun, else as ``MediaLoop`` does."""
        if self.loop is not None:
            self.loop.change_face(source)
        else:
            self._setup = replace(self._setup, face=source)
            self._setup.events.add_message(FaceChanged(0))

    def clear(self) -> Event:
        """Barge-in, see :meth:`MediaLoop.clear`; before media begins, what waits to be said is dropped."""
        if self.loop is not None:
            return self.loop.clear()
        cleared, voice = self._setup.generation.clear(), self._setup.voice
        if self._dubbed is not None:
            self._dubbed.clear()
        finished = PlaybackFinished(0, False, cleared.generation) if voice is None else voice.clear(cleared)
        return self._setup.events.add_message(finished)

    def say(self, samples: Stereo, at: int | None = None) -> None:
        """Takes dubbed speech at 48 kHz, for the picture of media time ``at`` or to be played on arrival.

        What comes too late is dropped, and an event says how much. Raises ``TooLargeError``, and ``ConflictError``
        where the session's speech comes from elsewhere.
        """
        if self._dubbed is None:
            speech = self._setup.options.speech
            raise ConflictError(f"the session's speech is {speech} (need a session whose speech is stream)")
        if missed := self._dubbed.add(samples, at):
            self._setup.events.add("speech.late", dropped_ms=missed * 1000 // OUTPUT_RATE, pts=at)

    @property
    def speech_waiting_ms(self) -> int:
        """Speech for pictures that waits for them."""
        return self._dubbed.waiting * 1000 // OUTPUT_RATE if self._dubbed is not None else 0

    def _begin(self, origin: int) -> MediaLoop:
        """Media time 0 is ``origin`` (ns)."""
        if self.loop is None:
            self.loop = MediaLoop(self._setup, origin=origin, publisher=self._publisher, dubbed=self._dubbed)
            self._begun.set()
        return self.loop

    # --- publishers

    async def _read_next(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._read(group, await self._next.get())

    def _read(self, group: asyncio.TaskGroup, publisher: Connection | None) -> None:
        """Reads the tracks of one publisher that the session has a use for."""
        hears = self._setup.options.speech == "live"
        if not hears:
            group.create_task(self._begin_connected(publisher))
        if publisher is None:
            return
        sound = publisher.sound_in if hears else None
        if sound is not None:
            group.create_task(self._read_sound(sound))
        if publisher.pictures_in is not None and self._setup.options.source == "live":
            group.create_task(self._read_pictures(publisher.pictures_in, waits=sound is not None))

    async def _begin_connected(self, publisher: Connection | None) -> None:
        if publisher is not None:
            await publisher.connected.wait()
        self._begin(self._clock.now())

    async def _read_sound(self, inbound: InboundTrack) -> None:
        while (frame := await inbound.receive()) is not None:
            if not isinstance(frame, av.AudioFrame) or frame.pts is None:
                continue
            now = self._clock.now()
            samples = stereo_of(frame)
            loop = self._begin(now - len(samples) * SECOND_NS // frame.sample_rate)
            loop.sound(samples, pts=frame.pts, now=now, packet=inbound.packet(frame.pts))

    async def _read_pictures(self, inbound: InboundTrack, *, waits: bool) -> None:
        """Reads a camera. Where a microphone is to come (``waits``), media time begins with its first packet:
        speech keeps to a grid of 20 ms, and on another track's grid it would wait for its next line."""
        inbound.refused, inbound.encoder.noticed = self._leave_out, self._warn
        until = None
        while (frame := await inbound.receive()) is not None:
            if not isinstance(frame, CameraPicture):
                continue
            now = self._clock.now()
            until = until or now + (SPEECH_AWAITED if waits else 0)
            if self.loop is None and now < until:
                continue
            self._begin(now).picture(frame.picture, pts=frame.pts, time_base=frame.time_base, now=now)

    def _warn(self, habit: Habit) -> None:
        """Tells the client what to set in its encoder."""
        log.warning("the publisher's encoder: %s", ADVICE[habit])
        self._setup.events.add_message(Warning(habit, ADVICE[habit]))

    def _leave_out(self, reason: str) -> None:
        """Tells the client why its camera is not seen."""
        self._setup.events.add("error", code="camera", message=reason, fatal=False)
