"""Reads a video or an image: upright pictures with the timestamps, the rate and the colour tags of their source."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.stream import Disposition
from av.video.stream import VideoStream

from mytalk.errors import UnreadableError
from mytalk.media import orientation
from mytalk.media.decoder import MAX_SIDE, Decoder
from mytalk.media.deinterlace import deinterlaced
from mytalk.media.still import is_heif, read_still
from mytalk.media.stored import (
    PLAIN,
    MasteringDisplay,
    PixelFormat,
    StoredFormat,
    StoredPicture,
    planar,
    reformatted,
)
from mytalk.media_time import to_samples
from mytalk.picture import Picture, VideoFrame

MAX_IMAGE_SIDE = 1920
"""Pixels to which a still image is reduced: it becomes a video, which players must be able to show."""

_HEAD = 4096  # bytes of a file in which a HEIC photo lists its brands
_UNSPECIFIED = 2  # H.273: matrix, primaries and transfer alike
_FULL_RANGE = 2
_CODECS = {"libdav1d": "av1", "libaom-av1": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8"}  # decoders, and what they read
_JITTER = 1  # seconds by which a stamp may lie behind without meaning that the clock started anew


@dataclass(frozen=True, slots=True)
class Colour:
    """Holds colour tags as the file has them: range (0 unknown, 1 limited, 2 full), and H.273 code points (2
    unspecified)."""

    range: int = 0
    matrix: int = _UNSPECIFIED
    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED

    @classmethod
    def of(cls, picture: Picture) -> Colour:
        """Returns the tags of a picture that no file describes."""
        frame = picture.to_av()
        return cls(range=int(frame.color_range), matrix=int(frame.colorspace))


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Holds what a writer must know to give the video back as it came."""

    width: int  # of the upright picture, even
    height: int
    time_base: Fraction  # seconds a tick of pts
    interval: int  # ticks a frame, on average; at least 1
    rate: Fraction  # frames a second, on average
    frames: int | None  # as the header says; None where it does not
    sample_aspect: Fraction = Fraction(1)
    colour: Colour = Colour()
    codec: str = ""  # of the file, as FFmpeg calls what it is coded in
    first: Fraction = Fraction(0)  # seconds of the file's own clock at which its first picture stands
    stored: StoredFormat | None = None  # None: pictures hold all there is, or it is not asked for


class VideoReader:
    """Reads a video file as upright pictures; each call of ``frames`` plays it once, from the start.

    Rotation (a phone's display matrix, an image's EXIF) is applied to the pixels, so that what is displayed, and its
    size, equal the source in every player; no rotation tag is left for a writer to pass on. Timestamps are the
    file's own, moved so that the first is 0; where the file has none, frames stand one average interval apart.

    Raises ``UnreadableError``: no such file, not a video, no picture in it, pictures too large.
    ``warnings`` tells of damage, of a file that ends before its header says, and of anything not kept.
    """

    def __init__(self, path: Path, *, stored: bool = False) -> None:
        """``stored``: whether each picture brings its stored frame, where that holds more than 8-bit 4:2:0."""
        self.path = path
        self._stored = stored
        self.warnings: list[str] = []
        self.seekable = True  # every frame seen had a timestamp of its own, in rising order
        self.stamps = array("q")  # pts of the frames seen so far
        self._first_stamp = 0  # what the file calls pts 0
        with Decoder(path, "video") as decoder:
            stream = _video(decoder)
            frames = list(islice(decoder.video_frames(), 2))
            _check_size(path, stream, frames)
            kind = decoder.container.format.name
            with path.open("rb") as file:
                self.image = kind == "image2" or kind.endswith("_pipe") or is_heif(file.read(_HEAD))
            if stream.disposition & Disposition.dependent and not self.image:
                raise UnreadableError(f"{path}: a grid of tiles that is not put together (save it as JPEG or PNG)")
            self.single = len(frames) == 1
            self._size = frames[0].width, frames[0].height
            self._orientation = self._find_orientation(frames[0])
            self._length = _stated_length(decoder, stream)
            self.info = self._describe(stream, frames[0])

    def frames(self) -> Iterator[VideoFrame]:
        """Plays the video once. The first complete play fills ``stamps`` and ``warnings``."""
        with Decoder(self.path, "video") as decoder:
            last: int | None = None
            for index, frame in enumerate(self._whole_frames(decoder)):
                pts = self._timestamp(frame, last)
                if index == len(self.stamps):
                    self.stamps.append(pts)
                last = pts
                yield VideoFrame(self._picture(frame), to_samples(pts, self.info.time_base), pts, self.info.time_base)
            self._report(decoder, last)

    def span(self, first: int, last: int) -> list[Picture]:
        """Yields frames ``first`` to ``last``, both included, of a video that was played before."""
        if self.seekable:
            with Decoder(self.path, "video") as decoder:
                if decoder.seek(self.stamps[first] + self._first_stamp):
                    pictures = self._between(decoder, self.stamps[first], self.stamps[last])
                    if len(pictures) == last - first + 1:
                        return pictures
        with Decoder(self.path, "video") as decoder:
            return [self._picture(frame) for frame in islice(self._whole_frames(decoder), first, last + 1)]

    def image_picture(self) -> Picture:
        """Reads the one picture of an image, over white where it is transparent, at most ``MAX_IMAGE_SIDE`` on a
        side.

        An odd side loses a row or column.
        """
        if not self.image:  # a video of one frame
            return next(self.frames()).picture
        try:
            still = read_still(self.path.read_bytes(), MAX_IMAGE_SIDE)
        except UnreadableError as error:
            raise UnreadableError(f"{self.path}: {error}") from error
        if max(still.stored) > MAX_IMAGE_SIDE:
            size = f"{still.stored[0]} x {still.stored[1]}"
            self._warn(f"a picture of {size} is made smaller, to {MAX_IMAGE_SIDE} at most")
        if not still.whole:
            self._warn("it ends within its picture; what could be read of it is used")
        height, width = still.rgb.shape[:2]
        return Picture.from_rgb(still.rgb[: height & ~1, : width & ~1])

    def _between(self, decoder: Decoder, first: int, last: int) -> list[Picture]:
        pictures = []
        for frame in self._whole_frames(decoder):
            pts = (_stamp(frame) or 0) - self._first_stamp
            if pts > last:
                break
            if pts >= first:
                pictures.append(self._picture(frame))
        return pictures

    def _whole_frames(self, decoder: Decoder) -> Iterator[av.VideoFrame]:
        return deinterlaced(
            decoder.video_frames(),
            lambda: self._warn("interlaced: its fields are made into whole pictures (bwdif), one for each two"),
        )

    def _timestamp(self, frame: av.VideoFrame, last: int | None) -> int:
        """Returns the frame's pts: rising, and 0 at the first frame."""
        stamp = _stamp(frame)
        if last is None:
            self._first_stamp = stamp or 0
            self.seekable = self.seekable and stamp is not None
            return 0
        if stamp is None:
            self.seekable = False
            return last + self.info.interval
        pts = stamp - self._first_stamp
        if pts > last:
            return pts
        self.seekable = False
        self._warn("some of its frames are stamped no later than the frame before, and were moved to after it")
        if (last - pts) * self.info.time_base <= _JITTER:
            return last + 1
        self._first_stamp = stamp - last - self.info.interval  # its clock started anew
        return last + self.info.interval

    def _picture(self, frame: av.VideoFrame) -> Picture:
        if (frame.width, frame.height) != self._size:
            self._warn("its picture changes size on the way, and is kept at the size it starts with")
            span = int(frame.color_range)
            width, height = self._size
            frame = frame.reformat(width=width, height=height, src_color_range=span, dst_color_range=span)
        seen = Picture.from_av(frame)
        stored = self.info.stored
        if stored is not None:
            if planar(frame.format.name) != stored.pixels.name:
                self._warn("its pixel format changes on the way, and is kept as it starts")
                frame = reformatted(frame, stored.pixels.name)
            seen = replace(seen, stored=StoredPicture(frame, seen, self._orientation))
        return self._orientation.upright(seen)

    def _find_orientation(self, frame: av.VideoFrame) -> orientation.Orientation:
        if self.image:
            return orientation.Orientation()  # applied by whoever reads the still
        found = orientation.of_frame(frame)
        if found is None:
            self._warn(f"it asks to be turned by {frame.rotation} degrees; only quarter turns are made")
        return found or orientation.Orientation()

    def _describe(self, stream: VideoStream, frame: av.VideoFrame) -> VideoInfo:
        turned = self._orientation.transpose
        width, height = (side + side % 2 for side in self._size)
        if (width, height) != self._size and not (self.image or self.single):
            self._warn(f"a picture of {self._size[0]} x {self._size[1]} grows by one row or column to even sides")
        stored = self._stored_format(frame) if self._stored else None
        pixels = PixelFormat.of(frame.format.name)
        if stored is None and pixels.bits > 8:
            self._warn("more than 8 bits a sample are written as 8")
        if stored is None and self._stored and pixels.alpha and not self.image:
            self._warn(f"its alpha is left out: a film of {pixels.words} ({pixels.name}) cannot be kept")
        time_base = stream.time_base or Fraction(1, 25)
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return VideoInfo(
            width=height if turned else width,
            height=width if turned else height,
            time_base=time_base,
            interval=max(1, round(1 / (rate * time_base))),
            rate=rate,
            frames=stream.frames or (math.ceil(self._length * rate) if self._length else None),
            sample_aspect=1 / aspect if turned else aspect,
            colour=_colour(frame) if stored is None else _own_colour(frame),
            codec=_CODECS.get(stream.codec_context.name, stream.codec_context.name),
            first=(_stamp(frame) or 0) * time_base,
            stored=stored,
        )

    def _stored_format(self, frame: av.VideoFrame) -> StoredFormat | None:
        """Describes what the file holds beyond 8-bit 4:2:0; None where that is nothing, or cannot be kept."""
        name = planar(frame.format.name)
        if name is None or name in PLAIN or self.image or self.single:
            return None
        pixels, (width, height) = PixelFormat.of(name), self._size
        if width % (1 << pixels.chroma[0]) or height % (1 << pixels.chroma[1]):
            return None  # a picture of the engine's has one row or column more
        return StoredFormat(pixels, width, height, orientation.matrix_of_frame(frame), MasteringDisplay.of_frame(frame))

    def _report(self, decoder: Decoder, last: int | None) -> None:
        if decoder.damaged:
            self._warn(f"damaged in {decoder.damaged} places; what could be read of it is used")
        read = ((last or 0) + self.info.interval) * self.info.time_base
        if self._length is not None and read < self._length - max(Fraction(1, 4), 3 / self.info.rate):
            self._warn(
                f"it ends after {float(read):.2f} s of the {float(self._length):.2f} s it states; these are used"
            )

    def _warn(self, text: str) -> None:
        warning = f"{self.path}: {text}"
        if warning not in self.warnings:
            self.warnings.append(warning)


def _video(decoder: Decoder) -> VideoStream:
    assert isinstance(decoder.stream, VideoStream)
    return decoder.stream


def _check_size(path: Path, stream: VideoStream, frames: list[av.VideoFrame]) -> None:
    width, height = (frames[0].width, frames[0].height) if frames else (stream.width, stream.height)
    if max(width, height) > MAX_SIDE:
        raise UnreadableError(f"{path}: a picture of {width} x {height} is too large (at most {MAX_SIDE} on a side)")
    if not frames:
        raise UnreadableError(
            f"{path}: no picture in it could be decoded (it is empty, damaged, or above {MAX_SIDE} pixels on a side)"
        )
    if min(width, height) < 2:
        raise UnreadableError(f"{path}: a picture of {width} x {height} is too small (at least 2 on a side)")


def _stamp(frame: av.VideoFrame) -> int | None:
    return frame.pts if frame.pts is not None else frame.dts


def _stated_length(decoder: Decoder, stream: VideoStream) -> Fraction | None:
    """Returns the seconds that the header promises, where it speaks of this stream and not of the whole file."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    parts = stream.metadata.get("DURATION", "").split(":")  # Matroska: hours:minutes:seconds
    try:
        hours, minutes, seconds = (Fraction(part) for part in parts)
        return hours * 3600 + minutes * 60 + seconds
    except ValueError:
        pass
    if len(decoder.container.streams) == 1 and decoder.container.duration:
        return Fraction(decoder.container.duration, 1_000_000)
    return None


def _own_colour(frame: av.VideoFrame) -> Colour:
    """Returns the frame's tags as its file has them."""
    full = frame.format.name.startswith("yuvj")
    return Colour(
        range=_FULL_RANGE if full else int(frame.color_range),
        matrix=int(frame.colorspace),
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
    )


def _colour(frame: av.VideoFrame) -> Colour:
    """Returns the frame's tags; where ``Picture`` converts (RGB, grey), range and matrix are those of the
    conversion."""
    if frame.format.is_rgb or frame.format.name in ("pal8", "gray"):
        light = {"primaries": int(frame.color_primaries), "transfer": int(frame.color_trc)}
        return replace(Colour.of(Picture.from_av(frame)), **light)
    return _own_colour(frame)
