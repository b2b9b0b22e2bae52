"""Puts encoded pictures and speech into fragmented MP4 (H264, AAC), for browsers' Media Source and for files."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np

from mytalk.media_time import SAMPLE_RATE
from streamer.media.audio import OUTPUT_RATE, SpeechChunk
from streamer.outputs.mp4_boxes import AUDIO, VIDEO, fragment, initialization, nal_units, sample
from streamer.protocol.packets import Flags
from streamer.webrtc.encoded import VIDEO_RATE

SPEECH_BITRATE = 128_000
"""Bits a second of AAC."""

PRIMING = 1024
"""Samples (48 kHz) that an AAC decoder gives before the first one that was encoded. Players of fragments do not skip
them, so pictures are put that much later too, and stay in sync with the sound."""

_FRAME = 1024  # samples of one AAC packet
_PRIMING_UNITS = PRIMING * VIDEO_RATE // OUTPUT_RATE  # the same in units of the video track
_INTERVAL = VIDEO_RATE // 25  # units: duration of the first picture

Segment = tuple[bytes, Flags]
"""An initialization segment (INIT), or a fragment: one picture (KEYFRAME), or one packet of sound."""


class Fmp4:
    """Makes segments from the first keyframe on. Time 0 of the MP4 is the session's. Calls take about 1 ms."""

    def __init__(self) -> None:
        self._parameters: list[bytes] = []  # SPS and PPS that the MP4 began with
        self._number = 0  # of the last fragment
        self._shown = 0  # of the last picture, in units of the video track
        self._encoder: Any = None
        self._samples = np.zeros((0, 2), np.int16)  # not yet encoded
        self._next = 0  # position of the first of them

    def picture(self, data: bytes, timestamp: int, width: int, height: int, *, key: bool) -> list[Segment]:
        """Takes one access unit (Annex B), ``timestamp`` since media time 0 in units of 1 / 90 000 s.

        Other parameter sets than before begin another MP4."""
        units = nal_units(data)
        segments: list[Segment] = []
        parameters = [unit for unit in units if unit[0] & 31 in (7, 8)]
        if key and parameters[:2] != self._parameters:
            self._begin(parameters[:2])
            sps, pps = self._parameters
            config = bytes(self._encoder.extradata)
            segments.append((initialization(width, height, sps, pps, config), Flags.INIT))
        if not self._parameters:
            return segments
        position = timestamp + _PRIMING_UNITS
        interval = position - self._shown if 0 < position - self._shown < VIDEO_RATE else _INTERVAL
        self._shown = position
        flags = Flags.KEYFRAME if key else Flags.NONE
        return [*segments, (self._fragment(VIDEO, position, interval, sample(units), key=key), flags)]

    def sound(self, chunk: SpeechChunk) -> list[Segment]:
        """Takes the next 20 ms. Speech before the first keyframe is left out."""
        if not self._parameters:
            return []
        if not len(self._samples):
            self._next = chunk.at * OUTPUT_RATE // SAMPLE_RATE
        self._samples = np.concatenate([self._samples, chunk.samples])
        segments: list[Segment] = []
        while len(self._samples) >= _FRAME:
            block, self._samples = self._samples[:_FRAME], self._samples[_FRAME:]
            planes = np.ascontiguousarray(block.T.astype(np.float32) / np.float32(32768))
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = OUTPUT_RATE, self._next + PRIMING, Fraction(1, OUTPUT_RATE)
            self._next += _FRAME
            for packet in self._encoder.encode(frame):
                position = packet.pts  # PRIMING before what it was made from
                segments.append((self._fragment(AUDIO, position, _FRAME, bytes(packet), key=True), Flags.NONE))
        return segments

    def clear(self) -> None:
        """Replaces the samples of an incomplete AAC packet by silence (barge-in)."""
        self._samples = np.zeros_like(self._samples)

    def _begin(self, parameters: list[bytes]) -> None:
        self._parameters, self._number, self._shown = parameters, 0, 0
        self._samples = self._samples[:0]
        self._encoder = av.CodecContext.create("aac", "w")
        self._encoder.sample_rate, self._encoder.layout, self._encoder.format = OUTPUT_RATE, "stereo", "fltp"
        self._encoder.bit_rate, self._encoder.time_base = SPEECH_BITRATE, Fraction(1, OUTPUT_RATE)
        self._encoder.open()

    def _fragment(self, track: int, at: int, duration: int, data: bytes, *, key: bool) -> bytes:
        self._number += 1
        return fragment(self._number, track, at, duration, data, key=key)
