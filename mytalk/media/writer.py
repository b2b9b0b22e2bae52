"""Writes the film: H264 and AAC in MP4, MOV or Matroska, VP9 and Opus in WebM, complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from mytalk.errors import OptionError, OutputError, OutputExistsError, OutputFullError
from mytalk.media.samples import to_frame
from mytalk.media.speech import SpeechReader
from mytalk.media.video import VideoInfo
from mytalk.picture import VideoFrame

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}

WEBM = ".webm"
"""Ending of films that can be transparent: https://wiki.webmproject.org/alpha-channel, read by browsers and OBS."""

# ISO/IEC 14496-3, table 1.18.
_AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_OPUS_RATE = 48_000  # RFC 7845: whatever the source had
_AAC_BITS = 96_000  # a second and channel
_AAC_FRAME_BITS = 6144  # the most a frame of 1024 samples may hold, a channel

_X264 = {"preset": "veryfast", "crf": "18"}
_VP9 = {"deadline": "good", "cpu-used": "4", "crf": "24", "b": "0", "auto-alt-ref": "0"}  # which alpha excludes
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def check_output(path: Path, *, force: bool, transparent: bool = False) -> None:
    """Raises ``OutputError`` or ``OutputExistsError`` where a film cannot or may not be written to ``path``."""
    if transparent and path.suffix.lower() != WEBM:
        raise OptionError(f"{path}: such a film cannot be transparent (need {WEBM}, or a green background)")
    if path.suffix.lower() not in FORMATS:
        raise OptionError(f"{path}: its ending names no format that is written (need {', '.join(FORMATS)})")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist (make {path.parent} first)")
    try:
        there = path.lstat() is not None
    except FileNotFoundError:
        there = False
    except OSError as error:  # a name too long, or of characters that it cannot have
        raise OutputError(f"{path}: cannot be a file's name here ({error.strerror})") from error
    if there and not path.is_file():
        raise OutputError(f"{path}: is there already, and not a file; give another name")
    if there and not force:
        raise OutputExistsError(f"{path}: is there already (--force replaces it)")


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """Holds what AAC can carry of a speech: rate and layout, and what changed, if anything."""

    rate: int
    layout: str
    warning: str | None = None

    @classmethod
    def nearest(cls, speech: SpeechReader, suffix: str = ".mp4") -> SoundFormat:
        """Finds the format nearest to a speech's own, of a film whose name ends in ``suffix``."""
        if suffix == WEBM:
            return cls(_OPUS_RATE, "mono" if speech.channels == 1 else "stereo")
        rate = next((rate for rate in _AAC_RATES if rate >= speech.rate), _AAC_RATES[-1])
        layout = speech.layout if _aac_opens(rate, speech.layout) else "stereo"
        if (rate, layout) == (speech.rate, speech.layout):
            return cls(rate, layout)
        given, written = f"{speech.layout} at {speech.rate} Hz", f"{layout} at {rate} Hz"
        return cls(rate, layout, f"{speech.path}: AAC cannot carry {given}; the output has {written}")


class FilmWriter:
    """Writes a film with the pictures it is given and the speech of a reader, both starting at 0.

    Pictures keep their timestamps in the source's own time base (Matroska rounds them to milliseconds) and the
    source's colour tags and pixel shape. The file is written beside ``path`` under another name, and takes its name
    when it is complete: ``finish``. Where ``path`` is a link, what it leads to is replaced. ``abort`` leaves nothing
    behind; a ``with`` block left without ``finish`` aborts.

    ``transparent``: pictures that have a ``cutout`` show the person alone; WebM can.

    Raises ``OutputError`` and its children. One thread at a time.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        speech: SpeechReader,
        *,
        force: bool = False,
        comment: str = "",
        transparent: bool = False,
    ) -> None:
        check_output(path, force=force, transparent=transparent)
        self._transparent = transparent
        self.path, self.force, self.info = path, force, info
        self._target = path.resolve()  # a link stays, and what it leads to is replaced
        self.sound = SoundFormat.nearest(speech, path.suffix.lower())
        self._held: VideoFrame | None = None  # its duration is known when the next frame comes
        self._sound_blocks = speech.blocks()
        self._rest: NDArray[np.float32] | None = None  # of a block of sound: what lies past the picture
        self._speech = speech
        self._position = 0  # samples of sound given to the encoder, at the speech's rate
        self._part = _make_beside(self._target)
        try:
            self._container = _open(self._part, FORMATS[path.suffix.lower()])
            self._container.metadata["comment"] = comment
            self._picture_stream = _add_pictures(self._container, info, transparent=transparent)
            self._sound_stream = _add_sound(self._container, self.sound)
        except BaseException:
            self._part.unlink(missing_ok=True)
            raise

    def write(self, frame: VideoFrame) -> None:
        """Writes one more picture, later than the one before, and the speech up to it."""
        if self._held is not None:
            self._encode(self._held, frame.pts - self._held.pts)
        self._held = frame
        self._feed(self._sound_samples(frame.pts))

    def finish(self, *, sound: str = "whole") -> None:
        """Completes the file and gives it its name.

        ``sound``: ``whole`` writes all of the speech; ``cut`` no more of it than there are pictures for; ``fill`` as
        much as there are pictures for, with silence where the speech is shorter.
        """
        end = None
        if self._held is not None:
            end = self._sound_samples(self._held.pts + self.info.interval)
            self._encode(self._held, self.info.interval)
            self._held = None
        self._feed(None if sound == "whole" else end)
        if sound == "fill" and end is not None:
            self._fill(end)
        with _as_output_error(self.path):
            for stream in (self._picture_stream, self._sound_stream):
                self._container.mux(stream.encode(None))
            self._container.close()
            if not self.force and os.path.lexists(self.path):
                raise OutputExistsError(f"{self.path}: appeared while it was being written (--force replaces it)")
            self._part.replace(self._target)

    def abort(self) -> None:
        """Drops the unfinished file. Harmless after ``finish``."""
        with contextlib.suppress(av.FFmpegError, OSError):
            self._container.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _encode(self, frame: VideoFrame, ticks: int) -> None:
        picture = frame.picture.to_transparent_av() if self._transparent else frame.picture.to_av()
        picture.pts, picture.duration, picture.time_base = frame.pts, ticks, frame.time_base
        picture.color_range = self.info.colour.range
        picture.colorspace = self.info.colour.matrix
        with _as_output_error(self.path):
            self._container.mux(self._picture_stream.encode(picture))

    def _sound_samples(self, pts: int) -> int:
        """Returns samples of sound up to a picture's timestamp, at the speech's rate."""
        return int(pts * self.info.time_base * self._speech.rate)

    def _feed(self, end: int | None) -> None:
        """Encodes the speech up to sample ``end``; None: all of it."""
        while end is None or self._position < end:
            block = self._rest if self._rest is not None else next(self._sound_blocks, None)
            self._rest = None
            if block is None:
                return
            room = block.shape[1] if end is None else end - self._position
            if block.shape[1] > room:
                block, self._rest = block[:, :room], block[:, room:]
            self._encode_sound(block)

    def _fill(self, end: int) -> None:
        while self._position < end:
            samples = min(self._speech.rate, end - self._position)
            self._encode_sound(np.zeros((self._speech.channels, samples), np.float32))

    def _encode_sound(self, block: NDArray[np.float32]) -> None:
        frame = to_frame(block, self._speech.rate, self._speech.layout, self._position)
        self._position += block.shape[1]
        with _as_output_error(self.path):
            self._container.mux(self._sound_stream.encode(frame))


@contextlib.contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        if error.errno in _FULL:
            raise OutputFullError(f"{path}: no space left for it (free some, or write elsewhere)") from error
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _make_beside(path: Path) -> Path:
    """Makes a new, empty file in the folder of ``path``."""
    part = path.with_name(f".{path.stem[:40]}.{os.getpid()}.part{path.suffix}")
    with _as_output_error(path):
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return part


def _open(part: Path, kind: str) -> OutputContainer:
    options = {"movflags": "+faststart"} if kind in ("mp4", "mov") else {}
    with _as_output_error(part):
        return av.open(f"file:{part}", "w", format=kind, container_options=options)


def _add_pictures(container: OutputContainer, info: VideoInfo, *, transparent: bool) -> VideoStream:
    webm = container.format.name == "webm"
    stream = container.add_stream("libvpx-vp9" if webm else "libx264", rate=info.rate, options=_VP9 if webm else _X264)
    stream.width, stream.height = info.width, info.height
    stream.pix_fmt = "yuva420p" if transparent else "yuv420p"
    if transparent:
        stream.metadata["alpha_mode"] = "1"
    context = stream.codec_context
    stream.time_base = context.time_base = info.time_base
    context.sample_aspect_ratio = info.sample_aspect
    context.color_range, context.colorspace = info.colour.range, info.colour.matrix
    context.color_primaries, context.color_trc = info.colour.primaries, info.colour.transfer
    context.flags |= Flags.frame_duration
    with _as_output_error(Path(container.name)):
        context.open()
    return stream


def _add_sound(container: OutputContainer, sound: SoundFormat) -> AudioStream:
    channels = av.AudioLayout(sound.layout).nb_channels
    if container.format.name == "webm":
        opus = container.add_stream("libopus", rate=sound.rate, layout=sound.layout)
        opus.bit_rate = channels * _AAC_BITS
        return opus
    stream = container.add_stream("aac", rate=sound.rate, layout=sound.layout, format="fltp")
    stream.bit_rate = channels * min(_AAC_BITS, _AAC_FRAME_BITS * sound.rate // 1024)
    return stream


def _aac_opens(rate: int, layout: str) -> bool:
    """Says whether the encoder takes this channel layout."""
    context = av.CodecContext.create("aac", "w")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate, context.layout, context.format = rate, layout, "fltp"
    try:
        context.open()
    except av.FFmpegError:
        return False
    return True
