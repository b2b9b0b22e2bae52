"""Encodes the speech of a file in step with the pictures that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mytalk.media import SpeechReader
from mytalk.media_time import SAMPLE_RATE
from mytalk.speech.stream import EncodedSpeech


class SpeechFeed:
    """Encodes the speech of a file as far as it is needed, and silence after its end. For one thread at a time."""

    def __init__(self, encode: Callable[[NDArray[np.float32]], EncodedSpeech], speech: SpeechReader) -> None:
        self.path = speech.path
        self._encode = encode
        self._stated_seconds = speech.stated_seconds
        self._chunks = speech.samples()
        self._encoded = 0  # samples
        self._total: int | None = None  # samples; known when its end was met
        self._untaken: list[EncodedSpeech] = []  # and not yet taken

    def encode_until(self, until: int) -> list[EncodedSpeech]:
        """Returns speech encoded up to media time ``until``, or a little further, that was not returned before."""
        while self._encoded < until:
            chunk = next(self._chunks, None) if self._total is None else None
            if chunk is None:
                self._total = self._encoded if self._total is None else self._total
                chunk = np.zeros(until - self._encoded, np.float32)
            self._untaken.append(self._encode(chunk))
            self._encoded += len(chunk)
        return self.rest()

    def has_ended(self, at: int) -> bool:
        """Says whether the speech has ended at or before media time ``at``."""
        if self._total is None:
            self._untaken = self.encode_until(at + 1)
        return self._total is not None and at >= self._total

    def seconds(self) -> Fraction:
        """Returns the length of the speech: counted, or as its header says where the film ended before it."""
        if self._total is None and self._stated_seconds is not None:
            return self._stated_seconds
        if self._total is None:
            self._total = self._encoded + sum(len(chunk) for chunk in self._chunks)
        return Fraction(self._total, SAMPLE_RATE)

    def rest(self) -> list[EncodedSpeech]:
        """Returns what was encoded to find the speech's end, and not returned yet."""
        speech, self._untaken = self._untaken, []
        return speech
