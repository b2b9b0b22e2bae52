"""Stand-ins for the models: streams whose mouth is a white box."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mytalk.appearance.backdrop import composed
from mytalk.face.tracker import Face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture, VideoFrame
from mytalk.speech.stream import EncodedSpeech
from mytalk.stream_options import StreamControls

MARK = (32, 32, 96, 96)
"""The box that a fake stream paints white in every picture it finishes."""


class FakeStream:
    """A lip-sync stream whose mouth is a white box. Keeps the names of the threads that called it."""

    def __init__(self, options: Any, lookahead: int = 6, cost: float = 0.0) -> None:
        self.options = options
        self.latency = lookahead * FRAME_SAMPLES
        self.cost = cost  # seconds a frame
        self.spend: Callable[[float], None] = time.sleep  # seconds, in an engine thread
        self.controls = StreamControls(steps=4)
        self.unmended = 0  # pictures
        self.face_status: Any = "seen"
        self.closed = False
        self.speech: list[NDArray[np.float32]] = []
        self.tracked = 0
        self.heard = 0  # samples, by a listener thread
        self.threads: dict[str, set[str]] = {what: set() for what in ("track", "hear", "push", "pull", "close")}
        self.fail_at: int | None = None
        self.cleared: list[int] = []  # media times from which it had to make pictures again
        self.generation = 0 if options is None else options.generation
        self._samples = 0
        self._made: list[VideoFrame] = []
        self._frames: deque[VideoFrame] = deque()

    @property
    def stats(self) -> dict[str, float]:
        return {"frames": 0.0}

    def hold_video(self, at: int) -> None:
        self._here("push")

    def _here(self, what: str) -> None:
        assert not self.closed, f"{what} after close"
        self.threads[what].add(threading.current_thread().name)

    def track(self, picture: Picture) -> Face | None:
        self._here("track")
        self.tracked += 1
        return None

    def push_frame(self, frame: VideoFrame, face: Face | None) -> None:
        self._here("push")
        assert not self._frames or frame.at > self._frames[-1].at
        self._frames.append(frame)

    def encode_speech(self, samples: NDArray[np.float32]) -> EncodedSpeech:
        self._here("hear")
        levels = np.zeros(len(samples) // FRAME_SAMPLES, np.float32)
        self.heard += len(samples)
        return EncodedSpeech(torch.from_numpy(samples), levels, [], len(samples))

    def push_encoded(self, heard: EncodedSpeech) -> None:
        self._here("push")
        self.speech.append(heard.features.numpy())
        self._samples += heard.samples

    def clear(self, at: int, generation: int) -> int:
        self._here("push")
        self.cleared.append(at)
        self.generation = generation
        self._samples = min(self._samples, at)
        self._frames.extendleft(frame for frame in reversed(self._made) if frame.at >= at)
        self._made = [frame for frame in self._made if frame.at < at]
        return self._samples

    def request(self) -> Any:
        return None

    def accept(self, request: Any, motion: Any) -> None:
        raise AssertionError("nothing was asked for")

    def pull(self) -> Iterator[VideoFrame]:
        self._here("pull")
        while self._frames and self._frames[0].at + self.latency <= self._samples:
            frame = self._frames.popleft()
            self._made.append(frame)
            if self.fail_at is not None and frame.at >= self.fail_at:
                raise FloatingPointError("a NaN came out of the model")
            self.unmended += not self.controls.refinement
            self.spend(self.cost)
            x0, y0, x1, y1 = MARK
            white = np.full((y1 - y0, x1 - x0, 3), 255, np.uint8)
            painted = frame.picture.with_region(MARK, white, np.ones((y1 - y0, x1 - x0), np.float32))
            yield VideoFrame(composed(painted), frame.at, frame.pts, frame.time_base)

    def close(self) -> None:
        self._here("close")
        self.closed = True


class FakeModels:
    """A pipeline of fake streams."""

    steps, device = 4, "cpu"

    def __init__(self, cost: float = 0.0) -> None:
        self.cost = cost
        self.streams: list[FakeStream] = []

    def sample(self, requests: Any) -> Any:
        raise AssertionError("nothing was asked for")

    def stream(self, options: Any) -> FakeStream:
        self.streams.append(FakeStream(options, cost=self.cost))
        return self.streams[-1]
