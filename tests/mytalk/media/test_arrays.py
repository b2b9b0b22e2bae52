"""Numpy arrays from a program are checked, converted, and come back as they were."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.errors import OptionError
from mytalk.media.arrays import ArrayFilm, check_frame, check_speech, speech_of
from mytalk.picture import Picture, VideoFrame
from tests.support.films import speech_like

FRAME = np.full((64, 80, 3), (200, 100, 30), np.uint8)


def _frames(*arrays: Any, fps: Any = 25, order: Any = "rgb") -> list[VideoFrame]:
    return list(ArrayFilm(arrays, fps, order).frames())


@pytest.mark.parametrize(
    ("arrays", "more", "words"),
    [
        ([], {}, "there are none"),
        ([FRAME, FRAME / 255], {}, r"frame 1 is of float64: need uint8, 0 to 255 \(floats of 0 to 1"),
        ([FRAME.astype(np.int16)], {}, "frame 0 is of int16"),
        ([FRAME[..., 0]], {}, r"frame 0 has the shape \(64, 80\): need \(height, width, 3\)"),
        ([np.zeros((64, 80, 4), np.uint8)], {}, "need .height, width, 3"),
        ([FRAME, FRAME[:32]], {}, "need one size"),
        ([FRAME.tolist()], {}, "of type list: need a numpy array"),
        ([FRAME], {"fps": 0}, "fps 0"),
        ([FRAME], {"fps": float("nan")}, "fps nan"),
        ([FRAME], {"fps": "25"}, "fps '25'"),
        ([FRAME], {"fps": 1e-9}, "fps 1e-09"),
        ([FRAME], {"order": "yuv"}, "order 'yuv': need 'rgb', or 'bgr'"),
    ],
)
def test_frames_of_another_kind_are_refused(arrays: list[Any], more: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        _frames(*arrays, **more)


def test_frames_stand_at_their_times() -> None:
    frames = _frames(FRAME, FRAME, FRAME, fps=29.97)
    assert [frame.at for frame in frames] == [0, 534, 1068]
    assert frames[0].time_base == Fraction(100, 2997)


def test_blue_and_red_are_told_apart_by_the_order() -> None:
    (rgb,), (bgr,) = _frames(FRAME), _frames(FRAME[..., ::-1].copy(), order="bgr")
    np.testing.assert_array_equal(rgb.picture.v, bgr.picture.v)
    assert abs(int(rgb.picture.rgb()[0, 0, 0]) - 200) < 4


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_untouched_pixels_come_back_as_they_were(order: Any) -> None:
    given: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (63, 81, 3)).astype(np.uint8)
    film = ArrayFilm([given, given], 25, order)
    first, second = film.frames()
    np.testing.assert_array_equal(film.array(first), given)
    y = second.picture.y.copy()
    y[10:20, 10:20] ^= 64
    changed = film.array(replace(second, picture=replace(second.picture, y=y)))
    assert changed.shape == given.shape
    same = (changed == given).all(axis=-1)
    assert same.sum() >= 63 * 81 - 100
    assert not same[10:20, 10:20].all()


@pytest.mark.parametrize(
    ("audio", "rate", "words"),
    [
        (np.zeros(10, np.int32), 16000, "audio is of int32"),
        (np.full(10, 3000.0, np.float32), 16000, "audio reaches 3000: need -1 to 1"),
        (np.full(10, np.nan, np.float32), 16000, "no number"),
        (np.zeros((2, 100), np.float32), 16000, r"channels come last: audio.T"),
        (np.zeros((2, 3, 4), np.float32), 16000, "need .n,. or .n, channels."),
        ([0.0] * 10, 16000, "of type list"),
        (np.zeros(10, np.float32), 16, "rate 16: need 1000"),
        (np.zeros(10, np.float32), 44100.5, "a whole number"),
        (np.zeros(10, np.float32), float("nan"), "rate nan"),
        (np.zeros(10, np.float32), "44100", "rate '44100'"),
    ],
)
def test_audio_of_another_kind_is_refused(audio: Any, rate: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        speech_of(audio, rate)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_audio_is_resampled_and_mixed(rate: int) -> None:
    given = speech_like(1.3, rate)[0]
    expected = speech_like(1.3, 16000)[0]
    for audio in (given, np.stack([given, given], axis=1), np.rint(given * 32767).astype(np.int16), given[:, None]):
        heard = speech_of(audio, rate)
        assert heard.dtype == np.float32
        assert abs(len(heard) - len(expected)) <= 1
        length = min(len(heard), len(expected))
        assert np.corrcoef(heard[:length], expected[:length])[0, 1] > 0.999
        assert abs(np.abs(heard).max() - np.abs(expected).max()) < 0.02


def test_no_audio_is_silence() -> None:
    assert speech_of(np.zeros(0, np.float32), 44100).shape == (0,)


@pytest.mark.parametrize(
    ("speech", "words"),
    [
        (np.zeros(10, np.int16), r"speech is int16 \(10,\): need float32 .*dub_arrays"),
        (np.zeros((10, 2), np.float32), r"\(10, 2\)"),
        ([0.0], "speech is list"),
        (np.full(10, 20000.0, np.float32), "speech reaches 20000"),
    ],
)
def test_speech_of_another_kind_is_refused(speech: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        check_speech(speech)


def test_frames_must_be_frames_and_rise() -> None:
    with pytest.raises(OptionError, match=r"frame 0 is of type ndarray: need mytalk.VideoFrame .*dub_arrays"):
        check_frame(FRAME, 0, None)
    picture, base = Picture.from_rgb(FRAME), Fraction(1, 90_000)
    first = VideoFrame(picture, 0, 0, base)
    assert check_frame(VideoFrame(picture, 0, 1, base), 1, first).pts == 1  # both on one sample of 16 kHz
    with pytest.raises(OptionError, match="frame 1 is at 0, after one at 0: need times that rise"):
        check_frame(VideoFrame(picture, 0, 0, base), 1, first)
