"""A session's media once it has begun: in by the ingest, through the engine, out by the pacer."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from fractions import Fraction

from mytalk.errors import MyTalkError
from mytalk.media.face_source import FaceSource
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture
from mytalk.presets import PROFILES
from streamer.clock import MILLISECOND_NS, SAMPLE_NS
from streamer.engine.overload import Rung
from streamer.media.audio import Stereo
from streamer.media.pacer import Pacer
from streamer.media.video_delay import DubbedSpeech
from streamer.protocol.events import Event
from streamer.protocol.generation import Cleared
from streamer.session.camera_watch import CameraStatus
from streamer.session.engine_link import EngineLink
from streamer.session.ingest import TICK, Ingest
from streamer.session.media_setup import MediaSetup
from streamer.session.stall import StallDetector
from streamer.webrtc.connection import Connection

log = logging.getLogger(__name__)

MARGINS = {name: ms * MILLISECOND_NS // SAMPLE_NS for name, ms in (("low", 100), ("balanced", 140), ("quality", 140))}
"""Media time between a frame's motion being possible and the frame leaving: the face, motion, pixels, and the wait for
a turn."""

STILL_MARGIN = MARGINS["low"]
"""Margin of a portrait in any profile: its face is found once, which saves 40 ms. Where it is too little, the pacer
finds out as for any other (:class:`~streamer.media.pacer.Pacer`)."""


class MediaLoop:
    """Moves one session's media from its first packet, at ``origin`` (ns, media time 0), to its end.

    ``publisher`` None: the session has a face and a speech without one. ``dubbed``: speech that a client streams for
    pictures; None where the session's speech comes from elsewhere.

    Nothing that was said in an older generation is heard or seen: what waits on the event loop is dropped as ``clear``
    is called, and what the engine's threads have under way when it arrives here.
    """

    def __init__(
        self, setup: MediaSetup, *, origin: int, publisher: Connection | None, dubbed: DubbedSpeech | None
    ) -> None:
        self._clock = setup.clock
        self._events = setup.events
        self._generation = setup.generation
        self._sinks = setup.sinks
        self._voice = setup.voice
        self._stalls = StallDetector(setup.clock.now())
        self._said_from = 0  # media time at which the speech of this generation begins
        profile = PROFILES[setup.options.profile]
        is_still = setup.face is not None and setup.face.still
        margin = STILL_MARGIN if is_still else MARGINS[setup.options.profile]
        delay = (profile.hop + profile.lookahead) * FRAME_SAMPLES + margin
        self._pacer = Pacer(origin, delay, setup.skew)
        self._link = EngineLink(setup, self._pacer)
        self._ingest = Ingest(
            setup, origin=origin, publisher=publisher, dubbed=dubbed, pacer=self._pacer, link=self._link
        )

    # --- for the session

    async def run(self) -> None:
        """Moves media until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            self._ingest.start(group)
            group.create_task(self._tick())
            group.create_task(self._release())
            group.create_task(self._link.run())

    def replace(self, publisher: Connection) -> None:
        """Takes another publisher in the place of one that has gone; its tracks count their own time."""
        self._ingest.replace(publisher)

    def change_face(self, source: FaceSource) -> None:
        """Brings another stored face in, see :meth:`Ingest.change_face`."""
        self._ingest.change_face(source)

    def sound(self, samples: Stereo, *, pts: int, now: int, packet: bytes | None) -> None:
        """Takes a packet of the publisher's microphone: its samples at 48 kHz, and the packet itself."""
        self._end_stall(now)
        self._ingest.sound(samples, pts=pts, now=now, packet=packet)

    def picture(self, picture: Picture, *, pts: int, time_base: Fraction, now: int) -> None:
        """Takes a picture of the publisher's camera."""
        self._end_stall(now)
        self._ingest.picture(picture, pts=pts, time_base=time_base, now=now)

    def clear(self) -> Event:
        """Drops all speech so far (barge-in): none of it is heard or seen any more, and the mouth comes to rest.

        The event says how much of the speech since the last barge-in was heard, in samples at 16 kHz.
        """
        position = max(0, self._pacer.played - self._said_from)
        interrupted = self._ingest.speech.at > self._said_from
        cleared = self._generation.clear(speech_from=self._ingest.speech.at, pictures_from=self._pacer.unshown_from)
        self._said_from = cleared.speech_from
        self._ingest.clear(cleared)
        self._pacer.clear()
        for sink in self._sinks:
            sink.clear(cleared)
        self._link.clear(cleared)
        return self._finished(cleared, position, interrupted=interrupted)

    def _finished(self, cleared: Cleared, position: int, *, interrupted: bool) -> Event:
        """Reports how far speech was heard: of the utterance, where there was one."""
        if self._voice is not None and (finished := self._voice.clear(cleared)).utterance is not None:
            return self._events.add_message(finished)
        return self._events.add(
            "playback.finished", position=position, interrupted=interrupted, generation=cleared.generation
        )

    def rest(self) -> None:
        """Renders nothing, because no one sees it, and frees the slot at the engine. Media time goes on."""
        self._link.rest()

    def wake(self) -> None:
        """Renders again."""
        self._link.wake()

    @property
    def resting(self) -> bool:
        """Says whether it rests."""
        return self._link.resting

    @property
    def camera(self) -> CameraStatus:
        """Says how the publisher's camera stands."""
        return self._ingest.camera.status

    @property
    def rung(self) -> Rung:
        """Says what it has given up under overload."""
        return self._link.rung

    @property
    def failure(self) -> MyTalkError | None:
        """Says why its pictures leave untouched."""
        return self._link.failure

    @property
    def next_change(self) -> int:
        """Returns the media time from which a change of controls fades in."""
        return self._link.next_change

    def close(self) -> None:
        """Gives the slot at the engine back."""
        self._link.close()

    def pictures(self) -> dict[str, int]:
        """Counts pictures so far, by what became of them."""
        return {**asdict(self._pacer.counts), **self._link.counts, **self._ingest.left_out}

    def queues(self) -> dict[str, int]:
        """Counts items that wait, by where."""
        sounds, pictures = self._pacer.waiting
        return {"paced_sounds": sounds, "paced_pictures": pictures, **self._link.waiting}

    def stats(self) -> dict[str, object]:
        """Returns counts and milliseconds for people and for `/metrics`."""
        sounds, pictures = self._pacer.waiting
        return {
            "rung": self.rung.name.lower(),
            "resting": self.resting,
            "lag_ms": self._link.lag * SAMPLE_NS // MILLISECOND_NS,
            "delay_ms": self._pacer.delay * SAMPLE_NS // MILLISECOND_NS,
            "sounds_waiting": sounds,
            "pictures_waiting": pictures,
            **self._ingest.stats(),
            "pictures": self.pictures(),
            "camera": self.camera,
            "face": self._link.face_status,
            "engine": self._link.stats,
        }

    # --- its tasks

    async def _tick(self) -> None:
        while True:
            now = self._clock.now()
            self._end_stall(now)
            self._ingest.advance(now)
            self._link.watch(now)
            await self._clock.sleep_until(now + TICK)

    def _end_stall(self, now: int) -> None:
        """Drops what is stale where the process stood still before ``now``, and goes on, in one step."""
        if stalled := self._stalls.stalled(now):
            log.warning(
                "the process stood still for %d ms: what was due meanwhile is dropped", stalled // MILLISECOND_NS
            )
            self._pacer.skip_to(now)
            self._link.skip_to(self._ingest.skip_to(now), now)

    async def _release(self) -> None:
        while True:
            now = self._clock.now()
            self._end_stall(now)
            released = self._pacer.release(now)
            for sink in self._sinks:
                for chunk in released.sounds:
                    sink.sound(chunk)
                for frame in released.pictures:
                    sink.picture(frame)
            if self._voice is not None:
                for event in self._voice.playback(self._pacer.played):
                    self._events.add_message(event)
            due = self._pacer.next_due()
            await self._clock.sleep_until(now + TICK if due is None else min(due, now + TICK))
