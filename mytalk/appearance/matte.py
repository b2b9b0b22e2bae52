"""Cuts a person out of a still portrait: how much of each pixel is theirs, and its own colour without what is behind.

A network says roughly where the person is; the picture's own edges, hair among them, say where exactly.
"""

from __future__ import annotations

import threading
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mytalk.picture import Picture

Plane = NDArray[np.float32]

PERSON_FILE = "person.onnx"
"""MediaPipe's selfie segmentation (Apache-2.0), converted by `mytalk.training.face.networks`."""

PERSON_SIDE = 256
"""Pixels of the crop that the network looks at."""

WORKING_SIDE = 512
"""Pixels of the longer side at which lines and colours are fitted; both are smooth, and memory is bounded."""

UNSURE = (0.3, 0.7)
"""Shares of the network between which a pixel is neither the person's nor not: it is so at edges, and where what
somebody wears or stands before is odd, which would become holes and shreds."""

GUIDE_RADIUS = 1 / 64
"""Radius of the guided filter in sides of the picture: four pixels of the network's mask, whose edge is that unsure."""

GUIDE_EPSILON = 1e-4
"""Variance of a colour channel (of 0..1) below which the filter takes a neighbourhood for flat. He, Sun and Tang 2013
have 1e-6 for mattes of exact trimaps; photographs' noise of 2 in 255 is 6e-5."""

OPAQUE, CLEAR = 0.9, 0.1
"""Shares from which on a pixel is all the person's, or none of it."""

COLOUR_RADII = (1 / 6, 1 / 85)
"""Radii of the two passes of foreground estimation, in sides of the picture: 90 and 6 pixels of 540 (Forte 2021)."""

PURE_POWER = 4
"""Power of a pixel's share in the first of these passes. With 1, hair before a green screen keeps 12 % of the green;
with 4, 3 % (``tests/mytalk/appearance/test_matte.py``)."""

SPARE = 4
"""Pixels past the outline that have the person's colours too: motion and players sample between pixels."""

_loading = threading.Lock()


def cut_out(portrait: Picture) -> tuple[Picture, NDArray[np.uint8]]:
    """Returns the portrait with the person's own colours up to a little past their outline, and how much of each pixel
    is theirs, ``(H, W)``.

    Inside, every pixel stays equal to the bit, and so does what is further away: trackers look at it too. Takes 100 ms
    for 512 x 512, and 30 ms more the first time: for a thread.
    """
    rgb = portrait.region_rgb((0, 0, portrait.width, portrait.height)).astype(np.float32) / np.float32(255)
    alpha = _refined(rgb, _rough(rgb))
    whole = (0, 0, portrait.width, portrait.height)
    mixed = (alpha < 1) & (spread(alpha > 0, SPARE) > 0)
    own = portrait.with_region(whole, own_colours(rgb, alpha) * 255, mixed.astype(np.float32))
    return own, np.rint(alpha * 255).astype(np.uint8)


def spread(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.uint8]:
    """Grows a mask by so many pixels to each side."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)), np.uint8)


def own_colours(rgb: Plane, alpha: Plane) -> Plane:
    """Estimates the colours ``F`` of which a picture is the mixture ``alpha F + (1 - alpha) B``, ``(H, W, 3)``.

    Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021, equations 5 to 7; its first pass here weighs
    pixels by a power of their shares, so that mixed ones say little of either colour.
    """
    scale = min(1.0, WORKING_SIDE / max(alpha.shape))
    small, share = _resized(rgb, scale), _resized(alpha, scale)
    front = back = small
    power = PURE_POWER
    for radius in COLOUR_RADII:
        size = (2 * max(1, round(radius * max(share.shape))) + 1,) * 2
        front_mean = _weighted_mean(front, share**power, size)
        back = _weighted_mean(back, (1 - share) ** power, size)
        front = _corrected(small, share, front_mean, back)
        power = 1
    return front if scale == 1 else _corrected(rgb, alpha, _upsampled(front_mean, alpha), _upsampled(back, alpha))


def _corrected(rgb: Plane, alpha: Plane, front: Plane, back: Plane) -> Plane:
    share = alpha[..., None]
    mixed = share * front + (1 - share) * back
    return np.asarray(np.clip(front + share * (rgb - mixed), 0, 1), np.float32)


def _weighted_mean(colours: Plane, weight: Plane, size: tuple[int, int]) -> Plane:
    return np.asarray(_mean(colours * weight[..., None], size) / (_mean(weight, size)[..., None] + 1e-5), np.float32)


def _rough(rgb: Plane) -> Plane:
    """Asks the network where the person is, ``(H, W)``, 0..1."""
    crop = cv2.resize(rgb, (PERSON_SIDE, PERSON_SIDE), interpolation=cv2.INTER_AREA)
    (person,) = _network().run(("person",), {"crop": np.rint(crop * 255).astype(np.uint8)})
    sure = np.clip((person - UNSURE[0]) / (UNSURE[1] - UNSURE[0]), 0, 1)
    return np.asarray(cv2.resize(sure, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _refined(rgb: Plane, rough: Plane) -> Plane:
    """Moves a rough mask's edge to the picture's own: the guided filter of colour images, He et al. 2013, eq. 14-16,
    whose lines are fitted at ``WORKING_SIDE``, as those of He and Sun's fast guided filter (2015)."""
    scale = min(1.0, WORKING_SIDE / max(rough.shape))
    slope, offset = (_upsampled(one, rough) for one in _edge_lines(_resized(rgb, scale), _resized(rough, scale)))
    alpha = np.einsum("hwi,hwi->hw", slope, rgb) + offset
    alpha = np.clip((alpha - CLEAR) / (OPAQUE - CLEAR), 0, 1)
    # Far from the rough edge nothing is unsure: no holes inside, and no shreds outside.
    radius = max(1, round(GUIDE_RADIUS * max(rough.shape)))
    alpha[spread(rough <= OPAQUE, radius) == 0] = 1
    alpha[spread(rough > CLEAR, radius) == 0] = 0
    return np.asarray(alpha, np.float32)


def _edge_lines(rgb: Plane, rough: Plane) -> tuple[Plane, Plane]:
    """Fits a line of colour to the mask around each pixel: slopes ``(H, W, 3)`` and offsets ``(H, W)``."""
    size = (2 * max(1, round(GUIDE_RADIUS * max(rough.shape))) + 1,) * 2
    mean, mask_mean = _mean(rgb, size), _mean(rough, size)
    products = _mean(np.einsum("hwi,hwj->hwij", rgb, rgb).reshape(*rough.shape, 9), size)
    spread = products.reshape(*rough.shape, 3, 3) - np.einsum("hwi,hwj->hwij", mean, mean)
    common = _mean(rgb * rough[..., None], size) - mean * mask_mean[..., None]
    slope = np.linalg.solve(spread + GUIDE_EPSILON * np.eye(3, dtype=np.float32), common[..., None])[..., 0]
    return _mean(slope, size), _mean(mask_mean - np.einsum("hwi,hwi->hw", slope, mean), size)


def _resized(plane: Plane, scale: float) -> Plane:
    if scale == 1:
        return plane
    size = max(2, round(plane.shape[1] * scale)), max(2, round(plane.shape[0] * scale))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _upsampled(plane: Plane, like: Plane) -> Plane:
    if plane.shape[:2] == like.shape[:2]:
        return plane
    return np.asarray(cv2.resize(plane, like.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _mean(plane: Plane, size: tuple[int, int]) -> Plane:
    """Averages over a box around each pixel. OpenCV filters four channels at a time."""
    if plane.ndim == 2 or plane.shape[2] <= 4:
        return np.asarray(cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT), np.float32)
    parts: list[Plane] = [_mean(plane[..., at : at + 3], size) for at in range(0, plane.shape[2], 3)]
    return np.asarray(np.concatenate(parts, axis=2), np.float32)


def _network() -> onnxruntime.InferenceSession:
    with _loading:
        return _load()


@cache
def _load() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    path = str(files("mytalk") / "weights" / "face" / PERSON_FILE)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
