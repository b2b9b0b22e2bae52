"""Makes films that score without looking right, so that a table shows which of its figures see through them.

Copying: the film's own mouth. Blurring: our mouth, soft. Following loudness: a mouth that opens as far as the sound is
loud, painted by the same second stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.renderer import MouthRenderer
from mytalk.evaluation.engine import enrolment_of
from mytalk.evaluation.filmed import Filmed
from mytalk.evaluation.films import Sound
from mytalk.evaluation.first_stage import RequestedMotion
from mytalk.evaluation.moment import Pair
from mytalk.evaluation.sync import SILENT, Curve, loudness
from mytalk.face import Face, HeadPose, PoseFilter, fit_pose
from mytalk.face.landmarks import LIPS_OUTER, LOWER_FACE
from mytalk.lipsync_stream import MAX_YAW
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.space import RestShape
from mytalk.motion.stream import MotionFrame
from mytalk.picture import Picture, VideoFrame

if TYPE_CHECKING:
    from mytalk.pipeline import Pipeline

BLUR = 0.05
"""Standard deviation of the blur, in distances between the eyes: 4 pixels of the 256 x 256 face crop."""

MEAN_SPREAD = 0.064
"""Standard deviation of aperture of most people, which ``RestShape.openness`` scales to this person's."""

_OUTER, _LOWER = list(LIPS_OUTER), list(LOWER_FACE)


class CopyRun:
    """Returns the film as it is, whatever is said."""

    def __init__(self, filmed: Filmed, sound: Sound, *, paired: bool) -> None:
        self._filmed, self._sound = filmed, sound
        self._until = enrolment_of(filmed.film, paired=True) if paired else 0
        self.requested = RequestedMotion()

    def __iter__(self) -> Iterator[Pair]:
        for frame, face in zip(self._filmed.film.frames(), self._filmed.faces_in_order(), strict=False):
            if frame.at >= len(self._sound):
                break
            yield Pair(frame, frame, face, scored=frame.at >= self._until)
        shapes = self._filmed.shapes
        self.requested.aperture = dict(enumerate(shapes.aperture.tolist()))
        self.requested.lips = dict(enumerate(shapes.lips))


class LoudnessRun:
    """Opens this person's rest shape by the level of each motion frame.

    Scaled to the person's range in the enrolment, as far as it shows one. It knows the whole sound, so that no
    smoothing or delay costs it anything.
    """

    def __init__(self, pipeline: Pipeline, filmed: Filmed, sound: Sound, *, paired: bool) -> None:
        self._filmed, self._sound, self._paired = filmed, sound, paired
        self._space = pipeline.motion.space
        self._rest = RestShape(self._space)
        self._renderer = MouthRenderer(pipeline.appearance, still=filmed.film.still)
        self._poses = PoseFilter()
        self._enrolment = enrolment_of(filmed.film, paired=paired)
        self.requested = RequestedMotion()

    def __iter__(self) -> Iterator[Pair]:
        rest, curve = self._enrol()
        self.requested.take(MotionFrame(i, self._space.opened(rest, float(gap)), rest) for i, gap in enumerate(curve))
        times = np.arange(len(curve)) * FRAME_SAMPLES
        for frame, face in self._frames():
            if frame.at >= len(self._sound):
                break
            picture, pose = frame.picture, self._pose(face, frame.at)
            if face is not None and pose is not None:
                source = face.points[_LOWER, :2]
                if not self._paired:
                    self._renderer.observe(picture, pose, source)
                wanted = self._space.opened(rest, float(np.interp(frame.at, times, curve)))
                target = pose.to_frame(wanted)[:, :2]
                picture = self._renderer.render(picture, pose, source, target, face=face.points[:, :2])
            scored = not (self._paired and frame.at < self._enrolment)
            yield Pair(frame, replace(frame, picture=picture), face, scored=scored)

    def _frames(self) -> Iterator[tuple[VideoFrame, Face | None]]:
        return zip(self._filmed.film.frames(), self._filmed.faces_in_order(), strict=False)

    def _enrol(self) -> tuple[NDArray[np.float32], Curve]:
        """Returns the rest shape ``(169, 3)``, and the aperture at 25 Hz."""
        seen = False
        for frame, face in self._frames():
            if frame.at >= self._enrolment and seen:
                break
            if face is None:
                continue
            pose, seen = fit_pose(face), True
            self._rest.observe(pose.to_canonical(face.points)[_LOWER])
            self._renderer.observe(frame.picture, pose, face.points[_LOWER, :2])
        return self._rest.estimate(), loud_aperture(self._sound, MEAN_SPREAD * self._rest.openness())

    def _pose(self, face: Face | None, at: int) -> HeadPose | None:
        pose = None if face is None else fit_pose(face)
        if pose is None or abs(pose.yaw) > MAX_YAW:
            self._poses.reset()
            return None
        return self._poses(pose, at)


def loud_aperture(sound: Sound, wanted: float) -> Curve:
    """Returns an aperture at 25 Hz, 0 from 30 dB under the loudest tenth down, with the standard deviation
    ``wanted``."""
    level = loudness(sound)
    share = np.clip((level - (float(np.quantile(level, 0.9)) - SILENT)) / SILENT, 0, None)
    return np.asarray(share * (wanted / max(float(share.std()), 1e-6)), np.float32)


def blurred(picture: Picture, face: Face) -> Picture:
    """Blurs the mouth of a picture: the box of the lips, half as large again on each side, feathered."""
    lips = face.points[_OUTER, :2]
    low, high = lips.min(axis=0), lips.max(axis=0)
    grow = (high - low) / 2
    x0, y0, x1, y1 = (int(v) for v in (*(low - grow), *(high + grow)))
    box = picture.even_box((x0, y0, x1, y1))
    if box[2] - box[0] < 2 or box[3] - box[1] < 2:
        return picture
    sigma = BLUR * fit_pose(face).scale
    soft = cv2.GaussianBlur(picture.region_rgb(box), (0, 0), sigma)
    inside = np.zeros(soft.shape[:2], np.float32)
    edge = max(1, round(sigma))
    inside[edge:-edge, edge:-edge] = 1
    return picture.with_region(box, soft, cv2.GaussianBlur(inside, (0, 0), sigma / 2))
