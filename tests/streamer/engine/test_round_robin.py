"""Whose turn it is: every slot with work in its turn, and none in two threads' hands."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from streamer.engine.round_robin import RoundRobin
from streamer.engine.worker_pool import WorkerPool


def slots_of(*slots: str, work: set[str] | None = None) -> RoundRobin[str]:
    turns = RoundRobin[str](lambda slot: work is None or slot in work)
    for slot in slots:
        turns.add(slot)
    return turns


def test_a_thread_goes_round_all_slots_that_have_work() -> None:
    work = {"a", "b", "d"}
    turns = slots_of("a", "b", "c", "d", work=work)
    seen = []
    for _ in range(6):
        slot = turns.take("thread")
        assert slot is not None
        seen.append(slot)
        turns.give_back(slot)
    assert seen == ["a", "b", "d"] * 2


def test_who_had_no_work_for_long_comes_first_when_there_is_some() -> None:
    work = {"a", "b"}
    turns = slots_of("a", "b", "quiet", work=work)
    for _ in range(3):
        turns.give_back(str(turns.take("thread")))
    work.add("quiet")
    assert turns.take("thread") == "quiet"


def test_several_threads_share_the_slots_and_none_has_anothers() -> None:
    turns = slots_of("a", "b", "c")
    held = [turns.take(thread) for thread in ("one", "two", "three", "four")]
    assert held == ["a", "b", "c", None]
    assert turns.take_beside("four", lambda slot: True) is None
    assert turns.give_back("b")
    assert turns.take("four") == "b"


def test_a_slot_taken_beside_keeps_its_turn() -> None:
    turns = slots_of("a", "b", "c")
    assert turns.take("one") == "a"
    assert turns.take_beside("one", lambda slot: slot == "b") == "b"
    turns.give_back("b")
    assert turns.take("two") == "b"


def test_giving_a_slot_back_says_whether_it_has_more_work() -> None:
    work = {"a"}
    turns = slots_of("a", work=work)
    assert turns.take("one") == "a"
    assert turns.give_back("a")
    assert turns.take("one") == "a"
    work.clear()
    assert not turns.give_back("a")


def test_what_a_thread_that_ends_has_in_hand_is_free_and_what_others_have_is_not() -> None:
    turns = slots_of("a", "b", "c")
    assert [turns.take("ends"), turns.take("stays"), turns.take("ends")] == ["a", "b", "c"]
    turns.leave("ends")
    assert [turns.take("new"), turns.take("new"), turns.take("new")] == ["a", "c", None]


def test_a_slot_that_is_removed_from_a_threads_hands_is_gone() -> None:
    turns = slots_of("a", "b", work={"b"})
    assert turns.take("one") == "b"
    turns.remove("b")
    assert turns.take_beside("two", lambda slot: True) == "a"
    assert turns.take_beside("two", lambda slot: True) is None
    assert list(turns) == ["a"]


def test_a_slot_waits_while_it_has_work_and_no_holder() -> None:
    busy = {"a"}
    turns = RoundRobin[str](has_work=lambda slot: slot in busy)
    turns.add("a")
    turns.add("b")
    assert turns.waits
    assert turns.take("one") == "a"
    assert not turns.waits
    busy.add("b")
    assert turns.waits
    busy.clear()
    assert not turns.give_back("a")
    assert not turns.waits


def test_a_thread_is_not_woken_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, woken = set[object](), list[bool]()
    pool = WorkerPool(threading.Lock(), lambda slot: slot in busy, lambda: True)
    monkeypatch.setattr(pool._rest, "notify", lambda: woken.append(True))
    slot: Any = object()
    pool.slots.add(slot)
    pool.look()
    assert not woken
    busy.add(slot)
    pool.look()
    assert woken == [True]
    assert pool.take() is slot
    pool.look()  # whoever has it goes on with it
    assert woken == [True]
    pool.give_back(slot)
    assert woken == [True, True]
