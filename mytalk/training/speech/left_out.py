"""Opens the clips of a cross-validation whose folds are people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mytalk.errors import DataError
from mytalk.motion.space_module import MotionSpaceModule
from mytalk.training.data.person_offsets import read_offsets
from mytalk.training.data.sequences import ClipSequences
from mytalk.training.data.store import ClipStore


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Holds the clips, the person of each, and the people who are left out one after another."""

    store: ClipStore
    sequences: ClipSequences
    people: list[str]
    left_out: list[str]


def open_left_out(
    space: MotionSpaceModule, data: Sequence[Path], score: Sequence[Path], offsets: Path | None = None
) -> LeftOut:
    """Opens the clips of ``data`` and ``score``, of which the people of ``score`` are left out. ``offsets``: a table.

    Raises DataError where fewer than two people are there, and what reading the data or the table raises.
    """
    store = ClipStore([*data, *(folder for folder in score if folder not in data)])
    late = read_offsets(offsets) if offsets is not None else None
    sequences = ClipSequences(store, space, front=None, evenness=1.0, offsets=late)
    people = [entry.person for entry in store.entries]
    if len(set(people)) < 2:
        raise DataError(f"{people[0]}: one person alone (cross-validation needs two or more)")
    return LeftOut(store, sequences, people, sorted({entry.person for entry in ClipStore(list(score)).entries}))
