"""Leaves each person out in turn, fits the readout to all others, and scores it on who was left out.

Choices (penalties, how much many people count against many minutes, which data) are made by this table and not by
looking at evaluation clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mytalk.evaluation.intervals import OverPeople, over_people
from mytalk.evaluation.sync import correlation
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.model import MotionModel
from mytalk.presets import PROFILES
from mytalk.speech.readout import DELAYS, Readout, stack_context
from mytalk.speech.timing import BACK
from mytalk.torch_backend import load_motion
from mytalk.training.data.sequences import ClipSequences
from mytalk.training.data.store import ClipStore
from mytalk.training.speech.left_out import open_left_out
from mytalk.training.speech.readout import BALANCE, RIDGE, Sums, solve_one, standardise, sums_of_people


@dataclass(frozen=True, slots=True)
class Choice:
    """Describes one way to fit: the ridge penalty a frame, and how much less a person's further minutes count (0 to
    1)."""

    ridge: float = RIDGE
    balance: float = BALANCE


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one choice and what it scores: aperture correlation, the mean of a person's clips by length, by person."""

    choice: Choice
    by_person: dict[str, float]

    @property
    def figures(self) -> OverPeople:
        """Returns the scores over people."""
        return over_people(list(self.by_person.values()))


def choices_of(ridges: list[float], balances: list[float]) -> list[Choice]:
    """Lists every pair of a ridge penalty and a balance."""
    return [Choice(ridge, balance) for ridge, balance in product(ridges, balances)]


def cross_validate(
    preset: Path,
    data: list[Path],
    score: list[Path],
    choices: list[Choice],
    offsets: Path | None = None,
    profile: str = "balanced",
    tick: Callable[[int, int], None] | None = None,
) -> Iterator[Row]:
    """Fits and scores each choice, a person of the folders ``score`` (part of ``data``) left out at a time.

    Only the preset's mouth space and recogniser are used, not its readout. Features are standardised over everybody,
    motion of the left-out person is unseen. A frame is scored as the profile's look-ahead lets it be heard, without
    silence gate and enrolment.

    Raises DataError where fewer than two people are there, and what reading the data or the table raises.
    """
    model = load_motion(preset)
    clips = open_left_out(model.space, data, score, offsets)
    sequences, people = clips.sequences, clips.people
    readout = Readout(model.denoiser.coefficients).eval()
    standardise(readout, sequences)
    sums = sums_of_people(readout, sequences, people, tick)
    delay = min(PROFILES[profile].lookahead, DELAYS - 1)
    heard = {name: _clips_of(name, model, readout, clips.store, sequences, people, delay) for name in clips.left_out}
    for choice in choices:
        yield Row(choice, {name: _score(own, sums, name, delay, choice) for name, own in heard.items()})


@dataclass(frozen=True, slots=True)
class _Clip:
    """Holds one clip as it is scored."""

    features: Tensor  # (T, F) half
    opening: Tensor  # (K,): what each coefficient opens the lips by
    true: Tensor  # (T,) filmed aperture


def _clips_of(
    name: str,
    model: MotionModel,
    readout: Readout,
    store: ClipStore,
    sequences: ClipSequences,
    people: list[str],
    delay: int,
) -> list[_Clip]:
    """Loads the clips of one person: features of each frame after ``delay`` later frames."""
    coefficients = model.denoiser.coefficients
    opening = torch.from_numpy(aperture(model.space.decode(torch.eye(coefficients)).numpy()))
    clips = []
    for index in (index for index, person in enumerate(people) if person == name):
        true = aperture(store.landmarks(index).canonical[:, list(LOWER_FACE)])
        samples = sequences[index].features[: len(true) * FRAME_SAMPLES]
        rows = []
        for newest, features in readout.recogniser.growing(samples, delay + 1 + BACK):
            seen = stack_context(readout.standardise(features))[:, 0]  # the oldest of those asked for
            rows.append(seen[newest >= delay].half())
        motion = torch.cat(rows)
        clips.append(_Clip(motion, opening, torch.from_numpy(true[: len(motion)].copy())))
    return clips


def _score(clips: list[_Clip], sums: dict[str, Sums], name: str, delay: int, choice: Choice) -> float:
    """Computes aperture correlation of one person by everybody else's readout, clips weighing as their lengths."""
    others = [own for person, own in sums.items() if person != name]
    weight, bias = solve_one(others, delay, choice.ridge, choice.balance)
    lengths = [len(clip.true) for clip in clips]
    found = []
    for clip in clips:
        ours = (clip.features.float() @ weight + bias) @ clip.opening
        found.append(correlation(ours.numpy(), clip.true.numpy()))
    return float(np.average(found, weights=lengths))
