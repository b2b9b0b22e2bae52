"""Computes once what measures need of one moment of a film and of its generated copy."""

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
    """Holds a frame as filmed and as generated."""

    true: VideoFrame
    generated: VideoFrame
    face: Face | None  # in the filmed frame
    scored: bool = True  # False: pictures of this moment were shown to the engine, and are not compared


@dataclass(frozen=True)
class Moment:
    """Holds a pair with the faces in it. Pictures of one size are compared through the filmed frame's pose."""

    pair: Pair
    generated_face: Face | None

    @property
    def at(self) -> int:
        """Returns the media time in the generated film."""
        return self.pair.generated.at

    @property
    def face(self) -> Face | None:
        return self.pair.face

    @property
    def true(self) -> Picture:
        return self.pair.true.picture

    @property
    def generated(self) -> Picture:
        return self.pair.generated.picture

    @property
    def same_size(self) -> bool:
        return (self.true.width, self.true.height) == (self.generated.width, self.generated.height)

    @cached_property
    def pose(self) -> HeadPose | None:
        """Returns the pose of the filmed head, unfiltered."""
        return None if self.face is None else fit_pose(self.face)

    @cached_property
    def generated_pose(self) -> HeadPose | None:
        """Returns the pose that the generated picture is cropped by: the filmed one, where the sizes agree."""
        if self.same_size:
            return self.pose
        return None if self.generated_face is None else fit_pose(self.generated_face)

    @cached_property
    def true_rgb(self) -> Rgb:
        return self.true.rgb()

    @cached_property
    def generated_rgb(self) -> Rgb:
        return self.true_rgb if self.generated is self.true else self.generated.rgb()

    @cached_property
    def crops(self) -> tuple[Crop, Crop] | None:
        """Returns face crops, filmed and generated; None where there is no face."""
        if self.pose is None or self.generated_pose is None:
            return None
        return face_crop(self.true_rgb, self.pose), face_crop(self.generated_rgb, self.generated_pose)

    @cached_property
    def mouth(self) -> Box | None:
        """Returns the filmed mouth's box in the crops."""
        if self.face is None or self.pose is None:
            return None
        rows, columns = mouth_box(self.face, self.pose)
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


class Measure(ABC):
    """Measures one clip, moment by moment. Keeps numbers, never pictures of the whole clip."""

    @abstractmethod
    def push(self, moment: Moment) -> None:
        """Takes the next moment, in order."""

    @abstractmethod
    def scores(self) -> dict[str, float]:
        """Returns figures by the names of ``metrics.METRICS``; NaN where the clip had nothing to measure."""


def watch(pairs: Iterable[Pair]) -> Iterator[Moment]:
    """Tracks the face in the generated film, and yields its moments."""
    tracker = FaceTracker()
    for pair in pairs:
        yield Moment(pair, tracker(pair.generated.picture))
