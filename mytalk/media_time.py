"""Counts media time: an integer number of samples at 16 kHz. No float seconds cross a module boundary."""

from __future__ import annotations

from fractions import Fraction

SAMPLE_RATE = 16_000
"""Samples a second of the model path."""

MOTION_RATE = 25
"""Motion frames a second."""

FRAME_SAMPLES = SAMPLE_RATE // MOTION_RATE
"""Samples a motion frame: frame ``n`` stands at sample ``640 * n``."""


def to_samples(pts: int, time_base: Fraction) -> int:
    """Converts a timestamp to media time, rounded to the nearest sample (halves up).

    >>> to_samples(1, Fraction(1, 25))
    640
    """
    scaled = pts * time_base * SAMPLE_RATE
    return (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
