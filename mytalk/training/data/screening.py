"""Decides which pictures and sounds may be learned from, and why the others may not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mytalk.face import Face, FaceTracker, HeadPose, PoseFilter, fit_pose
from mytalk.face.landmarks import JAW, LIPS
from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import Picture
from mytalk.training.data.recording import Tracked
from mytalk.training.data.shots import Shot


class Reason(StrEnum):
    """Lists why a stretch of video is left out. The order is that of the printed table."""

    UNREADABLE = "unreadable"
    NO_SOUND = "no sound"
    NO_FACE = "no face"
    TWO_FACES = "two faces"
    TOO_SMALL = "face too small"
    TURNED = "turned away"
    CUT_OFF = "face cut off by the picture's edge"
    GAP = "pictures missing"
    TOO_SHORT = "too short"
    NO_SPEECH = "no speech"
    OUT_OF_SYNC = "out of sync"


@dataclass(frozen=True, slots=True)
class Limits:
    """Holds what a face must be like."""

    face_pixels: int = 64  # width in the source
    yaw: float = 30.0  # degrees to either side


@dataclass(frozen=True, slots=True)
class Seen:
    """Holds one screened picture. ``tracked`` is None where it may not be used, and ``reason`` says why."""

    at: int
    tracked: Tracked | None
    reason: Reason | None
    new_run: bool  # whatever came before, this picture does not go on from it


_COUNT_EVERY = SAMPLE_RATE // 2  # media time between two looks for other faces
_RIVAL = 0.4  # of the face's width: a narrower one behind it is not in the way, and not the one who speaks
_JUMP = 0.5  # of the face's width, between two pictures: it is another face, or another shot
_LONGEST_STEP = SAMPLE_RATE // 8  # between two pictures; lips between them are not known
_INSIDE = 0.97  # share of lip and jaw points that must lie in the picture
_OUTLINE = list(LIPS + JAW)


class Screen:
    """Screens the pictures of one video, in order."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tracker = FaceTracker()
        self._poses = PoseFilter()
        self._last: Face | None = None
        self._last_at: int | None = None
        self._count_at = 0  # when to look for other faces again
        self._rivals = False

    def look(self, shots: Iterator[Shot]) -> Iterator[Seen]:
        """Screens each picture."""
        for shot in shots:
            yield from self._look(shot)

    def _look(self, shot: Shot) -> Iterator[Seen]:
        late = self._last_at is not None and shot.at - self._last_at > _LONGEST_STEP
        if late and self._last_at is not None:
            yield Seen(self._last_at, None, Reason.GAP, True)
        if shot.cut:
            self._tracker.reset()
        face = self._tracker(shot.picture)
        jumped = face is not None and self._last is not None and _moved(self._last, face) > _JUMP
        if shot.cut or jumped or face is None:
            self._poses.reset()
            self._count_at = shot.at
        if face is not None and shot.at >= self._count_at:
            self._rivals = _has_rival(self._tracker.faces(shot.picture))
            self._count_at = shot.at + _COUNT_EVERY
        self._last, self._last_at = face, shot.at
        if face is None:
            yield Seen(shot.at, None, Reason.NO_FACE, True)
            return
        pose = self._poses(fit_pose(face), shot.at)
        reason = self._judge(face, pose, shot.picture)
        tracked = Tracked(shot.at, shot.picture, face, pose) if reason is None else None
        yield Seen(shot.at, tracked, reason, shot.cut or jumped or late)

    def _judge(self, face: Face, pose: HeadPose, picture: Picture) -> Reason | None:
        if self._rivals:
            return Reason.TWO_FACES
        if face.width < self._limits.face_pixels:
            return Reason.TOO_SMALL
        if abs(np.degrees(pose.yaw)) > self._limits.yaw:
            return Reason.TURNED
        outline = face.points[_OUTLINE, :2]
        inside = ((outline >= 0) & (outline <= [picture.width, picture.height])).all(axis=1)
        return Reason.CUT_OFF if inside.mean() < _INSIDE else None


def _has_rival(faces: list[Face]) -> bool:
    return len(faces) > 1 and faces[1].width > _RIVAL * faces[0].width


def _moved(before: Face, now: Face) -> float:
    """Returns how far the face's middle went, in face widths."""
    middles = [one.points[:, :2].mean(axis=0) for one in (before, now)]
    return float(np.linalg.norm(middles[1] - middles[0])) / max(before.width, now.width)
