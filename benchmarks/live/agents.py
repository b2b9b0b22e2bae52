"""Measures what a voice agent waits for: from speech to the picture that speaks it, and from an interrupt to silence.

    .venv-agents/bin/python -m benchmarks.live.agents [--times 20] [--server URL] [--json FILE]

The environment of the agents' plug-ins (``.ci/run`` makes it) against ``mytalk serve`` in a process of its own, which
``--engine`` (default ``.venv/bin/python``) runs, on the same cores. Three ways in: the Python client's avatar, which
both plug-ins are made of; Pipecat's service in a pipeline of the framework's own; and LiveKit's worker with the
framework's own runner, data stream and tracks, the room between agent and avatar made in the process. Speech comes at
its own pace, 20 ms at a time. "Picture" is the first whose time is that of the utterance's first sample (a pipeline's
or room's pictures carry none: the first sound of it there, beside which its picture leaves).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents.voice.avatar import DataStreamAudioOutput
from livekit.plugins.mytalk.room import RoomAvatar, RoomRequest
from mytalk_client.avatar import Avatar, Finished, Picture, Sound, open_avatar
from mytalk_client.local_server import local_server
from pipecat.frames.frames import Frame, InterruptionFrame, TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner
from pipecat_mytalk import MyTalkVideoService

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "clients" / "livekit" / "tests"))

RATE = 24_000
PIECE = RATE // 50
SPOKEN = 1.0  # seconds until an interrupt
PAUSE = 0.5  # seconds between two utterances
QUIET = 0.3  # seconds without sound that are silence

Say = Callable[[bytes], Awaitable[None]]


def tone(seconds: float) -> bytes:
    """Makes speech: a tone that swells and fades, which begins with its first sample."""
    moments = np.arange(round(seconds * RATE)) / RATE
    loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * moments)
    return bytes((9_000 * loudness * np.cos(2 * np.pi * 220 * moments)).astype("<i2").tobytes())


class Heard:
    """Collects when what leaves arrived."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.at = self.last = 0.0

    def sound(self) -> None:
        """Takes note of sound."""
        self.last = time.monotonic()
        if not self.first.is_set():
            self.at = self.last
            self.first.set()


async def speak(say: Say, stop: asyncio.Event) -> None:
    """Gives speech at its own pace until ``stop``."""
    pcm, begun, given = tone(10), time.monotonic(), 0
    while not stop.is_set() and given + PIECE <= len(pcm) // 2:
        await say(pcm[2 * given : 2 * (given + PIECE)])
        given += PIECE
        await asyncio.sleep(max(0.0, begun + given / RATE - time.monotonic()))


async def rounds(times: int, say: Say, interrupt: Callable[[], Awaitable[None]], heard: Callable[[], Heard]) -> Any:
    """Speaks and interrupts so often. Returns milliseconds to the first sound, and from interrupts to the last."""
    first, silent = [], []
    for _ in range(times):
        now, stop = heard(), asyncio.Event()
        begun = time.monotonic()
        speaking = asyncio.create_task(speak(say, stop))
        await asyncio.wait_for(now.first.wait(), 30)
        first.append(1000 * (now.at - begun))
        await asyncio.sleep(SPOKEN)
        stop.set()
        await speaking
        asked = time.monotonic()
        await interrupt()
        await asyncio.sleep(QUIET)
        silent.append(max(0.0, 1000 * (now.last - asked)))
        await asyncio.sleep(PAUSE)
    return first, silent


async def by_avatar(url: str, times: int) -> dict[str, Any]:
    """Measures the Python client's avatar: pictures by their own times, and how far apart sound and picture leave."""
    began = time.monotonic()
    async with open_avatar(url) as avatar:
        started, pictures, skews = asyncio.Event(), list[float](), list[float]()
        current = Heard()
        wanted: list[int] = []

        def next_heard() -> Heard:
            nonlocal current
            current = Heard()
            wanted.clear()
            return current

        async def watch() -> None:
            left: dict[int, float] = {}
            async for item in avatar:
                now = time.monotonic()
                if isinstance(item, Picture):
                    started.set()
                    if wanted and item.pts >= wanted[0]:
                        pictures.append(now)
                        wanted.clear()
                    nearest = min(left, key=lambda pts: abs(pts - item.pts), default=None)
                    if nearest is not None and abs(nearest - item.pts) <= 320:
                        skews.append(1000 * (now - left[nearest]) - (item.pts - nearest) / 16)
                elif isinstance(item, Sound):
                    if not current.first.is_set():
                        wanted.append(item.pts)
                    current.sound()
                    left[item.pts] = now
                    if len(left) > 50:
                        del left[next(iter(left))]
                elif isinstance(item, Finished):
                    left.clear()

        watching = asyncio.create_task(watch())
        await started.wait()
        start = time.monotonic() - began
        begins: list[float] = []

        async def say(pcm: bytes) -> None:
            if not current.first.is_set() and len(begins) == len(pictures):
                begins.append(time.monotonic())
            await avatar.push(pcm)

        first, silent = await rounds(times, say, lambda: _ignored(avatar), next_heard)
        watching.cancel()
    shown = [1000 * (picture - begin) for begin, picture in zip(begins, pictures, strict=False)]
    return {"start_s": start, "sound_ms": first, "picture_ms": shown, "silence_ms": silent, "skew_ms": skews}


async def _ignored(avatar: Avatar) -> None:
    await avatar.interrupt()


class _Sink(FrameProcessor):
    """Stands where a transport would."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = Heard()

    def next_heard(self) -> Heard:
        self.heard = Heard()
        return self.heard

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.heard.sound()
        await self.push_frame(frame, direction)


async def by_pipecat(url: str, times: int) -> dict[str, Any]:
    """Measures Pipecat's service."""
    began = time.monotonic()
    sink = _Sink()
    worker = PipelineWorker(
        Pipeline([MyTalkVideoService(url=url), sink]), enable_rtvi=False, cancel_on_idle_timeout=False
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def _(_worker: object, _frame: object) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await started.wait()
    start = time.monotonic() - began

    async def say(pcm: bytes) -> None:
        await worker.queue_frame(TTSAudioRawFrame(pcm, RATE, 1, context_id="one"))

    first, silent = await rounds(times, say, lambda: worker.queue_frame(InterruptionFrame()), sink.next_heard)
    await worker.cancel()
    await running
    return {"start_s": start, "sound_ms": first, "silence_ms": silent}


@asynccontextmanager
async def _in_room(url: str) -> AsyncIterator[tuple[DataStreamAudioOutput, rtc.AudioStream]]:
    from local_room import Hub  # of the plug-in's tests: a room without LiveKit's server

    hub = Hub()
    agent = hub.room("agent", rtc.ParticipantKind.PARTICIPANT_KIND_AGENT)
    await agent.connect("", "")
    room = hub.room("avatar", rtc.ParticipantKind.PARTICIPANT_KIND_AGENT)
    avatar = RoomAvatar(RoomRequest("ws://local", "token", "agent"), url, room=lambda: room)
    published = asyncio.Event()
    agent.on("track_published", lambda publication, _: publication.kind == rtc.TrackKind.KIND_VIDEO and published.set())
    running = asyncio.create_task(avatar.run())
    await avatar.joined(running)
    await published.wait()
    track = room.local_participant.track_publications["avatar_audio"].track
    output = DataStreamAudioOutput(
        agent, destination_identity="avatar", sample_rate=RATE, wait_playback_start=True, clear_buffer_timeout=None
    )
    try:
        yield output, rtc.AudioStream.from_track(track=track, frame_size_ms=10)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def by_livekit(url: str, times: int) -> dict[str, Any]:
    """Measures LiveKit's worker, to what a subscriber of its sound would be sent."""
    began = time.monotonic()
    async with _in_room(url) as (output, stream):
        start = time.monotonic() - began
        current = Heard()
        ended = asyncio.Event()
        output.on("playback_finished", lambda _: ended.set())

        def next_heard() -> Heard:
            nonlocal current
            current = Heard()
            return current

        async def listen() -> None:
            async for event in stream:
                if np.abs(np.frombuffer(event.frame.data, np.int16)).max() > 500:
                    current.sound()

        listening = asyncio.create_task(listen())

        async def say(pcm: bytes) -> None:
            await output.capture_frame(rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2))

        async def interrupt() -> None:
            ended.clear()
            output.flush()
            output.clear_buffer()
            await ended.wait()

        first, silent = await rounds(times, say, interrupt, next_heard)
        listening.cancel()
    return {"start_s": start, "sound_ms": first, "silence_ms": silent}


def row(name: str, figures: dict[str, Any]) -> str:
    """Returns a line of the table."""
    picture = figures.get("picture_ms") or figures["sound_ms"]
    skew = f"{statistics.mean(map(abs, figures['skew_ms'])):.0f}" if figures.get("skew_ms") else "-"
    cells = [f"{figures['start_s']:.1f}"]
    for values in (picture, figures["silence_ms"]):
        cells.append(f"{np.percentile(values, 50):.0f} / {np.percentile(values, 95):.0f}")
    return f"| {name} | {' | '.join(cells)} | {skew} |"


async def main(args: argparse.Namespace) -> dict[str, Any]:
    """Measures all three, one after another."""
    command = (str(args.engine), "-m", "streamer.cli", "serve", "--host", "127.0.0.1", "--port", "0")

    async def measure(url: str) -> dict[str, Any]:
        return {
            "client's avatar": await by_avatar(url, args.times),
            "Pipecat": await by_pipecat(url, args.times),
            "LiveKit": await by_livekit(url, args.times),
        }

    if args.server:
        return await measure(args.server)
    async with local_server(command=command) as url:
        return await measure(url)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="utterances that are interrupted (default: 20)")
    parser.add_argument("--server", metavar="URL", help="of a server that runs")
    parser.add_argument("--engine", type=Path, default=ROOT / ".venv" / "bin" / "python", help="Python of the engine")
    parser.add_argument("--json", type=Path, metavar="FILE")
    found = asyncio.run(main(given := parser.parse_args()))
    print("| way in | start, s | speech to its picture, ms p50 / p95 | interrupt to silence | skew, mean ms |")
    print("|---|---|---|---|---|")
    for way, measured in found.items():
        print(row(way, measured))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
