"""Stand-ins for the models, and the people of a call: a camera, a microphone, a peer that keeps what it gets."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import aiohttp
import av
import numpy as np
import torch
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from mytalk.face.tracker import Face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture, VideoFrame
from mytalk.speech.stream import EncodedSpeech
from tests.streamer.support import aiortc_peer

MARK = (32, 32, 96, 96)
"""The box that a fake stream paints white in every picture it finishes."""


class FakeStream:
    """A lip-sync stream whose mouth is a white box. Keeps the names of the threads that called it."""

    def __init__(self, options: Any, lookahead: int = 6, cost: float = 0.0) -> None:
        self.options = options
        self.latency = lookahead * FRAME_SAMPLES
        self.cost = cost  # seconds a frame
        self.steps = 4
        self.seed = 0
        self.mouth_opening = 1.0
        self.on_silence = "close"
        self.refinement = True
        self.unmended = 0  # pictures
        self.face: Any = "largest"
        self.face_status: Any = "seen"
        self.closed = False
        self.speech: list[NDArray[np.float32]] = []
        self.tracked = 0
        self.heard = 0  # samples, by a listener thread
        self.threads: dict[str, set[str]] = {what: set() for what in ("track", "hear", "push", "pull", "close")}
        self.fail_at: int | None = None
        self.cleared: list[int] = []  # media times from which it had to make pictures again
        self._samples = 0
        self._made: list[VideoFrame] = []
        self._frames: deque[VideoFrame] = deque()

    @property
    def pending_frames(self) -> int:
        return len(self._frames)

    @property
    def stats(self) -> dict[str, float]:
        return {"frames": 0.0}

    def hold_video(self, at: int) -> None:
        self._here("push")

    def _here(self, what: str) -> None:
        assert not self.closed, f"{what} after close"
        self.threads[what].add(threading.current_thread().name)

    def track(self, picture: Picture) -> Face | None:
        self._here("track")
        self.tracked += 1
        return None

    def push_frame(self, frame: VideoFrame, face: Face | None) -> None:
        self._here("push")
        assert not self._frames or frame.at > self._frames[-1].at
        self._frames.append(frame)

    def encode_speech(self, samples: NDArray[np.float32]) -> EncodedSpeech:
        self._here("hear")
        levels = np.zeros(len(samples) // FRAME_SAMPLES, np.float32)
        self.heard += len(samples)
        return EncodedSpeech(torch.from_numpy(samples), levels, [], len(samples))

    def push_encoded(self, heard: EncodedSpeech) -> None:
        self._here("push")
        self.speech.append(heard.features.numpy())
        self._samples += heard.samples

    def clear(self, at: int) -> int:
        self._here("push")
        self.cleared.append(at)
        self._samples = min(self._samples, at)
        self._frames.extendleft(frame for frame in reversed(self._made) if frame.at >= at)
        self._made = [frame for frame in self._made if frame.at < at]
        return self._samples

    def request(self) -> Any:
        return None

    def accept(self, request: Any, motion: Any) -> None:
        raise AssertionError("nothing was asked for")

    def pull(self) -> Iterator[VideoFrame]:
        self._here("pull")
        while self._frames and self._frames[0].at + self.latency <= self._samples:
            frame = self._frames.popleft()
            self._made.append(frame)
            if self.fail_at is not None and frame.at >= self.fail_at:
                raise FloatingPointError("a NaN came out of the model")
            self.unmended += not self.refinement
            time.sleep(self.cost)
            x0, y0, x1, y1 = MARK
            white = np.full((y1 - y0, x1 - x0, 3), 255, np.uint8)
            painted = frame.picture.with_region(MARK, white, np.ones((y1 - y0, x1 - x0), np.float32))
            yield VideoFrame(painted, frame.at, frame.pts, frame.time_base)

    def close(self) -> None:
        self._here("close")
        self.closed = True


class FakeModels:
    """A pipeline of fake streams."""

    steps = 4

    def __init__(self, cost: float = 0.0) -> None:
        self.cost = cost
        self.streams: list[FakeStream] = []

    def sample(self, requests: Any) -> Any:
        raise AssertionError("nothing was asked for")

    def stream(self, options: Any) -> FakeStream:
        self.streams.append(FakeStream(options, cost=self.cost))
        return self.streams[-1]


def numbered(index: int, size: int = 256) -> NDArray[np.uint8]:
    """A grey picture ``(size, size, 3)`` whose lower edge says its number in 12 bits, readable after encoding."""
    picture = np.full((size, size, 3), 90, np.uint8)
    width = size // 12
    for bit in range(12):
        if index >> bit & 1:
            picture[-size // 4 :, bit * width : (bit + 1) * width] = 220
    return picture


def number_of(rgb: NDArray[np.uint8]) -> int:
    """The number that :func:`numbered` wrote."""
    size = rgb.shape[0]
    width = size // 12
    rows = rgb[-size // 6 : -size // 12].astype(int)
    return sum(int(rows[:, bit * width + 4 : (bit + 1) * width - 4].mean() > 155) << bit for bit in range(12))


class _Paced(MediaStreamTrack):
    """Frames in real time."""

    interval: Fraction

    def __init__(self) -> None:
        super().__init__()
        self.index = 0
        self.paused = False
        self.began: float | None = None

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        if self.began is None:
            self.began = loop.time()
        await asyncio.sleep(max(0.0, self.began + float(self.index * self.interval) - loop.time()))
        while self.paused:
            self.began += 0.02
            await asyncio.sleep(0.02)
        self.index += 1
        return self.frame(self.index - 1)

    @abstractmethod
    def frame(self, index: int) -> Any: ...


class Camera(_Paced):
    """Pictures at 25 fps: the given ones in a loop, or numbered ones."""

    kind = "video"
    interval = Fraction(1, 25)

    def __init__(self, pictures: list[NDArray[np.uint8]] | None = None, size: int = 256) -> None:
        super().__init__()
        self.pictures = pictures
        self.size = size

    def frame(self, index: int) -> av.VideoFrame:
        rgb = numbered(index, self.size) if self.pictures is None else self.pictures[index % len(self.pictures)]
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = index * 3600, Fraction(1, 90_000)
        return frame


class Microphone(_Paced):
    """20 ms of mono speech at a time from samples at 48 kHz; silence after them."""

    kind = "audio"
    interval = Fraction(1, 50)

    def __init__(self, samples: NDArray[np.int16]) -> None:
        super().__init__()
        self.samples = samples

    def frame(self, index: int) -> av.AudioFrame:
        block = np.zeros(960, np.int16)
        part = self.samples[index * 960 : (index + 1) * 960]
        block[: len(part)] = part
        frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, index * 960, Fraction(1, 48_000)
        return frame


def babble(seconds: float, seed: int = 0) -> NDArray[np.int16]:
    """Sound at 48 kHz in syllables of which no two are alike: its place can be found, and Opus keeps its shape."""
    rng = np.random.default_rng(seed)
    moments = np.arange(int(seconds * 48_000)) / 48_000
    knots = np.arange(int(seconds * 8) + 2) / 8
    pitch = np.interp(moments, knots, rng.uniform(180, 700, len(knots)))
    loudness = np.clip(np.interp(moments, knots, rng.uniform(-0.2, 1, len(knots))), 0, 1)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(pitch) / 48_000) * loudness * 12_000, np.int16)


async def eventually(condition: Callable[[], bool], seconds: float) -> None:
    """Returns when ``condition`` holds; fails when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (the condition is nobody's event)
            await asyncio.sleep(0.02)


class Viewer:
    """A real peer: sends the given tracks, keeps every frame it gets with the time it came."""

    def __init__(self, *tracks: MediaStreamTrack, receive: tuple[str, ...] = ()) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks = tracks
        self.pictures: list[tuple[float, av.VideoFrame]] = []
        self.sounds: list[tuple[float, av.AudioFrame]] = []
        self._readers: list[asyncio.Task[None]] = []
        for track in tracks:
            self.connection.addTrack(track)
        for kind in receive:
            self.connection.addTransceiver(kind, direction="recvonly")
        self.connection.on("track", self._on_track)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._readers.append(asyncio.create_task(self._read(track)))

    async def _read(self, track: MediaStreamTrack) -> None:
        kept: list[Any] = self.pictures if track.kind == "video" else self.sounds
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            kept.append((asyncio.get_running_loop().time(), frame))

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def take(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    async def until(self, pictures: int = 0, sounds: int = 0) -> None:
        """Returns when so many frames have come; fails after a minute."""
        await eventually(lambda: len(self.pictures) >= pictures and len(self.sounds) >= sounds, seconds=60)

    def heard(self) -> NDArray[np.int16]:
        """All sound that came, left channel."""
        return np.concatenate([frame.to_ndarray().reshape(-1, 2)[:, 0] for _, frame in self.sounds])

    def vanish(self) -> None:
        """Goes away without a word: every socket is closed, nothing is said."""
        aiortc_peer.vanish(self.connection)

    async def close(self) -> None:
        await self.connection.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


class Client:
    """Speaks HTTP to a server under test."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url.rstrip("/")

    async def create(self, **options: object) -> dict[str, Any]:
        async with self.http.post(f"{self.url}/v1/sessions", json=options) as response:
            assert response.status == 201, await response.text()
            return dict(await response.json())

    async def connect(self, session: dict[str, Any], viewer: Viewer) -> None:
        offer = {"type": "offer", "sdp": await viewer.offer()}
        async with self.http.post(
            self.url + session["urls"]["webrtc"], json=offer, headers=bearer(session)
        ) as response:
            assert response.status == 201, await response.text()
            await viewer.take((await response.json())["sdp"])

    async def figures(self) -> dict[str, float]:
        """The server's metrics, by name and labels."""
        async with self.http.get(f"{self.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    async def state(self, session: dict[str, Any]) -> dict[str, Any]:
        async with self.http.get(self.url + session["urls"]["session"], headers=bearer(session)) as response:
            return dict(await response.json())


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['token']}"}


@asynccontextmanager
async def call(
    client: Client, *tracks: MediaStreamTrack, receive: tuple[str, ...] = (), **options: object
) -> AsyncIterator[tuple[dict[str, Any], Viewer]]:
    """A session with a connected viewer."""
    session = await client.create(**options)
    viewer = Viewer(*tracks, receive=receive)
    try:
        await client.connect(session, viewer)
        yield session, viewer
    finally:
        await viewer.close()
