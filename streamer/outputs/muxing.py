"""Writes a session's encoded pictures and its sound into one container: MP4, FLV, MPEG-TS or transparent WebM."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from av.container import OutputContainer

from mytalk.media_time import SAMPLE_RATE
from streamer.media.audio import OUTPUT_RATE, SpeechChunk
from streamer.outputs.write_queue import Item
from streamer.webrtc.encoded import VIDEO_RATE, Encoded

_SPEECH_BITRATE = 128_000
_OPTIONS = {
    "mp4": {"movflags": "hybrid_fragmented+frag_keyframe"},  # can be played as far as it was written
    "flv": {"flvflags": "no_duration_filesize"},  # a stream cannot be gone back in
    "mpegts": {},
    "webm": {},
}
_COMMENT = "Synthetic: the mouth was made to speak this sound by MyTalk streamer (live)"


def write(first: Encoded, following: Callable[[], Item | None], target: Any, kind: str) -> None:
    """Writes the keyframe ``first`` and the items that ``following`` gives until None.

    ``target`` is a file object: PyAV opens paths and URLs, and writes their headers, holding the interpreter's lock.
    Raises what its ``write`` does, and ``av.FFmpegError``.
    """
    options = {"flush_packets": "1"} | _OPTIONS[kind]
    container = av.open(target, "w", format=kind, options=options)
    with container:
        video = _transparent_stream(container, first) if kind == "webm" else _h264_stream(container, first)
        container.metadata["comment"] = container.metadata["service_name"] = _COMMENT
        video.time_base = Fraction(1, VIDEO_RATE)
        sound = "libopus" if kind == "webm" else "aac"
        audio: Any = container.add_stream(sound, rate=OUTPUT_RATE, layout="stereo")
        audio.bit_rate = _SPEECH_BITRATE
        item: Item | None = first
        while item is not None:
            if isinstance(item, Encoded):
                container.mux(_packet(item, video, first.timestamp))
            elif item.at >= first.at:
                container.mux(audio.encode(_frame(item, first.at)))
            item = following()
        container.mux(audio.encode(None))


def _h264_stream(container: OutputContainer, first: Encoded) -> Any:
    with av.open(io.BytesIO(first.data), format="h264") as source:
        return container.add_stream_from_template(source.streams.video[0])


def _transparent_stream(container: OutputContainer, first: Encoded) -> Any:
    """Adds the stream of ``Vp8Alpha``'s pictures. Its encoder is opened with the header, and encodes nothing."""
    stream: Any = container.add_stream("libvpx", options={"auto-alt-ref": "0"})
    # RFC 6386, 9.1: 14 bits each, after a keyframe's tag and start code.
    stream.width, stream.height = (int.from_bytes(first.data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    stream.pix_fmt, stream.metadata["alpha_mode"] = "yuva420p", "1"
    return stream


def _packet(picture: Encoded, stream: Any, began: int) -> Any:
    packet: Any = av.Packet(picture.data)
    packet.pts = packet.dts = picture.timestamp - began
    packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, VIDEO_RATE), stream, picture.key
    if picture.alpha is not None:
        packet.set_sidedata(picture.alpha)
    return packet


def _frame(chunk: SpeechChunk, began: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(chunk.samples.reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate, frame.time_base = OUTPUT_RATE, Fraction(1, OUTPUT_RATE)
    frame.pts = (chunk.at - began) * (OUTPUT_RATE // SAMPLE_RATE)
    return frame
