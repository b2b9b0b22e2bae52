"""Draws windows of speech and motion to learn from: which clip, which part, how much of it is known history."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mytalk.errors import OptionError
from mytalk.motion.sampler import TIMESTEPS
from mytalk.motion.space_module import MotionSpaceModule
from mytalk.presets import WINDOW_FRAMES
from mytalk.speech.interfaces import Front
from mytalk.speech.timing import MEL_PER_MOTION
from mytalk.training.data.augment import Mirror, change_features, change_samples, draw_speed, stretch
from mytalk.training.data.people import Frames, clips_by_person
from mytalk.training.data.sequences import ClipSequences, Sequence, spoken_sequences
from mytalk.training.data.store import ClipStore
from mytalk.training.run.config import TrainingOptions
from mytalk.training.run.task import Batch, row_rng, stack_rows

SHORTEST = 8  # frames
UNHEARD = -1
"""Number of a phone that is not known."""

_IN_NOISE = 0.5  # share of windows


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionOptions(TrainingOptions):
    """Holds how stage 1 is trained. Ranges are drawn from evenly, both ends among them; frames are 40 ms."""

    frames: int = WINDOW_FRAMES  # longest window
    history: tuple[int, int] = (0, 240)
    hop: tuple[int, int] = (1, 50)  # frames that are made after the history
    lookahead: tuple[int, int] = (2, 6)  # and after those
    no_history: float = 0.33  # chance of a whole window without any
    history_noised: float = 0.6  # chance of noise on a history, of up to history_noise standard deviations
    history_noise: float = 0.5
    history_drift: float = 0.3  # largest constant error of a history
    history_dropped: float = 0.05  # chance of a row of it to be missing
    evenness: float = 0.0  # how far people who open more or less than most are brought to the usual range, 0 to 1
    drop: float = 0.4  # chance of hiding the upper face, and of hiding the identity
    at_noise: float = 0.5  # chance of starting from nothing but noise, t = T
    augment: bool = True
    person_balance: float = 0.5  # a person weighs their frames ** this: 1 clips alike, 0 people alike
    tts_first: float = 0.25  # share of the steps with synthetic speech alone, where there is any
    tts_later: float = 0.1  # share of the rows after that
    x0_weight: float = 1.0
    aperture_weight: float = 0.0
    velocity_weight: float = 0.0
    identity_weight: float = 1.0
    phone_weight: float = (
        0.0  # of naming the phones of synthetic speech from speech features; 0: they are not asked for
    )
    coefficient_weight: float = 1.0  # x0 errors weigh a coefficient's spread ** this: 1 as landmarks do, 0 all alike

    def __post_init__(self) -> None:
        if not SHORTEST <= self.frames <= WINDOW_FRAMES:
            raise OptionError(f"frames = {self.frames}: need {SHORTEST} to {WINDOW_FRAMES}")
        for name in ("history", "hop", "lookahead"):
            low, high = getattr(self, name)
            if not 0 <= low <= high or (name == "hop" and low < 1):
                raise OptionError(f"{name} = [{low}, {high}]: need a range from {int(name == 'hop')} on")


class MotionExamples:
    """Draws windows by (step, row). ``steps`` is the run's length, of which synthetic speech alone has the first
    share. ``offsets`` are milliseconds by which people's sound is late, taken away from it.

    ``offsets`` are milliseconds by which people's sound is late, taken away from it.
    """

    def __init__(
        self,
        options: MotionOptions,
        store: ClipStore,
        space: MotionSpaceModule,
        *,
        front: Front[Any] | None,
        steps: int,
        offsets: Mapping[str, float] | None = None,
    ) -> None:
        self._options, self._store, self._front = options, store, front
        self._clips = ClipSequences(store, space, front=front, evenness=options.evenness, offsets=offsets)
        self._spoken: list[Sequence] = []
        self._mirror = Mirror(space)
        self._tts_steps = options.tts_first * steps
        self._people = [np.array(own) for own in clips_by_person(store).values()]
        lengths = np.array([entry.frames for entry in store.entries], np.float64)
        weights = np.array([lengths[own].sum() for own in self._people]) ** options.person_balance
        self._people_share = np.cumsum(weights / weights.sum())
        self._clip_share = [np.cumsum(lengths[own] / lengths[own].sum()) for own in self._people]

    def add_speech(self, folder: Path, people: Rows[Frames], space: MotionSpaceModule) -> None:
        """Adds a folder of synthetic speech. Raises DataError where it holds none."""
        self._spoken = spoken_sequences(folder, people, space, self._options.seed, front=self._front)

    def __len__(self) -> int:
        return len(self._store)

    def draw(self, step: int, row: int) -> dict[str, Any]:
        rng = row_rng(self._options.seed, step, row)
        sequence = self._pick(step, rng)
        speed = draw_speed(rng) if self._options.augment else 1.0
        history, rows = self._plan(min(self._options.frames, max(SHORTEST, round(len(sequence.motion) / speed))), rng)
        features, motion, upper, phones = self._crop(sequence, rows, speed, rng)
        if self._options.augment and rng.random() < 0.5:
            motion, upper = self._mirror.motion(motion), self._mirror.upper(upper)
        known, conditions = self._known(motion, history, rng)
        t = TIMESTEPS if rng.random() < self._options.at_noise else int(rng.integers(1, TIMESTEPS + 1))
        return _row(sequence, features, motion, upper, known, conditions) | {
            "phones": phones,  # (4 T,)
            "noise": torch.from_numpy(rng.standard_normal(tuple(motion.shape), np.float32)),
            "t": t,
            "shown": (rng.random(2) >= self._options.drop).astype(np.float32),  # upper face, identity
            "pick": int(rng.integers(rows)),
        }

    def collate(self, rows: list[dict[str, Any]]) -> Batch:
        return pad_rows(rows, repeat=self._front is not None)

    def _pick(self, step: int, rng: np.random.Generator) -> Sequence:
        """Picks synthetic speech alone at first; then people, each by how much there is of them, and a clip of
        theirs."""
        if self._spoken and (step < self._tts_steps or rng.random() < self._options.tts_later):
            return self._spoken[int(rng.integers(len(self._spoken)))]
        person = min(int(np.searchsorted(self._people_share, rng.random())), len(self._people) - 1)
        own = self._people[person]
        return self._clips[int(own[min(int(np.searchsorted(self._clip_share[person], rng.random())), len(own) - 1)])]

    def _plan(self, longest: int, rng: np.random.Generator) -> tuple[int, int]:
        """Draws the rows of known history, and the rows in all, of a window of at most ``longest``; as the live
        planner has them."""
        options = self._options
        if rng.random() < options.no_history:
            return 0, longest
        low, high = options.history
        high = max(0, min(high, longest - 4))
        history = int(rng.integers(min(low, high), high + 1))
        new = int(rng.integers(options.hop[0], options.hop[1] + 1))
        new += int(rng.integers(options.lookahead[0], options.lookahead[1] + 1))
        return history, max(SHORTEST, min(longest, history + new))

    def _crop(
        self, sequence: Sequence, rows: int, speed: float, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Crops a part of a sequence, played at another speed: ``rows`` frames of sound, motion, upper face and
        phones."""
        wanted = min(len(sequence.motion), round(rows * speed))
        start = int(rng.integers(len(sequence.motion) - wanted + 1))
        each = len(sequence.features) // len(sequence.motion)
        in_noise = self._options.augment and rng.random() < _IN_NOISE
        source = sequence.noisy if in_noise and sequence.noisy is not None else sequence.features
        features = source[start * each : (start + wanted) * each]
        features = stretch(features[:, None] if self._front is None else features, rows * each)
        if self._front is None:
            features = features[:, 0]
        if self._options.augment:
            features = change_samples(features, rng) if self._front is None else change_features(features, rng)
        motion = stretch(sequence.motion[start : start + wanted], rows)
        upper = stretch(sequence.upper[start : start + wanted].flatten(1), rows).unflatten(1, (-1, 2))
        return features, motion, upper, _phones(sequence.phones, slice(start, start + wanted), rows)

    def _known(self, motion: Tensor, history: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draws which rows are known, and what they are said to be: some noised, some off by a constant, some
        missing."""
        options, (rows, width) = self._options, motion.shape
        known = (np.arange(rows) < history) & (rng.random(rows) > options.history_dropped)
        noise = rng.uniform(0, options.history_noise) * (rng.random() < options.history_noised)
        drift = rng.uniform(0, options.history_drift) * rng.standard_normal((1, width), np.float32)
        error = noise * rng.standard_normal((rows, width), np.float32) + drift
        return torch.from_numpy(known), motion + torch.from_numpy(error.astype(np.float32))


class HeldOutWindows:
    """Draws windows of held-out clips as they are, from noise alone and without history: what validation measures."""

    def __init__(
        self, options: MotionOptions, store: ClipStore, space: MotionSpaceModule, *, front: Front[Any] | None
    ) -> None:
        self._options, self._front = options, front
        self._clips = ClipSequences(store, space, front=front, evenness=options.evenness)

    def __len__(self) -> int:
        return len(self._clips)

    def draw(self, step: int, row: int) -> dict[str, Any]:
        rng = row_rng(self._options.seed, step, row, stream=1)
        sequence = self._clips[row % len(self._clips)]
        rows = min(self._options.frames, len(sequence.motion))
        start = int(rng.integers(len(sequence.motion) - rows + 1))
        part = slice(start, start + rows)
        each = len(sequence.features) // len(sequence.motion)
        motion = sequence.motion[part]
        features = sequence.features[start * each : (start + rows) * each]
        known = torch.zeros(rows, dtype=torch.bool)
        return _row(sequence, features, motion, sequence.upper[part], known, motion) | {
            "noise": torch.from_numpy(rng.standard_normal(tuple(motion.shape), np.float32)),
            "t": TIMESTEPS,
            "shown": np.ones(2, np.float32),
            "pick": rows // 2,
        }

    def collate(self, rows: list[dict[str, Any]]) -> Batch:
        return pad_rows(rows, repeat=self._front is not None)


def _phones(phones: Tensor | None, part: slice, rows: int) -> Tensor:
    """Returns phone numbers ``(4 rows,)`` of a part of a sequence, each 10 ms that of the moment it is played at."""
    count = MEL_PER_MOTION * rows
    if phones is None:
        return torch.full((count,), UNHEARD)
    source = phones[part].flatten().long()
    return source[(torch.arange(count) * len(source)) // count]


def _row(
    sequence: Sequence, features: Tensor, motion: Tensor, upper: Tensor, known: Tensor, history: Tensor
) -> dict[str, Any]:
    return {
        "key": sequence.key,
        "features": features,  # (4 T, W), or (640 T,)
        "motion": motion,  # (T, K)
        "upper": upper,  # (T, 38, 2)
        "known": known,  # (T,) bool
        "history": history,  # (T, K)
        "lower_rest": sequence.rest.lower,  # (169, 3)
        "upper_rest": sequence.rest.upper,  # (38, 3)
        "valid": torch.ones(len(motion), dtype=torch.bool),
    }


_TIMED = ("motion", "upper", "known", "history", "noise", "valid")


def pad_rows(rows: list[dict[str, Any]], *, repeat: bool) -> Batch:
    """Joins windows of several lengths as one batch: what is past a window's end is not ``valid``; its sound is
    silent, or with ``repeat`` its last row again."""
    longest = max(len(row["motion"]) for row in rows)
    for row in rows:
        short, each = longest - len(row["motion"]), len(row["features"]) // len(row["motion"])
        for name in _TIMED if short else ():
            row[name] = _lengthened(row[name], short)
        if short:
            row["features"] = _lengthened(row["features"], short * each, repeat=repeat)
            if "phones" in row:
                row["phones"] = F.pad(row["phones"], (0, short * MEL_PER_MOTION), value=UNHEARD)
    return stack_rows(rows)


def _lengthened(rows: Tensor, by: int, *, repeat: bool = False) -> Tensor:
    """Appends ``by`` rows: of zeros, or like the last."""
    more = rows[-1:].expand(by, *rows.shape[1:]) if repeat else rows.new_zeros(by, *rows.shape[1:])
    return torch.cat([rows, more])
