"""Gives mouths the look of other ones: lipstick, teeth, a beard, from pictures of the same person or of another.

The pictures' mouths fill a reference bank of their own, in place of the film's. The skin around their lips takes the
colour of the film's, and goes over into the lips, whose colours stay the pictures' own but for the exposure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import Mouth
from mytalk.appearance.colour_match import LOG_OFFSET
from mytalk.appearance.crop_frame import FACE
from mytalk.appearance.mesh import Points
from mytalk.appearance.placement import apply_affine, placement_of
from mytalk.appearance.sampling import Colours, sample_colours
from mytalk.appearance.warp import fit_lips, flow_from, target_of
from mytalk.face.face import Face
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_OUTER
from mytalk.face.pose import CROP_PIXELS, HeadPose, fit_pose
from mytalk.picture import Picture
from mytalk.smoothstep import smoothstep

LIP_RIM = 2.5
"""Crop pixels within the lips' outline over which colours go over from the film's skin to the picture's lips."""

MAX_EXPOSURE = 0.35
"""Log units by which lips and teeth are made lighter or darker at most: what is left is their own colour."""

_SKIN_DISTANCE = 4.0  # crop pixels from the lips from which on skin is compared: nearer, landmarks may be off
_OTHER_CONTENT = 0.5  # log units from the median of skin from which on a place is other content: background, hair
_SIGMAS = (5.0, 14.0)  # Gaussian sigmas, crop pixels, of the smoothed difference of skin
_FAR_WEIGHT = 0.02  # of the wide one, which counts where the narrow one finds no skin
_FLOOR = 1e-4  # weight of no difference at all, for a mouth without skin around it


@dataclass(frozen=True, slots=True, eq=False)
class SeenMouth:
    """Holds a mouth in a picture of its own: ``points`` ``(169, 2)`` picture pixels."""

    picture: Picture
    pose: HeadPose
    points: Points

    @classmethod
    def of(cls, picture: Picture, face: Face) -> SeenMouth | None:
        """Returns the mouth of a face, with as much of its picture as is needed; None where it is not in the
        picture."""
        pose, points = fit_pose(face), face.points[list(LOWER_FACE), :2]
        placement = placement_of(picture, pose.crop_matrix(), FACE)
        if placement is None:
            return None
        x0, y0, x1, y1 = placement.box
        half = slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2)
        y, u, v = (part.copy() for part in (picture.y[y0:y1, x0:x1], picture.u[half], picture.v[half]))
        moved = replace(pose, translation=pose.translation - np.array([x0, y0, 0], np.float32))
        return cls(
            replace(picture, y=y, u=u, v=v, matte=None, cutout=None), moved, points - np.array([x0, y0], np.float32)
        )

    def in_crop(self) -> Points:
        """Returns the landmarks in pixels of the 128 crop, ``(169, 2)``."""
        return apply_affine(self.pose.crop_matrix(), self.points)


Look = tuple[SeenMouth, ...]
"""Mouths whose look others are given; empty, they keep their own."""


def matched(mouth: Mouth, film: Colours, points: Points) -> Mouth:
    """Returns a mouth, its skin in the colour of the film's crop ``(128, 128, 3)``, whose landmarks are ``points``."""
    gain = _log_gain(mouth.crop.astype(np.float32), mouth.points, film, points)
    skin = np.median((mouth.skin + LOG_OFFSET) * np.exp(gain[::4, ::4].reshape(-1, 3)) - LOG_OFFSET, axis=0)
    pixels = mouth.pixels
    assert pixels is not None, "mouths that are warped keep their pixels"
    size = (pixels.width, pixels.height)
    flags = cv2.INTER_LINEAR
    wide = cv2.warpAffine(gain, mouth.to_pixels, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    box = (0, 0, *size)
    coloured = _gained(pixels.region_rgb(box), np.asarray(wide, np.float32))
    return replace(
        mouth,
        crop=_gained(mouth.crop, gain).astype(np.uint8),
        pixels=pixels.with_region(box, coloured, np.ones(pixels.y.shape, np.float32)),
        skin=np.asarray(np.clip(skin, 0, 255), np.float32),
    )


def mixed(one: Picture, other: Picture, share: float) -> Picture:
    """Mixes two pictures, ``share`` of the other one; where they are equal, they stay so to the bit."""
    planes = (
        np.asarray(cv2.addWeighted(a, 1 - share, b, share, 0), np.uint8)
        for a, b in zip((one.y, one.u, one.v), (other.y, other.u, other.v), strict=True)
    )
    y, u, v = planes
    return replace(one, y=y, u=u, v=v)


def _log_gain(crop: Colours, points: Points, film: Colours, film_points: Points) -> Colours:
    """Returns by what the logarithms of a crop's colours change, ``(128, 128, 3)``."""
    target = target_of(points)
    there = sample_colours(film, flow_from(target, film_points, fit_lips(film_points, points).anchored, 1))
    difference = cv2.GaussianBlur(np.log(there + LOG_OFFSET) - np.log(crop + LOG_OFFSET), (0, 0), 2.0)
    inside = _depth_in(points[list(LOWER_LIPS_OUTER)])
    face = _depth_in(cv2.convexHull(points)[:, 0])
    skin = (inside < -_SKIN_DISTANCE) & (face > 0)
    if not skin.any():
        return np.zeros_like(crop)
    middle = np.median(difference[skin], axis=0)
    known = skin & (np.abs(difference - middle).max(axis=2) < _OTHER_CONTENT)
    around = _smoothed(difference - middle, known) + middle
    lips = np.asarray(smoothstep(np.clip(inside / LIP_RIM, 0, 1)), np.float32)[..., None]
    exposure = np.float32(np.clip(middle.mean(), -MAX_EXPOSURE, MAX_EXPOSURE))
    return np.asarray(around + lips * (exposure - around), np.float32)


def _smoothed(values: Colours, known: NDArray[np.bool_]) -> Colours:
    """Spreads values from where they are known, ``(128, 128, 3)``; far away they are 0."""
    weight = known.astype(np.float32)
    total, sums = np.full_like(weight, _FLOOR), np.zeros_like(values)
    for sigma, share in zip(_SIGMAS, (1.0, _FAR_WEIGHT), strict=True):
        total += share * cv2.GaussianBlur(weight, (0, 0), sigma)
        sums += share * cv2.GaussianBlur(values * weight[..., None], (0, 0), sigma)
    return np.asarray(sums / total[..., None], np.float32)


def _depth_in(polygon: Points) -> NDArray[np.float32]:
    """Measures how deep each pixel of the crop lies in a polygon, crop pixels; below 0 outside."""
    inside = np.zeros((CROP_PIXELS, CROP_PIXELS), np.uint8)
    cv2.fillPoly(inside, [np.round(polygon).astype(np.int32)], 1)
    depth, away = (cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for part in (inside, 1 - inside))
    return np.asarray(depth - away, np.float32)


def _gained(colours: NDArray[np.uint8], gain: Colours) -> Colours:
    light = (colours + np.float32(LOG_OFFSET)) * np.exp(gain)
    return np.asarray(np.clip(light - np.float32(LOG_OFFSET), 0, 255), np.float32)
