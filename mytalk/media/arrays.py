"""Checks what a program hands over as numpy arrays, and converts it to frames and speech of the model's kind."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Literal

import cv2
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from mytalk.errors import OptionError
from mytalk.media.decoder import MAX_SIDE
from mytalk.media.mono import MonoMixer
from mytalk.media.samples import LAYOUTS, to_frame
from mytalk.media.speech import MAX_RATE, MIN_RATE
from mytalk.media_time import SAMPLE_RATE, to_samples
from mytalk.picture import Picture, VideoFrame

Order = Literal["rgb", "bgr"]
"""Order of a picture's channels: ``rgb``, or ``bgr`` as OpenCV has it."""

MAX_FPS = 1000
"""Most frames a second of a film that is given as arrays."""

MAX_LEVEL = 4.0
"""Largest absolute value of float samples whose full scale is 1; a larger one is of another scale."""

_MAX_CHANNELS = 8
_TICKS = 1001  # largest denominator of frames a second: NTSC's


class ArrayFilm:
    """Turns arrays into frames one after the other, and finished frames back into arrays.

    ``frames``: RGB or BGR, ``(H, W, 3)`` of 8 bits, all of one size; ``fps``: frames a second. Iterating raises
    OptionError for the first array that is not so; a film without any frame is refused as well. Frames must come back
    in the order in which they left.
    """

    def __init__(self, frames: Iterable[Any], fps: float | Fraction, order: Order) -> None:
        if order not in ("rgb", "bgr"):
            raise OptionError(f"order {order!r}: need 'rgb', or 'bgr' as OpenCV has it")
        self._flip = order == "bgr"
        self._time_base = 1 / _frame_rate(fps)
        self._arrays = iter(frames)
        self._size: tuple[int, ...] | None = None
        self._given: deque[tuple[NDArray[np.uint8], Picture]] = deque()  # bounded by the stream's own latency

    def frames(self) -> Iterator[VideoFrame]:
        """Yields the arrays as frames, the first at time 0."""
        for number, array in enumerate(self._arrays):
            picture = Picture.from_rgb(self._checked(array, number)[..., :: -1 if self._flip else 1])
            self._given.append((array, picture))
            yield VideoFrame(picture, to_samples(number, self._time_base), number, self._time_base)
        if self._size is None:
            raise OptionError("frames: there are none (need at least one array (H, W, 3) of type uint8)")

    def array(self, finished: VideoFrame) -> NDArray[np.uint8]:
        """Returns a finished frame as an array; a pixel that was left untouched is the one that was given."""
        given, before = self._given.popleft()
        after = finished.picture
        if after is before:
            return given.copy()
        height, width = given.shape[:2]
        changed = after.y != before.y
        chroma = ((after.u != before.u) | (after.v != before.v)).astype(np.uint8)
        changed |= cv2.resize(chroma, (after.width, after.height), interpolation=cv2.INTER_NEAREST) > 0
        made = after.rgb()[:height, :width, :: -1 if self._flip else 1]
        return np.where(changed[:height, :width, None], made, given)

    def _checked(self, array: Any, number: int) -> NDArray[np.uint8]:
        if not isinstance(array, np.ndarray):
            raise OptionError(f"frame {number} is of type {type(array).__name__}: need a numpy array (H, W, 3), uint8")
        if array.dtype != np.uint8:
            floats = " (floats of 0 to 1: (255 * frame).round().astype('uint8'))" if array.dtype.kind == "f" else ""
            raise OptionError(f"frame {number} is of {array.dtype}: need uint8, 0 to 255{floats}")
        if array.ndim != 3 or array.shape[2] != 3:
            raise OptionError(f"frame {number} has the shape {array.shape}: need (height, width, 3)")
        if not 2 <= min(array.shape[:2]) <= max(array.shape[:2]) <= MAX_SIDE:
            raise OptionError(f"frame {number} has the shape {array.shape}: need 2 to {MAX_SIDE} pixels a side")
        self._size = self._size or array.shape
        if array.shape != self._size:
            raise OptionError(f"frame {number} has the shape {array.shape}, the first {self._size}: need one size")
        return array


def check_frame(frame: Any, number: int, last: VideoFrame | None) -> VideoFrame:
    """Returns the frame; raises OptionError where it is no ``VideoFrame``, or not later than the one before."""
    if not isinstance(frame, VideoFrame):
        raise OptionError(
            f"frame {number} is of type {type(frame).__name__}: need mytalk.VideoFrame "
            "(numpy arrays go to pipeline.dub_arrays(frames, fps, audio, rate))"
        )
    # Frames of a fine time base may fall on the same sample; their own timestamps rise all the same.
    if last is not None and (frame.at, frame.pts * frame.time_base) <= (last.at, last.pts * last.time_base):
        raise OptionError(f"frame {number} is at {frame.at}, after one at {last.at}: need times that rise (16 kHz)")
    return frame


def check_speech(speech: Any) -> NDArray[np.float32]:
    """Returns speech ``(n,)`` of the model's kind; raises OptionError for another type, shape or range."""
    if not isinstance(speech, np.ndarray) or speech.ndim != 1 or speech.dtype.kind != "f":
        found = f"{speech.dtype} {speech.shape}" if isinstance(speech, np.ndarray) else type(speech).__name__
        raise OptionError(
            f"speech is {found}: need float32 (n,), -1 to 1, mono at 16 kHz "
            "(pipeline.dub_arrays(frames, fps, audio, rate) takes other kinds)"
        )
    return _checked_level(speech.astype(np.float32, copy=False), "speech")


def speech_of(audio: Any, rate: float) -> NDArray[np.float32]:
    """Converts samples at ``rate`` Hz to 16 kHz mono ``(n,)``.

    ``audio``: ``(n,)`` or ``(n, channels)``, floats of -1 to 1 or int16. Raises OptionError for anything else.
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number) or rate != round(float(rate), 0):
        raise OptionError(f"rate {rate!r}: need samples a second, a whole number")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise OptionError(f"rate {rate}: need {MIN_RATE} to {MAX_RATE} samples a second")
    samples = _float_samples(audio)
    mixer = MonoMixer(int(rate), LAYOUTS[samples.shape[1]])
    resampler = AudioResampler("flt", "mono", SAMPLE_RATE)
    parts = [np.zeros(0, np.float32)]
    for start in range(0, len(samples), int(rate)):
        mono = mixer.mix(samples[start : start + int(rate)].T)
        for part in resampler.resample(to_frame(mono[None], int(rate), "mono", start)):
            parts.append(np.asarray(part.to_ndarray()[0], np.float32))
    for part in resampler.resample(None) if len(samples) else []:
        parts.append(np.asarray(part.to_ndarray()[0], np.float32))
    return np.concatenate(parts)


def _float_samples(audio: Any) -> NDArray[np.float32]:
    """Returns ``(n, channels)``, -1..1."""
    if not isinstance(audio, np.ndarray):
        raise OptionError(f"audio is of type {type(audio).__name__}: need a numpy array, float32 or int16")
    if audio.ndim not in (1, 2):
        raise OptionError(f"audio has the shape {audio.shape}: need (n,) or (n, channels)")
    if audio.ndim == 2 and not 1 <= audio.shape[1] <= _MAX_CHANNELS:
        turned = " (channels come last: audio.T)" if 1 <= audio.shape[0] <= _MAX_CHANNELS else ""
        raise OptionError(f"audio has the shape {audio.shape}: need at most {_MAX_CHANNELS} channels{turned}")
    if audio.dtype == np.int16:
        samples: NDArray[np.float32] = audio.astype(np.float32) / np.float32(32768)
    elif audio.dtype.kind == "f":
        samples = _checked_level(audio.astype(np.float32), "audio")
    else:
        raise OptionError(f"audio is of {audio.dtype}: need floats of -1 to 1, or int16")
    return samples if samples.ndim == 2 else samples[:, None]


def _checked_level(samples: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if not np.isfinite(samples).all():
        raise OptionError(f"{name} holds samples that are no number: need -1 to 1")
    loudest = float(np.abs(samples).max(initial=0))
    if loudest > MAX_LEVEL:
        raise OptionError(f"{name} reaches {loudest:g}: need -1 to 1 (divide 16-bit samples by 32768)")
    return samples


def _frame_rate(fps: float | Fraction) -> Fraction:
    if isinstance(fps, bool) or not isinstance(fps, int | float | Fraction | np.number) or not 0 < fps <= MAX_FPS:
        raise OptionError(f"fps {fps!r}: need frames a second, more than 0 and at most {MAX_FPS}")
    rate = Fraction(fps) if isinstance(fps, int | Fraction) else Fraction(float(fps)).limit_denominator(_TICKS)
    if rate <= 0:
        raise OptionError(f"fps {fps!r}: need at least one frame in {_TICKS} seconds")
    return rate
