"""A connected session's media: in by the ingest, through the engine, out by the pacer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from prometheus_client import Histogram

from mytalk.errors import MyTalkError
from mytalk.media.face_source import FaceSource
from mytalk.media_time import FRAME_SAMPLES
from mytalk.presets import PROFILES
from streamer.client_stream.utterances import UtteranceQueue
from streamer.clock import MILLISECOND_NS, SAMPLE_NS, Clock
from streamer.engine.engine import Engine
from streamer.engine.overload import Rung
from streamer.errors import ConflictError
from streamer.executors import Pool
from streamer.media.audio import OUTPUT_RATE, Stereo
from streamer.media.looped_speech import LoopedSpeech
from streamer.media.pacer import Pacer
from streamer.media.sink import Sink
from streamer.protocol.events import Event, Events
from streamer.protocol.generation import Cleared, Generation
from streamer.session.controls import LiveControls
from streamer.session.engine_link import EngineLink
from streamer.session.ingest import TICK, Ingest
from streamer.session.options import SessionOptions
from streamer.webrtc.connection import Connection

MARGINS = {name: ms * MILLISECOND_NS // SAMPLE_NS for name, ms in (("low", 100), ("balanced", 140), ("quality", 140))}
"""Media time between a frame's motion being possible and the frame leaving: motion, pixels, and the wait for a turn."""


class MediaLoop:
    """One session's media from its connection to its end. ``face`` and ``speech`` None: the peer's own.

    ``peer`` None: a session that has both without a publisher; media begins at once. ``sinks`` get what leaves.
    ``voice``: what a client streams. ``name``: the session's id, for the log.

    Nothing that was said in an older generation is heard or seen: what waits on the event loop is dropped as ``clear``
    is called, and what the engine's threads have under way when it arrives here.
    """

    # From when media began:
    _place: EngineLink
    _said_from: int  # media time at which the speech of this generation begins
    _pacer: Pacer

    def __init__(
        self,
        *,
        options: SessionOptions,
        controls: LiveControls,
        engine: Engine,
        clock: Clock,
        codecs: Pool,
        skew: Histogram,
        peer: Connection | None,
        sinks: Sequence[Sink],
        events: Events,
        generation: Generation,
        face: FaceSource | None = None,
        speech: LoopedSpeech | None = None,
        voice: UtteranceQueue | None = None,
        name: str = "",
    ) -> None:
        self._generation = generation
        self._options = options
        self._controls = controls
        self._engine = engine
        self._clock = clock
        self._skew = skew
        self._sinks = sinks
        self._events = events
        self._voice = voice
        self._name = name
        self._ingest = Ingest(options, clock, codecs, peer, face, speech, voice, self._begin)
        profile = PROFILES[options.profile]
        self._delay = (profile.hop + profile.lookahead) * FRAME_SAMPLES + MARGINS[options.profile]

    # --- for the session

    async def run(self) -> None:
        """Moves media until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            self._ingest.start(group)
            await self._ingest.began.wait()
            group.create_task(self._tick())
            group.create_task(self._release())
            group.create_task(self._place.run())

    def replace(self, peer: Connection) -> None:
        """Another publisher in the place of one that has gone; its tracks count their own time."""
        self._ingest.replace(peer)

    def clear(self) -> Event:
        """Barge-in: nothing said so far is heard or seen any more; the mouth comes to rest. New speech goes on at once.

        The event says how much of the speech since the last barge-in was heard, in samples at 16 kHz.
        """
        if not self._ingest.began.is_set():
            return self._tell(self._generation.clear(), 0, interrupted=False)
        position = max(0, self._pacer.played - self._said_from)
        interrupted = self._ingest.speech.at > self._said_from
        cleared = self._generation.clear(speech_from=self._ingest.speech.at, pictures_from=self._pacer.unshown_from)
        self._said_from = cleared.speech_from
        self._ingest.clear(cleared)
        self._pacer.clear()
        for sink in self._sinks:
            sink.clear(cleared)
        self._place.clear(cleared)
        return self._tell(cleared, position, interrupted=interrupted)

    def _tell(self, cleared: Cleared, position: int, *, interrupted: bool) -> Event:
        if self._voice is not None and (told := self._voice.clear(cleared)).utterance is not None:
            return self._events.add_message(told)
        return self._events.add(
            "playback.finished", position=position, interrupted=interrupted, generation=cleared.generation
        )

    def say(self, samples: Stereo, at: int | None = None) -> None:
        """Takes dubbed speech at 48 kHz, for the picture of media time ``at`` or to be played on arrival.

        What comes too late is dropped, and an event says how much. Raises ``TooLargeError``, and ``ConflictError``
        where the session's speech comes from elsewhere.
        """
        if self._ingest.dubbed is None:
            raise ConflictError(
                f"the session's speech is {self._options.speech} (need a session whose speech is stream)"
            )
        if missed := self._ingest.dubbed.add(samples, at):
            self._events.add("speech.late", dropped_ms=missed * 1000 // OUTPUT_RATE, pts=at)

    def rest(self) -> None:
        """Nobody is there: nothing is rendered, and the place at the engine is free for others. Media time goes on."""
        if self._ingest.began.is_set():
            self._place.rest()

    def wake(self) -> None:
        """Somebody is there again."""
        if self._ingest.began.is_set():
            self._place.wake()

    @property
    def resting(self) -> bool:
        """Whether it rests."""
        return self._ingest.began.is_set() and self._place.resting

    @property
    def rung(self) -> Rung:
        """What it has given up under overload."""
        return self._place.rung if self._ingest.began.is_set() else Rung.FULL

    @property
    def failure(self) -> MyTalkError | None:
        """Why its pictures leave untouched."""
        return self._place.failure if self._ingest.began.is_set() else None

    def close(self) -> None:
        """Gives the place at the engine back."""
        if self._ingest.began.is_set():
            self._place.close()

    def pictures(self) -> dict[str, int]:
        """Pictures so far, by what became of them."""
        if not self._ingest.began.is_set():
            return {}
        return {**asdict(self._pacer.counts), **self._place.counts, **self._ingest.left_out}

    def queues(self) -> dict[str, int]:
        """Items that wait, by where."""
        if not self._ingest.began.is_set():
            return {}
        sounds, pictures = self._pacer.waiting
        return {"paced_sounds": sounds, "paced_pictures": pictures, **self._place.waiting}

    @property
    def speech_waiting_ms(self) -> int:
        """Speech for pictures that waits for them."""
        return self._ingest.dubbed.waiting * 1000 // OUTPUT_RATE if self._ingest.dubbed is not None else 0

    def stats(self) -> dict[str, object]:
        """Counts and milliseconds for people and for `/metrics`."""
        if not self._ingest.began.is_set():
            return {}
        sounds, pictures = self._pacer.waiting
        return {
            "rung": self.rung.name.lower(),
            "resting": self.resting,
            "lag_ms": self._place.lag * SAMPLE_NS // MILLISECOND_NS,
            "delay_ms": self._pacer.delay * SAMPLE_NS // MILLISECOND_NS,
            "sounds_waiting": sounds,
            "pictures_waiting": pictures,
            **self._ingest.stats(),
            "pictures": self.pictures(),
            "face": self._place.sight,
            "engine": self._place.stats,
        }

    def _begin(self, origin: int) -> tuple[Pacer, EngineLink]:
        """Media begins: media time 0 is at ``origin`` (ns)."""
        self._said_from = 0
        self._ingest.generation = self._generation.number
        self._pacer = Pacer(origin, self._delay, self._skew)
        self._place = EngineLink(
            options=self._options,
            controls=self._controls,
            engine=self._engine,
            clock=self._clock,
            events=self._events,
            pacer=self._pacer,
            generation=self._generation.number,
            name=self._name,
        )
        return self._pacer, self._place

    async def _tick(self) -> None:
        while True:
            now = self._clock.now()
            self._ingest.advance(now)
            self._place.watch(now)
            await self._clock.sleep_until(now + TICK)

    async def _release(self) -> None:
        while True:
            now = self._clock.now()
            released = self._pacer.release(now)
            for sink in self._sinks:
                for chunk in released.sounds:
                    sink.sound(chunk)
                for frame in released.pictures:
                    sink.picture(frame)
            if self._voice is not None:
                for told in self._voice.heard(self._pacer.played):
                    self._events.add_message(told)
            due = self._pacer.next_due()
            await self._clock.sleep_until(now + TICK if due is None else min(due, now + TICK))
