"""Names every set of landmark indices once. Topology: MediaPipe face mesh with refined lips and irises, 478 points.

``LOWER_FACE`` is what the motion model generates; its order is the order of every ``(169, k)`` array in the project.
``TEMPLATE`` is a left-right symmetric mean face in canonical space: unit = the distance between the eye centres,
origin between the eyes, x to the picture's right, y down, z away from the camera (MediaPipe's sign).
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

POINTS = 478

# Closed loops, from the mouth corner on the picture's left, along the lower lip, and back along the upper one.
LIPS_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
LIPS_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LIPS = LIPS_OUTER + LIPS_INNER

# Chin, jaw, cheeks below the nose base, and the skin around the lips.
# fmt: off
_AROUND_LIPS = (
    2, 11, 12, 15, 16, 18, 32, 38, 41, 42, 43, 57, 58, 62, 72, 73, 74, 76, 77, 83, 85, 86, 89, 90, 92, 96, 97, 106,
    132, 135, 136, 138, 140, 148, 149, 150, 152, 164, 165, 167, 169, 170, 171, 172, 175, 176, 179, 180, 182, 183,
    184, 186, 187, 192, 194, 199, 200, 201, 202, 204, 206, 207, 208, 210, 211, 212, 213, 214, 215, 216, 262, 268,
    271, 272, 273, 287, 288, 292, 302, 303, 304, 306, 307, 313, 315, 316, 319, 320, 322, 325, 326, 335, 361, 364,
    365, 367, 369, 377, 378, 379, 391, 393, 394, 395, 396, 397, 400, 403, 404, 406, 407, 408, 410, 411, 416, 418,
    421, 422, 424, 426, 427, 428, 430, 431, 432, 433, 434, 435, 436,
)
# Brows, lids, nose and cheeks: what tells the motion model how the rest of the face moves.
UPPER_FACE = (
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 33, 133, 159, 145, 160, 144, 158, 153, 362, 263, 386, 374, 385,
    380, 387, 373, 1, 4, 5, 195, 48, 278, 129, 358, 50, 280, 117, 346,
)
# Points that hardly move when a face speaks: eye corners, nose bridge, forehead, temples.
STABLE = (
    5, 6, 8, 9, 10, 33, 98, 107, 122, 127, 133, 151, 168, 193, 195, 197, 234, 245, 263, 327, 336, 351, 356, 362, 417,
    454, 465,
)
# Jaw line from ear to ear.
JAW = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)
# Lines that a drawing of the face shows beside lips and jaw: eyes, brows, nose, forehead.
CONTOURS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7, 33),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249, 263),
    (46, 53, 52, 65, 55, 107, 66, 105, 63, 70, 46), (276, 283, 282, 295, 285, 336, 296, 334, 293, 300, 276),
    (168, 6, 197, 195, 5, 4, 1, 19, 94, 2), (48, 64, 98, 97, 2, 326, 327, 294, 278),
    (234, 127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356, 454),
    (469, 470, 471, 472, 469), (474, 475, 476, 477, 474),
)
# fmt: on

LOWER_FACE = LIPS + _AROUND_LIPS
LOWER_COUNT = len(LOWER_FACE)
UPPER_COUNT = len(UPPER_FACE)

# Positions inside LOWER_FACE.
LOWER_LIPS_OUTER = tuple(range(20))
LOWER_LIPS_INNER = tuple(range(20, 40))

# Inner lip points straight above and below each other, as positions inside LOWER_FACE: their gaps are the aperture.
INNER_UPPER = tuple(LOWER_FACE.index(i) for i in (81, 82, 13, 312, 311))
INNER_LOWER = tuple(LOWER_FACE.index(i) for i in (178, 87, 14, 317, 402))
CORNERS = (LOWER_FACE.index(61), LOWER_FACE.index(291))

with np.load(str(files("mytalk.face") / "template.npz")) as _template:
    TEMPLATE: NDArray[np.float32] = _template["points"]  # (478, 3)
    MIRROR: NDArray[np.int16] = _template["mirror"]  # point -> its mirror image

# Rows of a LOWER_FACE array in mirrored order.
LOWER_MIRROR = tuple(LOWER_FACE.index(int(MIRROR[i])) for i in LOWER_FACE)
UPPER_MIRROR = tuple(UPPER_FACE.index(int(MIRROR[i])) for i in UPPER_FACE)


def aperture(lower: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measures lip aperture: the mean height between the inner lips of canonical ``(..., 169, k)`` landmarks; below
    0 they cross."""
    return np.asarray((lower[..., INNER_LOWER, 1] - lower[..., INNER_UPPER, 1]).mean(axis=-1), np.float32)
