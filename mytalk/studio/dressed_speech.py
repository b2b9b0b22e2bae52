"""Dresses a speech for its film: over the film's own sound, and at a loudness of broadcast."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Self

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from mytalk.errors import OptionError
from mytalk.media import SpeechReader
from mytalk.media.samples import to_frame
from mytalk.media.sound_convert import resampled

Block = NDArray[np.float32]

LOUDNESS = (-70.0, -5.0)
"""LUFS between which a film's loudness may be asked for."""

AMBIENCE = (-60.0, 0.0)
"""Decibels by which the film's own sound may be heard below its level."""

_PEAK = 10 ** (-1 / 20)  # full scale 1: EBU R 128's -1 dBTP, held on samples
_UNHEARD = -69.0  # LUFS at which the meter hears nothing: its gate is -70


class DressedSpeech(SpeechReader):
    """Gives a speech with changed ``blocks``: what a film sounds like. ``samples``, which the model hears, stay.

    ``ambience``: the film's own sound, ``keep_db`` below its level, under the speech. ``loudness``: the whole at so
    many LUFS (EBU R 128, integrated), by one gain, and less where its peaks would pass -1 dBFS; measured in a first
    pass. Raises OptionError for a level out of range.
    """

    def __init__(
        self,
        speech: SpeechReader,
        ambience: SpeechReader | None = None,
        keep_db: float = 0.0,
        loudness: float | None = None,
    ) -> None:
        if ambience is not None and not AMBIENCE[0] <= keep_db <= AMBIENCE[1]:
            raise OptionError(f"ambience {keep_db:g} dB: need {AMBIENCE[0]:g} to {AMBIENCE[1]:g}")
        if loudness is not None and not LOUDNESS[0] <= loudness <= LOUDNESS[1]:
            raise OptionError(f"loudness {loudness:g} LUFS: need {LOUDNESS[0]:g} to {LOUDNESS[1]:g}")
        self.__dict__.update(speech.__dict__)
        self._speech, self._ambience = speech, ambience
        self._keep = 10 ** (keep_db / 20)
        self._loudness = loudness

    def beside_picture(self) -> Self:
        """Returns the same of the speech beside its own picture."""
        placed = copy.copy(self)
        placed._speech = self._speech.beside_picture()
        placed.stated_seconds = placed._speech.stated_seconds
        return placed

    def samples(self) -> Iterator[Block]:
        """Yields the speech alone, as the model hears it."""
        return self._speech.samples()

    def blocks(self) -> Iterator[Block]:
        """Yields the film's sound: ``(channels, n)``, -1..1."""
        gain = 1.0 if self._loudness is None else self._gain(self._loudness)
        for block in self._mixed():
            yield np.clip(np.float32(gain) * block, -1, 1)

    def _mixed(self) -> Iterator[Block]:
        if self._ambience is None:
            yield from self._speech.blocks()
            return
        under = resampled(self._ambience.beside_picture(), self.rate, self.layout)
        rest = np.zeros((self.channels, 0), np.float32)
        for block in self._speech.blocks():
            while rest.shape[1] < block.shape[1] and (more := next(under, None)) is not None:
                rest = np.concatenate([rest, more], axis=1)
            mixed, count = block.copy(), min(rest.shape[1], block.shape[1])
            mixed[:, :count] += np.float32(self._keep) * rest[:, :count]
            rest = rest[:, count:]
            yield mixed
        if rest.shape[1]:
            yield np.float32(self._keep) * rest
        for more in under:
            yield np.float32(self._keep) * more

    def _gain(self, target: float) -> float:
        """Measures the sound as it is, and returns the factor to ``target`` LUFS."""
        found, peak = measure_loudness(self._mixed(), self.rate, self.layout)
        if found is None:
            self._warn("is too quiet to be measured; its loudness stays")
            return 1.0
        gain = 10 ** ((target - found) / 20)
        if gain * peak > _PEAK:
            short = 20 * math.log10(gain * peak / _PEAK)
            self._warn(f"its peaks allow {target - short:.1f} LUFS in place of {target:g}")
            return _PEAK / peak
        return gain


def measure_loudness(blocks: Iterator[Block], rate: int, layout: str) -> tuple[float | None, float]:
    """Returns the integrated loudness in LUFS (EBU R 128, FFmpeg's ebur128), and the largest sample.

    None: nothing in it is above the meter's gate.
    """
    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout=layout, time_base=None)
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    peak, position, found = 0.0, 0, _UNHEARD
    for block in blocks:
        peak = max(peak, float(np.abs(block).max(initial=0)))
        graph.push(to_frame(block, rate, layout, position))
        position += block.shape[1]
        found = _last(graph, found)
    graph.push(None)
    found = _last(graph, found)
    return (found if found > _UNHEARD else None), peak


def _last(graph: Graph, found: float) -> float:
    """Returns the newest integrated loudness of the frames that the meter gives."""
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return found
        found = float(frame.metadata.get("lavfi.r128.I", found))
