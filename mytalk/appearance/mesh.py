"""Defines the triangle mesh that warps a mouth crop.

Coordinates are pixels of the 128 x 128 mouth crop (``HeadPose.crop_matrix``), pixel centres at integers. The crop's
border never moves. The mouth's inside has its own copy of the inner lip loop, so that it can be anchored to the upper
lip.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import LOWER_COUNT, LOWER_FACE, LOWER_LIPS_INNER, TEMPLATE
from mytalk.face.pose import CROP_LEFT, CROP_PIXELS, CROP_SIDE, CROP_TOP

Points = NDArray[np.float32]  # (169, 2), crop pixels

COARSE = CROP_PIXELS // 2
"""Side of the pictures that means of mouths are made at, pixels."""

INNER_TRIANGLES = 18
"""Triangles of the mouth's inside, the last of the mesh."""

_BORDER_POINTS = 8  # border points a side

# The inner lip loop from the picture's left corner: lower lip 1..9, right corner 10, upper lip 11..19.
LOOP = np.array(LOWER_LIPS_INNER)
LOWER_LIP = LOOP[0:11]
UPPER_LIP = np.concatenate([LOOP[:1], LOOP[:9:-1]])  # the same 11 places, corner to corner


def doubled_area(corners: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Returns twice the signed area of triangles ``(T, 3, 2)``; positive is clockwise, y pointing down."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.asarray(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])


def _border() -> NDArray[np.float32]:
    last = CROP_PIXELS - 1
    along = np.linspace(0, last, _BORDER_POINTS, endpoint=False)
    sides = [(along, 0 * along), (0 * along + last, along), (last - along, 0 * along + last), (0 * along, last - along)]
    return np.asarray(np.concatenate([np.stack(side, axis=1) for side in sides]), np.float32)


def _template_points() -> NDArray[np.float32]:
    corner = np.array([CROP_LEFT, CROP_TOP])
    flat = (TEMPLATE[list(LOWER_FACE), :2] - corner) * (CROP_PIXELS / CROP_SIDE) - 0.5
    return np.asarray(flat, np.float32)


def _triangulate(points: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangulates the template's mesh (Delaunay), cuts the mouth's inside out and joins lip to lip there."""
    subdivision = cv2.Subdiv2D((-1, -1, CROP_PIXELS + 2, CROP_PIXELS + 2))
    row_of: dict[tuple[float, float], int] = {}
    for row, (x, y) in enumerate(points.tolist()):
        subdivision.insert((x, y))
        row_of[(x, y)] = row
    delaunay = [
        [row_of[(float(t[0]), float(t[1]))], row_of[(float(t[2]), float(t[3]))], row_of[(float(t[4]), float(t[5]))]]
        for t in subdivision.getTriangleList()
        if all(-0.5 <= float(v) <= CROP_PIXELS for v in t)
    ]
    inner = np.isin(rows, LOOP).nonzero()[0]
    skin = [t for t in delaunay if not np.isin(t, inner).all()]
    first = len(points)
    vertex = {int(row): first + i for i, row in enumerate(LOOP)}
    upper, lower = [vertex[int(r)] for r in UPPER_LIP], [vertex[int(r)] for r in LOWER_LIP]
    inside = [[upper[i], upper[i + 1], lower[i]] for i in range(1, 10)]
    inside += [[lower[i], upper[i + 1], lower[i + 1]] for i in range(9)]
    triangles = np.array(skin + inside)
    return _clockwise(triangles, np.concatenate([points, _template_points()[LOOP]]))


def _clockwise(triangles: NDArray[np.int64], points: NDArray[np.float32]) -> NDArray[np.int64]:
    """Orients triangles so that their area in the template is positive, where y points down."""
    flipped = doubled_area(points[triangles]) < 0
    return np.where(flipped[:, None], triangles[:, ::-1], triangles)


BORDER = _border()
"""Mesh points on the crop's border, ``(32, 2)``."""

# Landmarks far enough inside the crop to be part of the mesh.
MESH_ROWS = np.array(
    [r for r in range(LOWER_COUNT) if (np.abs(_template_points()[r] - CROP_PIXELS / 2) < CROP_PIXELS / 2 - 5).all()]
)
TRIANGLES = np.ascontiguousarray(_triangulate(np.concatenate([_template_points()[MESH_ROWS], BORDER]), MESH_ROWS))
"""Rows of mesh points, ``(T, 3)``: `MESH_ROWS`, then `BORDER`, then `LOOP` a second time for the mouth's inside."""
