"""Figures of several threads: a load that says what is left, and sums that lose nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import exp

import pytest
from prometheus_client import Histogram

from streamer.clock import SECOND_NS, FakeClock
from streamer.engine.admission import LEAST_CORES, MEASURED, MOST_BESIDE, Shared, StreamLoad, refusal
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


def meter(clock: FakeClock, pools: dict[str, list[str]]) -> LoadMeter:
    """Makes a meter whose threads never wait: they compute for as long as a job lasts."""
    return LoadMeter(clock, pools, clock.now)


def on_thread(name: str, run: Callable[[], None]) -> None:
    thread = threading.Thread(target=run, name=name)
    thread.start()
    thread.join()


@pytest.mark.parametrize(("busy", "share"), [(1, 0.25), (2, 0.5), (4, 1.0)])
def test_load_is_a_share_of_what_all_engine_threads_could_do(busy: int, share: float) -> None:
    clock = Watch()
    names = [f"engine-{n}" for n in range(4)]
    work = meter(clock, {"engine": names})

    def minute() -> None:
        clock.set(0)
        with work.job(StreamLoad(0)):
            clock.set(60 * SECOND_NS)

    for name in names[:busy]:
        on_thread(name, minute)
    assert work.loads == {"engine": pytest.approx(share)}


def test_the_cost_of_a_session_grows_with_its_steps_by_the_share_of_sampling() -> None:
    clock = Watch()
    load = meter(clock, {"engine": ["engine-1"]})
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
    assert refusal(streams, THREADS, {"engine": 1.2}) is None
    assert "the engine threads work 40 %" in (refusal(streams, THREADS, {"engine": 1.4}) or "")


def test_one_session_that_fills_one_thread_of_four_leaves_room_for_three() -> None:
    stream = {"engine": 0.9}
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
        load.worked("engine", began, began + 20_000_000, spent=10_000_000)
    assert load.at(age) == {"engine": pytest.approx(0.25, abs=0.01)}


def test_trackers_have_a_load_of_their_own() -> None:
    clock = Watch()
    work = meter(clock, {"engine": ["engine-1"], "tracker": ["tracker-1", "tracker-2"]})

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


@pytest.mark.parametrize(("on_device", "share"), [((), 0.25), (("engine",), 1.0)])
def test_a_thread_that_waits_for_a_core_does_not_work_but_one_that_waits_for_a_gpu_does(
    on_device: tuple[str, ...], share: float
) -> None:
    """Four programs share the core: a job that computes for a second lasts four."""
    clock = Watch()
    work = LoadMeter(clock, {"engine": ["engine-1"]}, lambda: clock.now() // 4)
    work.on_device = frozenset(on_device)
    stream = StreamLoad(0)

    def minute() -> None:
        with work.job(stream):
            clock.set(60 * SECOND_NS)

    on_thread("engine-1", minute)
    assert work.loads == {"engine": pytest.approx(share)}
    assert stream.at(clock.now()) == {"engine": pytest.approx(share)}
    assert work.busy_ns == 60 * SECOND_NS


def test_a_session_that_the_cores_have_no_time_for_is_refused() -> None:
    streams = [{"engine": 0.2, "tracker": 0.1}] * 3
    alone = Shared(engine=0.9, process=1.2, loop=0.3, others=0.0, cores=2)
    assert refusal(streams, THREADS, shared=alone) is None  # 1.6 of 2
    beside = alone._replace(others=0.4)
    assert "the 1.6 cores that other programs leave work 75 % of" in str(refusal(streams, THREADS, shared=beside))


def test_other_programs_never_take_all_of_the_cores() -> None:
    everything = Shared(engine=0.3, process=0.4, loop=0.1, others=4.0, cores=4)
    assert refusal([{"engine": 0.3}], THREADS, shared=everything) is None
    most = LEAST_CORES * 4
    assert f"the {most:.1f} cores" in str(
        refusal([{"engine": 0.3}] * 3, {"engine": 8}, shared=everything._replace(process=0.5))
    )


def test_the_event_loop_is_one_thread_however_many_cores_there_are() -> None:
    shared = Shared(engine=2.0, process=3.0, loop=0.8, others=0.0, cores=64)
    assert refusal([{"engine": 0.2}] * 10, {"engine": 8}, shared=shared) is None
    assert "the event loop works 88 % of" in str(refusal([{"engine": 0.2}] * 11, {"engine": 8}, shared=shared))


def test_work_that_no_session_brings_refuses_none() -> None:
    """A start, or uploads, take all cores while the one session takes nearly none."""
    shared = Shared(engine=0.01, process=1.9, loop=0.9, others=0.0, cores=2)
    assert refusal([{"engine": 0.01}], THREADS, shared=shared) is None
    assert MOST_BESIDE * 0.02 < 1
    assert refusal([{"engine": 0.01}], THREADS, shared=shared._replace(engine=0.0)) is None


def test_the_longest_job_is_that_of_any_thread_and_none_once_it_is_over() -> None:
    clock = Watch()
    work = meter(clock, {"engine": ["engine-1"]})
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
