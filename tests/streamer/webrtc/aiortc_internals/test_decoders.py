"""Pictures of peers that ask for more memory than a camera's ever do."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc import codecs, rtcrtpreceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from streamer.webrtc.aiortc_internals import decoders
from streamer.webrtc.aiortc_internals.decoders import MAX_PIXELS, DecoderLoop, too_large
from streamer.webrtc.aiortc_internals.receiver import DecoderQueue
from tests.streamer.support.pictures import numbered

VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=96)
H264 = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=97)


def encoded(name: str, size: int) -> bytes:
    codec = av.CodecContext.create(name, "w")
    codec.width = codec.height = size
    codec.pix_fmt, codec.time_base = "yuv420p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(numbered(5, size)), format="rgb24").reformat(
        format="yuv420p"
    )
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def vp8_key_frame(width: int, height: int) -> bytes:
    return b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(100)


def test_a_vp8_key_frame_says_how_large_it_is() -> None:
    assert not too_large(encoded("libvpx", 256))
    assert too_large(vp8_key_frame(16_383, 16_383))
    assert not too_large(vp8_key_frame(1920, 1080))
    assert not too_large(vp8_key_frame(4096, 2304))
    assert not too_large(b"\x11" + vp8_key_frame(16_383, 16_383)[1:])  # a delta frame has no size
    assert not too_large(b"")
    assert not too_large(encoded("libx264", 256))


def test_a_picture_that_is_too_large_never_reaches_the_decoder() -> None:
    queue = DecoderQueue("video", lambda: None)
    queue.put((VP8, JitterFrame(data=vp8_key_frame(16_383, 16_383), timestamp=0)))
    assert (queue.qsize(), queue.dropped) == (0, 1)
    queue.put((VP8, JitterFrame(data=vp8_key_frame(640, 480), timestamp=0)))
    queue.put(None)
    assert queue.dropped == 2  # the end empties it


def decoded(pictures: list[bytes]) -> tuple[list[Any], int]:
    """Frames and failures of pictures of H264 that a decoder thread of aiortc is given."""
    frames: list[Any] = []
    failures: list[int] = []
    waiting = DecoderQueue("video", lambda: None)
    loop = DecoderLoop(waiting, frames.append, lambda: failures.append(1), lambda _: None)
    for index, data in enumerate(pictures):
        loop.put((H264, JitterFrame(data=data, timestamp=3600 * index)))
    waiting.queue.append(None)  # the end, behind them
    loop.get()
    return frames, len(failures)


def test_h264_beyond_the_bound_is_an_error_of_that_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    small = [encoded("libx264", 128) for _ in range(20)]
    frames, failures = decoded(small)
    assert (len(frames) > 0, failures) == (True, 0)
    monkeypatch.setattr(decoders, "MAX_PIXELS", 128 * 128)
    assert len(decoded(small)[0]) == len(frames)
    frames, failures = decoded([encoded("libx264", 256) for _ in range(20)])
    assert frames == []
    assert failures > 0
    assert MAX_PIXELS >= 3840 * 2160


def test_importing_changes_nothing_of_aiortc() -> None:
    assert rtcrtpreceiver.get_decoder is codecs.get_decoder  # type: ignore[attr-defined]
