"""Defines motion space: lower-face landmarks as coefficients of a mouth basis around one person's rest shape.

The basis is learned from real clips (principal components of displacement from rest, people weighted equally), so noise
on the coefficients is noise over mouths and a sum of them is a mouth.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import LOWER_COUNT, aperture

DIMS = 3

GAIN = (0.8, 1.6)
"""Least and greatest factor by which motion is scaled to the range of a person who opens less or more than most."""

_MEAN_SPREAD = 0.064  # standard deviation of aperture, mean over the training people, canonical units
_MIN_SPREAD = 0.02  # below this spread a mouth is a still picture or a listener
_MIN_FACES = 50  # faces from which a spread says something


class Opening(ABC):
    """Moves lips along one direction: how the face moves for one unit of lip aperture."""

    @abstractmethod
    def direction(self) -> NDArray[np.float32]:
        """Returns the displacement ``(169, 3)`` of one unit of aperture; zeros where it was not learned yet."""

    def closed(self, lower: NDArray[np.float32]) -> NDArray[np.float32]:
        """Closes the lips of one shape ``(169, 3)`` along the opening direction."""
        return self.opened(lower, -float(aperture(lower)))

    def opened(self, lower: NDArray[np.float32], by: float) -> NDArray[np.float32]:
        """Grows a shape's aperture by ``by`` canonical units; a space not fitted yet moves none."""
        direction = self.direction()
        unit = float(aperture(direction))
        return lower if unit == 0 else np.asarray(lower + by / unit * direction, np.float32)


@dataclass(frozen=True)
class MotionSpace(Opening):
    """Maps displacements ``(..., 169, 3)``, canonical, to coefficients ``(..., K)`` of unit variance, and back.

    `mytalk.motion.space_module` is the same for training.
    """

    basis: NDArray[np.float32]  # (K, 507), orthonormal
    scale: NDArray[np.float32]  # (K,) standard deviations
    opening: NDArray[np.float32]  # (507,)

    def encode(self, displacement: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps displacements ``(..., 169, 3)`` to coefficients ``(..., K)``."""
        return np.asarray(displacement.reshape(*displacement.shape[:-2], -1) @ self.basis.T / self.scale, np.float32)

    def decode(self, coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps coefficients ``(..., K)`` to displacements ``(..., 169, 3)``."""
        rows = np.asarray((coefficients * self.scale) @ self.basis, np.float32)
        return rows.reshape(*rows.shape[:-1], LOWER_COUNT, DIMS)

    def direction(self) -> NDArray[np.float32]:
        return self.opening.reshape(LOWER_COUNT, DIMS)


@dataclass(slots=True)
class RestShape:
    """Estimates one person's mouth at rest from the faces seen so far; causal and bounded.

    The quarter of the seen shapes with the smallest aperture, averaged, then closed along the opening direction.
    It holds at most ``capacity`` shapes: when full, every second one goes and only every second is taken from then on.
    """

    space: Opening
    capacity: int = 256
    _shapes: list[NDArray[np.float32]] | None = None
    _stride: int = 1
    _seen: int = 0

    def observe(self, lower: NDArray[np.float32]) -> None:
        """Takes a canonical lower face ``(169, 3)`` as tracked."""
        if self._shapes is None:
            self._shapes = []
        if self._seen % self._stride == 0:
            self._shapes.append(lower)
            if len(self._shapes) >= self.capacity:
                self._shapes, self._stride = self._shapes[::2], self._stride * 2
        self._seen += 1

    def openness(self) -> float:
        """Returns the spread of apertures / that of the training people; 1 until the person was seen to speak."""
        if not self._shapes or self._seen < _MIN_FACES:
            return 1.0
        spread = float(aperture(np.stack(self._shapes)).std())
        return spread / _MEAN_SPREAD if spread > _MIN_SPREAD else 1.0

    def estimate(self) -> NDArray[np.float32]:
        """Returns the rest shape ``(169, 3)``. Raises ValueError before the first face."""
        if not self._shapes:
            raise ValueError("no face seen yet")
        shapes = np.stack(self._shapes)
        gaps = aperture(shapes)
        closest = shapes[np.argsort(gaps, kind="stable")[: max(1, len(gaps) // 4)]]
        return self.space.closed(np.asarray(closest.mean(axis=0), np.float32))
