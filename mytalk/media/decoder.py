"""Decodes one stream of a file from its start or from a seek. Damage is counted, not raised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mytalk.errors import NoSpeechError, UnreadableError

MAX_SIDE = 8192
"""Largest width or height of a picture that is read, in pixels."""

# Local files only (a playlist may not lead elsewhere); a picture above the limit is refused before it takes memory.
_OPEN_OPTIONS = {"protocol_whitelist": "file", "max_pixels": str(MAX_SIDE * MAX_SIDE)}

# With more, libavcodec's H264 decoder gives a picture out while the thread that finds its damage is still at work, and
# the damage goes unseen; with one it never tells.
_THREADS = 2

# Demuxers that make a "video" of any text file.
_NOT_MEDIA = frozenset({"tty", "bin", "xbin", "adf", "idf"})


class Decoder:
    """Decodes the video or the sound of a file, in order.

    Raises ``UnreadableError`` (no such file, not a video or sound, no such stream) and, for a file without any
    sound, ``NoSpeechError``. Once open, damage never raises: ``damaged`` counts the packets and frames it touched.
    """

    def __init__(self, path: Path, kind: Literal["video", "audio"]) -> None:
        self.path = path
        self.damaged = 0
        self.container = open_container(path)
        try:
            self.stream: VideoStream | AudioStream = picked_stream(self.container, path, kind)
        except BaseException:
            self.container.close()
            raise
        self.stream.thread_type = "AUTO"  # type: ignore[union-attr]
        self.stream.codec_context.thread_count = _THREADS
        self.stream.codec_context.options = {"max_pixels": _OPEN_OPTIONS["max_pixels"]}

    def video_frames(self) -> Iterator[VideoFrame]:
        """Yields decoded pictures until the stream ends."""
        for frame in self._frames():
            if isinstance(frame, VideoFrame):
                yield frame

    def audio_frames(self) -> Iterator[AudioFrame]:
        """Yields decoded sound until the stream ends."""
        for frame in self._frames():
            if isinstance(frame, AudioFrame):
                yield frame

    def seek(self, pts: int) -> bool:
        """Seeks to the key frame at or before ``pts`` (stream ticks). False where the file cannot be sought."""
        try:
            self.container.seek(pts, stream=self.stream)
        except av.FFmpegError:
            return False
        return True

    def close(self) -> None:
        """Closes the file."""
        self.container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _frames(self) -> Iterator[VideoFrame | AudioFrame]:
        for packet in self._packets():
            try:
                frames = self.stream.codec_context.decode(packet)
            except av.FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                self.damaged += frame.is_corrupt
                yield frame

    def _packets(self) -> Iterator[av.Packet[Stream] | None]:
        packets = self.container.demux(self.stream)  # its last packet is empty: it flushes the decoder
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:  # reading broke off: flush, and be done
                self.damaged += 1
                yield None
                return
            if packet is None:
                return
            yield packet


def open_container(path: Path) -> InputContainer:
    """Opens a local file for reading. Raises UnreadableError."""
    if path.is_dir():
        raise UnreadableError(f"{path}: is a folder (need a file)")
    if path.exists() and not path.is_file():
        raise UnreadableError(f"{path}: is a pipe or device, and is read more than once (need a file: save it first)")
    try:
        # "file:" keeps a colon in the name from being taken for a protocol.
        container = av.open(f"file:{path}", options=_OPEN_OPTIONS, metadata_errors="replace")
    except FileNotFoundError as error:
        raise UnreadableError(f"{path}: no such file") from error
    except PermissionError as error:
        raise UnreadableError(f"{path}: may not be read (permission denied)") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableError(f"{path}: not a picture, video or sound that can be read") from error
    if container.format.name in _NOT_MEDIA:
        container.close()
        raise UnreadableError(f"{path}: not a picture, video or sound that can be read")
    return container


def picked_stream(container: InputContainer, path: Path, kind: Literal["video", "audio"]) -> VideoStream | AudioStream:
    """Returns the file's main picture or sound. Raises UnreadableError, and NoSpeechError where it has no sound."""
    if kind == "audio":
        sound = container.streams.best("audio")
        if sound is None:
            raise NoSpeechError(f"{path}: no audio in it (need a file with speech)")
        picked = sound
    else:
        pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not pictures:
            raise UnreadableError(f"{path}: no picture in it (need a video or an image)")
        best = container.streams.best("video")
        picked = best if best in pictures else pictures[0]
    if not isinstance(picked, VideoStream | AudioStream) or picked.codec_context is None:
        raise UnreadableError(f"{path}: its {kind} is of a kind that cannot be decoded")
    return picked
