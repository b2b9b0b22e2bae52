"""Composes the mouth crop into the picture, in the picture's own resolution and its own YUV.

The nearest mouth is sampled once, straight from the pixels it was seen in; only what is added to it, which is smooth or
small, is enlarged from the crop. Only the box that changes is worked on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.colour_match import CELLS
from mytalk.appearance.compiled import Real, compiled, leaf
from mytalk.appearance.fill import Field
from mytalk.appearance.mask import Mask
from mytalk.appearance.paint import Skin
from mytalk.appearance.sampling import ONE, Colours, Matrix, cubic, enlarged, linear
from mytalk.appearance.scene import Frame, Planes, Reference
from mytalk.appearance.warp import Flow
from mytalk.face.pose import CROP_PIXELS

Layers = NDArray[np.float32]
"""``(128, 128, 10)``, of each pixel of the crop: how far it is painted, how far its skin moves, where its skin comes
from in the picture (x, y), where its mouth comes from in the pixels of the mouth (x, y), how far those are kept, and
what is added to them in YUV."""

_NEXT = np.uintp(1)  # unsigned, so that compiled code looks for no negative index
_HALF, _QUARTER = np.float32(0.5), np.float32(0.25)
Place = tuple[Any, Any, Real, Real]
"""First row and column of four pixels of the crop, and the shares of those to the right and below."""

PAINTED, MOVED, SKIN_X, SKIN_Y, MOUTH_X, MOUTH_Y, KEPT, ADDED = range(8)


@compiled
def layers_of(frame: Frame, skin: Skin, painted: Mask, flow: Flow, to_pixels: Matrix, kept: Field,
              colours: Colours, cover: Field, covered: bool) -> Layers:  # fmt: skip
    """Assembles the layers of a frame. ``cover`` ``(32, 32)``: how far something is in front of each cell, which is
    then neither painted nor moved."""
    layers = np.empty((CROP_PIXELS, CROP_PIXELS, 10), np.float32)
    hidden = np.zeros((CROP_PIXELS, CROP_PIXELS, 1), np.float32)
    if covered:
        hidden = enlarged(cover.reshape(CELLS, CELLS, 1), CROP_PIXELS)
    picture, mouth, yuv = frame.to_picture, to_pixels, frame.yuv_of_rgb
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            share = ONE - hidden[y, x, 0]
            layers[y, x, PAINTED], layers[y, x, MOVED] = painted[y, x] * share, skin.mask[y, x]
            layers[y, x, KEPT] = kept[y, x]
            sx = np.float32(x) + share * (skin.flow[y, x, 0] - np.float32(x))
            sy = np.float32(y) + share * (skin.flow[y, x, 1] - np.float32(y))
            layers[y, x, SKIN_X] = picture[0, 0] * sx + picture[0, 1] * sy + picture[0, 2]
            layers[y, x, SKIN_Y] = picture[1, 0] * sx + picture[1, 1] * sy + picture[1, 2]
            mx, my = flow[y, x, 0], flow[y, x, 1]
            layers[y, x, MOUTH_X] = mouth[0, 0] * mx + mouth[0, 1] * my + mouth[0, 2]
            layers[y, x, MOUTH_Y] = mouth[1, 0] * mx + mouth[1, 1] * my + mouth[1, 2]
            for c in range(3):
                layers[y, x, ADDED + c] = (
                    yuv[c, 0] * colours[y, x, 0] + yuv[c, 1] * colours[y, x, 1] + yuv[c, 2] * colours[y, x, 2]
                    + (ONE - kept[y, x]) * yuv[c, 3]
                )  # fmt: skip
    return layers


@compiled
def box_of(layers: Layers, frame: Frame) -> tuple[int, int, int, int]:
    """Finds the box of the picture that changes, its corners even: first column and row, last ones exclusive."""
    top, bottom, left, right = CROP_PIXELS, -1, CROP_PIXELS, -1
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            if layers[y, x, PAINTED] > 0 or layers[y, x, MOVED] > 0:
                top, bottom, left, right = min(top, y), max(bottom, y), min(left, x), max(right, x)
    if bottom < 0:
        return 0, 0, 0, 0
    matrix, height, width = frame.to_picture, frame.y.shape[0], frame.y.shape[1]
    x0, y0, x1, y1 = np.float32(width), np.float32(height), np.float32(0), np.float32(0)
    for row in (top - 1, bottom + 1):  # as far as a linear sample of the last pixel reaches
        for column in (left - 1, right + 1):
            x = matrix[0, 0] * np.float32(column) + matrix[0, 1] * np.float32(row) + matrix[0, 2]
            y = matrix[1, 0] * np.float32(column) + matrix[1, 1] * np.float32(row) + matrix[1, 2]
            x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
    return (
        max(int(np.floor(x0)) & ~1, 0), max(int(np.floor(y0)) & ~1, 0),
        min((int(np.ceil(x1)) + 2) & ~1, width), min((int(np.ceil(y1)) + 2) & ~1, height),
    )  # fmt: skip


@compiled
def compose(frame: Frame, layers: Layers, mouth: Reference, moves: bool, opacity: Real) -> Planes:
    """Blends layers into a picture, which stays equal to the bit where they are transparent.

    A chroma sample takes the mean opacity of its four pixels, and moves only where that is above 0.
    """
    y_old, u_old, v_old = frame.y, frame.u, frame.v  # once: each look-up counts a reference
    y_mouth, u_mouth, v_mouth = mouth.y, mouth.u, mouth.v
    y_plane, u_plane, v_plane = y_old.copy(), u_old.copy(), v_old.copy()
    to_crop = (
        frame.to_crop[0, 0], frame.to_crop[0, 1], frame.to_crop[0, 2],
        frame.to_crop[1, 0], frame.to_crop[1, 1], frame.to_crop[1, 2],
    )  # fmt: skip
    x0, y0, x1, y1 = box_of(layers, frame)
    finite = True
    for row in range(y0, y1, 2):
        for column in range(x0, x1, 2):
            total = np.float32(0)
            for k in range(4):
                x, y = column + k % 2, row + k // 2
                at = _place(to_crop, np.float32(x), np.float32(y))
                painted, moved = _layer(layers, at, PAINTED), _layer(layers, at, MOVED)
                alpha = np.float32(opacity) * max(painted, moved)
                if alpha > 0:
                    total += alpha
                    old = np.float32(y_old[y, x])
                    under = old
                    if moves and moved > 0:
                        under = cubic(y_old, _layer(layers, at, SKIN_X), _layer(layers, at, SKIN_Y))
                    wanted = under
                    if painted > 0:
                        seen = cubic(y_mouth, _layer(layers, at, MOUTH_X), _layer(layers, at, MOUTH_Y))
                        wanted = _layer(layers, at, KEPT) * seen + _layer(layers, at, ADDED)
                        wanted = under + painted * (wanted - under) if moves else wanted
                    mixed = old + alpha * (wanted - old)
                    finite = finite and mixed == mixed
                    y_plane[y, x] = _rounded(mixed)
            if total > 0:
                at = _place(to_crop, np.float32(column) + _HALF, np.float32(row) + _HALF)
                x, y = column // 2, row // 2
                u_plane[y, x] = _chroma(u_old, u_mouth, layers, at, ADDED + 1, x, y, moves, total * _QUARTER)
                v_plane[y, x] = _chroma(v_old, v_mouth, layers, at, ADDED + 2, x, y, moves, total * _QUARTER)
    return Planes(y_plane, u_plane, v_plane, finite)


@leaf
def _chroma(
    plane: NDArray[np.uint8], mouth: NDArray[np.uint8], layers: Layers, at: Place, added: int, x: int, y: int,
    moves: bool, alpha: Real,
) -> int:  # fmt: skip
    """Blends one chroma sample, its place taken from the middle of its four pixels."""
    old, painted = np.float32(plane[y, x]), _layer(layers, at, PAINTED)
    under = old
    if moves and _layer(layers, at, MOVED) > 0:
        across, down = _layer(layers, at, SKIN_X), _layer(layers, at, SKIN_Y)
        under = linear(plane, _HALF * across - _QUARTER, _HALF * down - _QUARTER)
    across, down = _layer(layers, at, MOUTH_X), _layer(layers, at, MOUTH_Y)
    seen = linear(mouth, _HALF * across - _QUARTER, _HALF * down - _QUARTER)
    wanted = _layer(layers, at, KEPT) * seen + _layer(layers, at, added)
    if moves:
        wanted = under + painted * (wanted - under)
    return _rounded(old + alpha * (wanted - old))


@leaf
def _place(to_crop: tuple[Real, ...], x: Real, y: Real) -> Place:
    """Returns the pixels of the crop around a pixel of the picture, and the shares of those to the right and below;
    outside of the crop, those of its border, which is transparent."""
    last = np.float32(CROP_PIXELS - 1)
    across = min(max(to_crop[0] * x + to_crop[1] * y + to_crop[2], np.float32(0)), last)
    down = min(max(to_crop[3] * x + to_crop[4] * y + to_crop[5], np.float32(0)), last)
    column, row = min(int(across), CROP_PIXELS - 2), min(int(down), CROP_PIXELS - 2)
    return np.uintp(row), np.uintp(column), across - np.float32(column), down - np.float32(row)


@leaf
def _layer(layers: Layers, at: Place, k: int) -> Real:
    """Samples one layer by linear interpolation."""
    row, column, across, down = at
    top = layers[row, column, k] + across * (layers[row, column + _NEXT, k] - layers[row, column, k])
    low = layers[row + _NEXT, column, k]
    low += across * (layers[row + _NEXT, column + _NEXT, k] - low)
    return top + down * (low - top)


@leaf
def _rounded(value: Real) -> int:
    return int(min(max(value, np.float32(0)), np.float32(255)) + np.float32(0.5))
