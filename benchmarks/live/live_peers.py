"""Runs the far end of live sessions for the benchmarks that measure there: a server, and aiortc peers on loopback.

A peer's camera writes each picture's number along its lower edge; its microphone repeats a stored speech, and remembers
all that it said.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from benchmarks.live import aiortc_peer
from mytalk.face import FaceTracker
from mytalk.media import open_face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Box, Picture, VideoFrame
from streamer.media.audio import CHUNK, OUTPUT_RATE, SpeechChunk, stereo_of
from streamer.media.looped_speech import LoopedSpeech
from streamer.webrtc.aiortc_internals.decoders import CameraPicture
from streamer.webrtc.aiortc_internals.receiver import InboundTrack
from streamer.webrtc.aiortc_internals.shutdown import abort
from streamer.webrtc.video_encoder import Vp8

ASSETS = Path(str(files("mytalk") / "assets"))
BITS = 14
KEY_PICTURES = 50  # between two keyframes of a camera
MARK_ROWS = 24  # lower edge of the picture
CLOSE_S = 10.0  # seconds
MOST_ROOM = 5.0  # side of a film's pictures over the width of the face


class Sender(MediaStreamTrack):
    """Sends frames in real time; ``sent[n]`` is when frame ``n`` left."""

    def __init__(self, kind: str, interval: float) -> None:
        super().__init__()
        self.kind = kind
        self.sent: list[float] = []
        self._interval = interval
        self._start = 0.0

    async def recv(self) -> av.AudioFrame | av.VideoFrame | av.Packet[Any]:
        if self.readyState != "live":
            raise MediaStreamError
        index = len(self.sent)
        if index == 0:
            self._start = time.monotonic()
        await asyncio.sleep(self._start + index * self._interval - time.monotonic())
        self.sent.append(time.monotonic())
        return self.frame(index)

    @abstractmethod
    def frame(self, index: int) -> av.AudioFrame | av.VideoFrame | av.Packet[Any]: ...


class Camera(Sender):
    """Sends numbered pictures: the first of a film until it ``rolls``, then to and fro through it.

    They leave encoded, in VP8 as fast as a browser encodes it: with aiortc's own settings it would fill a core.
    """

    def __init__(self, film: list[NDArray[np.uint8]]) -> None:
        super().__init__("video", 1 / 25)
        self.rolls_from: int | None = None
        self._film = film + film[-2:0:-1]
        self._encoder = Vp8()

    async def recv(self) -> av.Packet[Any]:
        frame = await super().recv()
        assert isinstance(frame, av.VideoFrame)
        return await asyncio.to_thread(self._encoded, frame, len(self.sent) - 1)

    def _encoded(self, frame: av.VideoFrame, index: int) -> av.Packet[Any]:
        picture = VideoFrame(Picture.from_av(frame), index * FRAME_SAMPLES, frame.pts, frame.time_base)
        encoded = self._encoder.encode(picture, ntp=0, keyframe=index % KEY_PICTURES == 0)
        assert encoded is not None
        packet = av.Packet(encoded.data)
        packet.pts, packet.time_base = frame.pts, frame.time_base
        return packet

    def roll(self) -> None:
        self.rolls_from = len(self.sent)

    def frame(self, index: int) -> av.VideoFrame:
        place = 0 if self.rolls_from is None else (index - self.rolls_from) % len(self._film)
        planes = self._film[place].copy()
        size = planes.shape[1]
        bits = np.array([235 if index >> bit & 1 else 16 for bit in range(BITS)], np.uint8)
        planes[size - MARK_ROWS : size, : BITS * (size // BITS)] = np.repeat(bits, size // BITS)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = index * 3600, Fraction(1, 90_000)
        return frame


class LoopedCamera(Sender):
    """Sends a film over and over that was encoded once, for all cameras: one costs nearly nothing."""

    def __init__(self, loop: list[bytes]) -> None:
        super().__init__("video", 1 / 25)
        self._loop = loop

    @staticmethod
    def encode(film: list[NDArray[np.uint8]]) -> list[bytes]:
        """Encodes a film to and fro, each picture numbered by its place in that loop."""
        camera = Camera(film)
        camera.rolls_from = 0
        frames = (camera.frame(index) for index in range(2 * len(film) - 2))
        return [bytes(camera._encoded(frame, index)) for index, frame in enumerate(frames)]

    async def recv(self) -> av.Packet[Any]:
        await super().recv()
        return self.frame(len(self.sent) - 1)

    def frame(self, index: int) -> av.Packet[Any]:
        packet = av.Packet(self._loop[index % len(self._loop)])
        packet.pts, packet.time_base = index * 3600, Fraction(1, 90_000)
        return packet

    def sent_at(self, number: int, before: float) -> float | None:
        """Says when the picture of this number was last sent, up to a moment."""
        times = self.sent[number :: len(self._loop)]
        return max((at for at in times if at <= before), default=None)


def number_of(luma: NDArray[np.uint8]) -> int:
    """Reads the number that the camera wrote."""
    size = luma.shape[1]
    cell = size // BITS
    rows = luma[size - MARK_ROWS + 6 : size - 6]
    return sum(int(rows[:, b * cell + cell // 4 : (b + 1) * cell - cell // 4].mean() > 125) << b for b in range(BITS))


class Microphone(Sender):
    """Sends silence; from ``speak`` on a stored speech over and over, or a steady hum. ``said`` is all of it."""

    def __init__(self, speech: LoopedSpeech) -> None:
        super().__init__("audio", 1 / 50)
        self.said: list[NDArray[np.int16]] = []
        self.hums = False
        self.speaks_from: int | None = None
        self._chunks = speech.chunks()

    def speak(self) -> None:
        self.speaks_from = len(self.sent)

    def frame(self, index: int) -> av.AudioFrame:
        samples = np.zeros((CHUNK, 2), np.int16)
        if self.hums:
            tone = 9_000 * np.sin(2 * np.pi * 250 * np.arange(CHUNK) / OUTPUT_RATE)  # five whole waves
            samples = np.repeat(tone.astype(np.int16)[:, None], 2, axis=1)
        elif self.speaks_from is not None:
            samples = next(self._chunks)
        self.said.append(samples[:, 0])
        frame = SpeechChunk(index * 320, samples).to_av()
        assert isinstance(frame, av.AudioFrame)
        return frame


class Peer:
    """Sends both tracks and keeps what it needs of what comes back.

    What comes in order is decoded at once. A player's own buffer against the network's jitter comes on top.
    """

    def __init__(self, camera: Camera, microphone: Microphone) -> None:
        self.pictures: list[tuple[float, int]] = []  # arrival, number
        self.mouths: list[NDArray[np.uint8]] = []  # luma of ``mouth`` in each of them
        self.mouth: tuple[slice, slice] | None = None  # rows and columns of the luma to keep
        self.sounds: list[tuple[float, NDArray[np.int16]]] = []  # arrival, samples
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(microphone)
        self.connection.addTrack(camera)
        self.connection.on("track", self._on_track)
        self._readers: list[asyncio.Task[None]] = []

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(t.receiver for t in self.connection.getTransceivers() if t.receiver.track is track)
        self._readers.append(asyncio.create_task(self._read(InboundTrack(receiver))))

    async def _read(self, inbound: InboundTrack) -> None:
        while (frame := await inbound.receive()) is not None:
            now = time.monotonic()
            if isinstance(frame, CameraPicture):
                luma = frame.picture.to_av().to_ndarray(format="gray")
                self.pictures.append((now, number_of(luma)))
                if self.mouth is not None:
                    self.mouths.append(luma[self.mouth].copy())
            else:
                self.sounds.append((now, stereo_of(frame)[:, 0]))

    async def connect(self, http: aiohttp.ClientSession, url: str, **options: object) -> Session:
        """Makes a session and connects to it. Raises ``RuntimeError`` with the server's reason where it refuses."""
        async with http.post(f"{url}v1/sessions", json=options) as response:
            body = await response.json()
            if response.status != 201:
                raise RuntimeError(body["error"]["message"])
        session = Session(http, url, body)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        local = self.connection.localDescription
        offer = {"type": local.type, "sdp": local.sdp}
        answer = await session.call("POST", "webrtc", json=offer)
        await self.connection.setRemoteDescription(RTCSessionDescription(**answer))
        return session

    def vanish(self) -> None:
        """Closes its sockets without a word."""
        aiortc_peer.vanish(self.connection)

    async def close(self) -> None:
        """Closes it, within ``CLOSE_S``: aiortc may wait without end for a task of its own that has failed."""
        closing = asyncio.create_task(self.connection.close())
        done, late = await asyncio.wait([closing, *self._readers], timeout=CLOSE_S)
        if late:
            abort(self.connection)
        for task in late:
            task.cancel()
        for task in done:
            task.result()


class Session:
    """Calls a session's HTTP routes."""

    def __init__(self, http: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
        self._http, self._url, self._urls = http, url, body["urls"]
        self._headers = {"Authorization": f"Bearer {body['token']}"}

    async def call(self, method: str, route: str, **conditions: Any) -> dict[str, Any]:
        address = self._url + self._urls[route].removeprefix("/")
        async with self._http.request(method, address, headers=self._headers, **conditions) as response:
            response.raise_for_status()
            return dict(await response.json())


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, int]]:
    """Runs ``mytalk serve`` as a process of its own, on a free port; yields its address and process id. At the end it
    prints what the server logged, but for information."""
    command = [sys.executable, "-m", "streamer.cli", "serve", "--port", "0", *arguments]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            yield next(word for word in line.split() if word.startswith("http")), server.pid
        finally:
            server.terminate()
            server.wait()
            log.seek(0)
            print("".join(line for line in log if not line.startswith("INFO")), end="", file=sys.stderr)


def film_of(clip: Path, size: int = 512) -> list[NDArray[np.uint8]]:
    """Reads four seconds of a clip, or a still that sways, as square planes ``(3/2 size, size)``.

    What lies far from the face is cut off, so that it is wide enough to be dubbed however small the pictures are.
    """
    source = open_face(clip)
    films, box = [], None
    for index, frame in enumerate(islice(source.frames(endless=True), 100)):
        box = box or _around_face(frame.picture)
        picture = av.VideoFrame.from_ndarray(frame.picture.region_rgb(box), format="rgb24")
        picture = picture.reformat(size, size, format="yuv420p")
        if source.still:
            rgb = np.roll(picture.to_ndarray(format="rgb24"), round(6 * np.sin(index / 16)), axis=1)
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        films.append(picture.to_ndarray())
    return films


def _around_face(picture: Picture) -> Box:
    """Returns a square of the picture, with the largest face in its middle where there is one."""
    whole = min(picture.width, picture.height) // 2 * 2
    faces = FaceTracker().faces(picture)
    x, y, side = picture.width / 2, picture.height / 2, whole
    if faces:
        x0, y0, x1, y1 = faces[0].box
        x, y, side = (x0 + x1) / 2, (y0 + y1) / 2, min(whole, int(MOST_ROOM * (x1 - x0)) // 2 * 2)
    left = int(np.clip(x - side / 2, 0, picture.width - side)) // 2 * 2
    top = int(np.clip(y - side / 2, 0, picture.height - side)) // 2 * 2
    return left, top, left + side, top + side


def family(pid: int) -> list[int]:
    """Lists a process and those that it has started."""
    found = [pid]
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda folder: int(folder.name)):
        with suppress(OSError):  # it has ended meanwhile
            if int(process_fields(int(folder.name))[1]) in found:
                found.append(int(folder.name))
    return found


def process_fields(pid: int) -> list[str]:
    """Reads ``/proc/PID/stat``, from the third field on: its state, its parent and so on."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def processor_seconds(pid: int) -> float:
    """Reads the processor time of a process and those that it has started."""
    each = [process_fields(one) for one in family(pid)]
    return sum(int(fields[11]) + int(fields[12]) for fields in each) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(pid: int) -> float:
    """Reads the sum of the most memory that a process and those that it has started had."""
    lines = [line for one in family(pid) for line in Path(f"/proc/{one}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def table(figures: dict[str, Any]) -> str:
    def shown(value: object) -> str:
        return f"{value:.1f}" if isinstance(value, float) else str(value)

    return "\n".join(f"{name:24} {shown(value):>10}" for name, value in figures.items())
