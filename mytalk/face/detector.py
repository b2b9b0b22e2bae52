"""Finds the faces in a region of a picture, as MediaPipe's graph ``FaceDetectionShortRangeCpu`` does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mytalk.face.networks import DETECTOR_SIDE, face_networks
from mytalk.face.region import Region, sample_rgb
from mytalk.picture import Picture

MIN_SCORE = 0.5
"""Score from which a box holds a face."""

_SAME_FACE = 0.3  # intersection over union of two boxes above which they are of one face
_SAME_REGION = 0.5  # the same of two regions, above which the one with the lower score is looked at alone
_COARSEST = 7.5  # picture pixels for a pixel of the detector: a picture of 960 is sampled as it is
_MARGIN = 1.5  # side of a face's region over that of its box
_RIGHT_EYE, _LEFT_EYE = 2, 3  # rows of a box


def detect_faces(picture: Picture, region: Region, most: int) -> list[Region]:
    """Finds at most ``most`` faces and returns a region around each, turned as its eyes are; surest first."""
    crop = sample_rgb(picture, region, DETECTOR_SIDE, _COARSEST, black_outside=True)
    boxes, scores = face_networks().detect(crop)
    found: list[Region] = []
    for box in _merged(boxes, scores, most):
        centre, half = box[0], box[1] / 2
        ends = region.to_picture(np.stack([centre - half, centre + half]))
        low, high = ends.min(axis=0), ends.max(axis=0)
        eyes = region.to_picture(box[[_RIGHT_EYE, _LEFT_EYE]])
        one = Region.around((*low, *high), eyes[0], eyes[1], _MARGIN)
        found = [*(other for other in found if one.overlap(other) <= _SAME_REGION), one]
    return found


def _merged(boxes: NDArray[np.float32], scores: NDArray[np.float32], most: int) -> Iterator[NDArray[np.float32]]:
    """Yields boxes ``(8, 2)``: those of one face become their mean, weighted by score (non-maximum suppression)."""
    likely = np.flatnonzero((scores >= MIN_SCORE) & (boxes[:, 1] >= 0).all(axis=1))
    order = likely[np.argsort(-scores[likely], kind="stable")]
    for _ in range(most):
        if not len(order):
            return
        same = _overlaps(boxes[order], boxes[order[0]]) > _SAME_FACE
        same[0] = True
        yield np.average(boxes[order[same]], axis=0, weights=scores[order[same]])
        order = order[~same]


def _overlaps(boxes: NDArray[np.float32], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the intersection over union of each of ``boxes`` with ``box``."""
    low = np.maximum(boxes[:, 0] - boxes[:, 1] / 2, box[0] - box[1] / 2)
    high = np.minimum(boxes[:, 0] + boxes[:, 1] / 2, box[0] + box[1] / 2)
    both = np.maximum(high - low, 0).prod(axis=1)
    return np.asarray(both / np.maximum(boxes[:, 1].prod(axis=1) + box[1].prod() - both, 1e-12), np.float32)
