"""Measures by how much each person's sound is late, so that motion training can take it away.

What a model learns of timing it learns from its clips: sound that is 20 ms early for the man who speaks half of them
makes every mouth 20 ms late. A clip of three seconds does not tell its offset that well; all clips of a person do.
They have to be measured by a model that has learned from none of them, one of synthetic speech alone.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mytalk.errors import DataError, OutputError
from mytalk.evaluation.offset import MARGIN, OffsetEstimator
from mytalk.training.data.people import clips_by_person
from mytalk.training.data.store import ClipStore

SECONDS = 120
"""Seconds of a person that are measured: evenly chosen clips."""

_COLUMNS = ("person", "remove_ms", "measured_ms", "correlation", "confidence", "seconds")
_KNOWN_SECONDS = 3.0  # of which a measurement is as uncertain as people in sync differ, 20 ms
_FURTHEST_MS = 600.0


@dataclass(frozen=True, slots=True)
class PersonOffset:
    """Holds one person's offset as measured."""

    person: str
    measured_ms: float  # positive: the sound is late
    correlation: float
    confidence: float
    confident: bool
    seconds: float

    @property
    def remove_ms(self) -> float:
        """Returns the part of the measurement to remove: 0 without confidence, half of it after 3 s, nearly all
        after 20 s."""
        share = self.seconds / (self.seconds + _KNOWN_SECONDS) if self.confident else 0.0
        return share * self.measured_ms


def measure_people(
    store: ClipStore, estimator: OffsetEstimator, progress: Callable[[int, int], None] | None = None
) -> list[PersonOffset]:
    """Measures every person of a store, in order of their names. Raises DataError where a clip is damaged."""
    people = clips_by_person(store)
    found = []
    for number, (person, clips) in enumerate(people.items(), 1):
        chosen = _some(store, clips)
        sounds = [np.pad(store.sound(index), MARGIN) for index in chosen]
        offset = estimator.estimate(
            [(store.landmarks(i).canonical, speech) for i, speech in zip(chosen, sounds, strict=True)]
        )
        figures = (offset.ms, offset.correlation, offset.confidence, offset.confident, offset.seconds)
        found.append(PersonOffset(person, *figures))
        if progress is not None:
            progress(number, len(people))
    return found


def write_offsets(path: Path, offsets: list[PersonOffset]) -> None:
    """Writes a TSV, one person a line. Raises OutputError."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(_COLUMNS)
            for one in offsets:
                figures = (one.remove_ms, one.measured_ms, one.correlation, one.confidence, one.seconds)
                writer.writerow([one.person, *(f"{figure:.2f}" for figure in figures)])
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); need a file in a folder that exists"
        ) from error


def read_offsets(path: Path) -> dict[str, float]:
    """Reads milliseconds to take away, by person. Raises DataError with the line that is wrong."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); need a file of mytalk train offsets") from error
    offsets: dict[str, float] = {}
    for number, row in enumerate(rows, 2):
        try:
            offsets[row["person"]] = ms = float(row["remove_ms"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}:{number}: need columns person and remove_ms, a number ({error})") from error
        if not abs(ms) <= _FURTHEST_MS:
            raise DataError(f"{path}:{number}: remove_ms {ms}: need at most {_FURTHEST_MS:.0f} either way")
    return offsets


def _some(store: ClipStore, clips: list[int]) -> list[int]:
    """Picks clips evenly, up to ``SECONDS`` in all and one clip at least."""
    frames = sum(store.entries[index].frames for index in clips)
    each = max(1, round(len(clips) * min(1.0, SECONDS * 25 / max(frames, 1))))
    return [clips[place] for place in np.unique(np.linspace(0, len(clips) - 1, each).astype(int))]
