"""How a publisher's encoder is set is noticed, and that of browsers is left alone."""

from __future__ import annotations

from collections.abc import Iterable

from streamer.webrtc.encoder_habits import ANSWER_WAIT, LONG_INTERVAL, RATE, EncoderHabits, Habit

PICTURE = RATE // 25


def told(
    habits: EncoderHabits, pictures: int, keys: Iterable[int], asked: Iterable[int] = ()
) -> list[tuple[int, Habit]]:
    """What is told of pictures in a row: which of them are keyframes, and of which one has been asked for."""
    keys, asked = set(keys), set(asked)
    found = [
        (number, habits.frame(number * PICTURE, key=number in keys, asked=number in asked))
        for number in range(pictures)
    ]
    return [(number, habit) for number, habit in found if habit is not None]


def test_keyframes_every_ten_seconds_are_told_once() -> None:
    assert told(EncoderHabits(), 2000, range(0, 2000, 250)) == [(500, "keyframe_interval")]


def test_keyframes_every_second_or_two_are_not() -> None:
    for step in (25, 50, LONG_INTERVAL // PICTURE):
        assert told(EncoderHabits(), 1000, range(0, 1000, step)) == []


def test_a_browser_that_makes_keyframes_when_it_is_asked_is_not() -> None:
    asked = [one - 5 + late for one in (250, 500, 750) for late in range(5)]
    assert told(EncoderHabits(), 1000, (0, 250, 500, 750), asked) == []


def test_keyframes_at_odd_times_are_not() -> None:
    assert told(EncoderHabits(), 1000, (0, 230, 520, 700)) == []  # a browser that changed its size


def test_a_request_that_is_not_answered_is_told() -> None:
    first = 100
    [(number, habit)] = told(EncoderHabits(), 400, (0,), range(first, 400))
    assert (number, habit) == (first + ANSWER_WAIT // PICTURE + 1, "keyframe_interval")


def test_pictures_out_of_order_are_told_once() -> None:
    habits = EncoderHabits()
    order = [0, *(number for first in range(1, 60, 3) for number in (first + 2, first, first + 1))]
    found = [habits.frame(number * PICTURE, key=number == 0, asked=False) for number in order]
    assert [one for one in found if one is not None] == ["b_frames"]


def test_two_lost_and_late_pictures_are_not() -> None:
    habits = EncoderHabits()
    assert [habits.frame(number * PICTURE, key=False, asked=False) for number in (0, 2, 1, 3, 5, 4, 6)] == [None] * 7
