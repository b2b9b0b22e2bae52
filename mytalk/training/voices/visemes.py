"""Maps classes of phones to mouth shapes: a viseme model with coarticulation.

Four controls in units of the distance between the eyes, relative to rest: ``aperture`` (gap of the inner lips),
``spread`` (distance of the mouth corners), ``lips`` (height of the outer lips beyond the aperture: met and rounded
lips are thicker, tucked ones thinner) and ``jaw`` (drop of the chin). Blending by dominance functions: Cohen and
Massaro 1993, eq. 1-4.

The targets of English classes were drawn towards a least-squares fit to GRID speaker 1 (a training clip's man, with his
word times); those of classes that his commands lack follow their neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import CORNERS, INNER_LOWER, INNER_UPPER, LOWER_FACE, aperture

CONTROLS = ("aperture", "spread", "lips", "jaw")
_CHIN = LOWER_FACE.index(152)
_TOP, _BOTTOM = LOWER_FACE.index(0), LOWER_FACE.index(17)
_FINE_RATE = 100
_CLOSED = 0.045  # seconds that lips stay together at the least: over a frame of 25 Hz
_PARTING = 0.05  # seconds in which they part


@dataclass(frozen=True, slots=True)
class Viseme:
    """Holds a mouth target and how strongly and widely it asserts itself."""

    aperture: float
    spread: float
    jaw: float
    lips: float = 0.0
    strength: float = 1.0
    reach: float = 0.065  # seconds in which its dominance falls to 1 / e


_VOWELS = {  # aperture, spread, jaw, lips
    "i": (0.11, 0.05, 0.05, -0.01),
    "ih": (0.13, 0.02, 0.07, 0.01),
    "ix": (0.11, 0.02, 0.05, 0.0),
    "e": (0.145, 0.03, 0.07, 0.0),
    "eh": (0.16, 0.02, 0.085, 0.0),
    "ae": (0.215, 0.03, 0.125, 0.0),
    "a": (0.23, 0.0, 0.145, 0.01),
    "ah": (0.14, -0.01, 0.095, 0.01),
    "schwa": (0.12, 0.0, 0.06, 0.0),
    "er": (0.09, -0.05, 0.05, 0.01),
    "y": (0.06, -0.09, 0.04, 0.02),
    "oe": (0.12, -0.08, 0.06, 0.01),
    "open-o": (0.17, -0.08, 0.115, 0.01),
    "o": (0.14, -0.1, 0.08, 0.01),
    "uh": (0.07, -0.06, 0.04, 0.01),
    "u": (0.05, -0.095, 0.04, 0.02),
}
_TONGUE = {
    "dental": (0.05, 0.005, 0.025, 0.0),
    "alveolar": (0.07, 0.0, 0.045, 0.01),
    "trill": (0.07, 0.0, 0.04, 0.0),
    "velar": (0.09, 0.005, 0.035, -0.005),
    "sibilant": (0.065, 0.005, 0.03, -0.005),
}
_ROUNDED = {
    "postalveolar": (0.065, -0.07, 0.025, 0.01),
    "rhotic": (0.03, -0.07, 0.03, 0.02),
}

# one for each of mytalk.training.voices.phones.CLASSES
VISEMES: dict[str, Viseme] = {
    **{name: Viseme(*targets) for name, targets in _VOWELS.items()},
    **{name: Viseme(*targets, strength=0.5) for name, targets in _TONGUE.items()},
    **{name: Viseme(*targets) for name, targets in _ROUNDED.items()},
    "bilabial": Viseme(-0.02, -0.02, 0.04, 0.02, strength=6.0, reach=0.035),
    "labiodental": Viseme(0.01, 0.0, 0.02, -0.01, strength=4.0, reach=0.035),
    "labiovelar": Viseme(0.0, -0.12, 0.02, 0.03, strength=2.0),
    "palatal": Viseme(0.06, 0.05, 0.02, strength=0.6),
    "glottal": Viseme(0.1, 0.0, 0.05, strength=0.3),
    "silence": Viseme(0.0, 0.0, 0.0, strength=1.5, reach=0.085),
}


def controls_of(lower: NDArray[np.float32], rest: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measures controls ``(..., 4)`` of canonical lower faces ``(..., 169, 3)`` against a rest shape ``(169, 3)``."""

    def raw(shape: NDArray[np.float32]) -> NDArray[np.float32]:
        gap = (shape[..., INNER_LOWER, 1] - shape[..., INNER_UPPER, 1]).mean(axis=-1)
        spread = shape[..., CORNERS[1], 0] - shape[..., CORNERS[0], 0]
        lips = shape[..., _BOTTOM, 1] - shape[..., _TOP, 1] - gap
        return np.stack([aperture(shape), spread, lips, shape[..., _CHIN, 1]], axis=-1)

    return np.asarray(raw(lower) - raw(rest[None])[0], np.float32)


def speak(classes: list[tuple[str, float]], seconds: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Computes controls ``(T, 4)`` at 25 Hz for classes of the mouth with their end times, for one imagined speaker.

    How far this speaker opens, and how quickly the mouth follows, are drawn from ``rng``. The mouth leads the sound by
    20 ms. Lips meet in every bilabial, however short, for at least one frame.
    """
    amount, agility, lead = rng.uniform(0.8, 1.5), rng.uniform(0.8, 1.25), 0.02
    times = np.arange(int(seconds * _FINE_RATE)) / _FINE_RATE + lead
    total = np.full(len(times), 1e-4)
    mixed = np.zeros((len(times), 4))
    opened = np.ones(len(times))
    start = 0.0
    for name, end in classes:
        viseme = VISEMES[name]
        outside = np.maximum(np.maximum(start - times, times - end), 0) + 0.35 * np.abs(times - (start + end) / 2)
        dominance = viseme.strength * np.exp(-outside / (viseme.reach / agility))
        total += dominance
        mixed += dominance[:, None] * (viseme.aperture, viseme.spread, viseme.lips, viseme.jaw)
        if name == "bilabial":
            opened = np.minimum(opened, _parted(times, start, end))
        start = end
    smooth = np.hanning(7)
    fine = mixed / total[:, None] * (amount, 1.0, 1.0, amount)
    fine = np.stack([np.convolve(np.pad(c, 3, mode="edge"), smooth / smooth.sum(), "valid") for c in fine.T], axis=-1)
    fine[:, 0] = np.maximum(fine[:, 0], 0) * opened
    return np.asarray(fine[:: _FINE_RATE // 25], np.float32)


def _parted(times: NDArray[np.float64], start: float, end: float) -> NDArray[np.float64]:
    """Computes how far a bilabial from ``start`` to ``end`` lets the lips part: 0 while they meet, 1 well before and
    after.

    They meet in its first 70 %, where a stop's closure is, and for a frame of 25 Hz at least.
    """
    middle, half = start + 0.35 * (end - start), max(0.35 * (end - start), _CLOSED / 2)
    away = np.clip((np.abs(times - middle) - half) / _PARTING, 0, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * away), np.float64)
