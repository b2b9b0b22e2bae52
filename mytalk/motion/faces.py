"""Keeps the tracked faces of one session as motion frames: the upper face, and the people that faces belong to."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import UPPER_COUNT, UPPER_FACE
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.batch import MotionBackend
from mytalk.motion.person import Person
from mytalk.motion.space import RestShape

MAX_PEOPLE = 4
"""People whose state is kept, where a session changes from one to another; the oldest is dropped."""

_REST_INTERVAL = 25  # motion frames between two looks at the rest shape


class FaceTrack:
    """Holds the last ``frames`` motion frames of faces, and the rest shape, range and identity of each person."""

    def __init__(self, model: MotionBackend, frames: int) -> None:
        self.waiting: deque[tuple[int, NDArray[np.float32], int]] = deque()  # not yet reached by a window
        self.person = Person(RestShape(model.space))  # the newest
        self._model = model
        self._person_id = 0
        self._people = {self._person_id: self.person}
        self._upper: deque[NDArray[np.float32]] = deque(maxlen=frames)  # (38, 2) a motion frame, newest last
        self._person_ids: deque[int] = deque(maxlen=frames)  # whose face it is, likewise
        self._until = 0  # motion frames whose upper face is known
        self._last_upper = np.zeros((UPPER_COUNT, 2), np.float32)

    def enrol(self, points: list[NDArray[np.float32]], person: int) -> None:
        """Learns the rest shape of a person from canonical faces ``(478, 3)``, before the first window."""
        self._switch_person(person)
        for one in points:
            self.person.observe(one)

    def push(self, at: int, points: NDArray[np.float32], person: int) -> None:
        """Takes the canonical face ``(478, 3)`` of ``person`` in the picture at media time ``at``."""
        self.waiting.append((at, points, person))

    def advance(self, end: int) -> None:
        """Brings faces up to motion frame ``end``; each motion frame holds the latest face at or before it."""
        for index in range(self._until, end):
            while self.waiting and self.waiting[0][0] <= index * FRAME_SAMPLES:
                _, points, person = self.waiting.popleft()
                self._switch_person(person)
                self.person.observe(points)
                if self.person.lower is None:
                    self._update_person()
                moved = points[list(UPPER_FACE)] - self.person.upper
                self._last_upper = np.ascontiguousarray(moved[:, :2], np.float32)
            self._upper.append(self._last_upper)
            self._person_ids.append(self._person_id)
            if self.person.seen and index % _REST_INTERVAL == 0:
                self._update_person()
        self._until = max(self._until, end)

    def person_at(self, index: int) -> Person:
        """Returns the person that a motion frame is for, of those that ``advance`` has reached."""
        return self._people.get(self.person_id_at(index), self.person)

    def person_id_at(self, index: int) -> int:
        """Returns the number of that person."""
        return self._person_ids[index - self._until]

    def upper(self, first: int, rows: int) -> NDArray[np.float32]:
        """Returns the upper face ``(rows, 38, 2)``, displacement from rest, from motion frame ``first`` on."""
        ahead = self._until - first - rows  # known since before a barge-in
        return np.stack(list(self._upper)[len(self._upper) - rows - ahead : len(self._upper) - ahead])

    def _switch_person(self, person_id: int) -> None:
        """Switches to another person's rest shape, range and identity."""
        if person_id == self._person_id:
            return
        self._person_id = person_id
        known = self._people.pop(person_id, None)
        self.person = self._people[person_id] = known if known is not None else Person(RestShape(self._model.space))
        if len(self._people) > MAX_PEOPLE:
            del self._people[next(iter(self._people))]
        if self.person.seen:
            self._update_person()

    def _update_person(self) -> None:
        self.person.update()
        assert self.person.lower is not None
        self.person.identity = self._model.person(self.person.lower, self.person.upper)
