"""Finds the landmarks of the face in a region of a picture, as MediaPipe's graph ``FaceLandmarkCpu`` does."""

from __future__ import annotations

import numpy as np

from mytalk.face.face import Face
from mytalk.face.networks import MESH_SIDE, face_networks
from mytalk.face.region import Region, sample_rgb
from mytalk.picture import Picture

MIN_PRESENCE = 0.5
"""Score above which the region holds a face."""

_COARSEST = 2.0  # picture pixels for a pixel of the mesh: beyond, what linear sampling leaves out shows in landmarks
REGION_MARGIN = 1.5  # side of a face's region over that of its landmarks' box
_RIGHT_EYE, _LEFT_EYE = 33, 263  # outer corners


def fit_mesh(picture: Picture, region: Region) -> Face | None:
    """Finds the landmarks of the face in a region, which is to be turned as its eyes are; None where there is none."""
    points, score = face_networks().mesh(sample_rgb(picture, region, MESH_SIDE, _COARSEST))
    if score <= MIN_PRESENCE:
        return None
    depth = points[:, 2:] * np.float32(region.side)
    return Face(np.concatenate([region.to_picture(points[:, :2]), depth], axis=1))


def region_of(face: Face) -> Region:
    """Returns the region in which the mesh finds this face again in the next picture."""
    return Region.around(face.box, face.points[_RIGHT_EYE], face.points[_LEFT_EYE], REGION_MARGIN)
