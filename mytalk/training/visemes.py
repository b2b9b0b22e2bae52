"""Phones to mouth: a viseme model with coarticulation.

Four controls in units of the distance between the eyes, relative to rest: ``aperture`` (gap of the inner lips),
``spread`` (distance of the mouth corners), ``lips`` (height of the outer lips beyond the aperture: pressed and tucked
lips are thinner) and ``jaw`` (drop of the chin). Blending by dominance functions: Cohen and Massaro 1993, eq. 1-4.
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


@dataclass(frozen=True, slots=True)
class Viseme:
    """A mouth target and how strongly and widely it asserts itself."""

    aperture: float
    spread: float
    jaw: float
    lips: float = 0.0
    strength: float = 1.0
    reach: float = 0.09  # seconds in which its dominance falls to 1 / e


_OPEN = {"aa": (0.26, -0.01, 0.16), "ae": (0.22, 0.04, 0.13), "ah": (0.15, 0.0, 0.09), "ax": (0.11, 0.0, 0.06)}
_MID = {"ao": (0.19, -0.08, 0.12), "aw": (0.2, -0.04, 0.12), "ay": (0.21, 0.02, 0.12), "eh": (0.15, 0.03, 0.08)}
_CLOSE = {"er": (0.09, -0.05, 0.05), "ey": (0.13, 0.05, 0.06), "ih": (0.1, 0.03, 0.05), "iy": (0.08, 0.07, 0.03)}
_ROUND = {"ow": (0.14, -0.1, 0.08), "oy": (0.14, -0.09, 0.08), "uh": (0.09, -0.07, 0.05), "uw": (0.06, -0.12, 0.03)}
_TONGUE = {
    "t": 0.06,
    "d": 0.06,
    "n": 0.06,
    "l": 0.08,
    "th": 0.06,
    "dh": 0.06,
    "s": 0.04,
    "z": 0.04,
    "k": 0.07,
    "g": 0.07,
    "ng": 0.07,
}
_RELEASED = {
    "sh": (0.06, -0.07),
    "zh": (0.06, -0.07),
    "ch": (0.06, -0.06),
    "jh": (0.06, -0.06),
    "r": (0.06, -0.06),
    "w": (0.03, -0.12),
}

VISEMES: dict[str, Viseme] = {
    **{phone: Viseme(a, s, j) for group in (_OPEN, _MID, _CLOSE, _ROUND) for phone, (a, s, j) in group.items()},
    **{phone: Viseme(a, 0.01, a * 0.4, strength=0.5) for phone, a in _TONGUE.items()},
    **{phone: Viseme(a, s, a * 0.4, 0.01, strength=0.8) for phone, (a, s) in _RELEASED.items()},
    **{phone: Viseme(-0.02, 0.0, 0.0, -0.04, strength=6.0, reach=0.045) for phone in ("m", "b", "p")},
    **{phone: Viseme(0.01, 0.01, 0.0, -0.03, strength=4.0, reach=0.05) for phone in ("f", "v")},
    "y": Viseme(0.06, 0.05, 0.02, strength=0.6),
    "hh": Viseme(0.1, 0.0, 0.05, strength=0.3),
    "pau": Viseme(0.0, 0.0, 0.0, strength=1.5, reach=0.12),
}


def controls_of(lower: NDArray[np.float32], rest: NDArray[np.float32]) -> NDArray[np.float32]:
    """Controls ``(..., 4)`` of canonical lower faces ``(..., 169, 3)`` against a rest shape ``(169, 3)``."""

    def raw(shape: NDArray[np.float32]) -> NDArray[np.float32]:
        gap = (shape[..., INNER_LOWER, 1] - shape[..., INNER_UPPER, 1]).mean(axis=-1)
        spread = shape[..., CORNERS[1], 0] - shape[..., CORNERS[0], 0]
        lips = shape[..., _BOTTOM, 1] - shape[..., _TOP, 1] - gap
        return np.stack([aperture(shape), spread, lips, shape[..., _CHIN, 1]], axis=-1)

    return np.asarray(raw(lower) - raw(rest[None])[0], np.float32)


def speak(phones: list[tuple[str, float]], seconds: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Controls ``(T, 4)`` at 25 Hz for phones with their end times, for one imagined speaker.

    How far this speaker opens, and how quickly the mouth follows, are drawn from ``rng``. The mouth leads the sound by
    20 ms.
    """
    amount, agility, lead = rng.uniform(0.6, 1.25), rng.uniform(0.8, 1.25), 0.02
    times = np.arange(int(seconds * _FINE_RATE)) / _FINE_RATE + lead
    total = np.full(len(times), 1e-4)
    mixed = np.zeros((len(times), 4))
    start = 0.0
    for phone, end in phones:
        viseme = VISEMES.get(phone, VISEMES["ax"])
        outside = np.maximum(np.maximum(start - times, times - end), 0) + 0.35 * np.abs(times - (start + end) / 2)
        dominance = viseme.strength * np.exp(-outside / (viseme.reach / agility))
        total += dominance
        mixed += dominance[:, None] * (viseme.aperture, viseme.spread, viseme.lips, viseme.jaw)
        start = end
    smooth = np.hanning(7)
    fine = mixed / total[:, None] * (amount, 1.0, 1.0, amount)
    fine = np.stack([np.convolve(np.pad(c, 3, mode="edge"), smooth / smooth.sum(), "valid") for c in fine.T], axis=-1)
    fine[:, 0] = np.maximum(fine[:, 0], 0)
    return np.asarray(fine[:: _FINE_RATE // 25], np.float32)
