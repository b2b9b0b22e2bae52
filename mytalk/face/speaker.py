"""Follows the face that speaks, where there are several, however the others cross it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from mytalk.face.appearance_match import Descriptor, describe_face, descriptor_distance
from mytalk.face.pose import fit_pose
from mytalk.face.shot_change import ShotChange
from mytalk.face.tracker import Face, FaceTracker
from mytalk.picture import Picture

Choice = Literal["largest"] | tuple[float, float]
"""The largest face, or the one nearest to a point: shares of the picture's width and height, from its upper left."""

SEARCH_INTERVAL = 12
"""Pictures between two searches for other faces, while there is one alone."""

SEARCH_INTERVAL_CROWDED = 4
"""Pictures between two searches while there are several faces."""

MAX_HIDDEN = 50
"""Pictures for which the chosen face may be covered by, or missing beside, others; then another is chosen."""

_FOLLOW_RATE = 0.1  # share of the way a picture by which a descriptor follows its face
_LEARN_MARGIN = (
    0.05  # descriptor distance by which a face must be nearer to its own than to another's to be learned from
)
_SAME_PERSON = 0.2  # descriptor distance up to which a face chosen anew is a person followed before
_SAME_OTHER = 0.15  # descriptor distance up to which a face beside the chosen one is one seen before
_MAX_OTHERS = 3  # faces beside the chosen one that a shot's descriptors hold
_MAX_PEOPLE = 8  # people followed before whose descriptors are kept; the oldest is dropped


@dataclass(slots=True)
class _ShotFaces:
    """Holds descriptors of the chosen face and of others in one shot."""

    own: Descriptor | None = None
    others: list[Descriptor] = field(default_factory=list)

    def is_own(self, seen: Descriptor) -> bool:
        """Says whether a descriptor is nearer to the chosen face than to another one seen beside it."""
        return self.margin(seen) <= 0

    def margin(self, seen: Descriptor) -> float:
        """Returns by how much a descriptor is nearer to another face than to the chosen one; below 0 it is the
        chosen one."""
        if self.own is None or not self.others:
            return -1.0
        return descriptor_distance(seen, self.own) - min(descriptor_distance(seen, other) for other in self.others)

    def learn(self, seen: Descriptor) -> None:
        """Moves the chosen face's descriptor towards this one."""
        self.own = seen if self.own is None else self.own + np.float32(_FOLLOW_RATE) * (seen - self.own)

    def add_other(self, seen: Descriptor) -> None:
        """Adds a face beside the chosen one, or moves the descriptor of the one it resembles."""
        distances = [descriptor_distance(seen, other) for other in self.others]
        if distances and (min(distances) < _SAME_OTHER or len(distances) >= _MAX_OTHERS):
            index = int(np.argmin(distances))
            self.others[index] = self.others[index] + np.float32(_FOLLOW_RATE) * (seen - self.others[index])
        else:
            self.others.append(seen)


class _People:
    """Numbers the people who have been followed."""

    def __init__(self) -> None:
        self._descriptors: dict[int, Descriptor] = {}
        self._count = 0

    def identify(self, seen: Descriptor) -> int:
        """Returns the number of a known person, or a new one."""
        distances = {number: descriptor_distance(seen, one) for number, one in self._descriptors.items()}
        number = min(distances, key=lambda one: distances[one], default=None)
        if number is None or distances[number] > _SAME_PERSON:
            number, self._count = self._count, self._count + 1
        self.remember(number, seen)
        return number

    def remember(self, number: int, descriptor: Descriptor) -> None:
        """Keeps the newest descriptor of a person."""
        self._descriptors.pop(number, None)
        self._descriptors[number] = descriptor
        if len(self._descriptors) > _MAX_PEOPLE:
            del self._descriptors[next(iter(self._descriptors))]


class SpeakerTracker:
    """Tracks one person with a :class:`FaceTracker`. ``choice`` may be set at any time."""

    def __init__(self, choice: Choice = "largest") -> None:
        self.choice = choice
        self._chosen = choice  # that is being followed
        self._tracker = FaceTracker()
        self._shot_faces = _ShotFaces()
        self._people = _People()
        self._person = 0  # who is being followed
        self._since_search = SEARCH_INTERVAL
        self._hidden_pictures = 0  # pictures for which others were there without the chosen face
        self._is_cut = ShotChange()

    def __call__(self, picture: Picture) -> Face | None:
        """Returns the face that speaks in the next picture, or None where it is not visible."""
        self._tracker.too_small = False
        face = self._speaker(picture)
        return None if face is None else replace(face, person=self._person)

    @property
    def too_small(self) -> bool:
        """Says whether the last picture shows the face that speaks, but too narrow."""
        return self._tracker.too_small

    def _speaker(self, picture: Picture) -> Face | None:
        if self._is_cut(picture):
            self._forget()
            self._since_search = SEARCH_INTERVAL
        if self.choice != self._chosen:
            self._chosen = self.choice
            self._forget()
            return self._begin(picture)
        if self._shot_faces.own is None:
            return self._begin(picture)
        face = None if self._hidden_pictures else self._tracker(picture, search=not self._shot_faces.others)
        self._since_search += 1
        if face is None and not self._shot_faces.others:
            return None
        due = SEARCH_INTERVAL_CROWDED if self._shot_faces.others else SEARCH_INTERVAL
        if face is None or self._since_search > due:
            face = self._search_picture(picture, face)
        elif self._shot_faces.is_own(seen := describe_face(picture, fit_pose(face))):
            if self._shot_faces.margin(seen) < -_LEARN_MARGIN:
                self._shot_faces.learn(seen)
        else:
            face = self._search_picture(picture, None)
        return face

    def _forget(self) -> None:
        """Drops the faces of this shot, but not the people they belong to."""
        if self._shot_faces.own is not None:
            self._people.remember(self._person, self._shot_faces.own)
        self._shot_faces, self._hidden_pictures = _ShotFaces(), 0

    def _begin(self, picture: Picture) -> Face | None:
        """Chooses a face among those in the picture."""
        faces = self._tracker.faces(picture)
        self._since_search = 0
        if not faces:
            self._tracker.reset()
            return None
        index = _choose(faces, self._chosen, picture)
        face = faces.pop(index)
        seen = describe_face(picture, fit_pose(face))
        self._shot_faces.learn(seen)
        self._person = self._people.identify(seen)
        for other in faces:
            self._shot_faces.add_other(describe_face(picture, fit_pose(other)))
        return self._tracker.follow(face, picture)

    def _search_picture(self, picture: Picture, tracked: Face | None) -> Face | None:
        """Finds all faces of the picture: the chosen one among them, and descriptors of the others."""
        self._since_search = 0
        faces = self._tracker.faces(picture)
        if not faces:
            return tracked
        seen = [describe_face(picture, fit_pose(face)) for face in faces]
        if tracked is not None:
            index = int(np.argmin([_distance(face, tracked) for face in faces]))
            if len(faces) > 1 or not self._shot_faces.others:
                self._add_others(seen, index)
        else:
            index = int(np.argmin([self._shot_faces.margin(one) for one in seen]))
        if self._shot_faces.is_own(seen[index]):
            self._hidden_pictures = 0
            return tracked if tracked is not None else self._tracker.follow(faces[index], picture)
        self._hidden_pictures += 1
        if self._hidden_pictures > MAX_HIDDEN:
            self._forget()
            return self._begin(picture)
        return None

    def _add_others(self, seen: list[Descriptor], own: int) -> None:
        for index, one in enumerate(seen):
            if index != own:
                self._shot_faces.add_other(one)


def _choose(faces: Sequence[Face], choice: Choice, picture: Picture) -> int:
    """Returns the index of the chosen one of ``faces``, which are in order of size."""
    if choice == "largest":
        return 0
    x, y = choice[0] * picture.width, choice[1] * picture.height
    return int(np.argmin([np.hypot(_middle(face)[0] - x, _middle(face)[1] - y) for face in faces]))


def _middle(face: Face) -> tuple[float, float]:
    x0, y0, x1, y1 = face.box
    return (x0 + x1) / 2, (y0 + y1) / 2


def _distance(one: Face, other: Face) -> float:
    return float(np.hypot(_middle(one)[0] - _middle(other)[0], _middle(one)[1] - _middle(other)[1]))
