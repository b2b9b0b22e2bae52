"""Closure at bilabials and at the speaker's own closings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mytalk.errors import DataError
from mytalk.evaluation.closure import Bilabial, bilabials_beside, closed_share, closed_when_true

OPEN, SHUT = 0.2, 0.0


def curve(frames: int, *shut: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    out = np.full(frames, OPEN, np.float32)
    out[list(shut)] = SHUT
    return out


def test_phones_in_seconds_are_read_with_their_stress_and_in_ipa(tmp_path: Path) -> None:
    (tmp_path / "clip.tsv").write_text("# start end label\n0.40 0.48 P\n0.5 0.6 AA1\n1.0\t1.08\tm\n2 2.1 n\n")
    assert bilabials_beside(tmp_path / "clip.mp4") == [Bilabial(9, 12), Bilabial(24, 27)]


def test_words_of_grid_tell_of_bilabials_they_begin_with(tmp_path: Path) -> None:
    (tmp_path / "clip.align").write_text("0 25000 sil\n25000 30000 bin\n30000 40000 at\n50000 60000 phone\n")
    assert bilabials_beside(tmp_path / "clip.mpg") == [Bilabial(22, 28)]


def test_a_clip_without_times_has_none(tmp_path: Path) -> None:
    assert bilabials_beside(tmp_path / "clip.mp4") is None


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "clip.tsv").write_text("0.1 0.2 p\nnonsense\n")
    with pytest.raises(DataError, match=r"clip\.tsv:2"):
        bilabials_beside(tmp_path / "clip.mp4")


def test_the_share_of_bilabials_at_which_lips_meet() -> None:
    bilabials = [Bilabial(8, 12), Bilabial(28, 32), Bilabial(48, 52), Bilabial(68, 72)]
    assert closed_share(curve(80, 10, 30, 60), bilabials) == 0.5
    unknown = curve(80, 10)
    unknown[20:] = np.nan
    assert closed_share(unknown, bilabials) == 1
    assert np.isnan(closed_share(curve(80), []))


def test_closings_are_met_within_a_frame_and_only_in_speech() -> None:
    true = curve(100, 10, 11, 30, 50, 51, 80)
    speaking = np.ones(100, np.float32)
    assert closed_when_true(true, true, speaking) == 1
    assert closed_when_true(curve(100, 12, 52, 33), true, speaking) == 0.5
    speaking[70:] = 0
    assert closed_when_true(curve(100, 12, 30, 52), true, speaking) == 1
    assert np.isnan(closed_when_true(true, curve(100), speaking))
