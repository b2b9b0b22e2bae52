"""Follows every face of a film, and knows each person again after a cut."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mytalk.face.appearance_match import Descriptor, describe_face, descriptor_distance
from mytalk.face.face import Face
from mytalk.face.pose import fit_pose
from mytalk.face.shot_change import ShotChange
from mytalk.face.tracker import FaceTracker
from mytalk.picture import Picture

MAX_PEOPLE = 16
"""People of one film who are told apart; a further one is taken for whom they resemble most."""

_SEARCH_INTERVAL = 12  # pictures between two searches for further faces
_SAME_PERSON = 0.3  # descriptor distance up to which a face that comes is a person seen before
_FOLLOW_RATE = 0.1  # share of the way a picture by which a descriptor follows its face
_SAME_FACE = 0.5  # distance between two faces' middles, over their width, below which they are one


@dataclass(slots=True)
class _Track:
    """Holds one face that is followed from picture to picture."""

    tracker: FaceTracker
    face: Face
    person: int


class PeopleTracker:
    """Tracks all faces of a film, at most four in a picture. Faces of one person have one number over all cuts.

    Pictures in order. ``descriptors`` holds how each person looked last. One thread at a time.
    """

    def __init__(self) -> None:
        self.descriptors: dict[int, Descriptor] = {}
        self._tracks: list[_Track] = []
        self._finder = FaceTracker()
        self._is_cut = ShotChange()
        self._since_search = _SEARCH_INTERVAL

    def __call__(self, picture: Picture) -> list[Face]:
        """Returns the faces in the next picture, each with its person's number; no two of one person."""
        if self._is_cut(picture):
            self._tracks, self._since_search = [], _SEARCH_INTERVAL
        lost = self._follow(picture)
        self._since_search += 1
        if lost or self._since_search > _SEARCH_INTERVAL:
            self._search(picture)
            self._since_search = 0
        return [replace(track.face, person=track.person) for track in self._tracks]

    def _follow(self, picture: Picture) -> bool:
        """Moves all tracks on by one picture; says whether any was lost."""
        kept: list[_Track] = []
        for track in self._tracks:
            face = track.tracker(picture, search=False)
            if face is None or any(_is_same(face, other.face) for other in kept):
                continue
            track.face = face
            kept.append(track)
            self._learn(track.person, describe_face(picture, fit_pose(face)))
        lost = len(kept) < len(self._tracks)
        self._tracks = kept
        return lost

    def _search(self, picture: Picture) -> None:
        """Begins tracks of faces that are not followed yet."""
        for found in self._finder.faces(picture):
            if any(_is_same(found, track.face) for track in self._tracks):
                continue
            tracker = FaceTracker()
            face = tracker.follow(found, picture)
            if face is None:
                continue
            person = self._identify(describe_face(picture, fit_pose(face)))
            if person is not None:
                self._tracks.append(_Track(tracker, face, person))

    def _identify(self, seen: Descriptor) -> int | None:
        """Returns a known person's number, or a new one; None where that person is in the picture already."""
        here = {track.person for track in self._tracks}
        distances = {person: descriptor_distance(seen, one) for person, one in self.descriptors.items()}
        free = {person: distance for person, distance in distances.items() if person not in here}
        nearest = min(free, key=lambda person: free[person], default=None)
        if nearest is not None and (free[nearest] <= _SAME_PERSON or len(self.descriptors) >= MAX_PEOPLE):
            self._learn(nearest, seen)
            return nearest
        if len(self.descriptors) >= MAX_PEOPLE:
            return None
        person = len(self.descriptors)
        self.descriptors[person] = seen
        return person

    def _learn(self, person: int, seen: Descriptor) -> None:
        before = self.descriptors[person]
        self.descriptors[person] = before + np.float32(_FOLLOW_RATE) * (seen - before)


def _is_same(one: Face, other: Face) -> bool:
    (x0, y0), (x1, y1) = middle(one), middle(other)
    return float(np.hypot(x0 - x1, y0 - y1)) < _SAME_FACE * max(one.width, other.width)


def middle(face: Face) -> tuple[float, float]:
    """Returns the middle of a face's box, pixels."""
    x0, y0, x1, y1 = face.box
    return (x0 + x1) / 2, (y0 + y1) / 2
