"""Runs one face and one voice of this machine through the engine to its devices, without a server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from fractions import Fraction

from mytalk.marking import Payload
from mytalk.media.face_source import FaceSource
from mytalk.picture import Picture
from streamer.clock import SECOND_NS, Clock
from streamer.engine.engine import Engine
from streamer.executors import Executors
from streamer.media.audio import CHUNK, OUTPUT_RATE, Stereo
from streamer.media.looped_speech import LoopedSpeech
from streamer.media.sink import Sink
from streamer.protocol.events import Events
from streamer.protocol.generation import Generation
from streamer.session.controls import LiveControls
from streamer.session.media_loop import MediaLoop
from streamer.session.media_setup import MediaSetup
from streamer.session.options import SessionOptions
from streamer.telemetry.metrics import skew_histogram

MOST_WAITING = 16
"""Pictures and packets from the devices' threads that wait for the event loop. Full: what comes is left out."""


class DeviceCall:
    """Holds one live face and its voice, from :meth:`run` to the cancellation of that.

    ``face``: a portrait or clip; None: a webcam's, by :meth:`picture`. ``voice``: a stored speech; None: a
    microphone's, by :meth:`sound`. Both may be called from any thread. ``sinks`` take what leaves.
    """

    def __init__(
        self,
        engine: Engine,
        executors: Executors,
        clock: Clock,
        options: SessionOptions,
        sinks: Sequence[Sink],
        *,
        face: FaceSource | None,
        voice: LoopedSpeech | None,
        watermark: bool = True,
    ) -> None:
        self.events = Events(clock)
        self._clock = clock
        self._waiting = 0
        self._loop = asyncio.get_running_loop()
        self._position = 0  # samples (48 kHz) of the microphone
        setup = MediaSetup(
            options=options,
            controls=LiveControls(options, engine.steps),
            generation=Generation(),
            engine=engine,
            clock=clock,
            codecs=executors.codecs,
            skew=skew_histogram(),
            events=self.events,
            sinks=sinks,
            face=face,
            speech=voice,
            name="camera",
            watermark=Payload.of("session", secrets.token_hex()) if watermark else None,
        )
        self._media = MediaLoop(setup, origin=clock.now(), publisher=None, dubbed=None)

    async def run(self) -> None:
        """Moves media until it is cancelled."""
        try:
            await self._media.run()
        finally:
            self._media.close()

    def picture(self, picture: Picture, pts: int, time_base: Fraction) -> None:
        """Takes a picture of the webcam."""
        self._hand_over(lambda: self._media.picture(picture, pts=pts, time_base=time_base, now=self._clock.now()))

    def sound(self, samples: Stereo) -> None:
        """Takes sound of the microphone, 48 kHz ``(n, 2)``."""
        self._hand_over(lambda: self._hear(samples))

    def _hear(self, samples: Stereo) -> None:
        for start in range(0, len(samples), CHUNK):
            part = samples[start : start + CHUNK]
            now = self._clock.now() - (len(samples) - start - len(part)) * SECOND_NS // OUTPUT_RATE
            self._media.sound(part, pts=self._position, now=now, packet=None)
            self._position += len(part)

    def _hand_over(self, take: Callable[[], None]) -> None:
        if self._waiting >= MOST_WAITING:
            return
        self._waiting += 1
        self._loop.call_soon_threadsafe(self._take, take)

    def _take(self, take: Callable[[], None]) -> None:
        self._waiting -= 1
        take()
