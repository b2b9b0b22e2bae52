"""Scores what leaves a motion model, on people whom the readout has not seen: readout alone, denoiser alone, mixtures.

People are in folds; for each, the readout is fitted to all others, and the left-out people's clips are streamed as a
live session streams them, for several shares of the readout in motion. The denoiser is the preset's own and is not
trained anew: score people that it was not trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import OptionError
from mytalk.evaluation.intervals import OverPeople, over_people
from mytalk.evaluation.sync import correlation
from mytalk.face.landmarks import LIPS, aperture
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.person import Person
from mytalk.motion.stream import MotionStream
from mytalk.motion.torch_backend import TorchMotion
from mytalk.presets import PROFILES, Profile
from mytalk.torch_backend import load_motion
from mytalk.training.data.sequences import ClipSequences
from mytalk.training.data.sequences import Sequence as Clip
from mytalk.training.data.store import ClipStore
from mytalk.training.speech.left_out import open_left_out
from mytalk.training.speech.readout import solve, sums_of_people

FOLDS = 5
"""Parts that the scored people are left out in."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PersonScore:
    """Holds one person's scores, means of their clips by length."""

    correlation: float  # of lip aperture with the filmed one
    error: float  # mean distance of lip points, in distances between the eyes
    range_ratio: float  # standard deviation of aperture, generated over filmed


@dataclass(frozen=True, slots=True)
class ShareRow:
    """Holds what a share of the readout in motion scores, by person: 1 is the readout alone, 0 the denoiser alone."""

    share: float
    by_person: dict[str, PersonScore]

    def over(self, name: str) -> OverPeople:
        """Returns one of the scores over people."""
        return over_people([getattr(score, name) for score in self.by_person.values()])


def score_shares(
    preset: Path,
    data: list[Path],
    score: list[Path],
    shares: Sequence[float],
    offsets: Path | None = None,
    profile: str = "balanced",
    tick: Callable[[int, int], None] | None = None,
) -> list[ShareRow]:
    """Streams the people of the folders ``score`` (part of ``data``) with each share.

    Raises OptionError for a preset without a readout, DataError where fewer than two people are there, and what reading
    the data or the table raises.
    """
    model = load_motion(preset).eval()
    if model.readout is None:
        raise OptionError(f"{preset}: it has no readout whose share could be scored")
    opened = open_left_out(model.space, data, score, offsets)
    sequences, people, left_out = opened.sequences, opened.people, opened.left_out
    sums = sums_of_people(model.readout, sequences, people, tick)
    scores: dict[float, dict[str, PersonScore]] = {share: {} for share in shares}
    for held in (left_out[fold::FOLDS] for fold in range(min(FOLDS, len(left_out)))):
        weight, bias = solve([own for person, own in sums.items() if person not in held])
        model.readout.weight.copy_(weight)
        model.readout.bias.copy_(bias)
        for share in shares:
            model.preset = replace(model.preset, readout=share)
            for person in held:
                clips = [index for index, name in enumerate(people) if name == person]
                gain = sequences.person(person)[1]
                scores[share][person] = _score_person(
                    TorchMotion(model), PROFILES[profile], opened.store, sequences, clips, gain
                )
    return [ShareRow(share, by_person) for share, by_person in scores.items()]


def _score_person(
    motion: TorchMotion, profile: Profile, store: ClipStore, sequences: ClipSequences, clips: list[int], gain: float
) -> PersonScore:
    scores, lengths = [], []
    for index in clips:
        rows = _spoken(motion, profile, store.landmarks(index).canonical, sequences[index])
        true = sequences[index].motion.numpy()[: len(rows)]
        opening = aperture(motion.space.decode(np.eye(true.shape[1], dtype=np.float32)))
        ours, filmed = rows @ opening, true @ opening
        moved = motion.space.decode((rows - true) / np.float32(gain))[:, : len(LIPS), :2]
        ratio = float(ours.std() / max(float(filmed.std()), 1e-6))
        scores.append((correlation(ours, filmed), float(np.linalg.norm(moved, axis=-1).mean()), ratio))
        lengths.append(len(rows))
    return PersonScore(*(float(one) for one in np.average(scores, axis=0, weights=lengths)))


def _spoken(motion: TorchMotion, profile: Profile, faces: Array, clip: Clip) -> Array:
    """Streams a clip's own speech to its own face; returns coefficients ``(T, K)`` as they leave, before the gate."""
    stream = _Recorded(motion, profile, steps=1, seed=0)
    for index, points in enumerate(faces):
        stream.push_face(index * FRAME_SAMPLES, np.asarray(points, np.float32))
    stream.push_speech(clip.features.numpy()[: len(faces) * FRAME_SAMPLES])
    frames = [*stream.advance(), *stream.finish()]
    return np.stack(stream.rows[: len(frames)])


class _Recorded(MotionStream):
    """Keeps the coefficients of each frame."""

    def __init__(self, *conditions: Any, **named: Any) -> None:
        super().__init__(*conditions, **named)
        self.rows: list[Array] = []

    def _shape(self, row: Array, share: float, person: Person) -> Array:
        self.rows.append(row)
        return super()._shape(row, share, person)


def lines(rows: Sequence[ShareRow]) -> Iterator[str]:
    """Yields the lines of a table."""
    yield "share of readout  people  correlation  95 % interval   median  worst   error   range"
    for row in rows:
        over, error, ratio = row.over("correlation"), row.over("error"), row.over("range_ratio")
        yield (
            f"{row.share:16.2f}  {over.people:6d}  {over.mean:11.3f}  {over.low:.3f} to {over.high:.3f}  "
            f"{over.median:.3f}   {over.worst:.3f}  {error.mean:.4f}  {ratio.mean:.2f}"
        )
