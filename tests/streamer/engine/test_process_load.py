"""A process' share of the cores is averaged, and told from the share of other programs."""

from __future__ import annotations

import threading
from math import exp

import pytest

from streamer.clock import SECOND_NS, cpu_clock_of_this_thread, process_cpu_ns, thread_cpu_ns
from streamer.engine.process_load import INTERVAL, CpuTimes, ProcessLoad, cpu_times
from tests.streamer.support.waiting import eventually


class Spending:
    """CPU times as a test sets them: cores that are taken from one look to the next."""

    def __init__(self) -> None:
        self.spent = CpuTimes(0, 0, 0)

    def spend(self, passed: int, process: float, loop: float, machine: float) -> None:
        before = self.spent
        self.spent = CpuTimes(
            before.process + int(process * passed),
            before.loop + int(loop * passed),
            before.machine + int(machine * passed),
        )


def test_what_is_taken_for_long_is_the_average_and_the_last_seconds_count() -> None:
    spending = Spending()
    load = ProcessLoad(0, lambda: spending.spent)
    for second in range(1, 31):
        spending.spend(SECOND_NS, process=1.25, loop=0.25, machine=1.75)
        load.look(second * SECOND_NS)
    assert (load.process, load.loop, load.others) == pytest.approx((1.25, 0.25, 0.5), rel=1e-3)
    spending.spend(2 * SECOND_NS, process=0, loop=0, machine=0)
    load.look(32 * SECOND_NS)
    assert load.process == pytest.approx(1.25 * exp(-1), rel=1e-3)


def test_looks_that_are_close_together_are_one() -> None:
    spending = Spending()
    load = ProcessLoad(0, lambda: spending.spent)
    spending.spend(INTERVAL, process=1, loop=0, machine=1)
    load.look(INTERVAL - 1)
    assert load.process == 0
    load.look(INTERVAL)
    assert load.process > 0


def test_a_machine_whose_ticks_come_late_has_no_negative_programs() -> None:
    spending = Spending()
    load = ProcessLoad(0, lambda: spending.spent)
    spending.spend(INTERVAL, process=1, loop=0, machine=0.9)
    load.look(INTERVAL)
    assert load.others == 0


def test_a_system_that_does_not_count_other_programs_has_none() -> None:
    assert cpu_times(lambda: 7, lambda: 3, lambda: None) == (7, 3, 7)
    assert cpu_times(lambda: 7, lambda: 3, lambda: 2.5) == (7, 3, 2_500_000_000)


def test_another_thread_reads_what_this_one_has_computed() -> None:
    read, found = cpu_clock_of_this_thread(), []
    before = thread_cpu_ns()
    sum(range(200_000))
    thread = threading.Thread(target=lambda: found.append(read()))
    thread.start()
    thread.join()
    assert before < found[0] <= thread_cpu_ns()
    assert thread_cpu_ns() <= process_cpu_ns()


async def test_the_clock_of_a_thread_that_has_ended_reads_nothing() -> None:
    clocks = []
    thread = threading.Thread(target=lambda: clocks.append(cpu_clock_of_this_thread()))
    thread.start()
    thread.join()  # Python's part of it has ended: the system's ends soon after
    await eventually(lambda: clocks[0]() == 0)
