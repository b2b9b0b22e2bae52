"""aiortc 1.16.0's encoders as we need them.

Video: bitrates that suit a face, changed seldom, because each change costs a keyframe. Speech: whatever did not come in
as Opus is encoded for fidelity, and both kinds share one timeline.
"""

from __future__ import annotations

from typing import Any

import av
from aiortc import RTCRtpSender
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.frame import Frame

START_BITRATE = 2_000_000
"""Bits a second before the receiver has said anything: a talking face of 512x512 is clean at this."""

MIN_BITRATE, MAX_BITRATE = 400_000, 4_000_000

SPEECH_BITRATE = 128_000
"""Bits a second of speech that the server encodes itself."""

_DOWN, _UP = 0.85, 1.4  # the receiver's estimate, as a share of ours, that makes us follow


class Bitrate:
    """Follows the receiver's estimates (REMB) in large steps.

    >>> bitrate = Bitrate()
    >>> bitrate.follow(2_100_000), bitrate.follow(1_000_000), bitrate.follow(1_200_000)
    (2000000, 1000000, 1000000)
    """

    def __init__(self) -> None:
        self.value = START_BITRATE

    def follow(self, estimate: int) -> int:
        wanted = max(MIN_BITRATE, min(estimate, MAX_BITRATE))
        if not _DOWN * self.value <= wanted <= _UP * self.value:
            self.value = wanted
        return self.value


class FaceVp8Encoder(Vp8Encoder):
    """aiortc's VP8 encoder with :class:`Bitrate`."""

    def __init__(self) -> None:
        super().__init__()
        self._bitrate = Bitrate()
        self._Vp8Encoder__target_bitrate = START_BITRATE  # read there beside the property

    @property
    def target_bitrate(self) -> int:
        return self._bitrate.value

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._Vp8Encoder__target_bitrate = self._bitrate.follow(bitrate)


class FaceH264Encoder(H264Encoder):
    """aiortc's H264 encoder with :class:`Bitrate`."""

    def __init__(self) -> None:
        super().__init__()
        self._bitrate = Bitrate()

    @property
    def target_bitrate(self) -> int:
        return self._bitrate.value

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._bitrate.follow(bitrate)


class SpeechEncoder(OpusEncoder):
    """aiortc's Opus encoder, for frames of 20 ms among packets that are only passed on."""

    def __init__(self) -> None:
        super().__init__()
        self.codec.options = {"application": "audio"}
        self.codec.bit_rate = SPEECH_BITRATE

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """One packet a frame, at the frame's own time: aiortc's would count from the first frame that it encoded."""
        at = frame.pts
        assert isinstance(frame, av.AudioFrame)
        assert at is not None
        return [bytes(packet) for packet in self.codec.encode(frame)], at


def install(sender: RTCRtpSender, codec: RTCRtpCodecParameters) -> None:
    """Gives a sender its encoder before it starts; with another codec aiortc makes its own."""
    encoders: dict[str, Any] = {
        "video/vp8": FaceVp8Encoder,
        "video/h264": FaceH264Encoder,
        "audio/opus": SpeechEncoder,
    }
    encoder = encoders.get(codec.mimeType.lower())
    if encoder is not None:
        setattr(sender, "_RTCRtpSender__encoder", encoder())  # noqa: B010
