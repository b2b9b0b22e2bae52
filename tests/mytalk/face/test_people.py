from __future__ import annotations

from mytalk.face.people import PeopleTracker, middle
from mytalk.picture import Picture
from tests.mytalk.support.two_people import two_people


def test_each_person_keeps_a_number_over_moves_and_cuts(portrait: Picture) -> None:
    tracker = PeopleTracker()
    first = {face.person: middle(face)[0] for face in tracker(two_people(portrait, (40, 400)))}
    assert sorted(first) == [0, 1]
    light = min(first, key=lambda person: first[person])
    moved = {face.person: middle(face)[0] for face in tracker(two_people(portrait, (48, 392)))}
    assert moved[light] < 320 < moved[1 - light]
    after = {face.person: middle(face)[0] for face in tracker(two_people(portrait, (400, 40), ground=20))}
    assert after[light] > 320 > after[1 - light]
    assert [face.person for face in tracker(two_people(portrait, (None, 60), ground=200))] == [1 - light]
    assert len(tracker.descriptors) == 2


def test_one_who_comes_into_the_picture_is_found_without_a_cut(portrait: Picture) -> None:
    tracker = PeopleTracker()
    assert [face.person for face in tracker(two_people(portrait, (40, None)))] == [0]
    seen: set[int] = set()
    for _ in range(15):
        seen = {face.person for face in tracker(two_people(portrait, (40, 400)))}
    assert seen == {0, 1}


def test_no_face_is_no_person(portrait: Picture) -> None:
    tracker = PeopleTracker()
    assert tracker(two_people(portrait, (None, None))) == []
    assert tracker.descriptors == {}
