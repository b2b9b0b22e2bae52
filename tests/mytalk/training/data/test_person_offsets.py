"""Offsets of people: measured over their clips, believed by how much was heard, taken away in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mytalk.errors import DataError, OutputError
from mytalk.motion.agreement import Offset
from mytalk.training.data.people import fit_space, sample_people
from mytalk.training.data.person_offsets import SECONDS, PersonOffset, measure_people, read_offsets, write_offsets
from mytalk.training.data.sequences import ClipSequences
from mytalk.training.data.store import ClipStore
from tests.mytalk.support.small_store import make_store


class Counting:
    """In place of the model: says what it was given as seconds, 30 ms late."""

    def estimate(self, clips: list[tuple[object, np.ndarray[tuple[int], np.dtype[np.float32]]]]) -> Offset:
        return Offset(30.0, 0.5, 2.0, 3.0 * len(clips))


def offset(seconds: float, ms: float = 40.0, confident: bool = True) -> PersonOffset:
    return PersonOffset("anna", ms, 0.4, 1.0, confident, seconds)


def test_a_measurement_is_believed_the_more_the_longer_it_listened() -> None:
    assert offset(3).remove_ms == pytest.approx(20)
    assert offset(97).remove_ms == pytest.approx(40 * 0.97)
    assert offset(60, confident=False).remove_ms == 0


def test_all_clips_of_a_person_count_up_to_two_minutes(tmp_path: Path) -> None:
    store = ClipStore(make_store(tmp_path, people=2, clips=3))
    heard: list[tuple[int, int]] = []
    found = measure_people(store, Counting(), lambda done, of: heard.append((done, of)))  # type: ignore[arg-type]
    assert [(one.person, one.seconds) for one in found] == [("person0", 9), ("person1", 9)]
    assert heard == [(1, 2), (2, 2)]
    many = ClipStore(make_store(tmp_path / "many", people=1, clips=50))
    assert measure_people(many, Counting())[0].seconds == pytest.approx(SECONDS, abs=8)  # type: ignore[arg-type]


def test_the_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "offsets.tsv"
    write_offsets(path, [offset(3), PersonOffset("a\tb", -65.0, 0.4, 1.0, True, 20.0)])
    assert read_offsets(path) == {"anna": 20.0, "a\tb": pytest.approx(-65 * 20 / 23, abs=0.01)}
    with pytest.raises(OutputError, match="cannot be written"):
        write_offsets(tmp_path / "none" / "offsets.tsv", [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("person\tremove_ms\nanna\tlate\n", r"offsets\.tsv:2: .*late"),
        ("name\tms\nanna\t3\n", r"offsets\.tsv:2: need columns person and remove_ms"),
        ("person\tremove_ms\nanna\t3\nbea\t-900\n", r"offsets\.tsv:3: remove_ms -900\.0: need at most 600"),
        ("person\tremove_ms\nanna\tnan\n", r"offsets\.tsv:2: remove_ms nan"),
    ],
)
def test_a_table_that_is_wrong_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "offsets.tsv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_offsets(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_offsets(tmp_path / "missing.tsv")


@pytest.mark.parametrize("ms", [80.0, -40.0])
def test_late_sound_is_heard_with_the_picture_that_it_belongs_to(tmp_path: Path, ms: float) -> None:
    store = ClipStore(make_store(tmp_path))
    space = fit_space(sample_people(store, 1), 8)
    offsets = (None, {"person0": ms})
    asis, moved = (ClipSequences(store, space, front=None, offsets=given)[0].features for given in offsets)
    late = round(ms * 16)
    assert len(moved) == len(asis)
    if late > 0:
        assert torch.equal(moved[:-late], asis[late:])
    else:
        assert torch.equal(moved[-late:], asis[:late])
    other = ClipSequences(store, space, front=None, offsets={"person0": ms})[1].features
    assert torch.equal(other, ClipSequences(store, space, front=None)[1].features)
