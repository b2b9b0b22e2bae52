"""Pictures of peers that ask for more memory than a camera's ever do."""

from __future__ import annotations

import queue
import struct
import threading
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc import codecs, rtcrtpreceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from streamer.webrtc.aiortc_internals import decoders
from streamer.webrtc.aiortc_internals.decoders import (
    MAX_PIXELS,
    REFUSAL_PAUSE,
    CameraPicture,
    DecoderLoop,
    too_large,
)
from streamer.webrtc.aiortc_internals.queues import DecoderQueue
from streamer.webrtc.aiortc_internals.timestamps import Timestamps
from tests.streamer.support.pictures import numbered

VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=96)
H264 = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=97)


def encoded(name: str, size: int, pix_fmt: str = "yuv420p") -> bytes:
    codec = av.CodecContext.create(name, "w")
    codec.width = codec.height = size
    codec.pix_fmt, codec.time_base = pix_fmt, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(numbered(5, size)), format="rgb24").reformat(format=pix_fmt)
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


class Decoding:
    """Pictures of H264 given to a decoder's loop, and what comes out."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.failures = 0
        self.reasons: list[str] = []
        self.threads = set[int]()
        self.waiting: queue.Queue[Any] = queue.Queue()
        self.loop = DecoderLoop(self.waiting, self._deliver, self._fail, self.reasons.append)

    def _deliver(self, frame: object) -> None:
        self.threads.add(threading.get_ident())
        self.frames.append(frame)

    def _fail(self) -> None:
        self.failures += 1

    def run(self, pictures: list[bytes], stamps: list[int] | None = None) -> Decoding:
        for data, stamp in zip(pictures, stamps or range(0, 3600 * len(pictures), 3600), strict=True):
            self.waiting.put((H264, JitterFrame(data=data, timestamp=stamp)))
        self.waiting.put(None)
        self.loop.get()
        return self


def decoded(pictures: list[bytes]) -> tuple[list[Any], int]:
    """Frames and failures of pictures of H264 that a decoder thread of aiortc is given."""
    decoding = Decoding().run(pictures)
    return decoding.frames, decoding.failures


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


def in_decoding_order(count: int, size: int = 64) -> tuple[list[bytes], list[int]]:
    """Numbered pictures with two B-frames between others, as a sender sends them: data and RTP timestamps."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width = codec.height = size
    codec.pix_fmt, codec.time_base = "yuv420p", Fraction(1, 90_000)
    codec.options = {"bf": "2", "b_strategy": "0", "forced-idr": "1"}
    packets = []
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(np.full((size, size), 16 + 2 * index, np.uint8), format="gray")
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = 3600 * index, Fraction(1, 90_000)
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return [bytes(packet) for packet in packets], [(packet.pts or 0) + (1 << 32) - 7200 for packet in packets]


def test_pictures_with_b_frames_all_come_in_the_order_in_which_they_are_shown() -> None:
    data, stamps = in_decoding_order(50)
    assert stamps != sorted(stamps)
    times = Timestamps(reorder=90_000)
    decoding = Decoding().run(data, [times.map(stamp % (1 << 32)) for stamp in stamps])
    pts = [frame.pts for frame in decoding.frames]
    assert pts == list(range(0, 3600 * len(pts), 3600))
    assert len(pts) >= 46  # the rest is within the decoder until more comes
    brightness = [float(frame.picture.y.mean()) for frame in decoding.frames]
    assert brightness == sorted(brightness)


def test_pictures_are_made_on_the_decoders_thread() -> None:
    decoding = Decoding()
    thread = threading.Thread(target=decoding.run, args=([encoded("libx264", 128) for _ in range(20)],))
    thread.start()
    thread.join()
    assert decoding.threads == {thread.ident}
    assert {type(frame) for frame in decoding.frames} == {CameraPicture}
    assert decoding.frames[0].picture.y.shape == (128, 128)


@pytest.mark.parametrize(
    ("encoder", "pix_fmt", "named"),
    [("libx264rgb", "rgb24", "gbrp"), ("libx264", "yuv444p", "yuv444p"), ("libx264", "yuv420p10le", "yuv420p10le")],
)
def test_pictures_that_are_not_8_bit_4_2_0_are_left_out_with_a_reason(encoder: str, pix_fmt: str, named: str) -> None:
    decoding = Decoding().run([encoded(encoder, 128, pix_fmt) for _ in range(20)])
    assert decoding.frames == []
    assert decoding.reasons == [
        f"the camera's pictures are left out: H264 in {named}, 128x128 (need 8-bit 4:2:0, and 1920x1080 pixels at most)"
    ]  # once: nothing is decoded for a while after it


def test_pictures_over_the_live_size_are_left_out_and_smaller_ones_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "MAX_LIVE_PIXELS", 128 * 128)
    now = 100.0
    monkeypatch.setattr(decoders.time, "monotonic", lambda: now)
    decoding = Decoding().run([encoded("libx264", 256) for _ in range(20)])
    assert (decoding.frames, len(decoding.reasons)) == ([], 1)
    assert "256x256" in decoding.reasons[0]
    now += REFUSAL_PAUSE
    assert len(decoding.run([encoded("libx264", 128) for _ in range(20)]).frames) > 10


def test_importing_changes_nothing_of_aiortc() -> None:
    assert rtcrtpreceiver.get_decoder is codecs.get_decoder  # type: ignore[attr-defined]
