"""What is known of one face so far: its mouth at rest, how far it opens, who it is, and how it carries its mouth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mytalk.face.landmarks import LOWER_FACE, UPPER_COUNT, UPPER_FACE, aperture
from mytalk.motion.space import GAIN, MotionSpace, RestShape

Lower = NDArray[np.float32]
"""``(169, 3)`` canonical."""

_REST_PACE = 0.5  # share of the way to the new estimate at each look
_UPPER_MEMORY = 250  # pictures

MANNER_MEMORY = 100
"""Mouths that their means reach back, 4 s at 25 pictures a second: long against words, short against moods."""

_MANNER_PRIOR = 25  # motion frames made until the means are half believed


@dataclass(slots=True)
class Mean:
    """A mean over the last :data:`MANNER_MEMORY` mouths, and the variance of their lip aperture."""

    lower: Lower | None = None
    count: int = 0
    variance: float = 0.0

    def add(self, lower: Lower) -> None:
        self.count += 1
        if self.lower is None:
            self.lower = lower.copy()
            return
        pace = 1 / min(self.count, MANNER_MEMORY)
        moved = float(aperture(lower) - aperture(self.lower))
        self.variance = (1 - pace) * (self.variance + pace * moved**2)
        self.lower = self.lower + np.float32(pace) * (lower - self.lower)


@dataclass(slots=True)
class Person:
    """Rest shape, range, identity and manner of one face; causal and bounded."""

    rest: RestShape
    lower: Lower | None = None  # rest shape in use
    upper: NDArray[np.float32] = field(default_factory=lambda: np.zeros((UPPER_COUNT, 3), np.float32))  # mean so far
    seen: int = 0
    gain: float = 1.0  # of motion, towards this person's own range
    identity: Tensor | None = None  # (1, E) as the denoiser is told
    filmed: Mean = field(default_factory=Mean)
    made: Mean = field(default_factory=Mean)  # before their manner

    def observe(self, points: NDArray[np.float32]) -> None:
        """Canonical landmarks ``(478, 3)`` of one tracked face."""
        lower = points[list(LOWER_FACE)]
        self.rest.observe(lower)
        self.filmed.add(lower)
        self.seen += 1
        self.upper = self.upper + (points[list(UPPER_FACE)] - self.upper) / min(self.seen, _UPPER_MEMORY)

    def settle(self) -> None:
        """Move the rest shape and the gain in use towards what has been seen; the first time, all the way."""
        estimate = self.rest.estimate()
        gain = float(np.clip(self.rest.openness(), *GAIN))
        if self.lower is None:
            self.lower, self.gain = estimate, gain
        else:
            self.lower = self.lower + np.float32(_REST_PACE) * (estimate - self.lower)
            self.gain += _REST_PACE * (gain - self.gain)

    def carried(self, made: Lower, space: MotionSpace, voice: float = 1.0) -> Lower:
        """A shape as this person carries their mouth of late: a smile, a jaw put forward, corners that hang.

        By as much as the mean filmed mouth differs from the mean made one, but for how far it is open: that is the
        speech's. Not at all where the filmed mouth does not move, a picture's or a listener's: its mean is at rest.
        ``voice`` is 0 where the wanted mouth rests, which the rest shape knows better.
        """
        self.made.add(made)
        if self.filmed.lower is None or self.made.lower is None:
            return made
        apart = self.filmed.lower - self.made.lower
        speaks = min(1.0, (self.filmed.variance / max(self.made.variance, 1e-9)) ** 0.5)
        believed = self.made.count / (self.made.count + _MANNER_PRIOR)
        manner = space.opened(apart, -float(aperture(apart)))
        return made + np.float32(speaks * believed * voice) * manner
