"""What the network sees: mouths bent to the wanted landmarks, the frame around them, the landmarks drawn.

The renderer and the training data come through here alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import Mouth
from mytalk.appearance.colour_match import Colours, Rim, alike, everywhere
from mytalk.appearance.crop_frame import FACE, MOUTH, Frame, Window
from mytalk.appearance.mask import mouth_mask
from mytalk.appearance.mouth_interior import Inside
from mytalk.appearance.raster import face_picture, landmark_picture
from mytalk.appearance.warp import Flow, Points, Warp
from mytalk.face.pose import CROP_PIXELS

Matrix = NDArray[np.float32]  # (2, 3) affine

_SHADE = np.float32(0.65)  # how dark nearly closed lips leave what is between them
_DEVIATIONS = 4.0  # standard deviations of the mouth region that make one unit of the network
_FLAT = 6.0  # a region flatter than this is not blown up, 0..255


@dataclass(frozen=True, slots=True)
class WarpedMouth:
    """One mouth bent to the target, in the crop."""

    warp: Warp
    colours: Colours  # kept * the mouth's own pixels + drawn
    correction: Colours
    kept: NDArray[np.float32] | None = None  # (S, S); None: all
    drawn: Colours | None = None  # None: nothing

    @property
    def lit(self) -> Colours:
        """It in the current frame's light."""
        return self.colours + self.correction


def bend(mouth: Mouth, warp: Warp, rim: Rim, inside: Inside) -> WarpedMouth:
    """Bends one mouth, and matches it to the frame around it."""
    size = mouth.crop.shape[0]
    colours = sample(mouth.crop, resized_flow(warp.flow, size))
    kept: NDArray[np.float32] | None = None
    drawn: Colours | None = None
    if warp.shade is not None:
        kept = 1 - _SHADE * resized(warp.shade, size)
    if warp.cavity is not None:
        cavity = resized(warp.cavity, size)
        kept = 1 - cavity if kept is None else kept * (1 - cavity)
        drawn = alike(cavity) * inside.colours(mouth.skin)
    if kept is not None:
        colours *= alike(kept)
    if drawn is not None:
        colours += drawn
    return WarpedMouth(warp, colours, rim.correction(colours), kept, drawn)


@dataclass(frozen=True, slots=True)
class Exposure:
    """The network works on ``(colour - mean) / unit``: a dark, tinted or painted face is to it as any other."""

    mean: NDArray[np.float32]  # (3,), 0..255
    unit: np.float32

    def normal(self, colours: Colours) -> Colours:
        shifted = colours - everywhere(self.mean, *colours.shape[-3:-1])
        shifted *= 1 / self.unit
        return shifted

    def colours(self, normal: NDArray[np.float32]) -> Colours:
        """Back to 0..255, not clipped."""
        return np.asarray(normal * self.unit + self.mean, np.float32)


WHOLE_FACE = Exposure(np.full(3, 127.5, np.float32), np.float32(127.5))
"""A whole face in -1..1: references that are encoded once cannot follow the light of each frame."""


@dataclass(frozen=True, slots=True)
class NetworkInputs:
    """What the network sees, in units of ``exposure``; what is masked out is 0."""

    references: NDArray[np.float32]  # (R, W, W, 3)
    non_lip: NDArray[np.float32]  # (W, W, 3)
    landmarks: NDArray[np.float32]  # (W, W, 3), in -1..1
    exposure: Exposure


def mouth_inputs(
    lips: NDArray[np.float32], current: Colours, region: NDArray[np.float32], points: Points, window: Window
) -> NetworkInputs:
    """A window of the mouth crop. ``lips`` ``(R, S, S, 3)`` are as `average.likely` makes them; ``points`` are the
    ``(169, 2)`` wanted.
    """
    inside = alike(region[window])
    lips = lips[:, *window]
    exposure = _exposure_of(lips[0], region[window])
    drawn = _signed(landmark_picture(points, region.shape[0])[window])
    references, non_lip = exposure.normal(lips), exposure.normal(current[window])
    references *= inside
    non_lip *= 1 - inside
    return NetworkInputs(references, non_lip, drawn, exposure)


def face_inputs(
    references: NDArray[np.float32], current: Colours, region: NDArray[np.float32], points: Points
) -> NetworkInputs:
    """The whole face ``current`` ``(F, F, 3)``, the mouth ``region`` ``(S, S)`` of it masked; ``references`` are
    ``lip_picture`` s. ``points`` are all ``(478, 2)`` in crop pixels, the lower face as wanted.
    """
    non_lip = WHOLE_FACE.normal(current)
    non_lip[FACE.mouth(len(region))] *= 1 - alike(region)
    return NetworkInputs(references, non_lip, _signed(face_picture(points, len(region))), WHOLE_FACE)


def lip_picture(face: NDArray[np.uint8], points: Points, masked: bool) -> NDArray[np.float32]:
    """One reference as a whole-face network sees it, ``(F, F, 3)``: its own mouth region alone where ``masked``.

    ``points`` are its ``(169, 2)`` landmarks in crop pixels.
    """
    picture = WHOLE_FACE.normal(face.astype(np.float32))
    if masked:
        picture *= alike(FACE.around(resized(mouth_mask(points), len(face) * CROP_PIXELS // FACE.side)))
    return picture


def _signed(drawn: NDArray[np.uint8]) -> NDArray[np.float32]:
    return drawn.astype(np.float32) * np.float32(1 / 127.5) - 1


def _exposure_of(lips: Colours, inside: NDArray[np.float32]) -> Exposure:
    lips, weight = lips[::2, ::2].reshape(-1, 3), inside[::2, ::2].ravel()
    weight = weight / max(float(weight.sum()), 1.0)
    mean = weight @ lips
    deviation = float(np.sqrt((weight @ np.square(lips - mean)).sum() / 3))
    return Exposure(mean, np.float32(_DEVIATIONS * max(deviation, _FLAT)))


def window_of(region: NDArray[np.float32], side: int, cell: int) -> Window:
    """Rows and columns, ``side`` each, in the middle of the mouth region; whole cells."""
    corners = cv2.boundingRect(np.uint8(region > 0))
    starts = []
    for first, length in ((corners[1], corners[3]), (corners[0], corners[2])):
        start = round((first + (length - side) / 2) / cell) * cell
        starts.append(int(np.clip(start, 0, region.shape[0] - side)))
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def to_crop(pixels: NDArray[np.uint8], to_pixels: Matrix, size: int, frame: Frame = MOUTH) -> NDArray[np.uint8]:
    """The picture of ``frame``, ``(F, F, 3)``, out of ``pixels``, the mouth crop being ``size`` pixels a side.

    ``to_pixels`` takes pixels of the 128 crop to theirs.
    """
    scaled = affine_scale(CROP_PIXELS / size)
    scaled[:2, 2] += frame.left, frame.top
    matrix, side = to_pixels @ scaled, frame.pixels(size)
    shrink = int(np.sqrt(abs(np.linalg.det(matrix[:, :2]))) / 1.2)
    if shrink > 1:  # bilinear sampling alone would skip pixels
        smaller = (pixels.shape[1] // shrink, pixels.shape[0] // shrink)
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
        matrix = affine_scale(1 / shrink)[:2] @ np.vstack([matrix, [0, 0, 1]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(pixels, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def skin_of(crop: NDArray[np.uint8], points: Points) -> NDArray[np.float32]:
    """Median colour of the lower face in a crop, ``(3,)``."""
    scaled = (points + 0.5) * (crop.shape[0] / CROP_PIXELS) - 0.5
    x0, y0 = np.maximum(scaled.min(axis=0).astype(int), 0)
    x1, y1 = np.maximum(scaled.max(axis=0).astype(int), 1)
    return np.asarray(np.median(crop[y0:y1:2, x0:x1:2].reshape(-1, 3), axis=0), np.float32)


def sample(pixels: NDArray[np.uint8], places: Flow, interpolation: int = cv2.INTER_LINEAR) -> Colours:
    """Colours at ``places`` ``(H, W, 2)``, the border repeated outside."""
    drawn = cv2.remap(pixels, places, None, interpolation, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(drawn, np.float32)


def resized_flow(flow: Flow, size: int) -> Flow:
    """A flow of the 128 crop as one of the same crop at ``size``."""
    if size == CROP_PIXELS:
        return flow
    return (resized(flow, size) + np.float32(0.5)) * np.float32(size / CROP_PIXELS) - np.float32(0.5)


def resized(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """A field of the crop at another size."""
    if values.shape[0] == size:
        return values
    return np.asarray(cv2.resize(values, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


def affine_scale(scale: float) -> Matrix:
    """``(3, 3)`` that scales pixel coordinates, pixel centres at integers."""
    shift = 0.5 * scale - 0.5
    return np.array([[scale, 0, shift], [0, scale, shift], [0, 0, 1]], np.float32)
