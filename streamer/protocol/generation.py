"""The generation number of a session's speech, which a barge-in moves on. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cleared:
    """Tells every stage of a barge-in: all that belongs to an older generation is void.

    Media times are samples at 16 kHz since the session's media began.
    """

    generation: int  # that begins
    speech_from: int = 0  # media time from which speech belongs to it
    pictures_from: int = 0  # media time from which pictures have not left: those are made again


class Generation:
    """Owns one session's generation number, which only ``clear`` moves on. Stages keep the one that they were told.

    >>> generation = Generation()
    >>> generation.clear(speech_from=320, pictures_from=0)
    Cleared(generation=1, speech_from=320, pictures_from=0)
    >>> generation.number
    1
    """

    def __init__(self) -> None:
        self.number = 0

    def clear(self, *, speech_from: int = 0, pictures_from: int = 0) -> Cleared:
        """Begins the next generation; every stage is to be given the result, before anything else happens."""
        self.number += 1
        return Cleared(self.number, speech_from, pictures_from)
