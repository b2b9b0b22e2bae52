"""Which face speaks, where there are several: the one that was chosen, however the others cross it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.appearance_match import Likeness, likeness_of, unlikeness
from mytalk.face.pose import fit_pose
from mytalk.face.tracker import Face, FaceTracker
from mytalk.picture import Picture

Choice = Literal["largest"] | tuple[float, float]
"""The largest face, or the one nearest to a point: shares of the picture's width and height, from its upper left."""

LOOK = 12
"""Pictures between two looks for other faces, while there is one alone."""

LOOK_CLOSELY = 4
"""The same while there are several."""

PATIENCE = 50
"""Pictures for which the chosen face may be hidden by, or gone from beside, others; then one of them speaks."""

_PACE = 0.1  # of the way a picture, by which a likeness follows its face
_SURE = 0.05  # by which a face must be nearer to its own likeness than to another's, to be learned from
_SAME = 0.2  # unlikeness up to which a face that is chosen anew is somebody who was followed before
_PEOPLE = 8  # who were followed and are remembered; then the one of longest ago is forgotten
_CUT = 28.0  # steps of luma by which a small picture changes on average where another shot begins


@dataclass(slots=True)
class _Known:
    """The faces of one shot."""

    own: Likeness | None = None
    others: list[Likeness] = field(default_factory=list)

    def is_own(self, seen: Likeness) -> bool:
        """Whether it is rather the chosen face than another one that was seen beside it."""
        return self.doubt(seen) <= 0

    def doubt(self, seen: Likeness) -> float:
        """By how much it is nearer to another's likeness than to its own; below 0 it is its own."""
        if self.own is None or not self.others:
            return -1.0
        return unlikeness(seen, self.own) - min(unlikeness(seen, other) for other in self.others)

    def learn(self, seen: Likeness) -> None:
        """Follows the chosen face."""
        self.own = seen if self.own is None else self.own + np.float32(_PACE) * (seen - self.own)

    def meet(self, seen: Likeness) -> None:
        """Somebody beside the chosen face; who was met before is followed."""
        distances = [unlikeness(seen, other) for other in self.others]
        if distances and (min(distances) < 0.15 or len(distances) >= 3):
            place = int(np.argmin(distances))
            self.others[place] = self.others[place] + np.float32(_PACE) * (seen - self.others[place])
        else:
            self.others.append(seen)


class _People:
    """Who has been followed, and by what number."""

    def __init__(self) -> None:
        self._likenesses: dict[int, Likeness] = {}
        self._count = 0

    def number_of(self, seen: Likeness) -> int:
        """Of somebody known, or a new one."""
        apart = {number: unlikeness(seen, one) for number, one in self._likenesses.items()}
        number = min(apart, key=lambda one: apart[one], default=None)
        if number is None or apart[number] > _SAME:
            number, self._count = self._count, self._count + 1
        self.keep(number, seen)
        return number

    def keep(self, number: int, likeness: Likeness) -> None:
        """What somebody looks like of late."""
        self._likenesses.pop(number, None)
        self._likenesses[number] = likeness
        if len(self._likenesses) > _PEOPLE:
            del self._likenesses[next(iter(self._likenesses))]


class SpeakerTracker:
    """A :class:`FaceTracker` that stays with one person. ``choice`` may be set at any time."""

    def __init__(self, choice: Choice = "largest") -> None:
        self.choice = choice
        self._chosen = choice  # that is being followed
        self._tracker = FaceTracker()
        self._known = _Known()
        self._people = _People()
        self._person = 0  # who is being followed
        self._since_look = LOOK
        self._hidden = 0  # pictures for which others were there without the chosen face
        self._small: NDArray[np.uint8] | None = None

    def __call__(self, picture: Picture) -> Face | None:
        """The face that speaks in the next picture, or None where it is not to be seen."""
        self._tracker.too_small = False
        face = self._speaker(picture)
        return None if face is None else replace(face, person=self._person)

    @property
    def too_small(self) -> bool:
        """Whether the last picture shows the face that speaks, narrower than it must be."""
        return self._tracker.too_small

    def close(self) -> None:
        self._tracker.close()

    def _speaker(self, picture: Picture) -> Face | None:
        if self._is_cut(picture):
            self._forget()
            self._since_look = LOOK
        if self.choice != self._chosen:
            self._chosen = self.choice
            self._forget()
            return self._begin(picture)
        if self._known.own is None:
            return self._begin(picture)
        face = None if self._hidden else self._tracker(picture, search=not self._known.others)
        self._since_look += 1
        if face is None and not self._known.others:
            return None
        due = LOOK_CLOSELY if self._known.others else LOOK
        if face is None or self._since_look > due:
            face = self._look_around(picture, face)
        elif self._known.is_own(seen := likeness_of(picture, fit_pose(face))):
            if self._known.doubt(seen) < -_SURE:
                self._known.learn(seen)
        else:
            face = self._look_around(picture, None)
        return face

    def _forget(self) -> None:
        """The faces of this shot; not who they were."""
        if self._known.own is not None:
            self._people.keep(self._person, self._known.own)
        self._known, self._hidden = _Known(), 0

    def _begin(self, picture: Picture) -> Face | None:
        """Chooses a face among those in the picture."""
        faces = self._tracker.faces(picture)
        self._since_look = 0
        if not faces:
            self._tracker.reset()
            return None
        place = _choose(faces, self._chosen, picture)
        face = faces.pop(place)
        seen = likeness_of(picture, fit_pose(face))
        self._known.learn(seen)
        self._person = self._people.number_of(seen)
        for other in faces:
            self._known.meet(likeness_of(picture, fit_pose(other)))
        return self._tracker.follow(face, picture)

    def _look_around(self, picture: Picture, tracked: Face | None) -> Face | None:
        """All faces of the picture: the chosen one among them, and what others look like."""
        self._since_look = 0
        faces = self._tracker.faces(picture)
        if not faces:
            return tracked
        seen = [likeness_of(picture, fit_pose(face)) for face in faces]
        if tracked is not None:
            place = int(np.argmin([_distance(face, tracked) for face in faces]))
            if len(faces) > 1 or not self._known.others:
                self._meet(seen, place)
        else:
            place = int(np.argmin([self._known.doubt(one) for one in seen]))
        if self._known.is_own(seen[place]):
            self._hidden = 0
            return tracked if tracked is not None else self._tracker.follow(faces[place], picture)
        self._hidden += 1
        if self._hidden > PATIENCE:
            self._forget()
            return self._begin(picture)
        return None

    def _meet(self, seen: list[Likeness], own: int) -> None:
        for place, one in enumerate(seen):
            if place != own:
                self._known.meet(one)

    def _is_cut(self, picture: Picture) -> bool:
        """Whether another shot begins with this picture."""
        small = cv2.resize(picture.y[::4, ::4], (16, 9), interpolation=cv2.INTER_AREA)
        before, self._small = self._small, small
        return before is not None and float(np.abs(small.astype(np.int16) - before).mean()) > _CUT


def _choose(faces: Sequence[Face], choice: Choice, picture: Picture) -> int:
    """Its place in ``faces``, which are in order of size."""
    if choice == "largest":
        return 0
    x, y = choice[0] * picture.width, choice[1] * picture.height
    return int(np.argmin([np.hypot(_middle(face)[0] - x, _middle(face)[1] - y) for face in faces]))


def _middle(face: Face) -> tuple[float, float]:
    x0, y0, x1, y1 = face.box
    return (x0 + x1) / 2, (y0 + y1) / 2


def _distance(one: Face, other: Face) -> float:
    return float(np.hypot(_middle(one)[0] - _middle(other)[0], _middle(one)[1] - _middle(other)[1]))
