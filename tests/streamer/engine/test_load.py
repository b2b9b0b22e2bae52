"""Figures of several threads: a load that says what is left, and sums that lose nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import exp

import pytest
from prometheus_client import Histogram

from streamer.clock import SECOND_NS, FakeClock
from streamer.engine.admission import MEASURED, StreamLoad, refusal
from streamer.engine.load import LoadMeter
from tests.support.limits import LIMIT_S

CROWD = 8


class Watch(FakeClock):
    """Time as a test sets it."""

    def set(self, moment: int) -> None:
        self._now = moment


def sample(histogram: Histogram, part: str) -> float:
    """Returns one value of a histogram: its ``_sum`` or ``_count``."""
    [metric] = histogram.collect()
    return next(one.value for one in metric.samples if one.name.endswith(part))


def on_thread(name: str, run: Callable[[], None]) -> None:
    thread = threading.Thread(target=run, name=name)
    thread.start()
    thread.join()


@pytest.mark.parametrize(("busy", "share"), [(1, 0.25), (2, 0.5), (4, 1.0)])
def test_load_is_a_share_of_what_all_engine_threads_could_do(busy: int, share: float) -> None:
    clock = Watch()
    names = [f"engine-{n}" for n in range(4)]
    work = LoadMeter(clock, {"engine": names})

    def minute() -> None:
        clock.set(0)
        with work.job(StreamLoad(0)):
            clock.set(60 * SECOND_NS)

    for name in names[:busy]:
        on_thread(name, minute)
    assert work.loads == {"engine": pytest.approx(share)}


def test_the_cost_of_a_session_grows_with_its_steps_by_the_share_of_sampling() -> None:
    clock = Watch()
    load = LoadMeter(clock, {"engine": ["engine-1"]})
    assert load.cost(steps=4) == 1

    def second() -> None:
        clock.set(0)
        with load.job(StreamLoad(0)):
            clock.set(SECOND_NS // 2)
            load.sampled(windows=2, steps=1, began=0)
            clock.set(SECOND_NS)

    on_thread("engine-1", second)
    assert [load.cost(steps) for steps in (1, 4)] == pytest.approx([1, 2.5])


THREADS = {"engine": 1, "tracker": 1}


def test_a_session_that_costs_more_than_is_left_is_refused() -> None:
    streams = [{"engine": 0.4, "tracker": 0.1}]
    assert refusal(streams, THREADS) is None
    assert refusal(streams, THREADS, {"engine": 1.5}) is None
    assert "the engine threads work 40 %" in (refusal(streams, THREADS, {"engine": 2.5}) or "")


def test_one_session_that_fills_one_thread_of_four_leaves_room_for_three() -> None:
    stream = {"engine": 1.0}
    assert refusal([stream], {"engine": 4}) is None
    assert refusal([stream] * 3, {"engine": 4}) is None
    assert refusal([stream] * 4, {"engine": 4}) is not None


def test_the_busiest_kind_of_threads_decides() -> None:
    assert refusal([{"engine": 0.15, "tracker": 0.3}] * 2, THREADS) is None
    assert "tracker threads work 70 %" in str(refusal([{"engine": 0.15, "tracker": 0.35}] * 2, THREADS))


def test_a_stream_too_young_to_tell_counts_as_the_others_do() -> None:
    assert refusal([None] * 9, THREADS) is None
    assert refusal([{"engine": 0.4}], THREADS) is None
    assert "work 80 % of the time for 2 sessions" in str(refusal([{"engine": 0.4}, None], THREADS))


@pytest.mark.parametrize("age", [MEASURED, 20 * SECOND_NS])
def test_the_load_of_a_stream_is_what_it_takes_however_young_it_is(age: int) -> None:
    load = StreamLoad(now=0)
    assert load.at(MEASURED - 1) is None
    for began in range(0, age, 40_000_000):
        load.worked("engine", began, began + 10_000_000)
    assert load.at(age) == {"engine": pytest.approx(0.25, abs=0.01)}


def test_trackers_have_a_load_of_their_own() -> None:
    clock = Watch()
    work = LoadMeter(clock, {"engine": ["engine-1"], "tracker": ["tracker-1", "tracker-2"]})

    def second() -> None:
        with work.job(StreamLoad(0)):
            clock.set(clock.now() + SECOND_NS)

    on_thread("tracker-1", second)
    assert work.loads == {"engine": 0, "tracker": pytest.approx((1 - exp(-0.5)) / 2)}  # of two, in two seconds' memory
    assert (work.jobs, work.busy_ns) == (1, SECOND_NS)
    assert sample(work.job_seconds, "_sum") == 0
    on_thread("engine-1", second)
    assert (work.jobs, work.busy_ns) == (2, 2 * SECOND_NS)
    assert sample(work.job_seconds, "_sum") == 1


def test_the_longest_job_is_that_of_any_thread_and_none_once_it_is_over() -> None:
    clock = Watch()
    work = LoadMeter(clock, {"engine": ["engine-1"]})
    with work.job(StreamLoad(0)):
        clock.set(7 * SECOND_NS)
        assert work.longest_ns == 7 * SECOND_NS
    assert work.longest_ns == 0

    def fail() -> None:
        with pytest.raises(SystemExit), work.job(StreamLoad(0)):
            raise SystemExit

    on_thread("engine-1", fail)
    assert (work.longest_ns, work.jobs) == (0, 1)


def test_nothing_is_lost_where_threads_count_at_once() -> None:
    names = [f"engine-{n}" for n in range(CROWD)]
    work, together = LoadMeter(FakeClock(), {"engine": names}), threading.Barrier(CROWD)

    def count() -> None:
        together.wait(LIMIT_S)
        for _ in range(500):
            with work.job(StreamLoad(0)):
                pass
            work.sampled(windows=2, steps=1, began=0)

    threads = [threading.Thread(target=count, name=name) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (work.jobs, work.batches, work.windows) == (500 * CROWD, 500 * CROWD, 1000 * CROWD)
    assert sample(work.job_seconds, "_count") == 500 * CROWD
