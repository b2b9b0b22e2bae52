"""Promises of the reference bank."""

from __future__ import annotations

import numpy as np
import pytest

from mytalk.appearance.bank import MAX_AGE, Mouth, ReferenceBank, distances
from mytalk.face.landmarks import LOWER_COUNT, LOWER_LIPS_INNER, LOWER_LIPS_OUTER

_NOTHING = np.zeros((2, 2, 3), np.uint8)


def mouth(opening: float, detail: float = 1.0) -> Mouth:
    points = np.full((LOWER_COUNT, 2), 64, np.float32)
    points[list(LOWER_LIPS_INNER[1:10]), 1] += opening
    return Mouth(points, _NOTHING, None, np.float32(detail) * np.eye(2, 3, dtype=np.float32), np.zeros(3, np.float32))


def show(bank: ReferenceBank, opening: float, detail: float = 1.0) -> bool:
    one = mouth(opening, detail)
    slot = bank.slot_for(one.points, detail)
    if slot is not None:
        bank.put(slot, one)
    return slot is not None


def test_bank_never_grows_past_its_capacity() -> None:
    bank = ReferenceBank(capacity=5)
    for opening in np.random.default_rng(1).uniform(0, 80, 300):
        show(bank, float(opening))
    assert len(bank) == 5


def test_full_bank_keeps_what_it_saw_least_of() -> None:
    bank = ReferenceBank(capacity=4)
    for opening in (0, 4, 8, 12, 80):
        show(bank, opening)
    far = mouth(80)
    assert bank.find(far.points, 1).mouth.points == pytest.approx(far.points)
    kept = bank.find(mouth(0).points, 4).neighbours.points
    between = np.stack([distances(kept, points) for points in kept])
    assert between[~np.eye(4, dtype=bool)].min() > 0.7


def test_a_mouth_like_one_that_is_kept_is_dropped_until_that_one_is_old() -> None:
    bank = ReferenceBank()
    assert show(bank, 10)
    assert not show(bank, 10.1)
    for _ in range(MAX_AGE):
        bank.slot_for(mouth(10).points)
    assert show(bank, 10.1)
    assert len(bank) == 1


def test_a_mouth_seen_from_near_takes_the_place_of_a_like_one_seen_from_afar() -> None:
    bank = ReferenceBank()
    assert show(bank, 10, detail=1.0)
    assert not show(bank, 10.1, detail=1.2)
    assert show(bank, 10.1, detail=1.6)
    assert not show(bank, 10, detail=1.0)
    assert len(bank) == 1


def test_a_full_bank_gives_up_what_was_seen_from_afar_first() -> None:
    bank = ReferenceBank(capacity=4)
    for opening, detail in ((0, 2.0), (20, 1.0), (40, 1.0), (60, 2.0)):
        assert show(bank, opening, detail)
    assert show(bank, 23, detail=2.0)
    assert sorted(one.points[LOWER_LIPS_INNER[5], 1] - 64 for one in bank.mouths) == [0, 23, 40, 60]


def test_a_mouth_seen_from_afar_is_warped_only_where_none_from_near_is_about_as_like() -> None:
    bank = ReferenceBank()
    show(bank, 10, detail=1.0)
    show(bank, 10.7, detail=2.0)
    far, near = bank.mouths
    assert bank.find(mouth(10).points, 2).mouth is far
    assert bank.find(mouth(10).points, 2, detail=2.0).mouth is near
    assert bank.find(mouth(0).points, 2, detail=1.0).mouth is far
    show(bank, 40, detail=2.0)
    assert bank.find(mouth(5).points, 2, detail=1.0).mouth is far


def test_mouths_around_are_in_order_and_fewer_where_the_bank_is_small() -> None:
    bank = ReferenceBank()
    show(bank, 0)
    show(bank, 30)
    neighbours = bank.find(mouth(25).points, 3).neighbours
    assert len(neighbours.distance) == 2
    np.testing.assert_array_equal(neighbours.points, [mouth(30).points, mouth(0).points])
    np.testing.assert_array_equal(neighbours.distance, distances(neighbours.points, mouth(25).points))
    assert bank.find(mouth(25).points, 1).neighbours.points == pytest.approx(mouth(30).points[None])


def test_last_choice_stays_while_nothing_is_clearly_nearer() -> None:
    bank = ReferenceBank()
    show(bank, 0)
    show(bank, 20)
    low = bank.find(mouth(0).points, 1).mouth
    still = bank.find(mouth(10.2).points, 2, last=low)
    assert still.mouth is low
    assert still.distance == pytest.approx(distances(low.points[None], mouth(10.2).points)[0])
    assert bank.find(mouth(15).points, 2, last=low).mouth is not low


def test_lips_as_thick_as_wanted_are_nearer_than_lips_in_the_same_place() -> None:
    wanted, thick, moved = (mouth(10).points.copy() for _ in range(3))
    lower_lip = [LOWER_LIPS_INNER[5], LOWER_LIPS_OUTER[5]]
    thick[lower_lip[0], 1] -= 4  # the inner edge alone: a thicker lip
    moved[lower_lip, 1] -= 4  # both edges: the lip as thick, elsewhere
    to_thick, to_moved = distances(np.stack([thick, moved]), wanted)
    assert to_moved < to_thick
