"""Samples windows of several sessions together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mytalk.motion.conditions import Conditions, MotionRequest, SampledMotion
from mytalk.motion.memory import MotionMemory, Remembered
from mytalk.motion.space import MotionSpace
from mytalk.presets import MotionPreset
from mytalk.speech.stream import SpeechExtractor


class MotionBackend(Protocol):
    """Calculates stage 1 for any number of sessions: by graphs on a CPU, or by torch. Any thread may call it."""

    @property
    def preset(self) -> MotionPreset: ...

    @property
    def space(self) -> MotionSpace: ...

    @property
    def extractor(self) -> SpeechExtractor: ...

    def person(self, lower: NDArray[np.float32], upper: NDArray[np.float32]) -> NDArray[np.float32]:
        """Makes ``Conditions.identity`` ``(1, E)`` of a rest shape ``(169, 3)`` and an upper face ``(38, 3)``, both
        canonical."""
        ...

    def memory(self) -> MotionMemory:
        """Makes the memory of a new session, for what `sample` makes of its final frames."""
        ...

    def sample(self, requests: Sequence[MotionRequest]) -> list[SampledMotion]:
        """Samples the motion of each request, all of equally many steps."""
        ...


def sample_together(model: MotionBackend, requests: Sequence[MotionRequest]) -> list[SampledMotion]:
    """Samples the motion of each request; all must ask for equally many steps.

    In a batch each gets what it would get alone, to rounding.
    """
    steps = requests[0].steps
    if any(request.steps != steps for request in requests):
        raise ValueError(f"requests of {sorted({request.steps for request in requests})} steps: need one number")
    return model.sample(requests)


def join(requests: Sequence[MotionRequest]) -> tuple[NDArray[np.float32], Conditions[NDArray[Any]]]:
    """Joins noise and conditions of several requests to one batch, but for their pasts; shorter windows are padded and
    masked."""
    rows = [request.rows for request in requests]
    longest = max(rows)
    valid = np.arange(longest) < np.asarray(rows)[:, None] if min(rows) < longest else None
    parts = [request.conditions for request in requests]
    estimates = [one.estimate for one in parts if one.estimate is not None]
    conditions = Conditions(
        _joined([one.speech for one in parts], longest),
        _joined([one.upper for one in parts], longest),
        np.concatenate([one.identity for one in parts]),
        _joined([one.history for one in parts], longest),
        _joined([one.known for one in parts], longest),
        valid,
        _joined(estimates, longest) if estimates else None,
    )
    return _joined([request.noise for request in requests], longest), conditions


def split(requests: Sequence[MotionRequest], motion: NDArray[np.float32], frames: Remembered) -> list[SampledMotion]:
    """Splits a batch's motion ``(B, T, K)``, and what is to be remembered of its rows, by request."""
    return [
        SampledMotion(motion[row, : request.rows], frames.of(row, request.final))
        for row, request in enumerate(requests)
    ]


def _joined(arrays: Sequence[NDArray[Any]], rows: int) -> NDArray[Any]:
    """Joins arrays ``(1, T, ...)`` to ``(B, rows, ...)``, with zeros after the shorter ones."""
    if all(one.shape[1] == rows for one in arrays):
        return np.concatenate(arrays)
    joined = np.zeros((len(arrays), rows, *arrays[0].shape[2:]), arrays[0].dtype)
    for place, one in enumerate(arrays):
        joined[place, : one.shape[1]] = one[0]
    return joined
