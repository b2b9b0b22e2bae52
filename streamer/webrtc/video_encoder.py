"""Encodes pictures in H264 (constrained baseline) or VP8, once for all viewers that know the codec.

Calls take 1 to 2 ms for a calm face of 512x512, 10 ms for 1920x1080, and belong on a thread.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any

import av
from av.packet import PacketSideData
from av.video.frame import PictureType

from mytalk.picture import Picture, VideoFrame
from streamer.media.timeline import timestamp
from streamer.webrtc.aiortc_internals.payloads import h264_payloads, vp8_payloads
from streamer.webrtc.bitrate import START_BITRATE
from streamer.webrtc.encoded import VIDEO_RATE, Encoded

H264_OPTIONS = {"preset": "superfast"}
"""Of libx264, whose default is ``medium``: a fifth of its time, for 0 to 0.8 dB (``benchmarks/live/encoders.py``)."""

VP8_OPTIONS = {"cpu-used": "-12", "noise-sensitivity": "0"}
"""Of libvpx, where aiortc has -6, and 4, which takes a face's texture for noise: two thirds of its time, and 4 dB
better on a film that moves (likewise)."""

TRANSPARENT = "vp8 with alpha"
"""Name of the codec of transparent recordings; no viewer asks for it."""

_NEVER = 1 << 20  # pictures between keyframes that nobody asked for


class VideoEncoder(ABC):
    """Encodes in one codec. ``bitrate`` may be set at any time; more than a tenth up or down costs a keyframe, as does
    another size of picture. After a failure the encoder begins again.
    """

    def __init__(self) -> None:
        self.bitrate = START_BITRATE
        self._codec: Any = None

    def encode(self, frame: VideoFrame, ntp: int, *, keyframe: bool = False) -> Encoded | None:
        """Encodes one picture; None where the encoder holds it back. Raises whatever FFmpeg raises."""
        picture = self._frame_of(frame.picture)
        stamp = timestamp(frame, VIDEO_RATE)
        picture.pts, picture.time_base = stamp, Fraction(1, VIDEO_RATE)
        picture.pict_type = PictureType.I if keyframe else PictureType.NONE
        if self._codec is not None and self._outdated(picture):
            self._codec = None
        try:
            self._codec = self._codec or self._open(picture)
            packets = self._codec.encode(picture)
        except Exception:
            self._codec = None
            raise
        data = b"".join(bytes(packet) for packet in packets)
        if not data:
            return None
        key = any(packet.is_keyframe for packet in packets)
        return Encoded(data, self._cut(data), frame.at, stamp, ntp, key, self._alpha_of(packets))

    def _frame_of(self, picture: Picture) -> av.VideoFrame:
        return picture.to_av()

    def _alpha_of(self, packets: list[Any]) -> PacketSideData | None:
        return None

    def _outdated(self, picture: av.VideoFrame) -> bool:
        resized = (picture.width, picture.height) != (self._codec.width, self._codec.height)
        return resized or abs(self.bitrate - self._codec.bit_rate) > self._codec.bit_rate // 10

    def _context(self, name: str, picture: av.VideoFrame, options: dict[str, str]) -> Any:
        codec: Any = av.CodecContext.create(name, "w")
        codec.width, codec.height, codec.pix_fmt = picture.width, picture.height, "yuv420p"
        codec.time_base, codec.framerate = Fraction(1, VIDEO_RATE), Fraction(25)
        codec.color_range, codec.colorspace = picture.color_range, picture.colorspace
        codec.bit_rate = self.bitrate
        codec.gop_size = _NEVER
        codec.options = options
        codec.thread_count = 1  # pictures are small, and the engine wants the other cores
        return codec

    @abstractmethod
    def _open(self, picture: av.VideoFrame) -> Any:
        """Opens FFmpeg's encoder for pictures like this one."""

    @abstractmethod
    def _cut(self, data: bytes) -> list[bytes]:
        """Cuts an encoded picture into RTP payloads."""


class H264(VideoEncoder):
    """Encodes by libx264, with parameter sets before every keyframe."""

    name = "h264"

    def _open(self, picture: av.VideoFrame) -> Any:
        rate = str(self.bitrate)
        options = H264_OPTIONS | {"tune": "zerolatency", "forced-idr": "1", "sc_threshold": "0"}
        options |= {"maxrate": rate, "bufsize": rate}
        codec = self._context("libx264", picture, options)
        codec.profile = "Baseline"
        return codec

    def _cut(self, data: bytes) -> list[bytes]:
        return h264_payloads(data)


class Vp8(VideoEncoder):
    """Encodes by libvpx in real time."""

    name = "vp8"

    def __init__(self) -> None:
        super().__init__()
        self._picture_id = random.randrange(1 << 15)

    def _open(self, picture: av.VideoFrame) -> Any:
        rate = str(self.bitrate)
        options = VP8_OPTIONS | {"deadline": "realtime", "lag-in-frames": "0", "error-resilient": "1"}
        options |= {"minrate": rate, "maxrate": rate, "bufsize": rate, "undershoot-pct": "100", "overshoot-pct": "15"}
        codec = self._context("libvpx", picture, options | {"static-thresh": "1"})
        codec.qmin, codec.qmax = 2, 56
        return codec

    def _cut(self, data: bytes) -> list[bytes]:
        self._picture_id = (self._picture_id + 1) % (1 << 15)
        return vp8_payloads(data, self._picture_id)


class Vp8Alpha(Vp8):
    """Encodes the person alone, as WebM has it: alpha is a second VP8 picture beside each. RTP has no such thing."""

    name = TRANSPARENT

    def _frame_of(self, picture: Picture) -> av.VideoFrame:
        return picture.to_transparent_av()

    def _open(self, picture: av.VideoFrame) -> Any:
        codec = super()._open(picture)
        codec.pix_fmt = "yuva420p"
        codec.options = codec.options | {"auto-alt-ref": "0"}  # which alpha excludes
        return codec

    def _alpha_of(self, packets: list[Any]) -> PacketSideData | None:
        alpha: PacketSideData = packets[0].get_sidedata("matroska_block_additional")
        return alpha

    def _cut(self, data: bytes) -> list[bytes]:
        return []


ENCODERS: dict[str, type[H264] | type[Vp8]] = {"h264": H264, "vp8": Vp8}
"""Encoders by their codec's name in ``rtpmap``, in small letters."""


def encoder_of(codec: str) -> H264 | Vp8:
    """Makes an encoder of a codec in ``ENCODERS``, or of ``TRANSPARENT``."""
    return Vp8Alpha() if codec == TRANSPARENT else ENCODERS[codec]()
