"""One session's speech on its way to its stream: handed over on the event loop, heard on a listener thread, taken in on
an engine thread."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mytalk.media_time import SAMPLE_RATE
from streamer.engine.interfaces import LipSync, Speech

if TYPE_CHECKING:
    from mytalk.speech.stream import EncodedSpeech

SPEECH_BOUND = 4 * SAMPLE_RATE
"""Speech (4 s) waiting to be heard, or heard and waiting for the engine. Full: ``say`` takes no more."""

_AT_ONCE = SAMPLE_RATE // 5  # of speech that is heard in one job: another slot waits, and so does a barge-in


@dataclass(frozen=True, slots=True)
class _Clear:
    """A barge-in among the speech: all before it is void."""

    generation: int  # that begins with it
    shown: int  # media time from which pictures have not left
    said: int  # media time up to which speech had been handed over


class SpeechQueue:
    """Speech in order, and the barge-ins in it. ``generation`` is that of what is handed over, ``heard_generation`` of
    what was taken in last."""

    def __init__(self, generation: int = 0) -> None:
        self.said = 0  # samples handed over
        self.generation = self.heard_generation = generation  # the first changes once its ``_Clear`` is in the queue
        self._taken = 0  # samples, of those handed over
        self._silence = 0  # samples after a barge-in, which were not handed over, and are not taken in yet
        self._unheard: deque[Speech | _Clear] = deque()
        self._heard: deque[EncodedSpeech] = deque()
        self._listening = threading.Lock()  # held while a stream hears, and while speech is made void

    @property
    def waiting(self) -> int:
        """Counts pieces of speech."""
        return len(self._unheard) + len(self._heard)

    @property
    def interrupted(self) -> bool:
        """Says whether a barge-in waits, which makes all speech before it void."""
        return self.generation != self.heard_generation

    # --- the event loop

    def say(self, samples: Speech) -> bool:
        """Takes the next speech, without holes; says whether there was room."""
        if self.said - self._taken + len(samples) > SPEECH_BOUND:
            return False
        self.said += len(samples)
        self._unheard.append(samples)
        return True

    def clear(self, generation: int, shown: int) -> None:
        """Begins ``generation`` at a barge-in; the pictures from media time ``shown`` on have not left."""
        self._unheard.append(_Clear(generation, shown, self.said))
        self.generation = generation

    # --- a listener thread

    @property
    def has_unheard(self) -> bool:
        return bool(self._unheard) and not self.interrupted

    def hear_some(self, stream: LipSync) -> bool:
        """Has speech that waits heard, 200 ms or one piece at most; says whether motion can be made of it."""
        with self._listening:
            if self.interrupted or not (pieces := self._next_pieces()):
                return False
            heard = stream.encode_speech(np.concatenate(pieces))
            self._heard.append(heard)
        return len(heard.levels) > 0

    def _next_pieces(self) -> list[Speech]:
        """Takes speech from the queue; the caller holds ``_listening``."""
        pieces: list[Speech] = []
        while self._unheard and sum(len(piece) for piece in pieces) < _AT_ONCE:
            piece = self._unheard[0]
            if isinstance(piece, _Clear):
                break
            pieces.append(piece)
            self._unheard.popleft()
        return pieces

    # --- an engine thread

    @property
    def has_heard(self) -> bool:
        return bool(self._heard) or self.interrupted

    def take_in(self, stream: LipSync) -> None:
        """Gives a stream what was heard. After a barge-in it hears silence first, up to where speech goes on."""
        if self.interrupted:
            self._interrupt(stream)
        while self._heard:
            heard = self._heard.popleft()
            stream.push_encoded(heard)
            self._count(heard.samples)

    def _interrupt(self, stream: LipSync) -> None:
        with self._listening:
            last, shown, said = self.generation, [], 0
            while self._heard:
                self._count(self._heard.popleft().samples)
            while self.heard_generation != last:
                piece = self._unheard.popleft()
                if isinstance(piece, _Clear):
                    self.heard_generation, said = piece.generation, piece.said
                    shown.append(piece.shown)
                else:
                    self._count(len(piece))
            self._silence = said - stream.clear(min(shown), last)
            self._unheard.appendleft(np.zeros(self._silence, np.float32))

    def _count(self, samples: int) -> None:
        """Counts samples that are done with; silence comes first."""
        silence = min(samples, self._silence)
        self._silence -= silence
        self._taken += samples - silence

    def close(self) -> None:
        """Forgets what waits; waits for whoever listens."""
        with self._listening:
            self._unheard.clear()
            self._heard.clear()
