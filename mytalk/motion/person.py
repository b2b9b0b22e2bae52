"""Estimates one person's mouth at rest, its range, identity and manner from the faces seen so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import LOWER_FACE, UPPER_COUNT, UPPER_FACE, aperture
from mytalk.motion.space import GAIN, Opening, RestShape

Lower = NDArray[np.float32]
"""Canonical lower face, ``(169, 3)``."""

_REST_RATE = 0.5  # share of the way to the new estimate at each look
_UPPER_FRAMES = 250  # pictures

MANNER_MEMORY = 100
"""Mouths that running means average over, 4 s at 25 pictures a second: long against words, short against moods."""

_MANNER_PRIOR = 25  # motion frames made until the means are half believed


@dataclass(slots=True)
class RunningMean:
    """Averages the last :data:`MANNER_MEMORY` mouths, and the variance of their lip aperture."""

    lower: Lower | None = None
    count: int = 0
    variance: float = 0.0

    def add(self, lower: Lower) -> None:
        """Adds one mouth."""
        self.count += 1
        if self.lower is None:
            self.lower = lower.copy()
            return
        rate = 1 / min(self.count, MANNER_MEMORY)
        moved = float(aperture(lower) - aperture(self.lower))
        self.variance = (1 - rate) * (self.variance + rate * moved**2)
        self.lower = self.lower + np.float32(rate) * (lower - self.lower)


@dataclass(slots=True)
class Person:
    """Holds rest shape, range, identity and manner of one face; causal and bounded."""

    rest: RestShape
    lower: Lower | None = None  # rest shape in use
    upper: NDArray[np.float32] = field(default_factory=lambda: np.zeros((UPPER_COUNT, 3), np.float32))  # mean so far
    seen: int = 0
    gain: float = 1.0  # of motion, towards this person's own range
    identity: NDArray[np.float32] | None = None  # (1, E) as the denoiser takes it
    filmed: RunningMean = field(default_factory=RunningMean)
    generated: RunningMean = field(default_factory=RunningMean)  # before their manner

    def observe(self, points: NDArray[np.float32]) -> None:
        """Takes canonical landmarks ``(478, 3)`` of one tracked face."""
        lower = points[list(LOWER_FACE)]
        self.rest.observe(lower)
        self.filmed.add(lower)
        self.seen += 1
        self.upper = self.upper + (points[list(UPPER_FACE)] - self.upper) / np.float32(min(self.seen, _UPPER_FRAMES))

    def update(self) -> None:
        """Moves the rest shape and the gain in use towards the estimates; the first time, all the way."""
        estimate = self.rest.estimate()
        gain = float(np.clip(self.rest.openness(), *GAIN))
        if self.lower is None:
            self.lower, self.gain = estimate, gain
        else:
            self.lower = self.lower + np.float32(_REST_RATE) * (estimate - self.lower)
            self.gain += _REST_RATE * (gain - self.gain)

    def with_manner(self, generated: Lower, space: Opening, voice: float = 1.0) -> Lower:
        """Adds this person's manner to a generated shape: a smile, a jaw put forward, drooping corners.

        The manner is how the mean filmed mouth differs from the mean generated one, but for how far it is open: that is
        the speech's. It is 0 where the filmed mouth does not move, a picture's or a listener's: its mean is at rest.
        ``voice`` is 0 where the wanted mouth rests, which the rest shape knows better.
        """
        self.generated.add(generated)
        if self.filmed.lower is None or self.generated.lower is None:
            return generated
        difference = self.filmed.lower - self.generated.lower
        liveliness = min(1.0, (self.filmed.variance / max(self.generated.variance, 1e-9)) ** 0.5)
        confidence = self.generated.count / (self.generated.count + _MANNER_PRIOR)
        manner = space.opened(difference, -float(aperture(difference)))
        return generated + np.float32(liveliness * confidence * voice) * manner
