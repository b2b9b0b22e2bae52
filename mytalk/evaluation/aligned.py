"""Takes away the offset between a clip's sound and its lips, as data preparation does before anything is learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mytalk.evaluation.filmed import Filmed
from mytalk.evaluation.films import Sound
from mytalk.evaluation.offset import MARGIN, OffsetEstimator
from mytalk.face import PoseFilter, fit_pose
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.motion.agreement import Offset

MIN_RUN = 25
"""Motion frames without a break from which a face is compared with its sound, 1 s."""


def align(clip: Filmed, estimator: OffsetEstimator) -> tuple[Filmed, Offset | None]:
    """Moves a clip's sound onto its lips, where their offset is known well enough; what moves in is silence.

    None, and the clip as it is, where there is no sound or no face for a second.
    """
    if clip.sound is None:
        return clip, None
    runs = _runs(clip)
    pictures = max((first + len(faces) for first, faces in runs), default=0) * FRAME_SAMPLES
    around = np.pad(clip.sound, (MARGIN, MARGIN + max(0, pictures - len(clip.sound))))
    parts = []
    for first, faces in runs:
        end = first + len(faces)
        parts.append((faces, around[first * FRAME_SAMPLES : end * FRAME_SAMPLES + 2 * MARGIN]))
    if not parts:
        return clip, None
    offset = estimator.estimate(parts)
    late = round(offset.to_remove_ms * SAMPLE_RATE / 1000)
    return replace(clip, sound=moved(clip.sound, late)), offset


def moved(sound: Sound, late: int) -> Sound:
    """Returns the sound ``late`` samples earlier, of the same length."""
    if late >= 0:
        return np.pad(sound[late:], (0, min(late, len(sound))))
    return np.pad(sound, (-late, 0))[: len(sound)]


def _runs(clip: Filmed) -> list[tuple[int, NDArray[np.float32]]]:
    """Lists stretches with a face: the first motion frame, and canonical faces ``(T, 478, 3)`` at 25 Hz."""
    poses = PoseFilter()
    rows: list[NDArray[np.float32] | None] = []
    for at, face in zip(clip.at, clip.faces, strict=True):
        if face is None:
            poses.reset()
        points = None if face is None else poses(fit_pose(face), at).to_canonical(face.points)
        while len(rows) * FRAME_SAMPLES <= at:
            rows.append(points)
    runs: list[tuple[int, NDArray[np.float32]]] = []
    first = 0
    for index in range(len(rows) + 1):
        if index == len(rows) or rows[index] is None:
            own = [row for row in rows[first:index] if row is not None]
            if len(own) >= MIN_RUN:
                runs.append((first, np.stack(own).astype(np.float32)))
            first = index + 1
    return runs
