"""Adapts the readout to one person by the speech that they were filmed with, in closed form and bounded memory.

A readout maps features of speech to the mouth of a mean speaker. How this person differs is a linear correction of
low rank: of the principal directions of the features around a frame, and of the readout's own output. Ridge regression
towards no correction at all finds it, so little speech changes little. Slow changes (pose, mood) are taken away first.

Nothing is learned from a sound that is not the face's own: what the readout expects and what was filmed have to agree,
at no lag (`mytalk.motion.agreement`). `OwnSpeech` works while a session runs, and on a film before it is dubbed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE
from mytalk.motion.agreement import MAX_LAG, Offset, agreement, best_offset
from mytalk.motion.space import GAIN, MotionSpace, RestShape
from mytalk.presets import Profile
from mytalk.speech.stream import ReadoutEstimate

Array = NDArray[np.float32]

PENALTIES = (20_000.0, 100.0)
"""Ridge penalties of what the principal directions of the features add, and of what the readout's own output adds."""

SLOW_FRAMES = 25
"""Motion frames of the moving mean that is taken away."""

MIN_SECONDS = 3.0
"""Seconds of own speech below which nothing is adapted."""

MIN_CONFIDENCE = 0.45
MIN_AGREEMENT = 0.8
MAX_LATE_MS = 60.0
"""Agreement of sound and mouth: how far the best lag stands above others and how high it is, each times the root of the
seconds; and by how much the sound may be late or early."""

BLOCK_FRAMES = 125
"""Motion frames that are learned from at once; the moving mean begins anew in each."""

_MIN_BLOCK = 2 * MAX_LAG + 20  # motion frames
_SPOKEN_SHARE = 0.3  # of a block: below it nobody speaks there
_BLOCK_AGREEMENT = 0.1  # correlation in a block below which somebody else may be speaking
_MAX_PEOPLE = 4  # as in `mytalk.motion.faces`; the oldest is forgotten
_MAX_WAITING = 60 * MOTION_RATE  # frames of speech, and faces, that may wait for each other
_MAX_GAP = 2 * FRAME_SAMPLES  # samples between two pictures from which on the face in between is not known


@dataclass(frozen=True, slots=True)
class Correction:
    """Holds what is added to a readout's motion for one person."""

    mean: Array  # (R + K,) of the inputs: the correction leaves the mean mouth where it is
    weight: Array  # (R + K, K)

    def __call__(self, motion: Array, context: Array) -> Array:
        """Corrects motion ``(n, K)`` by context ``(n, R)``."""
        return motion + (np.concatenate([context, motion], axis=-1) - self.mean) @ self.weight


class CorrectionFit:
    """Accumulates what a correction is solved from: ``(R + K)^2`` numbers, however much speech there is."""

    def __init__(self, directions: int, coefficients: int) -> None:
        size = directions + coefficients
        self.frames = 0
        self._directions = directions
        self._sum = np.zeros(size)
        self._squares = np.zeros((size, size))
        self._filmed = np.zeros((size, coefficients))
        self._expected = np.zeros((size, coefficients))

    def add(self, motion: Array, context: Array, filmed: Array) -> None:
        """Adds consecutive frames: the readout's motion ``(n, K)``, its context ``(n, R)``, filmed motion ``(n, K)``
        of any constant offset."""
        inputs = np.concatenate([context, motion], axis=-1)
        quick = without_slow(inputs)
        self.frames += len(inputs)
        self._sum += inputs.sum(axis=0)
        self._squares += quick.T @ quick
        self._filmed += quick.T @ without_slow(filmed)
        self._expected += quick.T @ quick[:, context.shape[1] :]

    def solve(self, gain: float = 1.0, penalties: tuple[float, float] = PENALTIES) -> Correction:
        """Solves for the correction. ``gain``: the filmed person's range, which the readout does not give.

        Raises ValueError before any frame.
        """
        if not self.frames:
            raise ValueError("no speech to adapt to")
        residual = self._filmed / gain - self._expected
        penalty = np.full(len(self._sum), penalties[0])
        penalty[self._directions :] = penalties[1]
        weight = np.linalg.solve(self._squares + np.diag(penalty), residual)
        return Correction(np.asarray(self._sum / self.frames, np.float32), np.asarray(weight, np.float32))


def without_slow(rows: Array) -> NDArray[np.float64]:
    """Takes the mean of the ``SLOW_FRAMES`` around each row away, of rows ``(n, D)``; fewer at both ends."""
    reach = SLOW_FRAMES // 2
    sums = np.pad(rows.cumsum(axis=0, dtype=np.float64), ((1, 0), (0, 0)))
    index = np.arange(len(rows))
    first, stop = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(rows))
    return np.asarray(rows - (sums[stop] - sums[first]) / (stop - first)[:, None])


@dataclass(frozen=True, slots=True)
class Learned:
    """Says what own speech gave: a correction, or why there is none."""

    correction: Correction | None
    seconds: float  # of speech
    offset: Offset | None  # between sound and mouth; None before anything was compared
    reason: str | None  # why there is no correction


@dataclass(slots=True)
class _Speaker:
    """Holds the sums of one person."""

    fit: CorrectionFit
    rest: RestShape
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2 * MAX_LAG + 1))
    compared: int = 0  # motion frames
    spoken: int = 0  # motion frames


@dataclass(slots=True)
class HeardFrame:
    """Holds what a readout made of one motion frame, when it was emitted."""

    index: int
    motion: Array  # (K,)
    context: Array  # (R,)
    voice: float


@dataclass(slots=True)
class _Block:
    """Holds consecutive frames of one person, heard and seen."""

    person: int = 0
    rows: list[HeardFrame] = field(default_factory=list)
    lower: list[NDArray[np.float32]] = field(default_factory=list)


def heard_frames(estimates: Iterable[ReadoutEstimate], profile: Profile, first: int = 0) -> Iterator[HeardFrame]:
    """Yields the frames of estimates in order, each with the look-ahead that it is emitted with."""
    least = profile.lookahead
    for one in estimates:
        for later in range(min(len(one.motion), least + profile.hop) - 1, least - 1, -1):
            index, row = first + one.end - 1 - later, len(one.motion) - 1 - later
            if index >= first:
                yield HeardFrame(index, one.motion[row], one.context[row], float(one.voice[row]))


class OwnSpeech:
    """Learns the corrections of the people that are seen, from a sound that is claimed to be theirs.

    Speech and faces come in order, each at its own pace; ``advance`` learns from what both have reached. At most a
    minute of either waits for the other; then the oldest goes. Full memory: under 2 MB. Not thread-safe.
    """

    def __init__(self, space: MotionSpace, profile: Profile) -> None:
        self._space, self._profile = space, profile
        self._rows: deque[HeardFrame] = deque(maxlen=_MAX_WAITING)
        self._faces: deque[tuple[int, NDArray[np.float32] | None, int]] = deque(maxlen=_MAX_WAITING)
        self._block = _Block()
        self._speakers: dict[int, _Speaker] = {}
        self.blocks = 0  # that were compared so far: without a new one, nothing new was learned

    def hear(self, estimates: Iterable[ReadoutEstimate], first: int = 0) -> None:
        """Takes a readout's estimates; of each frame, the one that is emitted counts. ``first``: the motion frame at
        which the stream of speech began."""
        self.take(heard_frames(estimates, self._profile, first))

    def take(self, frames: Iterable[HeardFrame]) -> None:
        """Takes frames that were heard, in order."""
        for row in frames:
            if not self._rows or row.index > self._rows[-1].index:
                self._rows.append(row)

    def see(self, at: int, lower: NDArray[np.float32] | None, person: int) -> None:
        """Takes the canonical lower face ``(169, 3)`` in the picture at media time ``at``; None: there is none."""
        self._faces.append((at, lower, person))

    def advance(self, until: int) -> None:
        """Learns from the frames before motion frame ``until`` that were both heard and seen."""
        while self._rows and self._rows[0].index < until:
            time = self._rows[0].index * FRAME_SAMPLES
            while len(self._faces) > 1 and self._faces[1][0] <= time:
                self._faces.popleft()
            if not self._faces or self._faces[-1][0] < time:
                return
            self._take(self._rows.popleft(), time)

    def forget_waiting(self) -> None:
        """Forgets speech that was not learned from yet: it is not spoken."""
        self._end_block()
        self._rows.clear()

    def finish(self) -> None:
        """Learns from the rest: nothing more comes."""
        self.advance(1 << 62)
        self._end_block()

    def learned(self, penalties: tuple[float, float] = PENALTIES) -> Mapping[int, Learned]:
        """Returns what was learned of each person."""
        return {person: _judge(one, penalties) for person, one in self._speakers.items()}

    def _take(self, row: HeardFrame, time: int) -> None:
        """Adds one frame to the block, or ends it where its face is not known."""
        first, lower, person = self._faces[0]
        second, later, next_person = self._faces[min(1, len(self._faces) - 1)]
        if lower is None or later is None or first > time or second - first > _MAX_GAP or person != next_person:
            self._end_block()
            return
        block = self._block
        if block.rows and (row.index != block.rows[-1].index + 1 or person != block.person):
            self._end_block()
            block = self._block
        share = (time - first) / max(1, second - first)
        block.person = person
        block.rows.append(row)
        block.lower.append(np.asarray(lower + np.float32(share) * (later - lower), np.float32))
        if len(block.rows) == BLOCK_FRAMES:
            self._end_block()

    def _end_block(self) -> None:
        """Learns from a block, if somebody speaks in it and the mouth does not contradict that."""
        block, self._block = self._block, _Block()
        spoken = sum(row.voice > 0 for row in block.rows)
        if len(block.rows) < _MIN_BLOCK or spoken < _SPOKEN_SHARE * len(block.rows):
            return
        motion = np.stack([row.motion for row in block.rows])
        self.blocks += 1
        speaker = self._speaker(block.person, motion.shape[1], len(block.rows[0].context))
        lower = np.stack(block.lower)
        expected = lower.mean(axis=0) + self._space.decode(motion)
        scores = agreement(lower[MAX_LAG:-MAX_LAG], expected, MAX_LAG)
        speaker.scores += scores * (len(lower) - 2 * MAX_LAG)
        speaker.compared += len(lower) - 2 * MAX_LAG
        for one in block.lower:
            speaker.rest.observe(one)
        if scores[MAX_LAG] < _BLOCK_AGREEMENT:
            return
        speaker.spoken += spoken
        context = np.stack([row.context for row in block.rows])
        speaker.fit.add(motion, context, self._space.encode(lower))

    def _speaker(self, person: int, coefficients: int, directions: int) -> _Speaker:
        if person not in self._speakers:
            fit = CorrectionFit(directions, coefficients)
            self._speakers[person] = _Speaker(fit, RestShape(self._space))
            if len(self._speakers) > _MAX_PEOPLE:
                del self._speakers[next(iter(self._speakers))]
        return self._speakers[person]


def _judge(one: _Speaker, penalties: tuple[float, float]) -> Learned:
    """Solves for one person's correction where sound and mouth belong together."""
    seconds = one.spoken / MOTION_RATE
    offset = best_offset(one.scores / one.compared, one.compared / MOTION_RATE)
    reason = _problem(offset, seconds)
    gain = float(np.clip(one.rest.openness(), *GAIN))
    return Learned(one.fit.solve(gain, penalties) if reason is None else None, seconds, offset, reason)


def _problem(offset: Offset, seconds: float) -> str | None:
    """Returns why nothing may be adapted to, or None."""
    height = offset.correlation * offset.seconds**0.5
    if offset.confidence < MIN_CONFIDENCE or height < MIN_AGREEMENT:
        return (
            f"sound and mouth do not belong together (agreement {height:.2f}, need {MIN_AGREEMENT}; "
            f"confidence {offset.confidence:.2f}, need {MIN_CONFIDENCE})"
        )
    if abs(offset.ms) > MAX_LATE_MS:
        return f"the sound is {offset.ms:+.0f} ms late (need at most {MAX_LATE_MS:.0f} ms either way)"
    if seconds < MIN_SECONDS:
        return f"{seconds:.1f} s of own speech (need {MIN_SECONDS:.0f} s)"
    return None
