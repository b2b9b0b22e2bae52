"""Writes the film in MP4, MOV, Matroska or WebM, complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from mytalk.errors import OptionError, OutputError, OutputExistsError, OutputFullError
from mytalk.media.encoding import Encoding, VideoPlan, plan_video
from mytalk.media.kept import KeptTracks
from mytalk.media.samples import to_frame
from mytalk.media.sound_format import SoundCodec, SoundFormat
from mytalk.media.speech import SpeechReader
from mytalk.media.stored import converted
from mytalk.media.video import VideoInfo
from mytalk.picture import VideoFrame

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}

WEBM = ".webm"
"""Ending of films that can be transparent: https://wiki.webmproject.org/alpha-channel, read by browsers and OBS."""

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


class FilmWriter:
    """Writes a film with the pictures it is given and the speech of a reader, both starting at 0.

    Pictures keep their timestamps in the source's own time base (Matroska rounds them to milliseconds) and the
    source's colour tags and pixel shape; ``encoding`` says how they are coded. ``kept`` brings the other tracks of a
    film, which may begin before its picture: then all of this begins as much later. The file is written beside
    ``path`` under another name, and takes its name when it is complete: ``finish``. Where ``path`` is a link, what it
    leads to is replaced. ``abort`` leaves nothing behind; a ``with`` block left without ``finish`` aborts.

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
        encoding: Encoding | None = None,
        kept: KeptTracks | None = None,
        sound_codec: SoundCodec | None = None,
    ) -> None:
        check_output(path, force=force, transparent=transparent)
        self._transparent = transparent
        kind = FORMATS[path.suffix.lower()]
        self.plan = plan_video(info, kind, encoding or Encoding(), path.name, transparent=transparent)
        self.sound = SoundFormat.nearest(speech, sound_codec or ("opus" if kind == "webm" else "aac"))
        self._kept = kept
        lead = Fraction(0) if kept is None else kept.lead
        self._lead_ticks, self._lead_samples = round(lead / info.time_base), round(lead * speech.rate)
        self.path, self.force, self.info = path, force, info
        self._target = path.resolve()  # a link stays, and what it leads to is replaced
        self._held: VideoFrame | None = None  # its duration is known when the next frame comes
        self._sound_blocks = speech.blocks()
        self._rest: NDArray[np.float32] | None = None  # of a block of sound: what lies past the picture
        self._speech = speech
        self._position = 0  # samples of sound given to the encoder, at the speech's rate
        self._part = _make_beside(self._target)
        try:
            self._container = _open(self._part, kind)
            self._container.metadata["comment"] = comment
            self._picture_stream = _add_pictures(self._container, info, self.plan)
            self._sound_stream = self._add_sound()
        except BaseException:
            self._part.unlink(missing_ok=True)
            raise

    def write(self, frame: VideoFrame) -> None:
        """Writes one more picture, later than the one before, and the speech up to it."""
        if self._held is not None:
            self._encode(self._held, frame.pts - self._held.pts)
        self._held = frame
        self._feed(self._sound_samples(frame.pts))
        self._keep(frame.pts)

    def finish(self, *, sound: str = "whole") -> None:
        """Completes the file and gives it its name.

        ``sound``: ``whole`` writes all of the speech; ``cut`` no more of it than there are pictures for; ``fill`` as
        much as there are pictures for, with silence where the speech is shorter.
        """
        end = last = None
        if self._held is not None:
            last = self._held.pts + self.info.interval
            end = self._sound_samples(last)
            self._encode(self._held, self.info.interval)
            self._held = None
        self._feed(None if sound == "whole" else end)
        if sound == "fill" and end is not None:
            self._fill(end)
        self._keep(last if sound == "cut" else None)
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

    def _add_sound(self) -> AudioStream:
        """Adds the new sound, and the kept tracks around it in the order in which they stand in the film."""
        if self._kept is None:
            return self.sound.add_to(self._container, self.path.name)
        stream: AudioStream | None = None
        for one in self._kept.streams():
            if self._kept.replaced is not None and one.index == self._kept.replaced.index:
                stream = self.sound.add_to(self._container, self.path.name)
            elif not self._kept.is_picture(one):
                self._kept.copy(one, self._container)
        stream = stream or self.sound.add_to(self._container, self.path.name)
        self._kept.describe_sound(stream, self._container)
        self._kept.describe_film(self._container, self._picture_stream)
        self._kept.begin()
        return stream

    def _keep(self, until: int | None) -> None:
        """Copies packets of the kept tracks up to a picture's timestamp; None: all."""
        if self._kept is None:
            return
        seconds = None if until is None else (until + self._lead_ticks) * self.info.time_base
        with _as_output_error(self.path):
            self._kept.mux_until(self._container, seconds)

    def _encode(self, frame: VideoFrame, ticks: int) -> None:
        stored = frame.picture.stored if self.plan.stored else None
        if stored is not None:
            picture = stored.with_change(frame.picture)
        else:
            picture = frame.picture.to_transparent_av() if self._transparent else frame.picture.to_av()
        if picture.format.name != self.plan.pixels:
            picture = converted(picture, self.plan.pixels, self.plan.colour.matrix)
        picture.pts, picture.duration, picture.time_base = frame.pts + self._lead_ticks, ticks, frame.time_base
        picture.color_range = self.plan.colour.range
        picture.colorspace = self.plan.colour.matrix
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
        frame = to_frame(block, self._speech.rate, self._speech.layout, self._position + self._lead_samples)
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


def _add_pictures(container: OutputContainer, info: VideoInfo, plan: VideoPlan) -> VideoStream:
    stream = container.add_stream(plan.encoder, rate=info.rate, options=plan.options)
    assert isinstance(stream, VideoStream)
    stored = info.stored if plan.stored else None
    stream.width, stream.height = (info.width, info.height) if stored is None else (stored.width, stored.height)
    stream.pix_fmt = plan.pixels
    if plan.codec == "vp9" and plan.pixels.startswith("yuva"):
        stream.metadata["alpha_mode"] = "1"
    if stored is not None:
        stream.set_display_matrix(stored.display_matrix)
    context = stream.codec_context
    if plan.tag is not None:
        context.codec_tag = plan.tag
    stream.time_base = context.time_base = info.time_base
    turned = stored is not None and stored.turned
    context.sample_aspect_ratio = 1 / info.sample_aspect if turned else info.sample_aspect
    context.color_range, context.colorspace = plan.colour.range, plan.colour.matrix
    context.color_primaries, context.color_trc = plan.colour.primaries, plan.colour.transfer
    context.flags |= Flags.frame_duration
    with _as_output_error(Path(container.name)):
        context.open()
    return stream
