"""States what the engine needs of the models, so that it can run with others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from mytalk.face.tracker import Face
from mytalk.picture import Picture, VideoFrame

if TYPE_CHECKING:
    from mytalk.lipsync_stream import FaceStatus
    from mytalk.motion.conditions import MotionRequest, SampledMotion
    from mytalk.speech.stream import EncodedSpeech
    from mytalk.stream_options import StreamControls, StreamOptions

Speech = NDArray[np.float32]


class LipSync(Protocol):
    """States what a slot needs of :class:`mytalk.lipsync_stream.LipSyncStream`."""

    latency: int
    controls: StreamControls
    face_status: FaceStatus

    @property
    def stats(self) -> dict[str, float]: ...
    def track(self, picture: Picture) -> Face | None: ...
    def push_frame(self, frame: VideoFrame, face: Face | None) -> None: ...
    def hold_video(self, at: int) -> None: ...
    def encode_speech(self, samples: Speech) -> EncodedSpeech: ...
    def push_encoded(self, heard: EncodedSpeech) -> None: ...
    def clear(self, at: int, generation: int) -> int: ...
    def request(self) -> MotionRequest | None: ...
    def accept(self, request: MotionRequest, sampled: SampledMotion) -> None: ...
    def pull(self) -> Iterator[VideoFrame]: ...
    def close(self) -> None: ...


class Models(Protocol):
    """States what a slot needs of :class:`mytalk.pipeline.Pipeline`."""

    @property
    def steps(self) -> int: ...
    @property
    def device(self) -> str: ...

    def stream(self, options: StreamOptions) -> LipSync: ...
    def sample(self, requests: Sequence[MotionRequest]) -> list[SampledMotion]: ...
