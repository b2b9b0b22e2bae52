"""Builds what the network sees: mouths warped to the wanted landmarks, the frame around them, the landmarks drawn.

The renderer and the training data both use these functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.crop_frame import FACE, MOUTH, CropFrame, Window
from mytalk.appearance.mask import mouth_mask
from mytalk.appearance.mesh import Points
from mytalk.appearance.paint import Skin
from mytalk.appearance.raster import face_picture, landmark_picture
from mytalk.appearance.sampling import Colours, Matrix, sample_colours
from mytalk.face.pose import CROP_PIXELS

_UNIT_DEVIATIONS = 4.0  # standard deviations of the mouth region that make one unit of the network
_MIN_DEVIATION = 6.0  # smallest standard deviation that is normalised, 0..255
_MAX_SHRINK = 1.2  # source pixels a crop pixel beyond which the source is averaged first


@dataclass(frozen=True, slots=True)
class Exposure:
    """Normalises colours for the network, ``(colour - mean) / unit``: dark, tinted and painted faces look alike to
    it."""

    mean: NDArray[np.float32]  # (3,), 0..255
    unit: np.float32

    def normalise(self, colours: Colours) -> Colours:
        """Converts colours of 0..255 to the network's units."""
        shifted = colours - _uniform_colour(self.mean, *colours.shape[-3:-1])
        shifted *= 1 / self.unit
        return shifted

    def denormalise(self, normalised: NDArray[np.float32]) -> Colours:
        """Converts the network's units back to 0..255, without clipping."""
        return np.asarray(normalised * self.unit + self.mean, np.float32)


WHOLE_FACE = Exposure(np.full(3, 127.5, np.float32), np.float32(127.5))
"""Scales a whole face to -1..1: references that are encoded once cannot follow the light of each frame."""


@dataclass(frozen=True, slots=True)
class NetworkInputs:
    """Holds what the network sees, in units of ``exposure``; what is masked out is 0."""

    references: NDArray[np.float32]  # (R, W, W, 3)
    non_lip: NDArray[np.float32]  # (W, W, 3)
    landmarks: NDArray[np.float32]  # (W, W, 3), in -1..1
    exposure: Exposure


def mouth_inputs(
    lips: NDArray[np.float32], current: Colours, region: NDArray[np.float32], points: Points, window: Window
) -> NetworkInputs:
    """Builds the inputs of a network that sees a window of the mouth crop.

    ``lips`` ``(R, S, S, 3)`` come from `mytalk.appearance.reference_mean.reference_pictures`; ``points`` are the wanted
    landmarks ``(169, 2)``.
    """
    inside = repeat_rgb(region[window])
    lips = lips[:, *window]
    exposure = _exposure_of(lips[0], region[window])
    drawn = _signed(landmark_picture(points, region.shape[0])[window])
    references, non_lip = exposure.normalise(lips), exposure.normalise(current[window])
    references *= inside
    non_lip *= 1 - inside
    return NetworkInputs(references, non_lip, drawn, exposure)


def face_inputs(
    references: NDArray[np.float32], current: Colours, region: NDArray[np.float32], points: Points
) -> NetworkInputs:
    """Builds the inputs of a network that sees the whole face ``current`` ``(F, F, 3)``, its mouth ``region`` ``(S,
    S)`` masked.

    ``references`` are ``lip_picture`` s; ``points`` are all landmarks ``(478, 2)`` in crop pixels, the lower face as
    wanted.
    """
    non_lip = WHOLE_FACE.normalise(current)
    non_lip[FACE.mouth(len(region))] *= 1 - repeat_rgb(region)
    return NetworkInputs(references, non_lip, _signed(face_picture(points, len(region))), WHOLE_FACE)


def lip_picture(face: NDArray[np.uint8], points: Points, masked: bool) -> NDArray[np.float32]:
    """Prepares one reference for a whole-face network, ``(F, F, 3)``: only its own mouth region where ``masked``.

    ``points`` are its ``(169, 2)`` landmarks in crop pixels.
    """
    picture = WHOLE_FACE.normalise(face.astype(np.float32))
    if masked:
        picture *= repeat_rgb(FACE.pad(resized(mouth_mask(points), len(face) * CROP_PIXELS // FACE.side)))
    return picture


def repeat_rgb(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeats a field ``(H, W)`` for three colours, ``(H, W, 3)``: numpy is slow to repeat a short last axis."""
    return np.asarray(cv2.merge([share, share, share]), np.float32)


def _uniform_colour(colour: NDArray[np.float32], height: int, width: int) -> Colours:
    """Returns one colour ``(3,)`` at each of ``(height, width)`` pixels: a view of one line, not to be written to."""
    line = np.tile(np.asarray(colour, np.float32), width)
    return np.broadcast_to(line, (height, 3 * width)).reshape(height, width, 3)


def _signed(drawn: NDArray[np.uint8]) -> NDArray[np.float32]:
    return drawn.astype(np.float32) * np.float32(1 / 127.5) - 1


def _exposure_of(lips: Colours, inside: NDArray[np.float32]) -> Exposure:
    lips, weight = lips[::2, ::2].reshape(-1, 3), inside[::2, ::2].ravel()
    weight = weight / max(float(weight.sum()), 1.0)
    mean = weight @ lips
    deviation = float(np.sqrt((weight @ np.square(lips - mean)).sum() / 3))
    return Exposure(mean, np.float32(_UNIT_DEVIATIONS * max(deviation, _MIN_DEVIATION)))


def to_crop(pixels: NDArray[np.uint8], to_pixels: Matrix, size: int, frame: CropFrame = MOUTH) -> NDArray[np.uint8]:
    """Resamples ``pixels`` as the picture of ``frame``, ``(F, F, 3)``, the mouth crop being ``size`` pixels a side.

    ``to_pixels`` takes pixels of the 128 crop to theirs.
    """
    scaled = affine_scale(CROP_PIXELS / size)
    scaled[:2, 2] += frame.left, frame.top
    matrix, side = to_pixels @ scaled, frame.pixels(size)
    shrink = int(np.sqrt(abs(np.linalg.det(matrix[:, :2]))) / _MAX_SHRINK)
    if shrink > 1:  # bilinear sampling alone would skip pixels
        smaller = (pixels.shape[1] // shrink, pixels.shape[0] // shrink)
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
        matrix = affine_scale(1 / shrink)[:2] @ np.vstack([matrix, [0, 0, 1]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(pixels, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def skin_colour(crop: NDArray[np.uint8], points: Points) -> NDArray[np.float32]:
    """Returns the median colour of the lower face in a crop, ``(3,)``."""
    scaled = (points + 0.5) * (crop.shape[0] / CROP_PIXELS) - 0.5
    x0, y0 = np.maximum(scaled.min(axis=0).astype(int), 0)
    x1, y1 = np.maximum(scaled.max(axis=0).astype(int), 1)
    return np.asarray(np.median(crop[y0:y1:2, x0:x1:2].reshape(-1, 3), axis=0), np.float32)


def moved_skin(mouth: Colours, skin: Skin) -> Colours:
    """Moves the skin of a mouth crop ``(S, S, 3)`` to the wanted landmarks, as it does live."""
    size = len(mouth)
    flow = (resized(skin.flow, size) + np.float32(0.5)) * np.float32(size / CROP_PIXELS) - np.float32(0.5)
    return sample_colours(mouth, flow)


def resized(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Resamples a field of the crop to another size."""
    if values.shape[0] == size:
        return values
    return np.asarray(cv2.resize(values, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


def affine_scale(scale: float) -> Matrix:
    """Returns the matrix ``(3, 3)`` that scales pixel coordinates, pixel centres at integers."""
    shift = 0.5 * scale - 0.5
    return np.array([[scale, 0, shift], [0, scale, shift], [0, 0, 1]], np.float32)
