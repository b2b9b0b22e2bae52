"""Bends a mouth to other landmarks: a piecewise-affine mesh warp of the mouth crop.

Coordinates are pixels of the 128 x 128 mouth crop (``HeadPose.crop_matrix``), whatever the resolution that is
sampled. The crop's rim never moves. The inside of the mouth is hung on the upper lip, like the upper teeth: it is
stretched or squeezed a little, then uncovered (``Warp.cavity``) or covered by the lower lip.
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
"""Side of `Target.coarse_flows`."""

MAX_STRETCH = 1.4  # of the mouth's inside, before the dark below the teeth is uncovered
MIN_STRETCH = 0.8  # before the lower lip covers it

_RIM_SIDE = 8  # rim points a side
_SLIT, _OPEN = 3.0, 8.0  # a source's widest gap, crop pixels, at which its inside is not and is fully trusted
_DEEP = 3.0  # crop pixels that are uncovered in full: a thinner dark line along the lip is none
_NARROW, _WIDE = 1.0, 5.0  # gaps, crop pixels, at which covered teeth are all dark and not dark at all
_INSIDE = 18  # the last triangles of the mesh
_FLAT = 1e-2  # a triangle of no more than half this area is not drawn
_MARGIN = 1.0  # landmarks are held this far inside the rim
SUBPIXEL = 4  # fractional bits of polygon corners

# The inner lip loop from the picture's left corner: lower lip 1..9, right corner 10, upper lip 11..19.
_LOOP = np.array(LOWER_LIPS_INNER)
LOWER_LIP = _LOOP[0:11]
UPPER_LIP = np.concatenate([_LOOP[:1], _LOOP[:9:-1]])  # the same 11 places, corner to corner


@dataclass(frozen=True, slots=True)
class Warp:
    """How one source mouth becomes the target."""

    flow: Flow
    cavity: NDArray[np.float32] | None  # (128, 128) in 0..1: inside of the mouth that the source does not show
    shade: NDArray[np.float32] | None = None  # (128, 128) in 0..1: inside that nearly closed lips leave in the dark


class Target:
    """Wanted landmarks, ready for any number of sources to be bent to them."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self._inside: NDArray[np.float32] | None = None
        corners = _vertices(points, points)[_TRIANGLES]  # (T, 3, 2)
        area = _doubled_area(corners)
        self._index = _triangle_index(corners, area).ravel().astype(np.intp)
        matrices = np.concatenate([corners, np.ones((len(corners), 3, 1))], axis=2)
        matrices[np.abs(area) <= _FLAT] = np.eye(3)  # never drawn
        self._inverse = np.linalg.inv(matrices)  # (T, 3, 3)

    def warp_from(self, source: Points) -> Warp:
        """Where each pixel of the target lies in a crop with landmarks ``source``."""
        hung, seen, covered = _hang(source, self.points)
        return Warp(self._flow(source, hung), self._cavity(seen), self._shade(covered))

    def flow_from(self, source: Points) -> Flow:
        """The same without what the source's mouth does not show."""
        return self._flow(source, _hang(source, self.points)[0])

    def _flow(self, source: Points, hung: Points) -> Flow:
        affine = (self._inverse @ _vertices(source, hung)[_TRIANGLES]).astype(np.float32)  # (T, 3, 2)
        flow = np.empty((CROP_PIXELS**2, 2), np.float32)
        for axis in (0, 1):
            # Plane by plane: gathering rows of six is several times slower.
            by_x, by_y, shift = (np.take(affine[:, k, axis], self._index, mode="clip") for k in range(3))
            flow[:, axis] = by_x * _X + by_y * _Y + shift
        flow = flow.reshape(CROP_PIXELS, CROP_PIXELS, 2)
        flow[[0, -1]], flow[:, [0, -1]] = GRID[[0, -1]], GRID[:, [0, -1]]  # drawing rounds; the rim stands
        return flow

    def coarse_flows(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        """The flows from several sources ``(N, 169, 2)`` at half the resolution, ``(N, 64, 64, 2)``, together: in
        pixels of sources that are half as large."""
        vertices = _vertices(sources, _hung(sources, self.points)[0])[:, _TRIANGLES]  # (N, T, 3, 2)
        count, triangles = len(sources), len(_TRIANGLES)
        corners = vertices.transpose(1, 2, 3, 0).reshape(triangles, 3, 2 * count)
        affine = (self._inverse @ corners).astype(np.float32)  # (T, 3, 2 N)
        rows = np.take(affine.reshape(triangles, -1), self._index.reshape(GRID.shape[:2])[::2, ::2].ravel(), axis=0)
        by_x, by_y, shift = rows.reshape(len(rows), 3, 2 * count).transpose(1, 0, 2)
        flow = by_x * _COARSE_X + by_y * _COARSE_Y + shift  # (P, 2 N)
        flow -= np.float32(0.5)
        flow *= np.float32(0.5)
        return np.ascontiguousarray(flow.reshape(COARSE, COARSE, 2, count).transpose(3, 0, 1, 2))

    def inside(self) -> NDArray[np.float32]:
        """The inside of the wanted mouth, ``(128, 128)`` in 0..1; not to be written to."""
        if self._inside is None:
            self._inside = fill(self.points[_LOOP], blur=1.0)
        return self._inside

    def _cavity(self, seen: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The inside of the mouth below ``seen``, the share of the gap that the source fills at each place."""
        upper, lower = self.points[UPPER_LIP], self.points[LOWER_LIP]
        edge = upper + seen[:, None] * (lower - upper)
        depth = np.linalg.norm(lower - edge, axis=1)
        if float(depth.max()) < 0.5:
            return None
        # A little beyond the lower lip's edge, where neighbouring pixels come from places far apart.
        beyond = lower + np.array([0, 0.6], np.float32)
        return _strip(edge, beyond, np.minimum(depth / _DEEP, 1.0), blur=1.0)

    def _shade(self, covered: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Narrow slits of a mouth that the source shows wide open: its teeth must not glitter between the lips."""
        upper, lower = self.points[UPPER_LIP], self.points[LOWER_LIP]
        narrow = np.clip((_WIDE - np.linalg.norm(lower - upper, axis=1)) / (_WIDE - _NARROW), 0.0, 1.0)
        depth = covered * narrow
        if float(depth.max()) < 0.05:
            return None
        return _strip(upper, lower, depth, blur=0.8)


def _strip(above: Points, below: Points, shares: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """What lies between two lines of as many points, filled with its share at each, ``(128, 128)``."""
    canvas = np.zeros((CROP_PIXELS, CROP_PIXELS), np.float32)
    for i in range(len(above) - 1):
        quad = fixed(np.stack([above[i], above[i + 1], below[i + 1], below[i]]))
        cv2.fillConvexPoly(canvas, quad, float(shares[i : i + 2].mean()), cv2.LINE_8, SUBPIXEL)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), blur), np.float32)


def fill(polygon: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """A filled polygon in crop pixels as ``(128, 128)`` in 0..1, its border smoothed by ``blur`` pixels."""
    canvas = np.zeros((CROP_PIXELS, CROP_PIXELS), np.uint8)
    cv2.fillPoly(canvas, [fixed(polygon)], 255, cv2.LINE_AA, SUBPIXEL)
    return np.asarray(cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), blur), np.float32)


def fixed(points: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    """Points as OpenCV's fixed-point drawing wants them, ``SUBPIXEL`` bits after the point."""
    return np.asarray(np.rint(points * (1 << SUBPIXEL)), np.int32)


def displacement(target: Points, source: Points) -> float:
    """The largest way that any landmark of the mesh moves, in crop pixels."""
    return float(np.abs(target[_MESH_ROWS] - source[_MESH_ROWS]).max())


def way(flow: Flow) -> NDArray[np.float32]:
    """How far each pixel comes, crop pixels, ``(128, 128)``."""
    moved = flow - GRID
    return np.asarray(cv2.magnitude(moved[..., 0], moved[..., 1]), np.float32)


def _hung(
    source: NDArray[np.float32], target: Points
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Source places of the target's inner lip ``(..., 169, 2)``, and the source's gap as it is and as it is hung
    ``(..., 11)``.

    The lower lip's places are moved along the source's mouth axis so that the inside is stretched by 0.8 to 1.4.
    """
    across = source[..., UPPER_LIP[-1], :] - source[..., UPPER_LIP[0], :]
    down = np.stack([-across[..., 1], across[..., 0]], axis=-1)
    down /= np.maximum(np.linalg.norm(down, axis=-1, keepdims=True), 1e-3)
    gap = np.maximum(((source[..., LOWER_LIP, :] - source[..., UPPER_LIP, :]) * down[..., None, :]).sum(axis=-1), 0.0)
    wanted = np.linalg.norm(target[LOWER_LIP] - target[UPPER_LIP], axis=1)
    hung_gap = np.clip(gap, wanted / MAX_STRETCH, wanted / MIN_STRETCH)
    hung = source.copy()
    hung[..., LOWER_LIP, :] += (hung_gap - gap)[..., None] * down[..., None, :]
    return hung, gap, hung_gap


def _hang(source: Points, target: Points) -> tuple[Points, NDArray[np.float32], NDArray[np.float32]]:
    """Source places of the target's inner lip, the share of each gap that the source fills, and the share of the
    source's gap that the target's lips cover.
    """
    hung, gap, hung_gap = _hung(source, target)
    seen = np.clip(gap / np.maximum(hung_gap, 1e-3), 0.0, 1.0)
    # Between lips that are hardly open there is more lip than teeth: nothing to hang into a wide mouth.
    trust = np.clip((gap.max() - _SLIT) / (_OPEN - _SLIT), 0.0, 1.0)
    seen *= trust + (1 - trust) * seen**2
    covered = np.clip((gap - hung_gap) / np.maximum(gap, 1e-3), 0.0, 1.0)
    return hung, seen.astype(np.float32), covered.astype(np.float32)


def _vertices(points: Points, inside: Points) -> NDArray[np.float64]:
    """Mesh vertices ``(..., V, 2)``: landmarks, rim, and the inner lip loop once more for the mouth's inside."""
    held = np.clip(points[..., _MESH_ROWS, :], _MARGIN, CROP_PIXELS - 1 - _MARGIN)
    rim = np.broadcast_to(_RIM, (*points.shape[:-2], *_RIM.shape))
    return np.asarray(np.concatenate([held, rim, inside[..., _LOOP, :]], axis=-2), np.float64)


def _triangle_index(corners: NDArray[np.float64], area: NDArray[np.float64]) -> NDArray[np.int32]:
    """Which triangle each pixel lies in. Where they overlap, skin wins over the mouth's inside, and front over back."""
    index = np.zeros((CROP_PIXELS, CROP_PIXELS), np.int32)
    polygons = fixed(corners)
    drawn = np.flatnonzero(np.abs(area) > _FLAT)
    order = 2 * (drawn < len(area) - _INSIDE) + (area[drawn] > 0)
    for triangle in drawn[np.argsort(order, kind="stable")].tolist():
        cv2.fillConvexPoly(index, polygons[triangle], triangle, cv2.LINE_8, SUBPIXEL)
    return index


def _doubled_area(corners: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Twice the signed area of triangles ``(T, 3, 2)``; positive is clockwise, y pointing down."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.asarray(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])


def _rim() -> NDArray[np.float32]:
    last = CROP_PIXELS - 1
    along = np.linspace(0, last, _RIM_SIDE, endpoint=False)
    sides = [(along, 0 * along), (0 * along + last, along), (last - along, 0 * along + last), (0 * along, last - along)]
    return np.asarray(np.concatenate([np.stack(side, axis=1) for side in sides]), np.float32)


def _template_points() -> NDArray[np.float32]:
    corner = np.array([CROP_LEFT, CROP_TOP])
    flat = (TEMPLATE[list(LOWER_FACE), :2] - corner) * (CROP_PIXELS / CROP_SIDE) - 0.5
    return np.asarray(flat, np.float32)


def _triangulate(points: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Delaunay triangles of the template's mesh, the mouth's inside cut out and sewn in from lip to lip."""
    subdivision = cv2.Subdiv2D((-1, -1, CROP_PIXELS + 2, CROP_PIXELS + 2))
    number: dict[tuple[float, float], int] = {}
    for row, (x, y) in enumerate(points.tolist()):
        subdivision.insert((x, y))
        number[(x, y)] = row
    found = [
        [number[(float(t[0]), float(t[1]))], number[(float(t[2]), float(t[3]))], number[(float(t[4]), float(t[5]))]]
        for t in subdivision.getTriangleList()
        if all(-0.5 <= float(v) <= CROP_PIXELS for v in t)
    ]
    inner = np.isin(rows, _LOOP).nonzero()[0]
    skin = [t for t in found if not np.isin(t, inner).all()]
    first = len(points)
    place = {int(row): first + i for i, row in enumerate(_LOOP)}
    upper, lower = [place[int(r)] for r in UPPER_LIP], [place[int(r)] for r in LOWER_LIP]
    inside = [[upper[i], upper[i + 1], lower[i]] for i in range(1, 10)]
    inside += [[lower[i], upper[i + 1], lower[i + 1]] for i in range(9)]
    everything = np.array(skin + inside)
    return _clockwise(everything, np.concatenate([points, _template_points()[_LOOP]]))


def _clockwise(triangles: NDArray[np.int64], points: NDArray[np.float32]) -> NDArray[np.int64]:
    """The same triangles, all of positive area in the template, where y points down."""
    flipped = _doubled_area(points[triangles]) < 0
    return np.where(flipped[:, None], triangles[:, ::-1], triangles)


_RIM = _rim()
GRID: Flow = np.stack(np.meshgrid(np.arange(CROP_PIXELS), np.arange(CROP_PIXELS)), axis=-1).astype(np.float32)
_X, _Y = np.ascontiguousarray(GRID[..., 0].ravel()), np.ascontiguousarray(GRID[..., 1].ravel())
_COARSE_X, _COARSE_Y = (np.ascontiguousarray(GRID[::2, ::2, axis].reshape(-1, 1)) + np.float32(0.5) for axis in (0, 1))
# Landmarks far enough inside the crop to be part of the mesh.
_MESH_ROWS = np.array(
    [r for r in range(LOWER_COUNT) if (np.abs(_template_points()[r] - CROP_PIXELS / 2) < CROP_PIXELS / 2 - 5).all()]
)
_TRIANGLES = _triangulate(np.concatenate([_template_points()[_MESH_ROWS], _RIM]), _MESH_ROWS)
