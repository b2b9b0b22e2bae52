"""Reads watermarks from video, whatever was done to its size or its bits, as long as our tracker finds the face.

A detector looks along the plane of the face, takes out what does not change at the carrier's frequency, and decodes
what is left over two seconds; where that finds nothing, over ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face import Choice
from mytalk.face.pose import PoseFilter, fit_pose
from mytalk.face.speaker import SpeakerTracker
from mytalk.marking import pattern
from mytalk.marking.code import CHECK_BITS, decode
from mytalk.marking.payload import VALID_SHARE, Payload
from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import VideoFrame

WINDOW_SECONDS = 2.0
LONG_SECONDS = 10.0  # of the window that is tried where none of two seconds could be read
LEAST_FRAMES = 20  # with a face, in a window: one that has fewer is not read
NOISE_OFFSETS = (-1.0, -0.5, 0.5, 1.0)  # Hz beside the carrier, where only the face itself is seen
_STEADY = 0.05  # squared deviations over time from which on a spot counts half
_ATTEMPTS = 4  # decodings of one window: two ways to weight frequencies, two signs

FALSE_ALARM = _ATTEMPTS * VALID_SHARE / 2**CHECK_BITS
"""Probability that a window of unmarked video reads as marked: the code words of a pattern that the video does not
know are as good as drawn, and so few of them pass the check."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Says what one window shows. ``payload`` None: no mark that passes the check. ``agreement``: correlation of what
    was measured with the code word read, -1 to 1; unmarked video has about 0.5, for the nearest of all words is
    taken."""

    first: float  # seconds
    last: float
    frames: int  # with a face
    payload: Payload | None
    agreement: float


@dataclass(slots=True)
class _Seen:
    """Collects the planes of a stretch of video."""

    seconds: list[float] = field(default_factory=list)
    planes: list[NDArray[np.float16]] = field(default_factory=list)


def read_watermark(frames: Iterable[VideoFrame], choice: Choice = "largest") -> Iterator[Reading]:
    """Yields a reading of every two seconds, then of every ten where no two could be read. ``choice``: which face."""
    kept: list[_Seen] = []
    readings: list[Reading] = []
    long = round(LONG_SECONDS / WINDOW_SECONDS)
    for seen in _windows(frames, choice):
        reading = _read([seen])
        if reading is not None:
            readings.append(reading)
            yield reading
        kept.append(seen)
        if len(kept) == long:
            yield from _read_long(kept, readings)
            kept, readings = [], []
    yield from _read_long(kept, readings)


def _read_long(kept: list[_Seen], readings: list[Reading]) -> Iterator[Reading]:
    """Yields a reading of windows together where none of them could be read alone."""
    if len(kept) > 1 and not any(reading.payload for reading in readings):
        reading = _read(kept)
        if reading is not None:
            yield reading


def _windows(frames: Iterable[VideoFrame], choice: Choice) -> Iterator[_Seen]:
    """Yields what two seconds after two seconds show of the face."""
    tracker, poses = SpeakerTracker(choice), PoseFilter()
    seen, end = _Seen(), WINDOW_SECONDS
    for frame in frames:
        seconds = frame.at / SAMPLE_RATE
        if seconds >= end:
            yield seen
            seen, end = _Seen(), end + WINDOW_SECONDS
        face = tracker(frame.picture)
        if face is None:
            poses.reset()
            continue
        plane = pattern.plane_of(poses(fit_pose(face), frame.at))
        equalised, _ = pattern.equalise(pattern.sample(frame.picture, plane))
        seen.seconds.append(seconds)
        seen.planes.append(equalised.astype(np.float16))
    yield seen


def _read(windows: list[_Seen]) -> Reading | None:
    """Reads windows together; None where they show too few faces."""
    seconds = np.array([time for window in windows for time in window.seconds])
    if len(seconds) < LEAST_FRAMES * len(windows):
        return None
    planes = np.stack([plane for window in windows for plane in window.planes]).astype(np.float32)
    payload, agreement = decode_bits(*measure(seconds, planes))
    return Reading(float(seconds[0]), float(seconds[-1]), len(seconds), payload, agreement)


def measure(seconds: NDArray[np.float64], planes: NDArray[np.float32]) -> tuple[NDArray[np.complex64], ...]:
    """Measures what each frequency of the plane does at the carrier's frequency, and beside it: ``(234, 4)`` and
    ``(4, 234, 4)``, complex. Spots that change by themselves, as lips do, count less."""
    flat = planes.reshape(len(planes), -1)
    trend = np.stack([np.ones_like(seconds), seconds - seconds.mean()], axis=1).astype(np.float32)
    flat = flat - trend @ np.linalg.lstsq(trend, flat, rcond=None)[0]
    side = (pattern.PIXELS, pattern.PIXELS)
    variance = cv2.blur(np.square(flat).mean(axis=0).reshape(side), (5, 5))
    weight = pattern.taper() * np.float32(_STEADY) / (variance + np.float32(_STEADY))
    hertz = np.array([0.0, *NOISE_OFFSETS]) + pattern.CARRIER_HERTZ
    waves = np.exp(-2j * np.pi * np.outer(hertz, seconds)).astype(np.complex64) * (2 / len(seconds))
    images = (waves @ flat).reshape(-1, *side) * weight
    spectra = [pattern.spectrum(image.real) + 1j * pattern.spectrum(image.imag) for image in images]
    return spectra[0], np.stack(spectra[1:])


def decode_bits(signal: NDArray[np.complex64], noise: NDArray[np.complex64]) -> tuple[Payload | None, float]:
    """Decodes a measurement; returns the payload, if one passes the check, and the best agreement."""
    best: tuple[Payload | None, float] = None, 0.0
    for weight in (np.ones(signal.shape[1]), _trust(noise)):
        bits = (signal * weight).sum(axis=1)
        # All bits share the carrier's unknown phase. Their squares have twice its angle; the sign stays open.
        soft = (bits * np.exp(-0.5j * np.angle(np.square(bits).sum()))).real.astype(np.float64)
        for turned in (soft, -soft):
            word, code = decode(turned)
            payload = None if word is None else Payload.from_bits(word)
            agreement = float(code @ turned / max(1e-12, np.linalg.norm(turned) * np.sqrt(len(turned))))
            if (payload is not None, agreement) > (best[0] is not None, best[1]):
                best = payload, agreement
    return best


def _trust(noise: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Returns weights of the four frequencies of a bit, ``(4,)``: one over the power of the face beside the carrier."""
    power = np.square(np.abs(noise)).mean(axis=(0, 1)).astype(np.float64)
    return np.asarray(power.mean() / np.maximum(power, 1e-12))
