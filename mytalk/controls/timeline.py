"""Keeps how controls change over media time, so that a change fades in as a function of media time alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mytalk.controls.values import TABLE, Controls
from mytalk.media_time import FRAME_SAMPLES
from mytalk.smoothstep import smoothstep

FADE = 3 * FRAME_SAMPLES
"""Media time (120 ms) over which a change goes over."""

KEPT = 16 * FRAME_SAMPLES
"""Media time for which a change is kept after it went over: a barge-in has pictures made again."""

MAX_CHANGES = 64
"""Changes that are kept at most. Full: the newest takes the place of the one before."""

Value = TypeVar("Value", bound=Any)

_FADING = (*(control.name for control in TABLE if control.fades), "references")


@dataclass(slots=True)
class _Change:
    """Holds the controls that hold from media time ``since`` on; None: from the beginning."""

    since: int | None
    controls: Controls

    def share(self, at: int) -> float:
        """Returns how far the change has gone over at media time ``at``, 0..1."""
        return 1.0 if self.since is None else smoothstep(min(1.0, max(0.0, (at - self.since) / FADE)))


class ControlTimeline:
    """Holds the controls of one stream over media time; bounded.

    >>> timeline = ControlTimeline(Controls())
    >>> timeline.change(Controls(mouth_opening=3.0), since=640)
    >>> [timeline.faded(at, lambda controls: controls.mouth_opening) for at in (0, 640, 1600, 2560)]
    [1.0, 1.0, 2.0, 3.0]
    """

    def __init__(self, controls: Controls) -> None:
        self._changes = [_Change(None, controls)]

    def change(self, controls: Controls, since: int) -> None:
        """Has ``controls`` hold from media time ``since`` on, or from the last change on where that is later."""
        last = self._changes[-1]
        if all(getattr(last.controls, name, None) == getattr(controls, name, None) for name in _FADING):
            return
        since = since if last.since is None else max(since, last.since)
        if last.since == since or len(self._changes) >= MAX_CHANGES:
            last.controls = controls
        else:
            self._changes.append(_Change(since, controls))

    def faded(self, at: int, value: Callable[[Controls], Value]) -> Value:
        """Returns ``value`` of the controls at media time ``at``: while a change goes over, a mixture of numbers or of
        arrays. Media times may go back by less than :data:`KEPT`."""
        self._forget_before(at)
        first = max(index for index, one in enumerate(self._changes) if index == 0 or one.share(at) >= 1)
        mixed = value(self._changes[first].controls)
        for one in self._changes[first + 1 :]:
            share = one.share(at)
            if share > 0:
                mixed = mixed + share * (value(one.controls) - mixed)
        return mixed

    def shares(self, at: int, value: Callable[[Controls], Value]) -> list[tuple[Value, float]]:
        """Returns what ``value`` of the controls is at media time ``at``, for values that do not mix: each with its
        share, all of them 1 together."""
        known: list[Value] = []

        def one_hot(controls: Controls) -> NDArray[np.float64]:
            one = value(controls)
            known.extend([] if one in known else [one])
            marked = np.zeros(MAX_CHANGES)
            marked[known.index(one)] = 1
            return marked

        return [(one, share) for one, share in zip(known, self.faded(at, one_hot).tolist(), strict=False) if share > 0]

    def _forget_before(self, at: int) -> None:
        while len(self._changes) > 1:
            since = self._changes[1].since
            if since is None or since + FADE + KEPT > at:
                return
            del self._changes[0]
