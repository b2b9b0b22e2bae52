"""A pipeline's speech comes out as a face and its sound; interrupts and ends are prompt, and failures are frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from mytalk_client import ClientError, RefusedError
from mytalk_client.avatar import HEARD_RATE
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner
from pipecat_mytalk import MyTalkVideoService
from streamer_process import LIMIT_S, RATE, tone

SILENCE_BEHIND = 1.0
"""Seconds that may follow an utterance before the word of its end is there, where the machine is busy."""


class Sink(FrameProcessor):
    """Stands where the transport stands."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.changed = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        self.changed.set()
        await self.push_frame(frame, direction)

    def of(self, kind: type[Frame]) -> list[Frame]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    def seconds(self) -> float:
        return sum(len(frame.audio) / 2 / HEARD_RATE for frame in self.frames if isinstance(frame, TTSAudioRawFrame))


@dataclass
class Running:
    """A pipeline that runs."""

    worker: PipelineWorker
    sink: Sink
    service: MyTalkVideoService
    errors: list[ErrorFrame] = field(default_factory=list)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self.sink.changed.clear()
                await self.sink.changed.wait()

    async def say(self, seconds: float, context: str, *, pieces: int = 5) -> None:
        frames: list[Frame] = [TTSStartedFrame(context_id=context)]
        samples = np.frombuffer(tone(seconds), "<i2")
        frames += [
            TTSAudioRawFrame(one.tobytes(), RATE, 1, context_id=context) for one in np.array_split(samples, pieces)
        ]
        await self.worker.queue_frames([*frames, TTSStoppedFrame(context_id=context)])


@asynccontextmanager
async def pipeline(service: MyTalkVideoService) -> AsyncIterator[Running]:
    sink = Sink()
    worker = PipelineWorker(
        Pipeline([service, sink]), cancel_on_idle_timeout=False, enable_rtvi=False, params=PipelineParams()
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = Running(worker, sink, service)
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def _(_worker: object, _frame: object) -> None:
        started.set()

    @worker.event_handler("on_pipeline_error")
    async def _(_worker: object, frame: ErrorFrame) -> None:
        running.errors.append(frame)
        sink.changed.set()

    task = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(started.wait(), LIMIT_S)
        yield running
        await worker.cancel()
        await asyncio.wait_for(task, LIMIT_S)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_speech_comes_out_with_its_face_and_its_stop_when_it_was_heard(server: str) -> None:
    async with pipeline(MyTalkVideoService(url=server)) as running:
        await running.say(0.8, "one")
        await running.until(lambda: bool(running.sink.of(TTSStoppedFrame)))
        sink = running.sink
        assert 0.8 <= sink.seconds() < 0.8 + SILENCE_BEHIND
        [image, *_] = sink.of(OutputImageRawFrame)
        assert isinstance(image, OutputImageRawFrame)
        assert (image.size, image.format) == ((512, 512), "RGB")
        assert len(image.image) == 512 * 512 * 3
        stop = sink.frames.index(sink.of(TTSStoppedFrame)[0])
        assert not any(isinstance(frame, TTSAudioRawFrame) for frame in sink.frames[stop:])
        assert {frame.context_id for frame in sink.of(TTSAudioRawFrame) if isinstance(frame, TTSAudioRawFrame)} == {
            "one"
        }
        assert "synthetic" in running.service.disclosure
        assert not running.errors


async def test_an_interrupt_silences_and_the_next_answer_is_whole(server: str) -> None:
    async with pipeline(MyTalkVideoService(url=server)) as running:
        sink = running.sink
        await running.say(6, "one")
        await running.until(lambda: sink.seconds() > 0.1)
        await running.worker.queue_frame(InterruptionFrame())
        await running.until(lambda: bool(sink.of(InterruptionFrame)))
        await running.worker.queue_frame(InterruptionFrame())
        await running.until(lambda: len(sink.of(InterruptionFrame)) == 2)
        before = sink.seconds()
        assert before < 6
        await running.say(0.5, "two")
        await running.until(lambda: bool(sink.of(TTSStoppedFrame)))
        assert 0.5 <= sink.seconds() - before < 0.5 + SILENCE_BEHIND
        [stopped] = sink.of(TTSStoppedFrame)
        assert isinstance(stopped, TTSStoppedFrame)
        assert stopped.context_id == "two"
        assert not running.errors


async def test_answers_in_a_row_are_told_apart(server: str) -> None:
    async with pipeline(MyTalkVideoService(url=server)) as running:
        for context in ("one", "two", "three"):
            await running.say(0.3, context)
        await running.until(lambda: len(running.sink.of(TTSStoppedFrame)) == 3)
        stopped = [frame.context_id for frame in running.sink.of(TTSStoppedFrame) if isinstance(frame, TTSStoppedFrame)]
        assert stopped == ["one", "two", "three"]
        assert 0.9 <= running.sink.seconds() < 0.9 + 3 * SILENCE_BEHIND


async def test_the_end_of_a_pipeline_waits_until_all_was_heard(server: str) -> None:
    async with pipeline(MyTalkVideoService(url=server)) as running:
        await running.say(1, "one")
        await running.worker.queue_frame(EndFrame())
        await running.until(lambda: bool(running.sink.of(EndFrame)))
        assert 1 <= running.sink.seconds() < 1 + SILENCE_BEHIND


async def test_other_frames_pass(server: str) -> None:
    async with pipeline(MyTalkVideoService(url=server)) as running:
        await running.worker.queue_frame(TextFrame("a word"))
        await running.worker.queue_frame(TTSStoppedFrame(context_id="nothing was said"))
        await running.until(lambda: bool(running.sink.of(TextFrame)) and bool(running.sink.of(TTSStoppedFrame)))


async def test_another_face_comes_while_it_speaks(server: str) -> None:
    service = MyTalkVideoService(url=server)
    with pytest.raises(ClientError, match="there is no face"):
        await service.change_face()
    async with pipeline(service) as running:
        await running.say(1, "one")
        await running.until(lambda: running.sink.seconds() > 0.1)
        await service.change_face()  # the server's own
        with pytest.raises(RefusedError, match="no folder of faces"):
            await service.change_face("clerk.png")
        await running.until(lambda: bool(running.sink.of(TTSStoppedFrame)))
        assert running.sink.seconds() >= 1
        assert not running.errors


async def test_without_a_server_there_is_an_error_and_speech_passes() -> None:
    async with pipeline(MyTalkVideoService(url="http://127.0.0.1:9")) as running:
        await running.say(0.2, "one")
        await running.until(lambda: bool(running.sink.of(TTSStoppedFrame)))
        await running.until(lambda: bool(running.errors))
        assert "no avatar" in running.errors[0].error
        assert (
            sum(len(frame.audio) for frame in running.sink.of(TTSAudioRawFrame) if isinstance(frame, TTSAudioRawFrame))
            == 2 * 0.2 * RATE
        )
