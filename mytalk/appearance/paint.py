"""Paints a wanted mouth in the 128 crop: warps the nearest mouth and the current frame's skin, and mends light."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.colour_match import ColourMatcher, correction, matcher_of
from mytalk.appearance.compiled import Real, compiled, inlined
from mytalk.appearance.fill import Field
from mytalk.appearance.mask import Mask, mouth_mask, moving_mask, painted_mask
from mytalk.appearance.mouth_interior import interior_colours
from mytalk.appearance.reference_mean import mean_changes
from mytalk.appearance.refinement import without_detail
from mytalk.appearance.sampling import ONE, Colours, linear, sample_colours
from mytalk.appearance.scene import Frame, Reference, Scene
from mytalk.appearance.warp import (
    GRID,
    Flow,
    Target,
    cavity_of,
    displacement,
    fit_lips,
    flow_from,
    interior_of,
    shade_of,
    target_of,
)
from mytalk.face.pose import CROP_PIXELS

MIN_MOVE = 0.1  # crop pixels: landmarks that all move less leave the skin as it is
SLIT_SHADE = 0.65  # share of light that nearly closed lips take from what is between them
MAX_SHRINK = 1.2  # picture pixels a crop pixel beyond which more than one place of the picture is sampled


class Skin(NamedTuple):
    """Says how the current frame's own skin follows the landmarks."""

    moves: bool
    flow: Flow  # (128, 128, 2) within the crop
    mask: Mask  # (128, 128): how far it does


class WarpedMouth(NamedTuple):
    """Holds one mouth warped to the target, in the crop: ``kept * its pixels + drawn + correction``."""

    flow: Flow  # (128, 128, 2) into the mouth's crop
    kept: Field  # (128, 128)
    drawn: Colours
    correction: Colours
    corrected: Colours  # all of that


class Prepared(NamedTuple):
    """Holds what a frame's mouth is, before what others know better is added."""

    target: Target
    interior: Mask  # (128, 128): the inside of the wanted mouth
    region: Mask  # (128, 128): what may be painted anew
    painted: Mask  # (128, 128): what of it is
    skin: Skin
    current: Colours  # the frame as the network sees it, its skin moved to the wanted landmarks
    matcher: ColourMatcher
    nearest: WarpedMouth
    changes: NDArray[np.float32]  # (M, 128, 128, 3): what means of other mouths would change


@inlined
def prepare(scene: Scene, means: int) -> Prepared:
    """Warps the nearest mouth to the wanted landmarks, and averages its neighbours to ``means`` means, wide to
    narrow."""
    target, region = target_of(scene.wanted), mouth_mask(scene.wanted)
    skin = follow(target, scene.source)
    current = crop_of(scene.frame)
    if skin.moves:
        current = sample_colours(current, skin.flow)
    painted = painted_mask(region, scene.wanted, skin.flow, skin.moves)
    matcher = matcher_of(current, painted)
    nearest = warp_mouth(scene.reference, target, matcher)
    changes = mean_changes(nearest.corrected, nearest.kept, scene.neighbours, target, matcher, means)
    return Prepared(target, interior_of(scene.wanted), region, painted, skin, current, matcher, nearest, changes)


@compiled
def follow(target: Target, source: NDArray[np.float32]) -> Skin:
    """Finds how the current frame's skin follows the landmarks from ``source``, and where it moves."""
    if displacement(target.points, source) < MIN_MOVE:
        return Skin(False, GRID.copy(), np.zeros((CROP_PIXELS, CROP_PIXELS), np.float32))
    mask = moving_mask(source, target.points)
    flow = flow_from(target, source, fit_lips(source, target.points).anchored, 1)
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            flow[y, x, 0] = np.float32(x) + mask[y, x] * (flow[y, x, 0] - np.float32(x))
            flow[y, x, 1] = np.float32(y) + mask[y, x] * (flow[y, x, 1] - np.float32(y))
    return Skin(True, flow, mask)


@compiled
def crop_of(frame: Frame) -> Colours:
    """Samples the mouth crop of a picture, ``(128, 128, 3)`` RGB."""
    y_plane, u_plane, v_plane = frame.y, frame.u, frame.v  # once: each look-up counts a reference
    to_picture, rgb = frame.to_picture, frame.rgb_of_yuv
    scale = np.sqrt(abs(to_picture[0, 0] * to_picture[1, 1] - to_picture[0, 1] * to_picture[1, 0]))
    places = max(int(scale / np.float32(MAX_SHRINK)), 1)  # along each axis
    step, share = np.float32(1 / places), np.float32(1 / (places * places))
    first, half, quarter = (step - ONE) * np.float32(0.5), np.float32(0.5), np.float32(0.25)
    crop = np.empty((CROP_PIXELS, CROP_PIXELS, 3), np.float32)
    for row in range(CROP_PIXELS):
        for column in range(CROP_PIXELS):
            light, x, y = np.float32(0), np.float32(column), np.float32(row)
            across = to_picture[0, 0] * x + to_picture[0, 1] * y + to_picture[0, 2]
            down = to_picture[1, 0] * x + to_picture[1, 1] * y + to_picture[1, 2]
            u = linear(u_plane, half * across - quarter, half * down - quarter)
            v = linear(v_plane, half * across - quarter, half * down - quarter)
            for i in range(places):
                for j in range(places):
                    x, y = first + np.float32(j) * step, first + np.float32(i) * step
                    right = across + to_picture[0, 0] * x + to_picture[0, 1] * y
                    light += share * linear(y_plane, right, down + to_picture[1, 0] * x + to_picture[1, 1] * y)
            for c in range(3):
                colour = rgb[c, 0] * light + rgb[c, 1] * u + rgb[c, 2] * v + rgb[c, 3]
                crop[row, column, c] = min(max(colour, np.float32(0)), np.float32(255))
    return crop


@inlined
def warp_mouth(mouth: Reference, target: Target, matcher: ColourMatcher) -> WarpedMouth:
    """Warps one mouth to a target, and corrects its colours to the frame around it."""
    fit = fit_lips(mouth.points, target.points)
    flow = flow_from(target, mouth.points, fit.anchored, 1)
    seen = sample_colours(mouth.crop, flow)
    kept = np.ones((CROP_PIXELS, CROP_PIXELS), np.float32)
    drawn = np.zeros((CROP_PIXELS, CROP_PIXELS, 3), np.float32)
    shade, cavity = shade_of(target.points, fit.covered), cavity_of(target.points, fit.visible)
    if len(shade) > 0:
        for y in range(CROP_PIXELS):
            for x in range(CROP_PIXELS):
                kept[y, x] -= np.float32(SLIT_SHADE) * shade[y, x]
    if len(cavity) > 0:
        inside = interior_colours(target.points, mouth.skin)
        for y in range(CROP_PIXELS):
            for x in range(CROP_PIXELS):
                kept[y, x] *= 1 - cavity[y, x]
                for c in range(3):
                    drawn[y, x, c] = cavity[y, x] * inside[y, x, c]
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            for c in range(3):
                seen[y, x, c] = kept[y, x] * seen[y, x, c] + drawn[y, x, c]
    light = correction(matcher, seen)
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            for c in range(3):
                seen[y, x, c] += light[y, x, c]
    return WarpedMouth(flow, kept, drawn, light, seen)


@compiled
def window_of(region: Mask, side: int, cell: int) -> tuple[int, int]:
    """Places a window of ``side`` rows and columns in the middle of the mouth region, aligned to whole cells; returns
    its first row and column."""
    top, bottom, left, right = len(region), -1, len(region), -1
    for y in range(len(region)):
        for x in range(len(region)):
            if region[y, x] > 0:
                top, bottom, left, right = min(top, y), max(bottom, y), min(left, x), max(right, x)
    row = round((top + (bottom + 1 - top - side) / 2) / cell) * cell
    column = round((left + (right + 1 - left - side) / 2) / cell) * cell
    return min(max(row, 0), len(region) - side), min(max(column, 0), len(region) - side)


@inlined
def refined(one: Prepared, residual: Colours, row: int, column: int, share: Real, inside: Real) -> Colours:
    """Returns what is added to the nearest mouth's kept pixels, ``(128, 128, 3)``.

    ``residual`` ``(W, W, 3)`` is the network's, its window beginning at ``row`` and ``column``; ``share`` 0..1: how far
    any refinement is followed; ``inside``: how far it is between the lips.
    """
    colours = one.nearest.correction.copy()
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            for c in range(3):
                colours[y, x, c] += one.nearest.drawn[y, x, c]
    if share == 0:
        return colours
    side = len(residual)
    change, base = np.empty((side, side, 3), np.float32), np.empty((side, side, 3), np.float32)
    interior = np.empty((side, side), np.float32)
    for y in range(side):
        for x in range(side):
            interior[y, x] = one.interior[row + y, column + x]
            for c in range(3):
                base[y, x, c] = one.nearest.corrected[row + y, column + x, c]
                change[y, x, c] = residual[y, x, c]
                if len(one.changes) > 0:
                    mean = one.changes[0, row + y, column + x, c]
                    change[y, x, c] += mean * one.region[row + y, column + x]
    change = without_detail(change, base, interior)
    for y in range(side):
        for x in range(side):
            followed = 1 - (1 - np.float32(inside)) * interior[y, x]
            followed *= np.float32(share) * one.nearest.kept[row + y, column + x]
            for c in range(3):
                colours[row + y, column + x, c] += followed * change[y, x, c]
    return colours
