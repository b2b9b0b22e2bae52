"""Composes the mouth crop into the picture, in the picture's own resolution and its own YUV.

The nearest mouth is sampled once, straight from the pixels it was seen in; only what is added to it, which is smooth or
small, is enlarged from the crop. Only the box that changes is worked on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.colour_match import CELLS
from mytalk.appearance.compiled import Real, compiled
from mytalk.appearance.fill import Field
from mytalk.appearance.mask import Mask
from mytalk.appearance.paint import Skin
from mytalk.appearance.sampling import Colours, Matrix, cubic, enlarged, linear
from mytalk.appearance.scene import Frame, Planes, Reference
from mytalk.appearance.warp import Flow
from mytalk.face.pose import CROP_PIXELS

Layers = NDArray[np.float32]
"""``(128, 128, 10)``, of each pixel of the crop: how far it is painted, how far its skin moves, where its skin comes
from in the picture (x, y), where its mouth comes from in the pixels of the mouth (x, y), how far those are kept, and
what is added to them in YUV."""

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
            share = 1 - hidden[y, x, 0]
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
                    + (1 - kept[y, x]) * yuv[c, 3]
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
    y_plane, u_plane, v_plane = frame.y.copy(), frame.u.copy(), frame.v.copy()
    x0, y0, x1, y1 = box_of(layers, frame)
    one, finite = np.empty(10, np.float32), True
    for row in range(y0, y1, 2):
        for column in range(x0, x1, 2):
            total = np.float32(0)
            for k in range(4):
                if not _fetch(one, layers, frame.to_crop, np.float32(column + k % 2), np.float32(row + k // 2)):
                    continue
                alpha = np.float32(opacity) * max(one[PAINTED], one[MOVED])
                total += alpha
                old = np.float32(frame.y[row + k // 2, column + k % 2])
                under = cubic(frame.y, one[SKIN_X], one[SKIN_Y]) if moves and one[MOVED] > 0 else old
                wanted = under
                if one[PAINTED] > 0:
                    seen = cubic(mouth.y, one[MOUTH_X], one[MOUTH_Y]) if one[KEPT] > 0 else np.float32(0)
                    wanted = one[KEPT] * seen + one[ADDED]
                    if moves:
                        wanted = under + one[PAINTED] * (wanted - under)
                mixed = old + alpha * (wanted - old)
                finite = finite and mixed == mixed
                y_plane[row + k // 2, column + k % 2] = _rounded(mixed)
            x, y = np.float32(column) + np.float32(0.5), np.float32(row) + np.float32(0.5)
            if total > 0 and _fetch(one, layers, frame.to_crop, x, y):
                u_plane[row // 2, column // 2] = _chroma(frame.u, mouth.u, one, 1, column // 2, row // 2, moves, total)
                v_plane[row // 2, column // 2] = _chroma(frame.v, mouth.v, one, 2, column // 2, row // 2, moves, total)
    return Planes(y_plane, u_plane, v_plane, finite)


@compiled
def _chroma(
    plane: NDArray[np.uint8], mouth: NDArray[np.uint8], one: Field, channel: int, x: int, y: int, moves: bool,
    total: Real,
) -> int:  # fmt: skip
    """Blends one chroma sample, its place taken from the middle of its four pixels."""
    half, quarter = np.float32(0.5), np.float32(0.25)
    old = np.float32(plane[y, x])
    under = old
    if moves and one[MOVED] > 0:
        under = linear(plane, half * one[SKIN_X] - quarter, half * one[SKIN_Y] - quarter)
    wanted = (
        one[KEPT] * linear(mouth, half * one[MOUTH_X] - quarter, half * one[MOUTH_Y] - quarter) + one[ADDED + channel]
    )
    if moves:
        wanted = under + one[PAINTED] * (wanted - under)
    return _rounded(old + quarter * total * (wanted - old))


@compiled
def _fetch(one: Field, layers: Layers, to_crop: Matrix, x: Real, y: Real) -> bool:
    """Samples the layers at a pixel of the picture by linear interpolation; False where they are transparent."""
    last = np.float32(CROP_PIXELS - 1)
    across = to_crop[0, 0] * x + to_crop[0, 1] * y + to_crop[0, 2]
    down = to_crop[1, 0] * x + to_crop[1, 1] * y + to_crop[1, 2]
    if not (0 < across < last and 0 < down < last):
        return False
    column, row = int(across), int(down)
    across, down = across - np.float32(column), down - np.float32(row)
    a, b = (1 - across) * (1 - down), across * (1 - down)
    c, d = (1 - across) * down, across * down
    for k in range(2):
        one[k] = (
            a * layers[row, column, k] + b * layers[row, column + 1, k]
            + c * layers[row + 1, column, k] + d * layers[row + 1, column + 1, k]
        )  # fmt: skip
    if not (one[PAINTED] > 0 or one[MOVED] > 0):
        return False
    for k in range(2, 10):
        one[k] = (
            a * layers[row, column, k] + b * layers[row, column + 1, k]
            + c * layers[row + 1, column, k] + d * layers[row + 1, column + 1, k]
        )  # fmt: skip
    return True


@compiled
def _rounded(value: Real) -> int:
    return int(min(max(value, np.float32(0)), np.float32(255)) + np.float32(0.5))
