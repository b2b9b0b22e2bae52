"""Carries over what a film holds beside its pictures and the sound that is replaced: packets, chapters, attachments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import av
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

from mytalk.errors import OptionError
from mytalk.media.decoder import open_container, picked_stream

if TYPE_CHECKING:
    from av.container.core import Chapter

GAP_LONGEST = 60
"""Seconds by which the first picture may come after the first sound of its file; a longer lead is left out."""

# Tags that describe the file they stand in, and not the film.
_OF_THE_FILE = frozenset(
    {
        "major_brand",
        "minor_version",
        "compatible_brands",
        "encoder",
        "duration",
        "vendor_id",
        "bps",
        "number_of_frames",
        "number_of_bytes",
        "filename",
        "mimetype",
        "timecode",
    }
)
_ATTACHMENTS = ("matroska", "webm")

# ISO 639-2 has two codes for some languages; QuickTime knows the bibliographic ones.
_QUICKTIME = {
    "deu": "ger",
    "nld": "dut",
    "ell": "gre",
    "isl": "ice",
    "zho": "chi",
    "ces": "cze",
    "slk": "slo",
    "ron": "rum",
    "sqi": "alb",
    "fas": "per",
    "mya": "bur",
    "kat": "geo",
    "hye": "arm",
    "mkd": "mac",
    "msa": "may",
    "cym": "wel",
}

SoundPlace = Literal["replace", "add"]


@dataclass(frozen=True, slots=True)
class Sound:
    """Says where the new sound goes: in place of track ``track`` (from 1; None: the film's main one), or beside all."""

    place: SoundPlace = "replace"
    track: int | None = None
    language: str | None = None  # ISO 639-2


class KeptTracks:
    """Copies the other tracks of a film into an output, in the order in which they stand there.

    ``warnings`` name each thing that the output's container cannot hold. Tracks keep their place beside the picture:
    ``lead`` is the time from the output's start to the first picture.

    Raises UnreadableError for a file that is no film, OptionError for a sound track that it has not.
    """

    def __init__(self, source: Path, first_picture: Fraction, sound: Sound) -> None:
        self.warnings: list[str] = []
        self.sound = sound
        self._source = source
        self._container: InputContainer = open_container(source)
        try:
            self._picture = picked_stream(self._container, source, "video")
            self._replaced = self._find_replaced()
            starts = [
                stream.start_time * stream.time_base
                for stream in self._container.streams
                if stream.start_time is not None and stream.time_base and self._is_copied(stream)
            ]
        except BaseException:
            self._container.close()
            raise
        lead = first_picture - min([*starts, first_picture])
        if lead > GAP_LONGEST:
            self._warn(f"other tracks begin {float(lead):.1f} s before its picture; that part of them is left out")
            lead = Fraction(0)
        self.lead = lead
        self._shift = lead - first_picture  # from the source's clock to the output's
        self._copies: dict[int, Stream] = {}  # by the source's stream number
        self._packets: Iterator[av.Packet[Stream]] = iter(())
        self._next: av.Packet[Stream] | None = None

    @property
    def replaced(self) -> Stream | None:
        """Returns the sound track in whose place the new sound goes; None where it is added, or there is none."""
        return self._replaced

    def streams(self) -> Iterator[Stream]:
        """Yields the film's streams in order: the picture, the sound that is replaced, and all others."""
        yield from self._container.streams

    def is_picture(self, stream: Stream) -> bool:
        """Says whether this is the stream that is dubbed."""
        return stream.index == self._picture.index

    def copy(self, stream: Stream, output: OutputContainer) -> None:
        """Adds one of the other streams to the output; warns where that cannot hold it."""
        language = f", {stream.language}" if stream.language else ""
        name = stream.name if stream.type != "attachment" else stream.metadata.get("filename")
        words = f"its {stream.type} track {stream.index} ({name or 'unknown'}{language})"
        if isinstance(stream, AttachmentStream):
            if output.format.name not in _ATTACHMENTS:
                self._warn(f"{words} is not kept: this container holds no attachments (.mkv does)")
                return
            kind = stream.mimetype or "application/octet-stream"
            output.add_attachment(stream.metadata.get("filename", f"attachment{stream.index}"), kind, stream.data)
            return
        if stream.type == "data":
            of_chapters = stream.name == "bin_data" and self._container.chapters()  # QuickTime's own way
            if "timecode" not in stream.metadata and not of_chapters:
                self._warn(f"{words} is not kept: data cannot be carried over")
            return
        try:
            copied = output.add_stream_from_template(stream, opaque=True)
        except (ValueError, av.FFmpegError):
            self._warn(f"{words} is not kept: this container does not take it (.mkv does)")
            return
        copied.metadata.update(_spelt(described(stream.metadata), output))
        copied.disposition = stream.disposition & ~(Disposition.default if stream.type == "audio" else 0)
        self._copies[stream.index] = copied

    def describe_sound(self, sound: Stream, output: OutputContainer) -> None:
        """Tags the new sound: the replaced track's own words but for its language, which is as asked."""
        if self._replaced is not None:
            kept = described(self._replaced.metadata)
            kept.pop("language", None)
            sound.metadata.update(kept)
        if self.sound.language is not None:
            sound.metadata.update(_spelt({"language": self.sound.language}, output))
        sound.disposition = Disposition.default | Disposition.dub

    def describe_film(self, output: OutputContainer, picture: VideoStream) -> None:
        """Copies the film's tags, those of its picture, its timecode and its chapters."""
        comment = output.metadata.get("comment", "")
        output.metadata.update(described(self._container.metadata))
        own = next((v for k, v in self._container.metadata.items() if k.lower() == "comment"), "")
        output.metadata.pop("COMMENT", None)
        output.metadata["comment"] = f"{comment}; {own}" if own and comment else comment or own
        picture.metadata.update(_spelt(described(self._picture.metadata), output))
        picture.disposition = self._picture.disposition | Disposition.default
        timecode = self._timecode()
        if timecode is not None:
            picture.metadata["timecode"] = timecode
        output.set_chapters(self._chapters())

    def begin(self) -> None:
        """Starts to read the packets; call it when all streams are added."""
        streams = [stream for stream in self._container.streams if stream.index in self._copies]
        if streams:
            self._packets = (packet for packet in self._container.demux(*streams) if packet.dts is not None)
            self._advance()

    def mux_until(self, output: OutputContainer, seconds: Fraction | None) -> None:
        """Copies packets up to a time of the output; None: all that are left."""
        while self._next is not None:
            packet = self._next
            assert packet.dts is not None
            at = packet.dts * packet.time_base + self._shift
            if seconds is not None and at > seconds:
                return
            self._advance()
            if at < -GAP_LONGEST:
                continue
            ticks = round(self._shift / packet.time_base)
            packet.dts = packet.dts + ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.stream = self._copies[packet.stream.index]
            output.mux_one(packet)

    def close(self) -> None:
        """Closes the film."""
        self._container.close()

    def _advance(self) -> None:
        try:
            self._next = next(self._packets, None)
        except av.FFmpegError:
            self._next = None
            self._warn("its other tracks are damaged; what could be read of them is kept")

    def _find_replaced(self) -> Stream | None:
        tracks = self._container.streams.audio
        number = self.sound.track
        if number is not None and not 1 <= number <= len(tracks):
            raise OptionError(f"{self._source}: has {len(tracks)} sound tracks; --track {number} is not among them")
        if self.sound.place == "add" or not tracks:
            return None
        return tracks[number - 1] if number is not None else self._container.streams.best("audio")

    def _is_copied(self, stream: Stream) -> bool:
        if stream.index == self._picture.index or (self._replaced and stream.index == self._replaced.index):
            return False
        return stream.type in ("audio", "video") and not stream.disposition & Disposition.attached_pic

    def _timecode(self) -> str | None:
        tagged = [self._picture.metadata, *(s.metadata for s in self._container.streams), self._container.metadata]
        return next((tags[key] for tags in tagged for key in tags if key.lower() == "timecode"), None)

    def _chapters(self) -> list[Chapter]:
        chapters: list[Chapter] = []
        for chapter in self._container.chapters():
            ticks = Fraction(0) if not chapter["time_base"] else self._shift / chapter["time_base"]
            start, end = max(0, chapter["start"] + round(ticks)), chapter["end"] + round(ticks)
            if end > start:
                kept = chapter.copy()
                kept["start"], kept["end"] = start, end
                chapters.append(kept)
        return chapters

    def _warn(self, text: str) -> None:
        warning = f"{self._source}: {text}"
        if warning not in self.warnings:
            self.warnings.append(warning)


def described(tags: dict[str, str]) -> dict[str, str]:
    """Returns the tags that describe the film, and not the file that they stand in."""
    return {
        key: value
        for key, value in tags.items()
        if key.lower() not in _OF_THE_FILE and not key.startswith(("_", "com.apple.quicktime.creation"))
    }


def _spelt(tags: dict[str, str], output: OutputContainer) -> dict[str, str]:
    """Spells a language as the container knows it."""
    language = tags.get("language")
    if output.format.name != "mov" or language not in _QUICKTIME:
        return tags
    return {**tags, "language": _QUICKTIME[language]}
