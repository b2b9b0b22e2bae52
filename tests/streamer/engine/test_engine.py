"""One engine for many sessions: no session waits for another, and every failure is noticed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from mytalk.errors import EngineError, WeightsError
from mytalk.picture import VideoFrame
from mytalk.stream_options import StreamControls
from streamer.clock import SECOND_NS, SystemClock
from streamer.cpu import ONE_EACH, Threads
from streamer.engine.engine import Engine
from streamer.protocol.generation import Cleared
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.slot_owners import PICTURE, SPEECH, SlotOwner, WindowedModels, engine_of
from tests.streamer.support.waiting import LIMIT_S, eventually


async def test_models_run_on_their_own_threads_only_and_results_come_to_the_loop() -> None:
    models = FakeModels()
    async with engine_of(models) as engine:
        owner = SlotOwner(engine)
        await owner.feed_finished(0, 30)
        await eventually(lambda: len(owner.frames) == 25)
        owner.slot.close()
        await eventually(lambda: engine.slots == 0)
    threads = models.streams[0].threads
    own = {what: {"engine-1"} for what in ("push", "pull", "close")}
    assert threads == {"track": {"tracker-1"}, "hear": {"listener-1"}, **own}
    assert owner.threads == {threading.main_thread().name}
    assert [frame.pts for frame in owner.frames] == list(range(25))
    assert models.streams[0].closed


@pytest.mark.parametrize("room", [99, 3])
async def test_windows_that_are_ready_together_share_a_batch_as_far_as_the_device_has_room(room: int) -> None:
    models = WindowedModels(room)
    async with engine_of(models) as engine:
        owners = [SlotOwner(engine) for _ in range(7)]
        await eventually(lambda: len(models.streams) == 7)
        owners.append(SlotOwner(engine, controls=StreamControls(steps=2)))  # shares with none of the others
        await eventually(lambda: len(models.streams) == 8)
        busy = threading.Lock()
        original = models.sample

        def one_at_a_time(requests: Any) -> Any:
            with busy:
                return original(requests)

        models.sample = one_at_a_time  # type: ignore[method-assign]
        for n in range(0, 60, 3):
            with busy:  # the engine waits while all of them speak
                for owner, stream in zip(owners, models.streams, strict=True):
                    owner.feed(n, 3)
                    await owner.heard_by(stream)
            done = n // 3  # windows of each: they look six pictures ahead
            await eventually(lambda done=done: all(stream.moved >= done for stream in models.streams))
        await eventually(lambda: all(len(one.frames) + one.slot.dropped >= 50 for one in owners))
        assert not any(owner.failures for owner in owners)
        assert engine.load.windows > 1.5 * engine.load.batches
    sizes = [len(batch) for batch in models.batches]
    assert max(sizes) <= 7
    if room == 3:
        assert sum(size > room for size in sizes) <= 4


async def test_a_barge_in_voids_the_speech_that_waits_and_the_picture_under_way_and_makes_it_again() -> None:
    models = FakeModels()
    async with engine_of(models) as engine:
        owner = SlotOwner(engine)
        await owner.feed_finished(0, 20)
        await eventually(lambda: len(owner.frames) == 15)
        (stream,) = models.streams
        under_way, go_on = threading.Event(), threading.Event()
        pull = stream.pull

        def slow_pull() -> Iterator[VideoFrame]:
            frame = next(pull(), None)
            if frame is not None and not go_on.is_set():
                under_way.set()
                go_on.wait(LIMIT_S)
            if frame is not None:
                yield frame

        stream.pull = slow_pull  # type: ignore[method-assign]
        owner.feed(20, 1)
        assert await asyncio.to_thread(under_way.wait, LIMIT_S)
        owner.slot.speech(SPEECH + 1)  # said, and not yet heard: 16 pictures could be made by now
        owner.slot.clear(Cleared(1, pictures_from=12 * 640))
        owner.slot.clear(Cleared(2, pictures_from=13 * 640))
        go_on.set()
        owner.feed(21, 6)
        await eventually(lambda: owner.frames[-1].pts == 22)
    assert [frame.pts for frame in owner.frames] == [*range(15), *range(12, 23)]
    assert stream.cleared == [12 * 640]  # both at once


async def test_a_failing_stream_fails_its_own_session_only() -> None:
    models = FakeModels()
    async with engine_of(models) as engine:
        broken, whole = SlotOwner(engine), SlotOwner(engine)
        await eventually(lambda: len(models.streams) == 2)
        models.streams[0].fail_at = 0
        broken.feed(0, 7)
        await eventually(lambda: bool(broken.failures))
        await whole.feed_finished(0, 40)
        assert engine.state == "ready"
        assert not whole.failures
    assert len(broken.failures) == 1
    assert isinstance(broken.failures[0], EngineError)
    assert "NaN" in str(broken.failures[0])


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(("engine-", "tracker-"))}


def die(*_: Any) -> Any:
    raise SystemExit("the driver is gone")


@pytest.mark.parametrize("threads", [ONE_EACH, Threads(3, 2)])
@pytest.mark.parametrize("thread", ["pull", "track"])
async def test_a_dead_thread_is_reported_to_every_session_and_the_engine_begins_again_once(
    thread: str, threads: Threads
) -> None:
    models = FakeModels()
    async with engine_of(models, threads) as engine:
        for time in (1, 2):
            owners = [SlotOwner(engine), SlotOwner(engine)]
            await eventually(lambda time=time: len(models.streams) == 2 * time)
            setattr(models.streams[-1], thread, die)
            for owner in owners:  # either may have the stream that was opened last
                owner.feed(0, 1)
            await eventually(lambda owners=owners: all(one.failures for one in owners))
            assert all(owner.slot.lost for owner in owners)
            assert "driver is gone" in str(owners[0].failures[0])
            assert engine.failures == time
            if time == 1:
                await asyncio.wait_for(engine.ready.wait(), LIMIT_S)
        assert (engine.state, engine.slots) == ("failed", 0)
        with pytest.raises(EngineError, match="failed"):
            SlotOwner(engine)
    assert all(stream.closed for stream in models.streams)


async def test_a_slot_taken_later_has_the_sessions_media_times() -> None:
    models = FakeModels()
    async with engine_of(models) as engine:
        owner = SlotOwner(engine, base=100 * 640)
        for n in range(95, 120):
            owner.slot.picture(VideoFrame(PICTURE, n * 640, n, Fraction(1, 25)))
            await eventually(lambda: owner.slot.waiting["untracked"] == 0)
            owner.slot.speech(SPEECH)
        await eventually(lambda: len(owner.frames) >= 19)
    assert [(frame.at, frame.pts) for frame in owner.frames[:19]] == [(n * 640, n) for n in range(100, 119)]


async def test_damaged_weights_reach_whoever_starts_the_engine() -> None:
    def load() -> FakeModels:
        raise WeightsError("motion.safetensors: block.3.weight is damaged")

    engine = Engine(load, SystemClock())
    with pytest.raises(WeightsError, match=r"block\.3"):
        await engine.start()
    assert engine.state == "failed"
    await engine.close()


async def test_closing_waits_for_no_models_that_still_load_and_they_begin_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamer.engine.engine.ENDING", 10 * LIMIT_S * SECOND_NS)  # what it would wait for threads
    begun, go_on = threading.Event(), threading.Event()

    def load() -> FakeModels:
        begun.set()
        go_on.wait(LIMIT_S)
        return FakeModels()

    engine = Engine(load, SystemClock())
    starting = asyncio.create_task(engine.start())
    await asyncio.to_thread(begun.wait, LIMIT_S)
    async with asyncio.timeout(LIMIT_S):
        await engine.close()
    starting.cancel()
    [loader] = [thread for thread in threading.enumerate() if thread.name == "engine-1"]
    go_on.set()
    await asyncio.to_thread(loader.join, LIMIT_S)
    assert engine.state == "closed"
    assert not {"tracker-1", "listener-1"} & {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("threads", [ONE_EACH, Threads(3, 2)])
async def test_closing_leaves_no_thread_and_no_open_stream(threads: Threads) -> None:
    before = threading.active_count()
    models = FakeModels()
    async with engine_of(models, threads) as engine:
        owners = [SlotOwner(engine) for _ in range(4)]
        for owner in owners:
            owner.feed(0, 20)
        await eventually(lambda: len(models.streams) == 4)
        assert names_of_threads() == {f"engine-{n + 1}" for n in range(threads.engine)} | {
            f"tracker-{n + 1}" for n in range(threads.tracker)
        }
    assert names_of_threads() == set()
    assert all(stream.closed for stream in models.streams)
    assert threading.active_count() <= before + 5  # the loop's own executor
