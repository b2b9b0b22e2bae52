"""The quality table judges as it says it does."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.quality import Speech, jobs_of, plain
from benchmarks.quality.table import GOALS, OURS, Goal, bounds, by_clip, known, summary
from mytalk.errors import NoSpeechError
from mytalk.evaluation.filmed import Filmed, Shapes

CORRELATION = next(goal for goal in GOALS if goal.key == "own.seen.correlation")
SHARPNESS = next(goal for goal in GOALS if goal.key == "pixels.sharpness")
DISTANCE = next(goal for goal in GOALS if goal.key == "own.seen.lip_distance")


class FakeFilm:
    still = False

    def __init__(self, name: str) -> None:
        self.name, self.path = name, Path(f"{name}.mp4")


def filmed(name: str, sound: bool = True) -> Filmed:
    shapes = Shapes(np.zeros(50, np.float32), np.zeros((50, 40, 2), np.float32))
    return Filmed(FakeFilm(name), [0], [None], shapes, np.zeros(50 * 640, np.float32) if sound else None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (CORRELATION, 0.7, "aim"), (CORRELATION, 0.6, "floor"), (CORRELATION, 0.5999, "NO"), (CORRELATION, 1.1, "aim"),
        (SHARPNESS, 1.0, "aim"), (SHARPNESS, 1.3, "floor"), (SHARPNESS, 1.31, "NO"), (SHARPNESS, 0.2, "NO"),
        (DISTANCE, 0.03, "aim"), (DISTANCE, 0.04, "floor"), (DISTANCE, 0.05, "NO"), (DISTANCE, math.nan, ""),
    ],
)  # fmt: skip
def test_a_figure_is_met_at_its_bounds(goal: Goal, value: float, verdict: str) -> None:
    assert goal.verdict(value) == verdict


def test_every_figure_has_one_row_and_an_aim_within_its_floor() -> None:
    assert len({goal.key for goal in GOALS}) == len(GOALS)
    for goal in GOALS:
        if goal.floor is not None and goal.aim is not None:
            assert goal.floor[0] <= goal.aim[0] <= goal.aim[1] <= goal.floor[1]


def test_the_worst_clip_lies_farthest_on_either_side() -> None:
    assert SHARPNESS.worst({"sharp": 1.5, "soft": 0.5, "right": 1.0, "unknown": math.nan}) == "soft"
    assert CORRELATION.worst({"one": 0.9, "other": 0.2}) == "other"
    assert DISTANCE.worst({"one": 0.01, "other": 0.02}) == "other"


def test_bounds_read_as_a_person_would_say_them() -> None:
    assert [bounds(one) for one in (CORRELATION.floor, DISTANCE.aim, SHARPNESS.aim, None)] == [
        ">= 0.6", "<= 0.03", "0.9-1.1", "",
    ]  # fmt: skip


def test_a_trick_stands_beside_ours_with_its_verdict() -> None:
    figures = {"a": {"own.seen.correlation": 0.8, "pixels.sharpness": 1.0}, "b": {"own.seen.correlation": 0.5}}
    scores = {OURS: figures, "blur": {"a": {"own.seen.correlation": 0.8, "pixels.sharpness": 0.1}}}
    rows = {line[:55].strip(): line[55:].split() for line in summary(scores).splitlines()[1:]}
    assert set(rows) == {CORRELATION.title, SHARPNESS.title}
    assert rows[CORRELATION.title] == [
        ">=",
        "0.6",
        ">=",
        "0.7",
        "0.650",
        "floor",
        "0.650",
        "0.500",
        "b",
        "0.800",
        "aim",
    ]
    assert rows[SHARPNESS.title][-4:] == ["1.00", "a", "0.10", "NO"]
    assert by_clip(figures).splitlines()[1].split()[-4:] == ["0.800", "aim", "0.500", "NO"]
    assert known(GOALS, scores) == [CORRELATION, SHARPNESS]


def test_clips_say_their_own_the_next_ones_and_the_given_speech() -> None:
    films = [filmed(name) for name in "abc"]
    given = [Speech(Path(f"{name}.wav"), films[0].sound, films[0].shapes.aperture, None) for name in "xy"]  # type: ignore[arg-type]
    jobs = [(job.group, job.clip.name, job.speech.path.stem) for job in jobs_of(films, [filmed("face")], given)]
    assert jobs[:3] == [("own", "a", "a"), ("own", "b", "b"), ("own", "c", "c")]
    assert jobs[3:6] == [("other", "a", "b"), ("other", "b", "c"), ("other", "c", "a")]
    assert jobs[6:9] == [("speech", "a", "x"), ("speech", "b", "y"), ("speech", "c", "x")]
    assert jobs[9:] == [("speech", "face", "x"), ("speech", "face", "y")]


def test_a_clip_without_sound_is_refused_by_name() -> None:
    with pytest.raises(NoSpeechError, match=r"mute\.mp4"):
        jobs_of([filmed("mute", sound=False)], [], [])


def test_json_has_no_figure_that_json_cannot_hold() -> None:
    tables = plain({OURS: {"a": {"x": math.nan, "y": math.inf, "z": 0.5}}})
    assert json.loads(json.dumps(tables, allow_nan=False)) == {OURS: {"a": {"x": None, "y": "inf", "z": 0.5}}}
