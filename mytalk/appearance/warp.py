"""Warps a mouth crop to other landmarks by a piecewise-affine triangle mesh.

Coordinates are pixels of the 128 x 128 mouth crop (``HeadPose.crop_matrix``), whatever the resolution that is sampled.
The crop's border never moves. The inside of the mouth is anchored to the upper lip, like the upper teeth: it is
stretched or squeezed within ``MIN_STRETCH`` to ``MAX_STRETCH``; beyond that, dark cavity is uncovered below it
(``Warp.cavity``) or the lower lip covers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import LOWER_COUNT, LOWER_FACE, LOWER_LIPS_INNER, TEMPLATE
from mytalk.face.pose import CROP_LEFT, CROP_PIXELS, CROP_SIDE, CROP_TOP

Points = NDArray[np.float32]  # (169, 2), crop pixels
Flow = NDArray[np.float32]  # (128, 128, 2): where each pixel comes from

COARSE = CROP_PIXELS // 2
"""Side of `Target.coarse_flows`, pixels."""

MAX_STRETCH = 1.4  # wanted gap / source gap up to which the mouth's inside is stretched; beyond, cavity is uncovered
MIN_STRETCH = 0.8  # the same down to which it is squeezed; below, the lower lip covers it

_BORDER_POINTS = 8  # border points a side
_CLOSED_GAP = 3.0  # widest gap of a source, crop pixels, up to which its inside is not trusted
_OPEN_GAP = 8.0  # and from which on it fully is
_CAVITY_DEPTH = 3.0  # depth of cavity, crop pixels, from which it is drawn in full
_DARK_GAP = 1.0  # gap, crop pixels, up to which covered teeth are all dark
_CLEAR_GAP = 5.0  # and from which on not at all
_INNER_TRIANGLES = 18  # triangles of the mouth's inside, the last of the mesh
_MIN_HEIGHT = 0.0625  # crop pixels up to which a triangle is not drawn: drawing is no finer, and its map is wild
_BORDER_MARGIN = 1.0  # crop pixels: landmarks are clipped this far inside the border
_MIN_CAVITY = 0.5  # depth, crop pixels, below which no cavity is drawn
_MIN_SHADE = 0.05  # share below which no shade is drawn
_LIP_OVERLAP = 0.6  # crop pixels that cavity goes on below the lower lip's edge
SUBPIXEL = 4  # fractional bits of polygon corners

# The inner lip loop from the picture's left corner: lower lip 1..9, right corner 10, upper lip 11..19.
_LOOP = np.array(LOWER_LIPS_INNER)
LOWER_LIP = _LOOP[0:11]
UPPER_LIP = np.concatenate([_LOOP[:1], _LOOP[:9:-1]])  # the same 11 places, corner to corner


@dataclass(frozen=True, slots=True)
class Warp:
    """Maps the pixels of one target mouth to a source mouth."""

    flow: Flow
    cavity: NDArray[np.float32] | None  # (128, 128) in 0..1: inside of the mouth that the source does not show
    shade: NDArray[np.float32] | None = None  # (128, 128) in 0..1: inside that nearly closed lips leave in the dark


class Target:
    """Holds wanted landmarks, prepared so that any number of sources can be warped to them."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self._interior: NDArray[np.float32] | None = None
        corners = _vertices(points, points)[_TRIANGLES]  # (T, 3, 2)
        area = _doubled_area(corners)
        sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
        area[np.abs(area) <= _MIN_HEIGHT * sides.max(axis=1)] = 0
        self._index = _triangle_index(corners, area).ravel().astype(np.intp)
        matrices = np.concatenate([corners, np.ones((len(corners), 3, 1))], axis=2)
        matrices[area == 0] = np.eye(3)  # never drawn
        self._inverse = np.linalg.inv(matrices)  # (T, 3, 3)

    def warp_from(self, source: Points) -> Warp:
        """Finds where each pixel of the target lies in a crop with landmarks ``source`` ``(169, 2)``."""
        anchored, visible, covered = _match_inner_lips(source, self.points)
        return Warp(self._flow(source, anchored), self._cavity(visible), self._shade(covered))

    def flow_from(self, source: Points) -> Flow:
        """Returns the flow of ``warp_from`` alone, without cavity and shade."""
        return self._flow(source, _match_inner_lips(source, self.points)[0])

    def _flow(self, source: Points, anchored: Points) -> Flow:
        """Applies each triangle's affine map to the pixels that lie in it."""
        affine = (self._inverse @ _vertices(source, anchored)[_TRIANGLES]).astype(np.float32)  # (T, 3, 2)
        rows = np.empty((CROP_PIXELS**2, 2), np.float32)
        for axis in (0, 1):
            # Plane by plane: gathering rows of six is several times slower.
            by_x, by_y, shift = (np.take(affine[:, k, axis], self._index, mode="clip") for k in range(3))
            rows[:, axis] = by_x * _X + by_y * _Y + shift
        flow = rows.reshape(CROP_PIXELS, CROP_PIXELS, 2)
        flow[[0, -1]], flow[:, [0, -1]] = GRID[[0, -1]], GRID[:, [0, -1]]  # drawing rounds; the border stays exact
        return flow

    def coarse_flows(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the flows from several sources ``(N, 169, 2)`` at half the resolution, ``(N, 64, 64, 2)``, in
        pixels of sources that are half as large."""
        vertices = _vertices(sources, _limit_stretch(sources, self.points)[0])[:, _TRIANGLES]  # (N, T, 3, 2)
        count, triangles = len(sources), len(_TRIANGLES)
        corners = vertices.transpose(1, 2, 3, 0).reshape(triangles, 3, 2 * count)
        affine = (self._inverse @ corners).astype(np.float32)  # (T, 3, 2 N)
        rows = np.take(affine.reshape(triangles, -1), self._index.reshape(GRID.shape[:2])[::2, ::2].ravel(), axis=0)
        by_x, by_y, shift = rows.reshape(len(rows), 3, 2 * count).transpose(1, 0, 2)
        flow = by_x * _COARSE_X + by_y * _COARSE_Y + shift  # (P, 2 N)
        flow -= np.float32(0.5)
        flow *= np.float32(0.5)
        return np.ascontiguousarray(flow.reshape(COARSE, COARSE, 2, count).transpose(3, 0, 1, 2))

    def interior(self) -> NDArray[np.float32]:
        """Returns the inside of the wanted mouth as a mask ``(128, 128)`` in 0..1, which must not be written to."""
        if self._interior is None:
            self._interior = fill(self.points[_LOOP], blur=1.0)
        return self._interior

    def _cavity(self, visible: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Draws the inside of the mouth below ``visible``, the share of the gap that the source fills at each of 11
        places."""
        upper, lower = self.points[UPPER_LIP], self.points[LOWER_LIP]
        edge = upper + visible[:, None] * (lower - upper)
        depth = np.linalg.norm(lower - edge, axis=1)
        if float(depth.max()) < _MIN_CAVITY:
            return None
        # A little beyond the lower lip's edge, where neighbouring pixels come from places far apart.
        beyond = lower + np.array([0, _LIP_OVERLAP], np.float32)
        return _strip(edge, beyond, np.minimum(depth / _CAVITY_DEPTH, 1.0), blur=1.0)

    def _shade(self, covered: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Darkens narrow slits of a mouth that the source shows wide open, so that teeth do not glitter between the
        lips."""
        upper, lower = self.points[UPPER_LIP], self.points[LOWER_LIP]
        narrow = np.clip((_CLEAR_GAP - np.linalg.norm(lower - upper, axis=1)) / (_CLEAR_GAP - _DARK_GAP), 0.0, 1.0)
        depth = covered * narrow
        if float(depth.max()) < _MIN_SHADE:
            return None
        return _strip(upper, lower, depth, blur=0.8)


def _strip(above: Points, below: Points, shares: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """Fills the area between two lines of equally many points with a share for each point, ``(128, 128)``."""
    canvas = np.zeros((CROP_PIXELS, CROP_PIXELS), np.float32)
    for i in range(len(above) - 1):
        quad = to_fixed_point(np.stack([above[i], above[i + 1], below[i + 1], below[i]]))
        cv2.fillConvexPoly(canvas, quad, float(shares[i : i + 2].mean()), cv2.LINE_8, SUBPIXEL)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), blur), np.float32)


def fill(polygon: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """Draws a filled polygon, crop pixels, as ``(128, 128)`` in 0..1, its outline smoothed by ``blur`` pixels
    (sigma)."""
    canvas = np.zeros((CROP_PIXELS, CROP_PIXELS), np.uint8)
    cv2.fillPoly(canvas, [to_fixed_point(polygon)], 255, cv2.LINE_AA, SUBPIXEL)
    return np.asarray(cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), blur), np.float32)


def to_fixed_point(points: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    """Converts points to OpenCV's fixed-point drawing coordinates with ``SUBPIXEL`` fractional bits."""
    return np.asarray(np.rint(points * (1 << SUBPIXEL)), np.int32)


def displacement(target: Points, source: Points) -> float:
    """Returns the largest distance along one axis that any landmark of the mesh moves, crop pixels."""
    return float(np.abs(target[_MESH_ROWS] - source[_MESH_ROWS]).max())


def flow_length(flow: Flow) -> NDArray[np.float32]:
    """Returns how far each pixel is moved by a flow, crop pixels, ``(128, 128)``."""
    moved = flow - GRID
    return np.asarray(cv2.magnitude(moved[..., 0], moved[..., 1]), np.float32)


def _limit_stretch(
    source: NDArray[np.float32], target: Points
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Places the target's inner lips in the source so that the inside is stretched by 0.8 to 1.4 at most.

    Returns source places of the inner lips ``(..., 169, 2)``, the lower lip's moved along the source's mouth axis, and
    the source's gap before and after that, ``(..., 11)``.
    """
    across = source[..., UPPER_LIP[-1], :] - source[..., UPPER_LIP[0], :]
    down = np.stack([-across[..., 1], across[..., 0]], axis=-1)
    down /= np.maximum(np.linalg.norm(down, axis=-1, keepdims=True), 1e-3)
    gap = np.maximum(((source[..., LOWER_LIP, :] - source[..., UPPER_LIP, :]) * down[..., None, :]).sum(axis=-1), 0.0)
    wanted = np.linalg.norm(target[LOWER_LIP] - target[UPPER_LIP], axis=1)
    limited_gap = np.clip(gap, wanted / MAX_STRETCH, wanted / MIN_STRETCH)
    anchored = source.copy()
    anchored[..., LOWER_LIP, :] += (limited_gap - gap)[..., None] * down[..., None, :]
    return anchored, gap, limited_gap


def _match_inner_lips(source: Points, target: Points) -> tuple[Points, NDArray[np.float32], NDArray[np.float32]]:
    """Returns source places of the target's inner lips, the share of each gap that the source fills, and the share
    of the source's gap that the target's lips cover."""
    anchored, gap, limited_gap = _limit_stretch(source, target)
    visible = np.clip(gap / np.maximum(limited_gap, 1e-3), 0.0, 1.0)
    # Between lips that are hardly open there is more lip than teeth: little to stretch into a wide mouth.
    trust = np.clip((gap.max() - _CLOSED_GAP) / (_OPEN_GAP - _CLOSED_GAP), 0.0, 1.0)
    visible *= trust + (1 - trust) * visible**2
    covered = np.clip((gap - limited_gap) / np.maximum(gap, 1e-3), 0.0, 1.0)
    return anchored, visible.astype(np.float32), covered.astype(np.float32)


def _vertices(points: Points, inside: Points) -> NDArray[np.float64]:
    """Assembles mesh vertices ``(..., V, 2)``: landmarks, border, and the inner lip loop a second time for the
    mouth's inside."""
    clipped = np.clip(points[..., _MESH_ROWS, :], _BORDER_MARGIN, CROP_PIXELS - 1 - _BORDER_MARGIN)
    border = np.broadcast_to(_BORDER, (*points.shape[:-2], *_BORDER.shape))
    return np.asarray(np.concatenate([clipped, border, inside[..., _LOOP, :]], axis=-2), np.float64)


def _triangle_index(corners: NDArray[np.float64], area: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    """Finds the triangle of each pixel; where they overlap, skin wins over the mouth's inside, and front over back."""
    index = np.zeros((CROP_PIXELS, CROP_PIXELS), np.int32)
    polygons = to_fixed_point(corners)
    drawn = np.flatnonzero(area)
    order = 2 * (drawn < len(area) - _INNER_TRIANGLES) + (area[drawn] > 0)
    for triangle in drawn[np.argsort(order, kind="stable")].tolist():
        cv2.fillConvexPoly(index, polygons[triangle], triangle, cv2.LINE_8, SUBPIXEL)
    return index


def _doubled_area(corners: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
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
    inner = np.isin(rows, _LOOP).nonzero()[0]
    skin = [t for t in delaunay if not np.isin(t, inner).all()]
    first = len(points)
    vertex = {int(row): first + i for i, row in enumerate(_LOOP)}
    upper, lower = [vertex[int(r)] for r in UPPER_LIP], [vertex[int(r)] for r in LOWER_LIP]
    inside = [[upper[i], upper[i + 1], lower[i]] for i in range(1, 10)]
    inside += [[lower[i], upper[i + 1], lower[i + 1]] for i in range(9)]
    triangles = np.array(skin + inside)
    return _clockwise(triangles, np.concatenate([points, _template_points()[_LOOP]]))


def _clockwise(triangles: NDArray[np.int64], points: NDArray[np.float32]) -> NDArray[np.int64]:
    """Orients triangles so that their area in the template is positive, where y points down."""
    flipped = _doubled_area(points[triangles]) < 0
    return np.where(flipped[:, None], triangles[:, ::-1], triangles)


_BORDER = _border()
GRID: Flow = np.stack(np.meshgrid(np.arange(CROP_PIXELS), np.arange(CROP_PIXELS)), axis=-1).astype(np.float32)
_X, _Y = np.ascontiguousarray(GRID[..., 0].ravel()), np.ascontiguousarray(GRID[..., 1].ravel())
_COARSE_X, _COARSE_Y = (np.ascontiguousarray(GRID[::2, ::2, axis].reshape(-1, 1)) + np.float32(0.5) for axis in (0, 1))
# Landmarks far enough inside the crop to be part of the mesh.
_MESH_ROWS = np.array(
    [r for r in range(LOWER_COUNT) if (np.abs(_template_points()[r] - CROP_PIXELS / 2) < CROP_PIXELS / 2 - 5).all()]
)
_TRIANGLES = _triangulate(np.concatenate([_template_points()[_MESH_ROWS], _BORDER]), _MESH_ROWS)
