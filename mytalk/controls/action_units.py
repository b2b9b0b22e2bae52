"""Moves the lower face by Ekman's action units, drawn by rule on the mesh's own points in canonical space.

Ekman, Friesen and Hager 2002, "Facial Action Coding System". Each unit is a few points with the displacement that they
have at its full strength, for the picture's right half of the face; the left one mirrors it, and the skin around
follows the less the further away it is. No unit changes how far the lips are apart: that is the speech's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import INNER_LOWER, INNER_UPPER, LIPS, LOWER_FACE, LOWER_MIRROR, TEMPLATE

Field = NDArray[np.float32]
"""Displacement of a lower face, ``(169, 3)``, canonical: x to the picture's right, y down, z away from the camera."""

REACH = 0.16
"""Eye distances over which the skin around a moved point follows it: standard deviation of a Gaussian."""

_CORNER, _CHEEK, _NASOLABIAL, _UPPER_LIP, _UPPER_LIP_SIDE = 291, 436, 426, 267, 270
_LOWER_LIP, _LOWER_LIP_SIDE, _CHIN, _CHIN_SIDE = 314, 405, 199, 428

UNITS: dict[int, dict[int, tuple[float, float, float]]] = {
    10: {_UPPER_LIP: (0.0, -0.055, -0.01), _UPPER_LIP_SIDE: (0.01, -0.06, -0.01), _NASOLABIAL: (0.01, -0.05, 0.0)},
    12: {_CORNER: (0.09, -0.085, 0.03), _CHEEK: (0.04, -0.055, -0.02), _NASOLABIAL: (0.03, -0.035, -0.01)},
    15: {_CORNER: (-0.01, 0.11, 0.01), _CHIN_SIDE: (0.0, 0.025, 0.0)},
    16: {_LOWER_LIP: (0.0, 0.035, -0.01), _LOWER_LIP_SIDE: (0.01, 0.04, -0.01)},
    17: {_CHIN: (0.0, -0.05, -0.03), _CHIN_SIDE: (0.0, -0.035, -0.02), _LOWER_LIP: (0.0, -0.025, -0.03)},
    18: {_CORNER: (-0.14, 0.0, -0.07), _UPPER_LIP_SIDE: (-0.05, -0.005, -0.08), _LOWER_LIP_SIDE: (-0.05, 0.01, -0.08)},
    20: {_CORNER: (0.10, 0.02, 0.04), _CHEEK: (0.035, 0.01, 0.01)},
    23: {_CORNER: (-0.06, 0.01, 0.01), _UPPER_LIP: (0.0, 0.022, 0.015), _LOWER_LIP: (0.0, -0.022, 0.015)},
}
"""Lower-face units by number: 10 upper lip raiser, 12 lip corner puller, 15 lip corner depressor, 16 lower lip
depressor, 17 chin raiser, 18 lip pucker, 20 lip stretcher, 23 lip tightener. Values in eye distances."""

ALL_UNITS = (1, 2, 4, 5, 6, 7, 9, *UNITS)
"""Units that an expression may name: those of brows, lids and nose move in portraits alone."""

MAX_STRENGTH = 1.5
"""Greatest strength of a unit: beyond its full strength faces do little."""

FIT_PENALTY = 0.001
"""Ridge penalty of a fit, in squared eye distances: a hundredth of what a smile at full strength moves."""

FIT_ROUNDS = 60
"""Rounds of coordinate descent of a fit: it has settled to the second decimal place."""

LEAST_FITTED = 0.1
"""Strength below which a fitted unit is taken for the person's own face."""


@cache
def unit_field(unit: int) -> Field:
    """Returns the displacement of the lower face at full strength of a unit. Raises KeyError for an unknown one."""
    one_side = _spread(UNITS[unit])
    mirrored = one_side[list(LOWER_MIRROR)] * np.array([-1, 1, 1], np.float32)
    points = TEMPLATE[list(LOWER_FACE)]
    right = np.clip(0.5 + points[:, :1] / 0.12, 0, 1).astype(np.float32)
    return _without_aperture(right * one_side + (1 - right) * mirrored)


def blend(strengths: Mapping[int, float]) -> Field:
    """Adds the fields of several units; those of the upper face have none."""
    fields = [np.float32(strength) * unit_field(unit) for unit, strength in strengths.items() if unit in UNITS]
    return np.sum(fields, axis=0, dtype=np.float32) if fields else np.zeros((len(LOWER_FACE), 3), np.float32)


def decode_units(text: str) -> dict[int, float]:
    """Reads strengths of units, as ``12=0.8,15=0.2``. Raises ValueError."""
    units = {}
    for part in text.split(","):
        number, equals, strength = part.partition("=")
        units[int(number)] = float(strength)
        if not equals or int(number) not in ALL_UNITS or not abs(float(strength)) <= MAX_STRENGTH:
            raise ValueError(part)
    return units


def fitted_units(lower: Field, neutral: Field) -> dict[int, float]:
    """Returns the strengths of lower-face units that explain best how a mouth differs from a neutral one.

    Non-negative ridge regression on the lips, wherever they lie in the face, by coordinate descent: what tells one
    person's mouth from another's is mostly nothing that units do, and strengths below :data:`LEAST_FITTED` are left
    out.
    """
    fields = np.stack([_about_middle(unit_field(number)) for number in UNITS], axis=1)
    squares, wanted = fields.T @ fields, fields.T @ _about_middle(_without_aperture(lower - neutral))
    strengths = np.zeros(len(UNITS))
    for _ in range(FIT_ROUNDS):
        for index in range(len(UNITS)):
            rest = wanted[index] - squares[index] @ strengths + squares[index, index] * strengths[index]
            strengths[index] = np.clip(rest / (squares[index, index] + FIT_PENALTY), 0, MAX_STRENGTH)
    found = zip(UNITS, strengths.tolist(), strict=True)
    return {number: round(strength, 2) for number, strength in found if strength >= LEAST_FITTED}


def _about_middle(field: Field) -> Field:
    """Returns the lips' displacement ``(80,)`` against their own mean."""
    lips = field[: len(LIPS), :2]
    return np.asarray((lips - lips.mean(axis=0)).reshape(-1), np.float32)


def _spread(moved: dict[int, tuple[float, float, float]]) -> Field:
    """Spreads displacements of single points over the face: exact at those points, Gaussian around them."""
    points = TEMPLATE[list(LOWER_FACE), :2].astype(np.float64)
    anchors = TEMPLATE[list(moved), :2].astype(np.float64)
    kernel = np.exp(-(_squares(anchors, anchors)) / (2 * REACH**2))
    weights = np.linalg.solve(kernel, np.array(list(moved.values())))
    return np.asarray(np.exp(-_squares(points, anchors) / (2 * REACH**2)) @ weights, np.float32)


def _squares(points: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(((points[:, None] - anchors) ** 2).sum(axis=2))


def _without_aperture(field: Field) -> Field:
    """Shifts the lips so that the gap of each pair of inner points is unchanged: the pair moves as one."""
    return field - _gap_field(field)


def _gap_field(field: Field) -> Field:
    """Returns the part of a field that opens the lips: half of it up and half down, fading away from the inner lips."""
    points = TEMPLATE[list(LOWER_FACE)]
    gaps = field[list(INNER_LOWER), 1] - field[list(INNER_UPPER), 1]
    middle = (points[list(INNER_LOWER)] + points[list(INNER_UPPER)]) / 2
    near = np.exp(-((points[:, None, :2] - middle[:, :2]) ** 2).sum(axis=2) / (2 * REACH**2))
    share = near / np.maximum(near.sum(axis=1, keepdims=True), 1e-9)
    opening = (share @ gaps) * near.max(axis=1)
    below = np.where(points[:, 1] > middle[:, 1].mean(), 0.5, -0.5)
    out = np.zeros_like(field)
    out[:, 1] = opening * below
    return out
