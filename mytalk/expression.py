"""Reads an expression off a picture or a clip of anybody: the strengths of action units that an emotion is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mytalk.controls.action_units import fitted_units
from mytalk.errors import NoFaceError
from mytalk.face import FaceTracker, fit_pose
from mytalk.face.landmarks import LOWER_FACE, TEMPLATE
from mytalk.media import open_face
from mytalk.media_time import SAMPLE_RATE

MOST_SAMPLES = 20 * SAMPLE_RATE
"""Media time of a clip that is looked at: speech averages out over some sentences."""


def expression_of(path: Path) -> str:
    """Returns the expression of the face in a picture or in a clip's first 20 s, as ``emotion`` takes it.

    The mean mouth of a clip is not speech; it is compared with the mean face's. Raises NoFaceError where there is
    none, and OptionError or UnreadableError for another file.
    """
    tracker, source = FaceTracker(), open_face(path)
    mouths = []
    for frame in source.frames(endless=False):
        face = tracker(frame.picture)
        if face is not None:
            mouths.append(fit_pose(face).to_canonical(face.points)[list(LOWER_FACE)])
        if frame.at >= MOST_SAMPLES:
            break
    if not mouths:
        raise NoFaceError(f"{path}: no face found in it (need one seen from the front)")
    mean = np.asarray(np.mean(mouths, axis=0), np.float32)
    units = fitted_units(mean, TEMPLATE[list(LOWER_FACE)])
    return ",".join(f"{unit}={strength:g}" for unit, strength in units.items()) or "neutral"
