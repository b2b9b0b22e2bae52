"""Measures by how much the sound of a video is late against the lips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import LOWER_FACE
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE
from mytalk.motion.agreement import MAX_LAG, Offset, agreement, best_offset
from mytalk.motion.stream import MotionStream
from mytalk.motion.torch_backend import TorchMotion
from mytalk.presets import PROFILES
from mytalk.torch_backend import load_motion

MARGIN = (MAX_LAG + 3) * FRAME_SAMPLES
"""Samples of sound before and after a clip that the estimator needs."""

_LOWER = list(LOWER_FACE)


class OffsetEstimator:
    """Measures offsets with a motion model, on the CPU: the embedded one, or that of ``weights``, a preset or a
    checkpoint folder.

    A model that learned from a recording has learned its offset too, and finds none. One thread at a time.
    """

    def __init__(self, weights: str = "edge") -> None:
        self._model = TorchMotion(load_motion(weights).eval())

    def estimate(self, clips: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> Offset:
        """Measures one offset for the clips of one recording.

        Each as canonical faces ``(T, 478, 3)`` at 25 Hz, with its 16 kHz sound, which begins ``MARGIN`` before the
        first frame and ends ``MARGIN`` after the last.
        """
        scores = np.zeros(2 * MAX_LAG + 1)
        frames = 0
        for faces, speech in clips:
            measured = faces[:, _LOWER]
            scores += len(measured) * agreement(measured, self._expected(faces, speech), MARGIN // FRAME_SAMPLES)
            frames += len(measured)
        return best_offset(scores / max(frames, 1), frames / MOTION_RATE)

    def _expected(self, faces: NDArray[np.float32], speech: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the lower face ``(T, 169, 3)`` that the sound alone asks for, one a frame.

        The model sees the person's mean face throughout: brows and lids that move would tell it the picture's time.
        """
        stream = MotionStream(self._model, PROFILES["quality"], steps=1, seed=0)
        stream.enrol(list(faces[:: MOTION_RATE // 5]))
        still = faces.mean(axis=0)
        rows = [np.zeros((len(_LOWER), 3), np.float32)] * (len(speech) // FRAME_SAMPLES)
        for index in range(len(rows)):
            stream.push_face(index * FRAME_SAMPLES, still)
            stream.push_speech(speech[index * FRAME_SAMPLES : (index + 1) * FRAME_SAMPLES])
            for frame in stream.advance():
                rows[frame.index] = frame.lower
        for frame in stream.finish():
            rows[frame.index] = frame.lower
        return np.stack(rows)
