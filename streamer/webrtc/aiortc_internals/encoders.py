"""aiortc 1.16.0's encoders as we need them.

Video: bitrates that suit a face, changed seldom, because each change costs a keyframe. Speech: whatever did not come in
as Opus is encoded for fidelity, and both kinds share one timeline. A frame that cannot be encoded is left out and the
codec begins afresh: aiortc would end the track.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

import av
from aiortc import RTCRtpSender
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder, number_of_threads
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.frame import Frame

from streamer.cpu import available_cores

log = logging.getLogger(__name__)

START_BITRATE = 2_000_000
"""Bits a second before the receiver has said anything: a talking face of 512x512 is clean at this."""

MIN_BITRATE, MAX_BITRATE = 400_000, 4_000_000

SPEECH_BITRATE = 128_000
"""Bits a second of speech that the server encodes itself."""

H264_OPTIONS = {"preset": "superfast"}
"""Of libx264, where aiortc leaves ``medium``: a fifth of its time, for 0 to 0.8 dB
(``benchmarks/live/encoders.py``)."""

VP8_OPTIONS = {"cpu-used": "-12", "noise-sensitivity": "0"}
"""Of libvpx, where aiortc has -6, and 4, which takes a face's texture for noise: two thirds of its time, and 4 dB
better on a film that moves (likewise)."""

_RATE = 90_000  # timestamp units a second
_SETTLE = 6 * _RATE  # browsers report 300 kbit/s, unmeasured, for their first 5 s
_SPAN = 2 * _RATE  # over which the sent rate is taken
_DOWN, _UP = 0.9, 1.4


class Bitrate:
    """What to encode at, from what was sent and what the receiver says that it could take (REMB).

    A receiver can only estimate up to about 1.5 times what it gets, and a calm face needs far less than it may use: a
    low estimate means congestion only where it is below what was really sent.
    """

    def __init__(self) -> None:
        self.value = START_BITRATE
        self._sent: deque[tuple[int, int]] = deque()  # timestamp, bits
        self._began: int | None = None

    def sent(self, size: int, timestamp: int) -> None:
        """So many bytes left for the picture at ``timestamp`` (90 kHz)."""
        self._began = timestamp if self._began is None else self._began
        self._sent.append((timestamp, 8 * size))
        while self._sent[0][0] < timestamp - _SPAN:
            self._sent.popleft()

    @property
    def rate(self) -> int:
        """Bits a second sent over the last 2 s."""
        return sum(bits for _, bits in list(self._sent)) * _RATE // _SPAN

    def follow(self, estimate: int) -> None:
        """Takes one estimate; changes are few, because each costs a keyframe."""
        if self._began is None or not self._sent or self._sent[-1][0] - self._began < _SETTLE:
            return
        wanted = max(MIN_BITRATE, min(estimate, MAX_BITRATE))
        if (estimate < _DOWN * self.rate and wanted < _DOWN * self.value) or wanted > _UP * self.value:
            self.value = wanted


class Faults:
    """Frames that an encoder could not encode."""

    def __init__(self) -> None:
        self.count = 0
        self.in_a_row = 0

    def add(self) -> None:
        """Called in an ``except`` block."""
        self.count += 1
        self.in_a_row += 1
        if self.in_a_row == 1:
            log.exception("a frame could not be encoded and is left out")

    def over(self) -> None:
        """A frame was encoded."""
        self.in_a_row = 0


class _FaceBitrate:
    """Put before an encoder of aiortc: its target is :class:`Bitrate`'s, and it takes ``options``."""

    options: dict[str, str]

    def __init__(self) -> None:
        self._codec: Any = None
        super().__init__()
        self.faults = Faults()
        self._bitrate = Bitrate()

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Payloads of one frame and its timestamp; none where it could not be encoded, and a keyframe after that."""
        try:
            payloads, timestamp = super().encode(frame, force_keyframe)  # type: ignore[misc]
        except Exception:
            self.faults.add()
            self.codec = None
            return [], 0
        self.faults.over()
        self._bitrate.sent(sum(map(len, payloads)), timestamp)
        return payloads, timestamp

    @property
    def codec(self) -> Any:
        """FFmpeg's encoder, which opens with its first picture: until then it takes options, aiortc's and ours."""
        codec = self._codec
        if codec is not None and not codec.is_open:
            codec.options = {**codec.options, **self.options}
            codec.thread_count = number_of_threads(codec.width * codec.height, available_cores())
        return codec

    @codec.setter
    def codec(self, codec: Any) -> None:
        self._codec = codec

    @property
    def target_bitrate(self) -> int:
        return self._bitrate.value

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._bitrate.follow(bitrate)


class FaceH264Encoder(_FaceBitrate, H264Encoder):
    """aiortc's H264 encoder with :class:`Bitrate`."""

    options = H264_OPTIONS


class FaceVp8Encoder(_FaceBitrate, Vp8Encoder):
    """aiortc's VP8 encoder with :class:`Bitrate`."""

    options = VP8_OPTIONS

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        self._Vp8Encoder__target_bitrate = self._bitrate.value  # read there beside the property
        return super().encode(frame, force_keyframe)


class SpeechEncoder(OpusEncoder):
    """aiortc's Opus encoder, for frames of 20 ms among packets that are only passed on."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = Faults()
        self._begin()

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """One packet a frame, at the frame's own time: aiortc's would count from the first frame that it encoded."""
        at = frame.pts
        assert isinstance(frame, av.AudioFrame)
        assert at is not None
        try:
            packets = [bytes(packet) for packet in self.codec.encode(frame)]
        except Exception:
            self.faults.add()
            super().__init__()
            self._begin()
            return [], at
        self.faults.over()
        return packets, at

    def _begin(self) -> None:
        self.codec.options = {"application": "audio"}
        self.codec.bit_rate = SPEECH_BITRATE


def install(sender: RTCRtpSender, codec: RTCRtpCodecParameters) -> Faults | None:
    """Gives a sender its encoder before it starts, and returns what that one cannot do. Another codec: aiortc's own."""
    encoders: dict[str, Any] = {
        "video/vp8": FaceVp8Encoder,
        "video/h264": FaceH264Encoder,
        "audio/opus": SpeechEncoder,
    }
    kind = encoders.get(codec.mimeType.lower())
    if kind is None:
        return None
    encoder = kind()
    setattr(sender, "_RTCRtpSender__encoder", encoder)  # noqa: B010
    faults: Faults = encoder.faults
    return faults
