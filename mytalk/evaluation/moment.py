"""One moment of a film and of its generated copy, and everything that measures want to know of it, worked out once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from mytalk.evaluation.crop import Box, Crop, Rgb, face_crop, mouth_box
from mytalk.face import Face, FaceTracker, HeadPose, fit_pose
from mytalk.picture import Picture, VideoFrame


@dataclass(frozen=True, slots=True)
class Pair:
    """A frame as filmed and as generated."""

    true: VideoFrame
    made: VideoFrame
    face: Face | None  # in the filmed frame
    scored: bool = True  # False: pictures of this moment were shown to the engine, and are not compared


@dataclass(frozen=True)
class Moment:
    """A pair with the faces in it. Pictures of one size are compared through the filmed frame's pose."""

    pair: Pair
    made_face: Face | None

    @property
    def at(self) -> int:
        """Media time in the generated film."""
        return self.pair.made.at

    @property
    def face(self) -> Face | None:
        return self.pair.face

    @property
    def true(self) -> Picture:
        return self.pair.true.picture

    @property
    def made(self) -> Picture:
        return self.pair.made.picture

    @property
    def same_size(self) -> bool:
        return (self.true.width, self.true.height) == (self.made.width, self.made.height)

    @cached_property
    def pose(self) -> HeadPose | None:
        """Of the filmed head, unfiltered."""
        return None if self.face is None else fit_pose(self.face)

    @cached_property
    def made_pose(self) -> HeadPose | None:
        """Through which the generated picture is looked at: the filmed one, where the sizes agree."""
        if self.same_size:
            return self.pose
        return None if self.made_face is None else fit_pose(self.made_face)

    @cached_property
    def true_rgb(self) -> Rgb:
        return self.true.rgb()

    @cached_property
    def made_rgb(self) -> Rgb:
        return self.true_rgb if self.made is self.true else self.made.rgb()

    @cached_property
    def crops(self) -> tuple[Crop, Crop] | None:
        """Face crops, filmed and generated; None where there is no face."""
        if self.pose is None or self.made_pose is None:
            return None
        return face_crop(self.true_rgb, self.pose), face_crop(self.made_rgb, self.made_pose)

    @cached_property
    def mouth(self) -> Box | None:
        """The filmed mouth's box in the crops."""
        if self.face is None or self.pose is None:
            return None
        rows, columns = mouth_box(self.face, self.pose)
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


class Measure(ABC):
    """Something that is measured over one clip, moment by moment. Keeps numbers, never pictures of the whole clip."""

    @abstractmethod
    def push(self, moment: Moment) -> None:
        """The next moment, in order."""

    @abstractmethod
    def scores(self) -> dict[str, float]:
        """Figures by the names of ``metrics.METRICS``; NaN where the clip had nothing to measure."""


def watch(pairs: Iterable[Pair]) -> Iterator[Moment]:
    """Tracks the face in the generated film."""
    tracker = FaceTracker()
    try:
        for pair in pairs:
            yield Moment(pair, tracker(pair.made.picture))
    finally:
        tracker.close()
