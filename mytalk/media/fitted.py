"""Fits faces of other sizes into the pictures of a session that has begun: its viewers keep theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2

from mytalk.media.face_source import FaceSource
from mytalk.picture import Picture, VideoFrame

Size = tuple[int, int]
"""Width and height in pixels, even."""


class FittedClip(FaceSource):
    """Plays another source with its pictures cut to the shape of ``size``, around their middle, and scaled to it."""

    def __init__(self, source: FaceSource, size: Size) -> None:
        self.name, self.still, self.warnings = source.name, source.still, source.warnings
        self.info = replace(source.info, width=size[0], height=size[1])
        self._source, self._size = source, size

    def frames(self, *, endless: bool) -> Iterator[VideoFrame]:
        for frame in self._source.frames(endless=endless):
            yield replace(frame, picture=fitted(frame.picture, self._size))


def fitted(picture: Picture, size: Size, centre: tuple[float, float] | None = None) -> Picture:
    """Returns the largest part of a picture that has the shape of ``size``, as near to ``centre`` (x and y, pixels;
    None: the middle) as it can be, scaled to it."""
    if (picture.width, picture.height) == size:
        return picture
    scale = max(size[0] / picture.width, size[1] / picture.height)
    width, height = (min(whole, round(side / scale)) for whole, side in zip(_size_of(picture), size, strict=True))
    x, y = centre or (picture.width / 2, picture.height / 2)
    left = round(min(max(0, x - width / 2), picture.width - width))
    top = round(min(max(0, y - height / 2), picture.height - height))
    box = picture.even_box((left, top, left + width, top + height))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    y_plane = cv2.resize(picture.y[box[1] : box[3], box[0] : box[2]], size, interpolation=way)
    half, part = (size[0] // 2, size[1] // 2), (slice(box[1] // 2, box[3] // 2), slice(box[0] // 2, box[2] // 2))
    u, v = (cv2.resize(plane[part], half, interpolation=way) for plane in (picture.u, picture.v))
    return replace(picture, y=y_plane, u=u, v=v)


def _size_of(picture: Picture) -> Size:
    return picture.width, picture.height
