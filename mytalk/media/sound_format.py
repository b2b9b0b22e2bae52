"""Chooses what a codec can carry of a sound: rate, channel layout and sample format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import OutputContainer

from mytalk.errors import OptionError
from mytalk.media.speech import SpeechReader

SoundCodec = Literal["aac", "opus", "flac", "pcm"]
SOUND_CODECS: tuple[str, ...] = get_args(SoundCodec)

# ISO/IEC 14496-3, table 1.18; RFC 7845: whatever the source had.
_RATES = {
    "aac": (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
    "opus": (48_000,),
}
_HIGHEST = {"flac": 655_350, "pcm": 768_000}
_ENCODERS = {"aac": ("aac", "fltp"), "opus": ("libopus", "flt"), "flac": ("flac", "s32"), "pcm": ("pcm_s24le", "s32")}
_BITS = {"aac": 96_000, "opus": 64_000}  # a second and channel
_AAC_FRAME_BITS = 6144  # the most a frame of 1024 samples may hold, a channel


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """Holds what a codec can carry of a speech: rate and layout, and what changed, if anything."""

    rate: int
    layout: str
    warning: str | None = None
    codec: SoundCodec = "aac"

    @classmethod
    def nearest(cls, speech: SpeechReader, codec: SoundCodec = "aac") -> SoundFormat:
        """Finds the format nearest to a speech's own."""
        rates = _RATES.get(codec)
        if rates is None:
            rate = min(speech.rate, _HIGHEST[codec])
        else:
            rate = next((rate for rate in rates if rate >= speech.rate), rates[-1])
        layout = speech.layout if _opens(codec, rate, speech.layout) else "stereo"
        if layout == speech.layout and (rate == speech.rate or codec == "opus"):
            return cls(rate, layout, codec=codec)
        given, written = f"{speech.layout} at {speech.rate} Hz", f"{layout} at {rate} Hz"
        name = codec.upper() if codec != "opus" else "Opus"
        return cls(rate, layout, f"{speech.path}: {name} cannot carry {given}; the output has {written}", codec)

    def add_to(self, container: OutputContainer, name: str) -> AudioStream:
        """Adds a stream of this format; raises OptionError, that calls the film ``name``, where it does not fit."""
        encoder, samples = _ENCODERS[self.codec]
        try:
            stream = container.add_stream(encoder, rate=self.rate, layout=self.layout, format=samples)
        except ValueError as error:
            raise OptionError(f"{name}: this container does not take {self.codec} sound (.mkv takes all)") from error
        assert isinstance(stream, AudioStream)
        if self.codec in _BITS:
            bits = _BITS[self.codec]
            most = _AAC_FRAME_BITS * self.rate // 1024 if self.codec == "aac" else bits
            stream.bit_rate = av.AudioLayout(self.layout).nb_channels * min(bits, most)
        return stream


def _opens(codec: SoundCodec, rate: int, layout: str) -> bool:
    """Says whether the encoder takes this channel layout."""
    encoder, samples = _ENCODERS[codec]
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate, context.layout, context.format = rate, layout, samples
    try:
        context.open()
    except av.FFmpegError:
        return False
    return True
