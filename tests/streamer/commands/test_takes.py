"""Tests takes: the same film with other seeds, each in a file of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from streamer.commands.takes import MOST_TAKES, add_takes_option, takes_of


def given(*arguments: str, seed: int | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_takes_option(parser)
    return parser.parse_args(arguments, argparse.Namespace(output=Path("films/out.mp4"), control_seed=seed))


def test_one_take_is_what_was_asked_for() -> None:
    args = given(seed=7)
    assert list(takes_of(args)) == [(args, Path("films/out.mp4"))]


def test_each_take_has_the_next_seed_and_a_file_of_its_own() -> None:
    takes = list(takes_of(given("--takes", "3", seed=7)))
    assert [one.control_seed for one, _ in takes] == [7, 8, 9]
    assert [path for _, path in takes] == [Path(f"films/out-{number}.mp4") for number in (1, 2, 3)]


@pytest.mark.parametrize("count", ["0", "x", "-1", str(MOST_TAKES + 1)])
def test_another_number_is_refused_with_the_range(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        given("--takes", count)
    assert f"need 1 to {MOST_TAKES}" in capsys.readouterr().err
