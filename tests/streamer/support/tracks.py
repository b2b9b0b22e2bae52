"""A camera and a microphone that give frames in real time."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from tests.streamer.support.pictures import numbered


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


class EncodedCamera(_Paced):
    """Numbered pictures as x264 encodes them with ``options``, again and again, in the order in which it gives them."""

    kind = "video"
    interval = Fraction(1, 25)

    def __init__(self, count: int, **options: str) -> None:
        super().__init__()
        encoder: Any = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = 256, 256, "yuv420p"
        encoder.time_base, encoder.framerate = self.interval, Fraction(25)
        encoder.options = {"preset": "superfast", "x264-params": "repeat-headers=1"} | options
        packets: list[Any] = []
        for index in range(count):
            picture = av.VideoFrame.from_ndarray(numbered(index), format="rgb24")
            picture.pts, picture.time_base = index, self.interval
            packets += encoder.encode(picture)
        packets += encoder.encode(None)
        self._packets = [(bytes(packet), packet.pts) for packet in packets]

    def frame(self, index: int) -> av.Packet:
        data, pts = self._packets[index % len(self._packets)]
        packet = av.Packet(data)
        packet.pts = pts + index // len(self._packets) * len(self._packets)
        packet.time_base = self.interval
        return packet


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
