"""Detects whether anybody may be speaking: speech is loud and soft by turns, a few times a second.

The level of speech swings most at its syllable rate, about 4 Hz (Houtgast and Steeneken 1985); that of silence, hum,
hiss and wind does not. Music may: what gives it away is that no lips follow it (``offset``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.evaluation.sync import loudness
from mytalk.media_time import MOTION_RATE

QUIETEST = -50.0
"""dB of full scale that the loudest tenth of a clip must reach."""

LEAST_SWING = 2.5
"""dB, root mean square. Measured: speech in studios and at home 3.9 to 8.5, in a cafeteria at 0 dB 2.8, wind 2.1,
white noise 0.2."""

_SLOWEST, _FASTEST = 1.5, 8.0  # Hz
_DEPTH = 40.0  # dB under the loudest tenth below which all is silence


def is_speech(sound: NDArray[np.float32]) -> bool:
    """Says whether 16 kHz sound, one second or more, may be speech."""
    level = loudness(sound)
    loud = float(np.quantile(level, 0.9)) if len(level) else -100.0
    return loud >= QUIETEST and swing(np.maximum(level, loud - _DEPTH)) >= LEAST_SWING


def swing(level: NDArray[np.float32]) -> float:
    """Measures how far a level in dB, 25 a second, moves up and down at the rate of syllables: root mean square in
    dB."""
    power = np.abs(np.fft.rfft(level - level.mean())) ** 2 * 2 / len(level) ** 2
    rate = np.fft.rfftfreq(len(level), 1 / MOTION_RATE)
    return float(np.sqrt(power[(rate >= _SLOWEST) & (rate <= _FASTEST)].sum()))
