"""The overload ladder, on a device whose speed the test sets, by a clock that only the test moves."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streamer.clock import MILLISECOND_NS, SAMPLE_NS, SECOND_NS
from streamer.engine.overload import MOST_PATIENCE, PATIENCE, OverloadLadder, Rung

PICTURE = 40 * MILLISECOND_NS
MOST_BEHIND = 7  # pictures: beyond, a slot drops new ones
COST = {Rung.FULL: 1.0, Rung.FEWER_STEPS: 0.8, Rung.UNMENDED: 0.6, Rung.HALF_RATE: 0.3, Rung.UNTOUCHED: 0.0}
"""Shares of a full session's cost on the device, by rung."""


class SlowDevice:
    """A queue of pictures at 25 a second. ``load`` is the time that the full work of 40 ms takes, in 40 ms."""

    def __init__(self, load: float, rungs: list[Rung] | None = None) -> None:
        self.load = load
        self.now = 0
        self.ladder = OverloadLadder(rungs or list(Rung), now=0)
        self.behind = 0.0  # ns of work that waits
        self.changes: list[tuple[float, Rung]] = []

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * 25)):
            self.now += PICTURE
            work = self.load * COST[self.ladder.rung] * PICTURE
            self.behind = min(max(0.0, self.behind + work - PICTURE), MOST_BEHIND * PICTURE)
            if self.ladder.observe(int(self.behind) // SAMPLE_NS, self.now):
                self.changes.append((self.now / SECOND_NS, self.ladder.rung))
                if self.ladder.rung is Rung.UNTOUCHED:
                    self.behind = 0.0


@pytest.mark.parametrize(
    ("load", "rung"),
    [
        (0.9, Rung.FULL),
        (1.2, Rung.FEWER_STEPS),
        (1.5, Rung.UNMENDED),
        (2.0, Rung.HALF_RATE),
        (6.0, Rung.UNTOUCHED),
    ],
)
def test_it_gives_up_what_the_device_cannot_do_and_no_more(load: float, rung: Rung) -> None:
    device = SlowDevice(load)
    device.run(9)
    assert device.ladder.rung is rung
    assert [change for _, change in device.changes] == list(Rung)[1 : rung + 1]


def test_it_is_all_the_way_down_within_ten_seconds_and_back_within_thirty() -> None:
    device = SlowDevice(20.0)
    device.run(10)
    assert device.ladder.rung is Rung.UNTOUCHED
    device.load = 0.5
    device.run(30)
    assert device.ladder.rung is Rung.FULL
    assert [rung for _, rung in device.changes[4:]] == [*reversed(Rung)][1:]


def test_a_device_that_stays_too_slow_is_tried_less_and_less_often() -> None:
    device = SlowDevice(1.14)
    device.run(600)
    ups = [at for at, rung in device.changes if rung is Rung.FULL]
    assert len(ups) <= 600 // (MOST_PATIENCE // SECOND_NS) + 5
    waits = [later - earlier for earlier, later in pairwise(ups)]
    assert waits == sorted(waits)
    assert waits[-1] > 5 * waits[0]


def test_once_it_has_held_patience_is_as_before() -> None:
    device = SlowDevice(1.14)
    device.run(120)
    device.load = 0.5
    device.run(120)
    assert device.ladder.rung is Rung.FULL
    device.load = 1.14
    device.run(6)
    assert device.ladder.rung is Rung.FEWER_STEPS
    device.load = 0.5
    device.run(PATIENCE // SECOND_NS + 4)
    assert device.ladder.rung is Rung.FULL


def test_bursts_that_are_worked_off_change_nothing() -> None:
    device = SlowDevice(0.8)
    for _ in range(60):
        device.behind = 5.0 * PICTURE
        device.run(2)
    assert not device.changes


@pytest.mark.parametrize("falls_by", [0, 2])
def test_lag_that_falls_in_every_look_and_jumps_up_between_them_is_overload(falls_by: int) -> None:
    ladder = OverloadLadder(list(Rung), now=0)
    changes = 0
    for number in range(350):
        lag = (10 - falls_by * (number % 25 > 12)) * PICTURE  # of seconds from one on, as looks are
        changes += ladder.observe(lag // SAMPLE_NS, number * PICTURE)
    assert changes == 4


def test_a_backlog_that_is_worked_off_slowly_is_none() -> None:
    ladder = OverloadLadder(list(Rung), now=0)
    for number in range(250):
        lag = max(0, 1000 - 4 * number) * MILLISECOND_NS
        assert not ladder.observe(lag // SAMPLE_NS, number * PICTURE)


def test_a_model_of_one_step_has_no_rung_of_fewer() -> None:
    device = SlowDevice(2.0, rungs=[Rung.FULL, Rung.HALF_RATE, Rung.UNTOUCHED])
    device.run(6)
    assert [rung for _, rung in device.changes] == [Rung.HALF_RATE]
