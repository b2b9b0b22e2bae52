"""Fits the head's pose and maps landmarks to the canonical face space.

A 3-D similarity transform, fitted to points that do not move with speech, removes position, size and rotation
(MediaPipe's depth is good enough for yaw and pitch). Motion is generated in that space and goes back through the
current frame's transform. The transform is filtered causally; lip points never are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import STABLE, TEMPLATE
from mytalk.media_time import SAMPLE_RATE

if TYPE_CHECKING:
    from mytalk.face.face import Face

# The mouth crop in canonical units: nose base to below an open jaw, and its depth plane (about the lips').
CROP_LEFT, CROP_TOP, CROP_SIDE = -0.8, 0.55, 1.6
CROP_DEPTH = -0.15
CROP_PIXELS = 128

MAX_GAP_SECONDS = 0.5  # after a longer gap between two pictures the filter starts anew

# One-Euro filters: minimum cutoff in Hz, and Hz of cutoff for a speed of one unit a second.
TRANSLATION_FILTER = (4.0, 60.0)  # unit: one face size
ROTATION_FILTER = (2.0, 30.0)  # unit: one radian
SCALE_FILTER = (2.0, 30.0)  # unit: a factor of e


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Maps canonical points to the picture: ``frame = scale * rotation @ canonical + translation``, in pixels (z on
    x's scale)."""

    scale: float
    rotation: NDArray[np.float32]  # (3, 3)
    translation: NDArray[np.float32]  # (3,)

    def to_frame(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps canonical ``(..., 3)`` to picture pixels ``(..., 3)``."""
        return np.asarray(self.scale * (points @ self.rotation.T) + self.translation, np.float32)

    def to_canonical(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps picture pixels ``(..., 3)`` to canonical ``(..., 3)``."""
        return np.asarray((points - self.translation) @ self.rotation / self.scale, np.float32)

    def crop_matrix(self, size: int = CROP_PIXELS) -> NDArray[np.float32]:
        """Returns the affine ``(2, 3)`` from picture pixels to pixels of the mouth crop, ``size`` a side.

        The crop's plane turns with the head, so that a turned mouth is seen from the front.
        """
        corner = np.array([[CROP_LEFT, CROP_TOP], [CROP_LEFT + CROP_SIDE, CROP_TOP], [CROP_LEFT, CROP_TOP + CROP_SIDE]])
        plane = np.column_stack([corner, np.full(3, CROP_DEPTH)]).astype(np.float32)
        frame = self.to_frame(plane)[:, :2]
        # Pixel centres: canonical edge <-> -0.5 of the crop.
        crop = np.array([[0, 0], [size, 0], [0, size]], np.float32) - 0.5
        return np.asarray(cv2.getAffineTransform(np.ascontiguousarray(frame), crop), np.float32)

    @property
    def yaw(self) -> float:
        """Returns the turn to the side in radians; 0 is frontal."""
        return float(np.arctan2(-self.rotation[2, 0], self.rotation[0, 0]))


def fit_similarity(source: NDArray[np.float32], target: NDArray[np.float32]) -> HeadPose:
    """Fits the least-squares similarity from ``source`` to ``target``, both ``(N, 3)``. Umeyama 1991, equations
    40-42."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    left, singular, right = np.linalg.svd(b.T @ a)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * signs) @ right
    scale = float((singular * signs).sum() / (a**2).sum())
    return HeadPose(
        scale, rotation.astype(np.float32), (target_mean - scale * rotation @ source_mean).astype(np.float32)
    )


def fit_pose(face: Face) -> HeadPose:
    """Fits the head's pose to the stable points of one face."""
    return fit_similarity(TEMPLATE[list(STABLE)], face.points[list(STABLE)])


def template_distance(face: Face) -> float:
    """Computes how far the face's stable points lie from the template's in canonical space: root mean square."""
    stable = list(STABLE)
    off = fit_pose(face).to_canonical(face.points[stable]) - TEMPLATE[stable]
    return float(np.sqrt(np.square(off).sum(axis=1).mean()))


@dataclass(slots=True)
class OneEuro:
    """Filters a vector by a One-Euro filter. Casiez et al. 2012."""

    min_cutoff: float  # Hz at rest
    beta: float  # Hz of cutoff for a speed of one unit a second
    value: NDArray[np.float64] | None = None
    speed: NDArray[np.float64] | None = None

    def __call__(self, value: NDArray[np.float64], seconds: float, unit: float = 1.0) -> NDArray[np.float64]:
        if self.value is None or self.speed is None or seconds <= 0:
            self.value, self.speed = value, np.zeros_like(value)
            return value
        raw_speed = (value - self.value) / seconds / unit
        self.speed = self.speed + _weight(1.0, seconds) * (raw_speed - self.speed)
        cutoff = self.min_cutoff + self.beta * float(np.linalg.norm(self.speed))
        self.value = self.value + _weight(cutoff, seconds) * (value - self.value)
        return self.value


def _weight(cutoff: float, seconds: float) -> float:
    return 1.0 / (1.0 + 1.0 / (2 * np.pi * cutoff * seconds))


@dataclass(slots=True)
class PoseFilter:
    """Smooths a head pose causally, at the pace of the frames' own times.

    Speeds count in face sizes, so that a large and a small face are smoothed alike.
    """

    _translation: OneEuro = field(default_factory=lambda: OneEuro(*TRANSLATION_FILTER))
    _rotation: OneEuro = field(default_factory=lambda: OneEuro(*ROTATION_FILTER))
    _scale: OneEuro = field(default_factory=lambda: OneEuro(*SCALE_FILTER))
    _at: int | None = None

    def __call__(self, pose: HeadPose, at: int) -> HeadPose:
        """Filters the pose of the frame at media time ``at``; times must not go back."""
        seconds = 0.0 if self._at is None else (at - self._at) / SAMPLE_RATE
        if seconds > MAX_GAP_SECONDS:
            self.reset()
        self._at = at
        vector, _ = cv2.Rodrigues(pose.rotation.astype(np.float64))
        translation = self._translation(pose.translation.astype(np.float64), seconds, pose.scale)
        scale = float(np.exp(self._scale(np.array([np.log(pose.scale)]), seconds)[0]))
        rotation, _ = cv2.Rodrigues(self._rotation(vector[:, 0], seconds))
        return HeadPose(scale, rotation.astype(np.float32), translation.astype(np.float32))

    def reset(self) -> None:
        """Forgets the past: the face was lost, or another one speaks now."""
        for one in (self._translation, self._rotation, self._scale):
            one.value = one.speed = None
        self._at = None
