"""Holds how a portrait blinks: so often, and once more at a moment."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mytalk.face.idle_motion import BLINK_RATE, MAX_BLINK_RATE


@dataclass(frozen=True, slots=True)
class Blink:
    """Says how often eyes blink, ``rate`` times a minute, and the media time at which they do once more.

    ``now`` stands for the moment from which the value holds; a stream that begins with it blinks at once.
    """

    rate: float = BLINK_RATE
    at: int | None = None
    now: bool = False

    @classmethod
    def read(cls, text: str) -> Blink:
        """Reads a rate, or ``now``. Raises ValueError."""
        if text == "now":
            return cls(at=0, now=True)
        rate = float(text)
        if not 0 <= rate <= MAX_BLINK_RATE:
            raise ValueError(text)
        return cls(rate)

    def written(self) -> str:
        """Writes what `read` reads: the rate, but for a blink that is yet to begin."""
        return "now" if self.now else f"{self.rate:g}"

    def begun(self, last: Blink, since: int) -> Blink:
        """Returns what holds from media time ``since`` on, after ``last``: ``now`` keeps the rate."""
        return replace(last, at=since, now=False) if self.now else replace(self, at=last.at)
