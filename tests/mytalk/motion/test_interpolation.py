"""The mouth between motion frames."""

from __future__ import annotations

import numpy as np
import pytest

from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.interpolation import MotionCurve
from mytalk.motion.stream import MotionFrame


def frame(index: int, voice: float = 1.0) -> MotionFrame:
    return MotionFrame(index, np.full((169, 3), index, np.float32), np.zeros((169, 3), np.float32), voice)


def height(curve: MotionCurve, at: float, emitted: int) -> float | None:
    shape = curve.shape_at(round(at * FRAME_SAMPLES), emitted)
    return None if shape is None else float(shape[0, 0])


def test_a_moment_lies_between_the_frames_around_it() -> None:
    curve = MotionCurve()
    assert height(curve, 0, 0) is None
    curve.extend([frame(2), frame(3, voice=0.0), frame(4)])
    assert height(curve, 1.5, 5) is None
    assert [height(curve, at, 5) for at in (2, 2.25, 3, 3.75, 4)] == [2, 2.25, 3, 3.75, 4]


def test_the_voice_comes_and_goes_with_the_shape() -> None:
    curve = MotionCurve()
    curve.extend([frame(0, voice=0.0), frame(1, voice=1.0), frame(2, voice=1.0)])
    for at, voice in ((0, 0.0), (0.25, 0.25), (1.5, 1.0), (2, 1.0)):
        assert height(curve, at, 3) is not None
        assert curve.voice_at(round(at * FRAME_SAMPLES)) == pytest.approx(voice)


def test_where_the_model_failed_there_is_no_mouth_and_after_it_there_is() -> None:
    curve = MotionCurve()
    curve.extend([frame(0), frame(3)])
    assert [height(curve, at, 4) for at in (0, 0.5, 1, 2.5, 3)] == [0, 0, None, None, 3]


def test_forgotten_frames_come_again() -> None:
    curve = MotionCurve()
    curve.extend(frame(index) for index in range(5))
    curve.forget_from(3 * FRAME_SAMPLES)
    curve.extend([frame(3)])
    assert [height(curve, at, 4) for at in (2, 2.5, 3)] == [2, 2.5, 3]
    curve.forget_from(0)
    assert height(curve, 4, 4) is None
