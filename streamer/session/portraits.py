"""Finds the face on a portrait that a client sends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import NoFaceError
from mytalk.face.tracker import FaceTracker
from mytalk.media.face_source import StillSource
from mytalk.picture import Picture


def face_of(rgb: NDArray[np.uint8]) -> StillSource:
    """Returns a decoded picture as a face that can be animated. Takes about 200 ms: for a thread.

    Raises ``NoFaceError``.
    """
    picture = Picture.from_rgb(rgb)
    if FaceTracker()(picture) is None:
        raise NoFaceError("portrait: no face found (need one seen from the front, at least 48 pixels wide)")
    return StillSource(picture)
