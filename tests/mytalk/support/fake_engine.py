"""A stand-in for the models that lets pictures through, so that the driver around them can be tested fast."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mytalk.errors import EngineError
from mytalk.face import Face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.own_speech import Correction
from mytalk.picture import Picture, VideoFrame
from mytalk.speech.stream import EncodedSpeech

FACE = Face(np.zeros((478, 3), np.float32))


class FakeStream:
    """Frames leave unchanged, once the speech is ``latency`` ahead of them."""

    latency = 6 * FRAME_SAMPLES

    def __init__(self, engine: FakeEngine, options: Any) -> None:
        self.engine, self.options = engine, options
        self.tracked = 0
        self.enrolled: list[tuple[Picture, Face]] = []
        self.adapted: list[tuple[Mapping[int, Correction], Correction | None]] = []
        self.speech: list[NDArray[np.float32]] = []
        self.speech_samples = 0
        self.most_waiting = 0
        self.closed = False
        self._frames: deque[VideoFrame] = deque()
        self._finished = False
        self._count = 0

    @property
    def stats(self) -> dict[str, float]:
        return {"detect_ms": 5.0, "motion_ms": 1.0, "render_ms": 1.0, "frames": float(self._count), "passthrough": 0.0}

    def track(self, picture: Picture) -> Face | None:
        self.tracked += 1
        return FACE if self.engine.sees(picture) else None

    def enrol(self, pictures: list[tuple[Picture, Face]]) -> None:
        assert not self._count
        assert not self._frames
        self.enrolled += pictures

    def adapt(self, corrections: Mapping[int, Correction], anybody: Correction | None = None) -> None:
        assert not self._count
        self.adapted.append((corrections, anybody))

    def push_frame(self, frame: VideoFrame, face: Face | None) -> None:
        assert not self._frames or frame.at > self._frames[-1].at
        self._frames.append(frame)
        self.most_waiting = max(self.most_waiting, len(self._frames))

    def encode_speech(self, samples: NDArray[np.float32]) -> EncodedSpeech:
        return EncodedSpeech(torch.from_numpy(samples.copy()), np.zeros(0, np.float32), [], len(samples))

    def push_encoded(self, heard: EncodedSpeech) -> None:
        self.speech.append(heard.features.numpy())
        self.speech_samples += heard.samples

    def finish(self) -> None:
        self._finished = True

    def pull(self) -> Iterator[VideoFrame]:
        while self._frames and (self._finished or self._frames[0].at + self.latency < self.speech_samples):
            if self.engine.fails_at == self._count:
                raise EngineError("the engine thread failed")
            time.sleep(self.engine.cost)
            self._count += 1
            yield self._frames.popleft()

    def close(self) -> None:
        self.closed = True


class FakeEngine:
    """A pipeline of fake streams. ``sees`` says in which pictures there is a face."""

    steps = 2
    device = "cpu"
    preset = SimpleNamespace(name="fake")

    def __init__(
        self, sees: Callable[[Picture], bool] = lambda _: True, fails_at: int | None = None, cost: float = 0.0
    ) -> None:
        self.sees, self.fails_at, self.cost = sees, fails_at, cost
        self.streams: list[FakeStream] = []

    def stream(self, options: Any) -> FakeStream:
        self.streams.append(FakeStream(self, options))
        return self.streams[-1]
