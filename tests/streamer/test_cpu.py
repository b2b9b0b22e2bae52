"""The thread counts fit the cores, so that threads do not fight for them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import cv2
import pytest
import torch

from streamer.cpu import (
    Threads,
    available_cores,
    engine_threads,
    leave_some_to_others,
    machine_cpu_seconds,
    take_priority,
)
from tests.support.limits import LIMIT_S


def test_a_priority_that_the_system_refuses_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(which: int, who: int, priority: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    assert take_priority(-5) is False


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_a_small_machine_has_one_thread_of_each_kind(cores: int) -> None:
    assert engine_threads(cores) == Threads(1, 1, 1)


@pytest.mark.parametrize(
    ("cores", "threads"),
    [(4, (2, 1, 1)), (8, (4, 2, 2)), (16, (8, 4, 4)), (17, (8, 4, 4)), (128, (8, 4, 4))],
)
def test_a_larger_one_has_more_of_all(cores: int, threads: tuple[int, int, int]) -> None:
    assert engine_threads(cores) == threads


def test_a_part_of_the_cores_is_left_to_the_loop_and_the_encoders() -> None:
    for cores in range(4, 200):
        engine, tracker, listener = engine_threads(cores)
        assert engine + (tracker + listener) * 2 / 3 <= cores * 5 / 6 + 1e-9  # a third of the time those two rest


def test_a_number_that_is_asked_for_holds_and_the_others_stay() -> None:
    assert engine_threads(16, engine=3) == Threads(3, 4, 4)
    assert engine_threads(16, tracker=1) == Threads(8, 1, 4)
    assert engine_threads(2, 5, 6) == Threads(5, 6, 1)


@pytest.mark.parametrize(("quota", "most"), [("100000 100000\n", 1), ("50000 100000", 1), ("190000 100000", 1)])
def test_a_containers_share_of_the_cores_counts(quota: str, most: int, tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert available_cores(file) == most


@pytest.mark.parametrize("quota", ["max 100000\n", "", "nonsense"])
def test_a_container_without_a_limit_has_all_cores(quota: str, tmp_path: Path) -> None:
    everything = available_cores(tmp_path / "none")
    (tmp_path / "cpu.max").write_text(quota)
    assert available_cores(tmp_path / "cpu.max") == everything >= 1


def test_several_callers_stay_on_one_core_each_and_one_alone_has_half_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr("streamer.cpu.set_threads", counts.append)
    monkeypatch.setattr(cv2, "setNumThreads", lambda count: None)
    monkeypatch.setattr("streamer.cpu.available_cores", lambda: 16)
    for callers in (1, 2, 8):
        leave_some_to_others(callers)
    assert counts == [4, 1, 1]


def test_threads_that_begin_to_use_torch_later_have_the_number_that_was_set() -> None:
    before, seen = torch.get_num_threads(), []
    began, go_on = threading.Event(), threading.Event()

    def use() -> None:
        began.set()
        go_on.wait(LIMIT_S)
        seen.append(torch.get_num_threads())

    early, late = threading.Thread(target=use), threading.Thread(target=use)
    early.start()
    began.wait(LIMIT_S)
    try:
        torch.set_num_threads(before + 2)
        late.start()
        go_on.set()
        early.join()
        late.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [before + 2] * 2


def test_what_programs_computed_is_read_of_the_cores_that_this_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle time, waiting for disks, and guests, which are counted among users, are no work."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2})
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    file = tmp_path / "stat"
    lines = ["cpu 9 9 9 9 9 9 9 9 9 9", *(f"cpu{n} 100 10 20 900 80 1 2 7 30 4" for n in (0, 1, 2)), "intr 5 0 0"]
    file.write_text("\n".join(lines))
    assert machine_cpu_seconds(file) == 2 * 1.4
    assert machine_cpu_seconds(tmp_path / "none") is None


def test_this_machine_counts_what_its_programs_compute() -> None:
    seconds = machine_cpu_seconds()
    assert seconds is None or seconds > 0
