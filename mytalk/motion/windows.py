"""Plans windows: takes audio progress, yields requests to the motion model. Sans-IO; it knows neither torch nor
time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mytalk.presets import WINDOW_FRAMES, Profile


@dataclass(frozen=True, slots=True)
class Window:
    """Describes one request to the motion model. Frame numbers are absolute, 25 a second."""

    first: int  # frame number of row 0
    rows: int  # <= 250
    history: int  # rows [0, history) are known motion, given clean
    emit: range  # frame numbers that leave the engine with this window
    generation: int  # a window of an older generation is dropped, not rendered

    @property
    def tentative(self) -> range:
        """Returns the frame numbers after the emitted ones: not shown, but faded into the window that replaces them."""
        return range(self.emit.stop, self.first + self.rows)


class WindowPlanner:
    """Plans windows from the progress of speech, the same windows whatever the packet sizes.

    A window ends ``lookahead`` frames after the ``hop`` frames that it emits; everything before those is history.
    Early windows are short: the first one leaves when ``hop + lookahead`` frames are there.

    >>> planner = WindowPlanner(Profile(hop=3, lookahead=4))
    >>> [w.emit for w in planner.advance(frames=7)]
    [range(0, 3)]
    """

    def __init__(self, profile: Profile, size: int = WINDOW_FRAMES, generation: int = 0) -> None:
        if profile.hop < 1 or profile.lookahead < 0 or profile.hop + profile.lookahead > size:
            raise ValueError(
                f"a window of {size} frames cannot hold hop {profile.hop} + look-ahead {profile.lookahead}"
            )
        self._profile = profile
        self._size = size
        self._next = 0  # first frame not yet emitted
        self._generation = generation

    @property
    def emitted(self) -> int:
        """Returns the frames emitted so far."""
        return self._next

    @property
    def generation(self) -> int:
        """Returns how many barge-ins there were."""
        return self._generation

    def advance(self, frames: int) -> Iterator[Window]:
        """Yields the windows that can run once ``frames`` frames of speech (and face) are there in all."""
        hop, lookahead = self._profile.hop, self._profile.lookahead
        while self._next + hop + lookahead <= frames:
            yield self._window(hop, self._next + hop + lookahead)

    def finish(self, frames: int) -> Iterator[Window]:
        """Yields the last windows: speech ended at ``frames``, so there is no lookahead beyond it."""
        yield from self.advance(frames)
        while self._next < frames:
            hop = min(self._profile.hop, frames - self._next)
            yield self._window(hop, min(frames, self._next + hop + self._profile.lookahead))

    def clear(self, frame: int, generation: int) -> None:
        """Begins ``generation`` at a barge-in: older windows are stale, frames from ``frame`` on planned anew."""
        self._generation = generation
        self._next = min(self._next, frame)

    def _window(self, hop: int, end: int) -> Window:
        first = max(0, end - self._size)
        start = self._next
        self._next += hop
        return Window(first, end - first, start - first, range(start, start + hop), self._generation)
