"""Describes what a session's media is made of, before the first packet comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Histogram

from mytalk.marking import Payload
from mytalk.media.face_source import FaceSource
from mytalk.media_time import SAMPLE_RATE
from streamer.client_stream.utterances import UtteranceQueue
from streamer.clock import Clock
from streamer.engine.engine import Engine
from streamer.executors import Pool
from streamer.media.looped_speech import LoopedSpeech
from streamer.media.sink import Sink
from streamer.protocol.events import Events
from streamer.protocol.generation import Generation
from streamer.session.controls import LiveControls
from streamer.session.options import SessionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSetup:
    """Holds the parts that one session's media shares.

    ``face`` and ``speech`` None: the publisher's own. ``voice``: untimed speech that a client streams, None where the
    session's speech comes from elsewhere. ``sinks`` get what leaves. ``skew``: by how much
    pictures left later than their sound. ``name``: the session's id, for the log.
    ``watermark``: what dubbed pictures are marked with; None: they are not.
    """

    options: SessionOptions
    controls: LiveControls
    generation: Generation
    engine: Engine
    clock: Clock
    codecs: Pool
    skew: Histogram
    events: Events
    sinks: Sequence[Sink]
    face: FaceSource | None = None
    speech: LoopedSpeech | None = None
    voice: UtteranceQueue | None = None
    name: str = ""
    watermark: Payload | None = None

    @property
    def video_delay(self) -> int:
        """Media time for which a camera's pictures are held."""
        return self.options.video_delay * SAMPLE_RATE // 1000
