"""Cross-validation over people: who is scored was not fitted to, and the command prints a line for each choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from torch import Tensor

from mytalk.errors import DataError
from mytalk.training.speech import crossvalidation
from mytalk.training.speech.crossvalidation import Choice, Row, choices_of, cross_validate
from mytalk.training.speech.readout import Sums
from streamer.cli import main
from tests.mytalk.support.small_store import make_store


@pytest.fixture(scope="module")
def scored(folder: Path, data: Path) -> tuple[list[Row], list[int]]:
    """Two choices over three people; and how many people each fit saw."""
    seen: list[int] = []
    solve = crossvalidation.solve_one

    def counted(people: Sequence[Sums], delay: int, ridge: float, balance: float) -> tuple[Tensor, Tensor]:
        seen.append(len(people))
        return solve(people, delay, ridge, balance)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crossvalidation, "solve_one", counted)
        return list(cross_validate(folder, [data], [data], choices_of([1.25, 1e9], [0.5]))), seen


def test_everybody_is_scored_once_for_each_choice(scored: tuple[list[Row], list[int]]) -> None:
    rows, _ = scored
    assert [row.choice for row in rows] == [Choice(1.25, 0.5), Choice(1e9, 0.5)]
    assert all(len(row.by_person) == 3 for row in rows)


def test_people_whose_jaws_follow_the_loudness_alike_predict_one_another(scored: tuple[list[Row], list[int]]) -> None:
    rows, _ = scored
    assert rows[0].figures.mean > 0.3


def test_a_person_is_scored_by_a_fit_to_the_others_alone(scored: tuple[list[Row], list[int]]) -> None:
    _, seen = scored
    assert seen == [2] * 6  # three people, one left out each time, two choices


def test_one_person_alone_is_refused(folder: Path, tmp_path: Path) -> None:
    alone = make_store(tmp_path, people=1)
    with pytest.raises(DataError, match="one person alone"):
        list(cross_validate(folder, [alone], [alone], [Choice()]))


def test_the_command_prints_a_line_for_each_way_and_person(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "crossvalidate", str(folder), "--data", str(data), "--balance", "0", "1", "--people"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines if re.match(r" *1\.25 ", line)] == [
        ["1.25", "0.00", "3"],
        ["1.25", "1.00", "3"],
    ]
    assert len([line for line in lines if line.startswith("    ")]) == 6


def test_a_penalty_of_nothing_is_refused(folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "crossvalidate", str(folder), "--data", str(data), "--ridge", "0"]) != 0
    assert "penalties above 0" in capsys.readouterr().err


def test_own_speech_is_scored_by_person_and_refused_to_strangers(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "crossvalidate", str(folder), "--data", str(data), "--own-speech", "--people"]
    assert main([*command, "--penalty", "1e4", "50", "--penalty", "2e4", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[4:] == ["10000,", "50", "20000,", "100", "adapted", "strangers", "who"]
    assert [line.split()[0] for line in lines[4:-1]] == ["mean", "low", "high", "median", "worst_decile", "worst"]
    assert re.match(r"3 people; adapted \d+% of the halves, and \d+\.\d% to the sound of somebody else", lines[-1])
