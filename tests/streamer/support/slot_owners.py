"""Sessions as the engine sees them, and streams that show what its threads do to them."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from mytalk.errors import MyTalkError
from mytalk.face.tracker import Face
from mytalk.picture import Picture, VideoFrame
from mytalk.speech.stream import EncodedSpeech
from mytalk.stream_options import StreamControls
from streamer.clock import SystemClock
from streamer.cpu import ONE_EACH, Threads
from streamer.engine.engine import Engine
from streamer.engine.slot import EngineSlot
from tests.streamer.support.fake_models import FakeModels, FakeStream
from tests.streamer.support.waiting import LIMIT_S, eventually

PICTURE = Picture.from_rgb(np.full((128, 128, 3), 60, np.uint8))
OPTIONS: Any = None
CONTROLS = StreamControls(steps=4)
SPEECH = np.zeros(640, np.float32)


@asynccontextmanager
async def engine_of(models: FakeModels, threads: Threads = ONE_EACH) -> AsyncIterator[Engine]:
    engine = Engine(lambda: models, SystemClock(), threads)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


class SlotOwner:
    """A session as the engine sees it."""

    def __init__(self, engine: Engine, base: int = 0, controls: StreamControls = CONTROLS) -> None:
        self.frames: list[VideoFrame] = []
        self.failures: list[MyTalkError] = []
        self.threads: set[str] = set()
        self.said = 0  # samples
        fail = self.failures.append
        self.slot: EngineSlot = engine.open_slot(
            open_stream=lambda models: models.stream(OPTIONS),
            controls=lambda: controls,
            deliver=self._deliver,
            fail=fail,
            base=base,
        )

    def _deliver(self, frame: VideoFrame) -> None:
        self.threads.add(threading.current_thread().name)
        self.frames.append(frame)

    def feed(self, first: int, count: int) -> None:
        for n in range(first, first + count):
            self.slot.picture(VideoFrame(PICTURE, n * 640, n, Fraction(1, 25)))
            self.slot.speech(SPEECH)
            self.said += len(SPEECH)

    async def feed_tracked(self, first: int, count: int) -> None:
        """Each picture once the one before is tracked: none is dropped, however slow the machine."""
        for n in range(first, first + count):
            self.feed(n, 1)
            await eventually(lambda: self.slot.waiting["untracked"] == 0)

    async def feed_finished(self, first: int, count: int) -> None:
        """Each picture once those that the ones before made possible are finished: the engine never lags."""
        for n in range(first, first + count):
            self.feed(n, 1)
            await eventually(lambda n=n: (self.frames[-1:] and self.frames[-1].pts == n - 5) or n < 5)

    async def heard_by(self, stream: FakeStream) -> None:
        """Returns once all that was fed has been tracked and heard, so that an engine thread can go on with it."""
        await eventually(lambda: self.slot.waiting["untracked"] == 0 and stream.heard == self.said)


class WindowedStream(FakeStream):
    """Asks for a window of motion every three pictures' worth of speech; pictures wait for it."""

    moved = 0

    def request(self) -> Any:
        ready = self._samples - self.latency >= self.moved * 1920
        return SimpleNamespace(steps=self.controls.steps, stream=self) if ready else None

    def accept(self, request: Any, motion: Any) -> None:
        assert request.stream is self
        assert motion is self
        self.moved += 1

    def pull(self) -> Iterator[VideoFrame]:
        if self.request() is not None:
            self.moved += 1  # alone
        while self._frames and self._frames[0].at < self.moved * 1920:
            yield from super().pull()
            return


class WatchedStream(WindowedStream):
    """Keeps the calls that came in while another one ran, but for ``track`` and ``encode_speech`` beside the rest.

    ``on_pull``, ``on_track`` and ``on_hear`` are run inside such a call.
    """

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.overlaps: list[str] = []
        self.on_pull: Callable[[], object] = bool
        self.on_track: Callable[[], object] = bool
        self.on_hear: Callable[[], object] = bool
        self._sides = {"track": threading.Lock(), "hear": threading.Lock()}
        self._engine_side = threading.Lock()

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        side = self._sides.get(what, self._engine_side)
        if not side.acquire(blocking=False):
            self.overlaps.append(what)
            side.acquire()
        try:
            yield
        finally:
            side.release()

    def track(self, picture: Picture) -> Face | None:
        with self._alone("track"):
            self.on_track()
            return super().track(picture)

    def push_frame(self, frame: VideoFrame, face: Face | None) -> None:
        with self._alone("push_frame"):
            super().push_frame(frame, face)

    def encode_speech(self, samples: Any) -> EncodedSpeech:
        with self._alone("hear"):
            self.on_hear()
            return super().encode_speech(samples)

    def push_encoded(self, heard: EncodedSpeech) -> None:
        with self._alone("push_heard"):
            super().push_encoded(heard)

    def clear(self, at: int, generation: int) -> int:
        with self._alone("clear"), self._alone("hear"):
            return super().clear(at, generation)

    def request(self) -> Any:
        with self._alone("request"):
            return super().request()

    def accept(self, request: Any, motion: Any) -> None:
        with self._alone("accept"):
            super().accept(request, motion)

    def pull(self) -> Iterator[VideoFrame]:
        with self._alone("pull"):
            self.on_pull()
            if super().request() is not None:
                self.moved += 1  # alone
            ready = self._frames and self._frames[0].at < self.moved * 1920
            frame = next(FakeStream.pull(self), None) if ready else None
        if frame is not None:
            yield frame

    def stop_in(self, what: str) -> tuple[threading.Event, threading.Event]:
        """Stops the next ``pull``, ``track`` or ``encode_speech`` until the second event is set; the first says so."""
        reached, go_on = threading.Event(), threading.Event()

        def stand() -> None:
            reached.set()
            assert go_on.wait(LIMIT_S)

        setattr(self, f"on_{what}", stand)
        return reached, go_on


class WindowedModels(FakeModels):
    """Keeps whose windows each batch had; fails where there are more than ``room``."""

    def __init__(self, room: int = 99, kind: type[WindowedStream] = WindowedStream) -> None:
        super().__init__()
        self.room = room
        self.kind = kind
        self.batches: list[list[FakeStream]] = []

    def stream(self, options: Any) -> FakeStream:
        self.streams.append(self.kind(options))
        return self.streams[-1]

    def sample(self, requests: Any) -> Any:
        self.batches.append([request.stream for request in requests])
        if len(requests) > self.room:
            raise MemoryError("the device is full")
        return [request.stream for request in requests]
