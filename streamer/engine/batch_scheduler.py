"""Decides which motion windows are sampled in one batch, and learns from what came of it. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST = 64
"""Windows in one batch at most."""

RETRY = 200
"""Batches of a halved size that must fit before a larger one is tried again."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Places in the list of wishes, the first of them being its turn."""

    places: tuple[int, ...]


class BatchScheduler:
    """Decides on batches, and learns how large they may be.

    >>> BatchScheduler().schedule(steps=[1, None, 1, 4])
    Batch(places=(0, 2))
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._ceiling = most
        self._fitted = 0

    def schedule(self, steps: Sequence[int | None]) -> Batch:
        """Joins the first wish with the others that ask for as many steps, in order; None is no wish."""
        same = [place for place, wish in enumerate(steps) if wish is not None and wish == steps[0]]
        return Batch(tuple(same[: self.most]))

    def update(self, batch: Batch, *, fitted: bool) -> None:
        """Takes whether the device could do it. Half as many next time where it could not."""
        if not fitted:
            self.most = max(1, len(batch.places) // 2)
            self._fitted = 0
        elif self.most < self._ceiling and len(batch.places) == self.most:
            self._fitted += 1
            if self._fitted >= RETRY:
                self.most, self._fitted = min(2 * self.most, self._ceiling), 0
