"""Warps a mouth crop to other landmarks by the piecewise-affine mesh of `mytalk.appearance.mesh`.

The inside of the mouth is anchored to the upper lip, like the upper teeth: it is stretched or squeezed within
``MIN_STRETCH`` to ``MAX_STRETCH``; beyond that, dark cavity is uncovered below it (``cavity``) or the lower lip covers
it (``shade``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.compiled import Real, compiled
from mytalk.appearance.fill import add_coverage, blur
from mytalk.appearance.mesh import (
    BORDER,
    INNER_TRIANGLES,
    LOOP,
    LOWER_LIP,
    MESH_ROWS,
    TRIANGLES,
    UPPER_LIP,
    Points,
)
from mytalk.face.pose import CROP_PIXELS

Flow = NDArray[np.float32]  # (128, 128, 2): where each pixel comes from

MAX_STRETCH = 1.4  # wanted gap / source gap up to which the mouth's inside is stretched; beyond, cavity is uncovered
MIN_STRETCH = 0.8  # the same down to which it is squeezed; below, the lower lip covers it

CLOSED_GAP = 3.0  # widest gap of a source, crop pixels, up to which its inside is not trusted
OPEN_GAP = 8.0  # and from which on it fully is
CAVITY_DEPTH = 3.0  # depth of cavity, crop pixels, from which it is drawn in full
DARK_GAP = 1.0  # gap, crop pixels, up to which covered teeth are all dark
CLEAR_GAP = 5.0  # and from which on not at all
MIN_HEIGHT = 0.0625  # crop pixels up to which a triangle is not drawn: its map is wild
BORDER_MARGIN = 1.0  # crop pixels: landmarks are clipped this far inside the border
MIN_CAVITY = 0.5  # depth, crop pixels, below which no cavity is drawn
MIN_SHADE = 0.05  # share below which no shade is drawn
LIP_OVERLAP = 0.6  # crop pixels that cavity goes on below the lower lip's edge
INTERIOR_BLUR, CAVITY_BLUR, SHADE_BLUR = 1.0, 1.0, 0.8  # Gaussian sigmas, crop pixels
RIM = 0.5  # crop pixels by which what is drawn reaches over its outline, so that no pixel of it is left out
SKIN_TRIANGLES = len(TRIANGLES) - INNER_TRIANGLES
_LAST = np.float32(CROP_PIXELS - 1)


class Target(NamedTuple):
    """Holds wanted landmarks, prepared so that any number of sources can be warped to them."""

    points: Points
    triangles: NDArray[np.int16]  # (128, 128): the one that each pixel lies in
    barycentric: NDArray[np.float32]  # (T, 3, 3): the weight of each corner, as a map of (x, y, 1)


class Fit(NamedTuple):
    """Says how a source's inner lips meet the target's."""

    anchored: Points  # the source's landmarks, its lower inner lip moved so that the inside is not stretched too far
    visible: NDArray[np.float32]  # (11,) share of the target's gap that the source fills
    covered: NDArray[np.float32]  # (11,) share of the source's gap that the target's lips cover


@compiled
def target_of(points: Points) -> Target:
    """Prepares wanted landmarks ``(169, 2)``."""
    mesh = _vertices(points, points)
    index = np.zeros((CROP_PIXELS, CROP_PIXELS), np.int16)
    barycentric = np.zeros((len(TRIANGLES), 3, 3), np.float32)
    fronts = np.zeros(len(TRIANGLES), np.int8)  # 1: front, -1: back, 0: never drawn
    for t in range(len(TRIANGLES)):
        a, b, c = TRIANGLES[t, 0], TRIANGLES[t, 1], TRIANGLES[t, 2]
        area = (mesh[b, 0] - mesh[a, 0]) * (mesh[c, 1] - mesh[a, 1])
        area -= (mesh[b, 1] - mesh[a, 1]) * (mesh[c, 0] - mesh[a, 0])
        longest = np.float32(0)
        for k in range(3):
            p, q = TRIANGLES[t, k], TRIANGLES[t, (k + 1) % 3]
            longest = max(longest, np.hypot(mesh[p, 0] - mesh[q, 0], mesh[p, 1] - mesh[q, 1]))
        if abs(area) > np.float32(MIN_HEIGHT) * longest:
            fronts[t] = 1 if area > 0 else -1
            for k in range(3):
                p, q = TRIANGLES[t, (k + 1) % 3], TRIANGLES[t, (k + 2) % 3]
                barycentric[t, k, 0] = (mesh[p, 1] - mesh[q, 1]) / area
                barycentric[t, k, 1] = (mesh[q, 0] - mesh[p, 0]) / area
                barycentric[t, k, 2] = (mesh[p, 0] * mesh[q, 1] - mesh[q, 0] * mesh[p, 1]) / area
    # Where triangles overlap, skin wins over the mouth's inside, and front over back.
    for order in range(4):
        for t in range(len(TRIANGLES)):
            if fronts[t] == 2 * (order % 2) - 1 and (t < SKIN_TRIANGLES) == (order > 1):
                _draw_triangle(index, t, mesh, barycentric)
    return Target(points, index, barycentric)


@compiled
def _draw_triangle(index: NDArray[np.int16], t: int, mesh: Points, barycentric: NDArray[np.float32]) -> None:
    """Marks the pixels of a triangle, and those that its edges pass within half a pixel of, across or down."""
    a, b, c = TRIANGLES[t, 0], TRIANGLES[t, 1], TRIANGLES[t, 2]
    rim, last = np.float32(RIM), CROP_PIXELS - 1
    x0 = max(int(np.ceil(min(mesh[a, 0], mesh[b, 0], mesh[c, 0]) - rim)), 0)
    x1 = min(int(max(mesh[a, 0], mesh[b, 0], mesh[c, 0]) + rim), last)
    y0 = max(int(np.ceil(min(mesh[a, 1], mesh[b, 1], mesh[c, 1]) - rim)), 0)
    y1 = min(int(max(mesh[a, 1], mesh[b, 1], mesh[c, 1]) + rim), last)
    for y in range(y0, y1 + 1):
        # The columns of this row at which all three weights are at least those half a pixel outside the edge.
        low, high = np.float32(x0), np.float32(x1)
        for k in range(3):
            across, down = barycentric[t, k, 0], barycentric[t, k, 1]
            weight = down * np.float32(y) + barycentric[t, k, 2] + rim * max(abs(across), abs(down))
            if across > 0:
                low = max(low, -weight / across)
            elif across < 0:
                high = min(high, -weight / across)
            elif weight < 0:
                high = np.float32(-1)
        for x in range(int(np.ceil(low)), int(np.floor(high)) + 1):
            index[y, x] = t


@compiled
def fit_lips(source: Points, target: Points) -> Fit:
    """Places the target's inner lips in the source so that the inside is stretched by 0.8 to 1.4 at most."""
    across_x = source[UPPER_LIP[-1], 0] - source[UPPER_LIP[0], 0]
    across_y = source[UPPER_LIP[-1], 1] - source[UPPER_LIP[0], 1]
    length = max(np.sqrt(across_x * across_x + across_y * across_y), np.float32(1e-3))
    down_x, down_y = -across_y / length, across_x / length
    anchored = source.copy()
    visible, covered = np.empty(len(LOWER_LIP), np.float32), np.empty(len(LOWER_LIP), np.float32)
    widest = np.float32(0)
    for i in range(len(LOWER_LIP)):
        upper, lower = UPPER_LIP[i], LOWER_LIP[i]
        gap = max(
            (source[lower, 0] - source[upper, 0]) * down_x + (source[lower, 1] - source[upper, 1]) * down_y,
            np.float32(0),
        )
        wanted = np.hypot(target[lower, 0] - target[upper, 0], target[lower, 1] - target[upper, 1])
        limited = min(max(gap, wanted / np.float32(MAX_STRETCH)), wanted / np.float32(MIN_STRETCH))
        anchored[lower, 0] = source[lower, 0] + (limited - gap) * down_x
        anchored[lower, 1] = source[lower, 1] + (limited - gap) * down_y
        visible[i] = min(gap / max(limited, np.float32(1e-3)), np.float32(1))
        covered[i] = min(max((gap - limited) / max(gap, np.float32(1e-3)), np.float32(0)), np.float32(1))
        widest = max(widest, gap)
    # Between lips that are hardly open there is more lip than teeth: little to stretch into a wide mouth.
    trust = min(
        max((widest - np.float32(CLOSED_GAP)) / np.float32(OPEN_GAP - CLOSED_GAP), np.float32(0)), np.float32(1)
    )
    for i in range(len(visible)):
        visible[i] *= trust + (1 - trust) * visible[i] * visible[i]
    return Fit(anchored, visible, covered)


@compiled
def flow_from(target: Target, source: Points, anchored: Points, step: int) -> Flow:
    """Returns where each pixel of the target lies in a crop with landmarks ``source``.

    ``step`` 2: at half the resolution, in pixels of a source that is half as large, ``(64, 64, 2)``.
    """
    affine = _affine_maps(target.barycentric, _vertices(source, anchored))
    side = CROP_PIXELS // step
    flow = np.empty((side, side, 2), np.float32)
    middle, scale = np.float32((step - 1) / 2), np.float32(1 / step)
    for row in range(side):
        y = np.float32(row * step) + middle
        for column in range(side):
            x = np.float32(column * step) + middle
            t = target.triangles[row * step, column * step]
            across = affine[t, 0] * x + affine[t, 1] * y + affine[t, 2]
            down = affine[t, 3] * x + affine[t, 4] * y + affine[t, 5]
            flow[row, column, 0], flow[row, column, 1] = (across - middle) * scale, (down - middle) * scale
    if step == 1:  # the border stays exact
        for i in range(side):
            flow[0, i, 0], flow[0, i, 1] = np.float32(i), np.float32(0)
            flow[i, 0, 0], flow[i, 0, 1] = np.float32(0), np.float32(i)
            flow[side - 1, i, 0], flow[side - 1, i, 1] = np.float32(i), _LAST
            flow[i, side - 1, 0], flow[i, side - 1, 1] = _LAST, np.float32(i)
    return flow


@compiled
def _affine_maps(barycentric: NDArray[np.float32], mesh: Points) -> NDArray[np.float32]:
    """Returns each triangle's map from the target to a source's mesh points, ``(T, 6)``."""
    affine = np.empty((len(TRIANGLES), 6), np.float32)
    for t in range(len(TRIANGLES)):
        a, b, c = TRIANGLES[t, 0], TRIANGLES[t, 1], TRIANGLES[t, 2]
        for axis in range(2):
            for k in range(3):
                affine[t, 3 * axis + k] = (
                    barycentric[t, 0, k] * mesh[a, axis]
                    + barycentric[t, 1, k] * mesh[b, axis]
                    + barycentric[t, 2, k] * mesh[c, axis]
                )
    return affine


@compiled
def _vertices(points: Points, inside: Points) -> Points:
    """Assembles mesh points ``(V, 2)``: landmarks, border, and the inner lip loop for the mouth's inside."""
    mesh = np.empty((len(MESH_ROWS) + len(BORDER) + len(LOOP), 2), np.float32)
    low, high = np.float32(BORDER_MARGIN), _LAST - np.float32(BORDER_MARGIN)
    for axis in range(2):
        for i in range(len(MESH_ROWS)):
            mesh[i, axis] = min(max(points[MESH_ROWS[i], axis], low), high)
        for i in range(len(BORDER)):
            mesh[len(MESH_ROWS) + i, axis] = BORDER[i, axis]
        for i in range(len(LOOP)):
            mesh[len(MESH_ROWS) + len(BORDER) + i, axis] = inside[LOOP[i], axis]
    return mesh


@compiled
def interior_of(points: Points) -> NDArray[np.float32]:
    """Returns the inside of a mouth as a mask ``(128, 128)`` in 0..1."""
    canvas = np.zeros((CROP_PIXELS, CROP_PIXELS), np.float32)
    add_coverage(canvas, rows_of(points, LOOP), 1.0)
    return blur(canvas, INTERIOR_BLUR, 1)


@compiled
def rows_of(points: Points, rows: NDArray[np.int64]) -> Points:
    """Returns some landmarks."""
    out = np.empty((len(rows), 2), np.float32)
    for i in range(len(rows)):
        out[i, 0], out[i, 1] = points[rows[i], 0], points[rows[i], 1]
    return out


@compiled
def cavity_of(target: Points, visible: NDArray[np.float32]) -> NDArray[np.float32]:
    """Draws the inside of the mouth that the source does not show, ``(128, 128)`` in 0..1, or ``(0, 0)`` for none."""
    edge, beyond, shares = rows_of(target, UPPER_LIP), rows_of(target, LOWER_LIP), visible.copy()
    deepest = np.float32(0)
    for i in range(len(visible)):
        for axis in range(2):
            edge[i, axis] += visible[i] * (beyond[i, axis] - edge[i, axis])
        depth = np.hypot(beyond[i, 0] - edge[i, 0], beyond[i, 1] - edge[i, 1])
        shares[i], deepest = min(depth / np.float32(CAVITY_DEPTH), np.float32(1)), max(deepest, depth)
        # A little beyond the lower lip's edge, where neighbouring pixels come from places far apart.
        beyond[i, 1] += np.float32(LIP_OVERLAP)
    if deepest < MIN_CAVITY:
        return np.zeros((0, 0), np.float32)
    return _strip(edge, beyond, shares, CAVITY_BLUR)


@compiled
def shade_of(target: Points, covered: NDArray[np.float32]) -> NDArray[np.float32]:
    """Darkens narrow slits of a mouth that the source shows wide open, so that teeth do not glitter between the lips:
    ``(128, 128)`` in 0..1, or ``(0, 0)`` for none."""
    upper, lower, shares = rows_of(target, UPPER_LIP), rows_of(target, LOWER_LIP), covered.copy()
    deepest = np.float32(0)
    for i in range(len(covered)):
        gap = np.hypot(lower[i, 0] - upper[i, 0], lower[i, 1] - upper[i, 1])
        narrow = (np.float32(CLEAR_GAP) - gap) / np.float32(CLEAR_GAP - DARK_GAP)
        shares[i] *= min(max(narrow, np.float32(0)), np.float32(1))
        deepest = max(deepest, shares[i])
    if deepest < MIN_SHADE:
        return np.zeros((0, 0), np.float32)
    return _strip(upper, lower, shares, SHADE_BLUR)


@compiled
def _strip(above: Points, below: Points, shares: NDArray[np.float32], sigma: Real) -> NDArray[np.float32]:
    """Fills the area between two lines of equally many points with a share for each point, ``(128, 128)``."""
    canvas = np.zeros((CROP_PIXELS, CROP_PIXELS), np.float32)
    quad, rim = np.empty((4, 2), np.float32), np.float32(RIM)
    for i in range(len(above) - 1):
        for k in range(2):
            quad[k, 0], quad[k, 1] = above[i + k, 0], above[i + k, 1] - rim
            quad[3 - k, 0], quad[3 - k, 1] = below[i + k, 0], below[i + k, 1] + rim
        add_coverage(canvas, quad, (shares[i] + shares[i + 1]) / 2)
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            canvas[y, x] = min(canvas[y, x], np.float32(1))
    return blur(canvas, sigma, 1)


@compiled
def displacement(target: Points, source: Points) -> Real:
    """Returns the largest distance along one axis that any landmark of the mesh moves, crop pixels."""
    largest = np.float32(0)
    for row in MESH_ROWS:
        largest = max(largest, abs(target[row, 0] - source[row, 0]), abs(target[row, 1] - source[row, 1]))
    return largest


GRID: Flow = np.stack(np.meshgrid(np.arange(CROP_PIXELS), np.arange(CROP_PIXELS)), axis=-1).astype(np.float32)
