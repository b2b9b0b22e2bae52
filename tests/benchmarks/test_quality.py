"""The quality table judges as it says it does."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.bench import Speech, jobs_of
from benchmarks.quality.kinds import ALL, by_kind, kinds_of
from benchmarks.quality.quality import Results, plain
from benchmarks.quality.table import GOALS, OURS, Goal, bounds, by_clip, known, summary
from mytalk.errors import NoSpeechError, OptionError
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
        (CORRELATION, 0.72, "aim"), (CORRELATION, 0.66, "floor"), (CORRELATION, 0.65, "NO"), (CORRELATION, 1.1, "aim"),
        (SHARPNESS, 1.0, "aim"), (SHARPNESS, 1.15, "floor"), (SHARPNESS, 1.16, "NO"), (SHARPNESS, 0.2, "NO"),
        (DISTANCE, 0.022, "aim"), (DISTANCE, 0.026, "floor"), (DISTANCE, 0.03, "NO"), (DISTANCE, math.nan, ""),
    ],
)  # fmt: skip
def test_a_figure_is_met_at_its_bounds(goal: Goal, value: float, verdict: str) -> None:
    assert goal.verdict(value) == verdict


def test_every_figure_has_one_row_and_an_aim_within_its_floor() -> None:
    assert len({(goal.key, goal.by_decile) for goal in GOALS}) == len(GOALS)
    for goal in GOALS:
        if goal.floor is not None and goal.aim is not None:
            assert goal.floor[0] <= goal.aim[0] <= goal.aim[1] <= goal.floor[1]


def test_the_worst_clip_lies_farthest_on_either_side() -> None:
    assert SHARPNESS.worst({"sharp": 1.5, "soft": 0.5, "right": 1.0, "unknown": math.nan}) == "soft"
    assert CORRELATION.worst({"one": 0.9, "other": 0.2}) == "other"
    assert DISTANCE.worst({"one": 0.01, "other": 0.02}) == "other"


def test_the_worst_decile_lies_on_the_bad_side() -> None:
    tenths = {str(index): index / 10 for index in range(11)}
    assert CORRELATION.worst_decile(tenths) == pytest.approx(0.1)
    assert DISTANCE.worst_decile(tenths) == pytest.approx(0.9)
    ratios = {str(ratio): ratio for ratio in (1.0, 1.02, 1.05, 0.98, 0.97, 1.1, 0.9, 1.04, 1.2, 0.4, 1.01)}
    assert SHARPNESS.worst_decile(ratios) == 1.2
    assert math.isnan(CORRELATION.worst_decile({"unknown": math.nan}))


def test_bounds_read_as_a_person_would_say_them() -> None:
    assert [bounds(one) for one in (CORRELATION.floor, DISTANCE.aim, SHARPNESS.aim, None)] == [
        ">= 0.66", "<= 0.022", "0.9-1.1", "",
    ]  # fmt: skip


def test_people_and_a_trick_stand_beside_each_other_with_their_verdicts() -> None:
    figures = {"a": {"own.seen.correlation": 0.8, "pixels.sharpness": 1.0}, "b": {"own.seen.correlation": 0.5}}
    scores = {OURS: figures, "blur": {"a": {"own.seen.correlation": 0.8, "pixels.sharpness": 0.1}}}
    rows = {line[:55].strip(): line[55:].split() for line in summary(scores).splitlines()[1:]}
    decile = next(goal for goal in GOALS if goal.key == CORRELATION.key and goal.by_decile)
    assert set(rows) == {CORRELATION.title, decile.title, SHARPNESS.title}
    judged = [">=", "0.66", ">=", "0.72", "0.650", "NO", "0.500", "to", "0.800", "0.650", "0.530", "0.500", "b", "2"]
    assert rows[CORRELATION.title] == [*judged, "0.800", "aim"]
    assert rows[decile.title][4:6] == ["0.530", "aim"]
    assert rows[SHARPNESS.title][-5:] == ["1.00", "a", "1", "0.10", "NO"]
    assert by_clip(figures).splitlines()[1].split()[-4:] == ["0.800", "aim", "0.500", "NO"]
    assert known(GOALS, scores) == [CORRELATION, decile, SHARPNESS]


def test_kinds_are_those_of_the_list_of_clips() -> None:
    kinds = kinds_of(["talk_06", "studio_4", "mead_W036", "someone"])
    assert kinds == {
        ALL: ["talk_06", "studio_4", "mead_W036", "someone"],
        "close-up": ["mead_W036", "talk_06"],
        "beard": ["studio_4", "talk_06"],
        "emotional": ["mead_W036"],
    }
    clips = {
        name: {"own.seen.correlation": value} for name, value in zip(kinds[ALL], (0.5, 0.7, math.nan, 0.9), strict=True)
    }
    rows = [line.split() for line in by_kind(clips, kinds).splitlines()[1:]]
    assert [row[:3] for row in rows] == [
        ["all", "4", "0.700"], ["close-up", "2", "0.500"], ["emotional", "1", "-"], ["beard", "2", "0.600"],
    ]  # fmt: skip


def test_a_stopped_run_goes_on_where_it_was_and_never_as_another_one(tmp_path: Path) -> None:
    first = Results({"preset": "edge"}, tmp_path / "figures.json")
    first.clips = {OURS: {"a": {"own.seen.correlation": 0.5, "own.seen.psnr": math.inf, "own.seen.lag": math.nan}}}
    first.cpu_seconds = 3.0
    first.save()
    second = Results({"preset": "edge"}, tmp_path / "figures.json")
    second.load()
    assert second.has("a")
    assert not second.has("b")
    assert second.cpu_seconds == 3.0
    kept = second.clips[OURS]["a"]
    assert kept["own.seen.correlation"] == 0.5
    assert math.isinf(kept["own.seen.psnr"])
    assert math.isnan(kept["own.seen.lag"])
    with pytest.raises(OptionError, match="holds another run"):
        Results({"preset": "other"}, tmp_path / "figures.json").load()


def test_a_clip_says_its_own_the_next_ones_and_a_given_speech() -> None:
    films = [filmed(name) for name in "ab"]
    given = [Speech(Path(f"{name}.wav"), films[0].sound, films[0].shapes.aperture, None) for name in "xy"]  # type: ignore[arg-type]
    jobs = [(job.group, job.clip.name, job.speech.path.stem) for job in jobs_of(films[0], films[1], given, 3)]
    assert jobs == [("own", "a", "a"), ("other", "a", "b"), ("speech", "a", "y")]
    assert [job.group for job in jobs_of(films[0], None, [], 0)] == ["own"]


def test_a_clip_without_sound_is_refused_by_name() -> None:
    with pytest.raises(NoSpeechError, match=r"mute\.mp4"):
        jobs_of(filmed("mute", sound=False), None, [], 0)


def test_json_has_no_figure_that_json_cannot_hold() -> None:
    tables = plain({OURS: {"a": {"x": math.nan, "y": math.inf, "z": 0.5}}})
    assert json.loads(json.dumps(tables, allow_nan=False)) == {OURS: {"a": {"x": None, "y": "inf", "z": 0.5}}}
