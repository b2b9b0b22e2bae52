"""Writes a session's encoded pictures and its sound into one container: MP4, FLV or MPEG-TS."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av

from mytalk.media_time import SAMPLE_RATE
from streamer.media.audio import OUTPUT_RATE, SpeechChunk
from streamer.outputs.write_queue import Item
from streamer.webrtc.encoded import VIDEO_RATE, Encoded

_SPEECH_BITRATE = 128_000
_OPTIONS = {
    "mp4": {"movflags": "hybrid_fragmented+frag_keyframe"},  # can be played as far as it was written
    "flv": {"flvflags": "no_duration_filesize"},  # a stream cannot be gone back in
    "mpegts": {},
}
_COMMENT = "Synthetic: the mouth was made to speak this sound by MyTalk streamer (live)"


def write(first: Encoded, following: Callable[[], Item | None], target: Any, kind: str) -> None:
    """Writes the keyframe ``first`` and the items that ``following`` gives until None.

    ``target`` is a file object: PyAV opens paths and URLs, and writes their headers, holding the interpreter's lock.
    Raises what its ``write`` does, and ``av.FFmpegError``.
    """
    options = {"flush_packets": "1"} | _OPTIONS[kind]
    with av.open(io.BytesIO(first.data), format="h264") as source:
        container = av.open(target, "w", format=kind, options=options)
        video: Any = container.add_stream_from_template(source.streams.video[0])
    with container:
        container.metadata["comment"] = container.metadata["service_name"] = _COMMENT
        video.time_base = Fraction(1, VIDEO_RATE)
        audio: Any = container.add_stream("aac", rate=OUTPUT_RATE, layout="stereo")
        audio.bit_rate = _SPEECH_BITRATE
        item: Item | None = first
        while item is not None:
            if isinstance(item, Encoded):
                container.mux(_packet(item, video, first.timestamp))
            elif item.at >= first.at:
                container.mux(audio.encode(_frame(item, first.at)))
            item = following()
        container.mux(audio.encode(None))


def _packet(picture: Encoded, stream: Any, began: int) -> Any:
    packet: Any = av.Packet(picture.data)
    packet.pts = packet.dts = picture.timestamp - began
    packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, VIDEO_RATE), stream, picture.key
    return packet


def _frame(chunk: SpeechChunk, began: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(chunk.samples.reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate, frame.time_base = OUTPUT_RATE, Fraction(1, OUTPUT_RATE)
    frame.pts = (chunk.at - began) * (OUTPUT_RATE // SAMPLE_RATE)
    return frame
