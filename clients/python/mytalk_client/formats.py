"""Describes speech and pictures as a program gives and wants them, and takes arrays of samples for bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from mytalk_client.errors import FormatError
from mytalk_client.opus import opus_samples

Encoding = Literal["pcm16", "opus"]
VideoEncoding = Literal["none", "h264", "jpeg", "fmp4", "png", "webp"]

RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Samples a second that speech may have; Opus has 48 000."""

Samples: TypeAlias = object
"""A numpy array, or another object with a buffer of int16 or of floats (-1 to 1): ``(N,)``, or ``(N, channels)``."""

_NO_BUFFER = (TypeError, ValueError, BufferError)  # what memoryview raises
_LOUDEST = 2.0  # full scale is 1: what is louder than this was not scaled to it


@dataclass(frozen=True, slots=True)
class SpeechFormat:
    """Describes speech: 16-bit little-endian samples, interleaved, or Opus packets (then ``rate`` is 48000).

    Raises ``FormatError`` for a format that no server takes.
    """

    rate: int
    channels: int = 1
    encoding: Encoding = "pcm16"

    def __post_init__(self) -> None:
        if self.encoding not in get_args(Encoding):
            raise FormatError(f"encoding {self.encoding!r} (need one of {', '.join(get_args(Encoding))})")
        if self.rate not in RATES:
            raise FormatError(f"rate {self.rate!r} (need one of {', '.join(map(str, RATES))})")
        if self.encoding == "opus" and self.rate != 48_000:
            raise FormatError(f"Opus at rate {self.rate} (need 48000)")
        if self.channels not in (1, 2):
            raise FormatError(f"{self.channels!r} channels (need 1 or 2: mix others down)")

    @property
    def frame_bytes(self) -> int:
        """Returns the bytes of PCM of one sample of each channel."""
        return 2 * self.channels

    def samples(self, payload: bytes) -> int:
        """Returns the samples of one channel in whole PCM, or in one Opus packet."""
        return opus_samples(payload) if self.encoding == "opus" else len(payload) // self.frame_bytes

    def milliseconds(self, payload: bytes) -> int:
        """Returns the length of PCM or of one Opus packet, rounded up."""
        return -(-self.samples(payload) * 1000 // self.rate)

    def payload(self, speech: bytes | Samples) -> bytes:
        """Returns speech as bytes of this format: bytes as they are, samples as 16 bit. Louder ones are clipped.

        Raises ``FormatError`` for another type, shape or range.
        """
        try:
            view = memoryview(speech)  # type: ignore[arg-type]
        except _NO_BUFFER:
            needed = "bytes, or samples: int16, or floats of -1 to 1"
            raise FormatError(f"speech of type {type(speech).__name__} (need {needed})") from None
        kind = view.format.lstrip("@=<")
        if kind in ("B", "b", "c"):
            return view.tobytes()
        if self.encoding == "opus":
            raise FormatError("samples, but the format is opus (need bytes: one packet)")
        shape = view.shape or ()
        if not (len(shape) == 1 and self.channels == 1) and not (len(shape) == 2 and shape[1] == self.channels):
            needed = "(N,) or (N, 1)" if self.channels == 1 else f"(N, {self.channels})"
            raise FormatError(f"samples of shape {shape} (need {needed} for {self.channels} channels)")
        if kind == "h":
            return view.tobytes()
        if kind not in ("f", "d"):
            raise FormatError(f"samples of kind {view.format!r} (need int16, or floats of -1 to 1)")
        return _from_floats(speech)


def check_video(video: str) -> None:
    """Raises ``FormatError`` for an encoding of pictures that there is not."""
    if video not in get_args(VideoEncoding):
        raise FormatError(f"video {video!r} (need one of {', '.join(get_args(VideoEncoding))})")


def is_whole(speech: object) -> bool:
    """Says whether ``speech`` is one piece: bytes or an array, and no iterable of pieces."""
    try:
        memoryview(speech)  # type: ignore[arg-type]
    except _NO_BUFFER:
        return False
    return True


def _from_floats(samples: Samples) -> bytes:
    """Converts floats of -1 to 1. Raises ``FormatError`` for others."""
    import numpy as np  # an array of floats comes from numpy, or from what is built on it

    array = np.asarray(samples)
    loudest = float(np.abs(array).max(initial=0))
    if not loudest <= _LOUDEST:
        raise FormatError(f"float samples up to {loudest:g} (need -1 to 1)")
    return bytes(np.rint(np.clip(array, -1, 1) * 32_767).astype("<i2").tobytes())
