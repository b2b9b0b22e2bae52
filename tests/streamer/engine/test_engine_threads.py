"""An engine of several threads: they work side by side, never two at one slot, and begin and end together."""

from __future__ import annotations

import asyncio
import threading
import weakref
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from mytalk.picture import VideoFrame
from streamer.clock import SystemClock
from streamer.cpu import Threads
from streamer.engine.engine import Engine
from streamer.engine.slot import BACKLOG
from streamer.protocol.generation import Cleared
from tests.streamer.support.slot_owners import (
    PICTURE,
    SPEECH,
    SlotOwner,
    WatchedStream,
    WindowedModels,
    engine_of,
)
from tests.streamer.support.waiting import LIMIT_S, eventually

TWO_OF_A_KIND = [("pull", Threads(2, 1)), ("track", Threads(1, 2)), ("hear", Threads(1, 1, 2))]


def watched_models() -> WindowedModels:
    return WindowedModels(kind=WatchedStream)


async def with_slots(engine: Engine, models: WindowedModels, count: int) -> list[tuple[SlotOwner, WatchedStream]]:
    """Owners, each with its stream."""
    made = []
    for number in range(count):
        owner = SlotOwner(engine)
        await eventually(lambda number=number: len(models.streams) == number + 1)
        made.append((owner, models.streams[-1]))
    return made


async def stopped_both(slots: list[tuple[SlotOwner, WatchedStream]]) -> list[threading.Event]:
    """Two threads stand still at two slots, each until its event is set."""
    gates = []
    for owner, stream in slots:
        stands, go_on = stream.stop_in("pull")
        owner.feed(0, 1)
        await reached(stands)
        gates.append(go_on)
    return gates


async def reached(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, LIMIT_S)


@pytest.mark.parametrize(
    ("what", "threads"), [("pull", Threads(2, 1)), ("track", Threads(1, 2)), ("hear", Threads(1, 1, 2))]
)
async def test_two_slots_are_worked_on_at_once(what: str, threads: Threads) -> None:
    models = watched_models()
    together = threading.Barrier(2, timeout=LIMIT_S)  # passed by two that are inside at once, or broken
    async with engine_of(models, threads) as engine:
        both = await with_slots(engine, models, 2)
        met = [threading.Event(), threading.Event()]

        def meet(mine: threading.Event) -> None:
            if not mine.is_set():
                together.wait()
                mine.set()

        for (_, stream), mine in zip(both, met, strict=True):
            setattr(stream, f"on_{what}", lambda mine=mine: meet(mine))
        for owner, _ in both:
            owner.feed(0, 1)
        for mine in met:
            await reached(mine)
        assert not any(owner.failures for owner, _ in both)


@pytest.mark.parametrize(
    ("what", "threads"), [("pull", Threads(2, 1)), ("track", Threads(1, 2)), ("hear", Threads(1, 1, 2))]
)
async def test_a_held_slot_goes_to_no_other_thread_and_delays_no_other_slot(what: str, threads: Threads) -> None:
    models = watched_models()
    async with engine_of(models, threads) as engine:
        (slow, stream), (quick, _) = await with_slots(engine, models, 2)
        await slow.feed_tracked(0, 4)
        stands, go_on = stream.stop_in(what)
        slow.feed(4, 4)
        await reached(stands)
        slow.feed(8, 4)  # work that the other thread finds at each of its turns
        for n in range(20):
            await quick.feed_tracked(n, 1)
        await eventually(lambda: len(quick.frames) >= 10)
        assert stream.overlaps == []
        go_on.set()
        await eventually(lambda: [frame.pts for frame in slow.frames] == list(range(7)))
        assert stream.overlaps == []
        assert not slow.failures


async def test_a_barge_in_waits_for_what_is_being_heard_and_nothing_from_before_it_is_said() -> None:
    models = watched_models()
    async with engine_of(models) as engine:
        [(owner, stream)] = await with_slots(engine, models, 1)
        await owner.feed_tracked(0, 10)
        await eventually(lambda: len(owner.frames) == 5)
        stands, go_on = stream.stop_in("hear")
        owner.feed(10, 1)
        await reached(stands)
        owner.feed(11, 4)
        owner.slot.clear(Cleared(1, pictures_from=4 * 640))
        owner.slot.clear(Cleared(2, pictures_from=5 * 640))
        said = len(stream.speech)
        await asyncio.sleep(0.1)
        assert stream.cleared == []  # a thread is still listening to what is void
        go_on.set()
        await eventually(lambda: stream.cleared == [4 * 640])
        stream.on_hear = bool
        await eventually(lambda: sum(map(len, stream.speech[said:])) == 11 * 640)
        assert stream.overlaps == []
        assert not owner.failures
        assert owner.slot.waiting["speech"] == 0


@pytest.mark.parametrize("what", ["hear", "pull"])
async def test_speech_that_no_thread_takes_is_refused_once_there_are_four_seconds_of_it(what: str) -> None:
    models = watched_models()
    async with engine_of(models) as engine:
        [(owner, stream)] = await with_slots(engine, models, 1)
        stands, go_on = stream.stop_in(what)
        if what == "pull":
            owner.slot.picture(VideoFrame(PICTURE, 0, 0, Fraction(1, 25)))
            await reached(stands)
        assert all(owner.slot.speech(SPEECH) for _ in range(100))
        await reached(stands)
        assert not owner.slot.speech(SPEECH)
        go_on.set()
        await eventually(lambda: owner.slot.speech(SPEECH))
        assert not owner.failures


async def test_freeing_a_slot_does_not_wait_for_the_tracker_that_is_in_it() -> None:
    models = watched_models()
    async with engine_of(models) as engine:
        [(owner, stream)] = await with_slots(engine, models, 1)
        stands, go_on = stream.stop_in("track")
        owner.feed(0, 1)
        await reached(stands)
        owner.slot.close()
        await eventually(lambda: engine.slots == 0)
        assert not stream.closed
        go_on.set()
        await eventually(lambda: stream.closed)
        assert stream.overlaps == []


async def test_pictures_that_come_late_are_no_lag_of_the_engine() -> None:
    """Those that stand in for a slow camera's come a quarter of a second after their time."""
    models = watched_models()
    async with engine_of(models) as engine:
        [(owner, stream)] = await with_slots(engine, models, 1)
        stands, go_on = stream.stop_in("pull")
        owner.slot.speech(SPEECH)
        await reached(stands)
        for _ in range(14):
            owner.slot.speech(SPEECH)
        for n in range(4):
            owner.slot.picture(VideoFrame(PICTURE, n * 640, n, Fraction(1, 25)))
        assert owner.slot.lag == 0
        for _ in range(6):  # three for the pictures that it looks ahead at
            owner.slot.speech(SPEECH)
        assert owner.slot.lag == 3 * 640
        go_on.set()


async def test_a_slow_session_delays_its_neighbour_by_one_job_at_most() -> None:
    models = watched_models()
    order: list[str] = []
    async with engine_of(models) as engine:
        [(slow, its), (quick, other)] = await with_slots(engine, models, 2)
        stands, go_on = its.stop_in("pull")
        slow.feed(0, 1)
        await reached(stands)
        its.on_pull, other.on_pull = (lambda: order.append("slow")), (lambda: order.append("quick"))
        await slow.feed_tracked(1, 11)
        await quick.feed_tracked(0, 12)
        await slow.heard_by(its)
        await quick.heard_by(other)
        go_on.set()
        await eventually(lambda: len(quick.frames) >= 6 and len(slow.frames) >= 6)
    sixth = [place for place, job in enumerate(order) if job == "quick"][5]
    assert ("slow", "slow") not in pairwise(order[:sixth])


async def test_an_engine_that_is_too_slow_shows_fewer_pictures_not_later_ones() -> None:
    models = watched_models()
    async with engine_of(models) as engine:
        [(owner, stream)] = await with_slots(engine, models, 1)
        stands, go_on = stream.stop_in("pull")
        owner.feed(0, 1)
        await reached(stands)
        await owner.feed_tracked(1, 59)
        kept = (stream.latency + BACKLOG) // 640 + 1
        assert owner.slot.dropped == 60 - kept
        go_on.set()
        await eventually(lambda: len(owner.frames) == kept)
        await owner.feed_tracked(60, 10)
        await eventually(lambda: len(owner.frames) > kept)
        assert owner.frames[kept].pts == 60  # none of those that it could not do comes late


async def test_pictures_of_a_session_come_in_order_whichever_threads_made_them() -> None:
    models = watched_models()
    async with engine_of(models, Threads(4, 3)) as engine:
        some = await with_slots(engine, models, 3)
        await asyncio.gather(*(owner.feed_tracked(0, 60) for owner, _ in some))
        await eventually(lambda: all(one.frames[-1:] and one.frames[-1].pts >= 53 for one, _ in some))
        for owner, stream in some:
            numbers = [frame.pts for frame in owner.frames]
            assert numbers == sorted(set(numbers))
            assert len(numbers) + owner.slot.dropped >= 54
            assert stream.overlaps == []
            assert not owner.failures


async def test_the_window_of_a_slot_that_a_thread_works_on_is_in_no_other_threads_batch() -> None:
    models = watched_models()
    async with engine_of(models, Threads(2, 1)) as engine:
        (busy, held), (other, _), _idle = await with_slots(engine, models, 3)
        stands, go_on = held.stop_in("pull")
        busy.feed(0, 1)
        await reached(stands)
        busy.feed(1, 7)  # a window's worth
        await other.feed_tracked(0, 10)
        await eventually(lambda: len(other.frames) >= 3)
        assert models.batches
        assert not any(held in batch for batch in models.batches)
        assert held.overlaps == []
        go_on.set()
        await eventually(lambda: any(held in batch for batch in models.batches))


async def test_a_slot_whose_window_another_thread_has_sampled_is_worked_on_by_whoever_rests() -> None:
    models = watched_models()
    async with engine_of(models, Threads(2, 1)) as engine:
        *stopped, (first, its), (second, other) = await with_slots(engine, models, 4)
        gates = await stopped_both(stopped)
        for owner, stream in ((first, its), (second, other)):
            owner.feed(0, 7)
            await owner.heard_by(stream)
        sampling, go_on = threading.Event(), threading.Event()
        sample = models.sample

        def stand_and_sample(requests: Any) -> Any:
            sampling.set()
            assert go_on.wait(LIMIT_S)
            return sample(requests)

        models.sample = stand_and_sample  # type: ignore[method-assign]
        gates[0].set()
        await reached(sampling)  # one thread has both slots in hand
        gates[1].set()  # the other finds no work
        stands, end = its.stop_in("pull")
        go_on.set()
        await reached(stands)
        await eventually(lambda: len(second.frames) == 2)
        assert len(models.batches[0]) == 2
        end.set()


async def test_windows_that_are_ready_together_share_a_batch_of_a_threads_share_of_the_slots() -> None:
    models = watched_models()
    async with engine_of(models, Threads(2, 1)) as engine:
        *stopped, (third, its), (fourth, too), (fifth, five), (sixth, six) = await with_slots(engine, models, 6)
        gates = await stopped_both(stopped)
        for owner, stream in ((third, its), (fourth, too), (fifth, five), (sixth, six)):
            owner.feed(0, 7)
            await owner.heard_by(stream)
        gates[0].set()
        await eventually(lambda: sum(len(batch) for batch in models.batches) >= 4)
        gates[1].set()
    assert set(models.batches[0]) < {its, too, five, six}
    assert len(models.batches[0]) == 3  # half of six slots


async def test_the_models_are_loaded_anew_by_one_thread_once_all_have_ended_and_left_the_old_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "streamer.engine.engine.log.exception", lambda *_: None
    )  # what is logged is kept, and its frames
    loaded: list[weakref.ref[WindowedModels]] = []
    still_there: list[bool] = []

    def load() -> WindowedModels:
        still_there.extend(models() is not None for models in loaded)
        models = watched_models()
        loaded.append(weakref.ref(models))
        return models

    def die() -> None:
        raise SystemExit("the driver is gone")

    engine = Engine(load, SystemClock(), Threads(3, 2))

    async def fail_beside_one_that_works() -> threading.Event:
        models = loaded[0]()
        assert models is not None
        (working, stream), (dying, its) = await with_slots(engine, models, 2)
        stands, go_on = stream.stop_in("pull")
        working.feed(0, 1)
        await reached(stands)
        its.on_pull = die
        dying.feed(0, 1)
        await eventually(lambda: bool(working.failures and dying.failures))
        assert working.slot.lost
        assert dying.slot.lost
        await eventually(lambda: its.closed)
        assert not stream.closed  # a thread is still in it
        return go_on

    await engine.start()
    go_on = await fail_beside_one_that_works()
    assert (engine.state, len(loaded)) == ("failed", 1)
    go_on.set()
    await asyncio.wait_for(engine.ready.wait(), LIMIT_S)
    assert (engine.slots, len(loaded)) == (0, 2)
    assert still_there == [False]
    models = loaded[1]()
    assert models is not None
    [(owner, _)] = await with_slots(engine, models, 1)
    await owner.feed_tracked(0, 8)
    await eventually(lambda: len(owner.frames) == 3)
    await engine.close()
