"""Puts two tracks of one sender on one clock, by its RTCP sender reports."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mytalk.media_time import SAMPLE_RATE
from streamer.media.audio import OUTPUT_RATE


@dataclass(frozen=True, slots=True)
class SenderReport:
    """One RTCP sender report (RFC 3550, 6.4.1): the same moment on the sender's wall clock and on the track.

    ``ntp`` is a 32.32 fixed-point NTP time, ``pts`` the track's timestamp and ``rate`` its units a second.
    """

    ntp: int
    pts: int
    rate: int

    def pts_at(self, ntp: int) -> Fraction:
        """Gives the track's timestamp at a moment of the sender's clock."""
        return self.pts + Fraction((ntp - self.ntp) * self.rate, 1 << 32)


def picture_offset(speech: SenderReport, picture: SenderReport, speech_offset: int) -> int:
    """Gives media time minus track time of the pictures, from both tracks' reports and the speech's offset (48 kHz)."""
    speech_position = speech.pts_at(picture.ntp) + speech_offset  # 48 kHz, at the picture report's moment
    media = speech_position * SAMPLE_RATE / OUTPUT_RATE
    return round(media - Fraction(picture.pts * SAMPLE_RATE, picture.rate))
