"""One live session as the far end sees it: a camera and speech go up, dubbed video and the speech come back.

    python benchmarks/live.py [--seconds 60] [--profile balanced] [--clip VIDEO] [--json FILE]

A real aiortc peer on loopback sends 512 x 512 at 25 fps and speech in 20 ms packets to ``mytalk serve`` (a process of
its own, started here), and measures what it receives. Every picture carries its number along its lower edge; speech is
found again by correlation, second by second. Latency is from the peer's microphone or camera to the peer's decoded
frame, so it includes both encoders, both decoders and the peer's receive buffer: 40 ms for speech, none for pictures
(aiortc's own would be 80 and 40). The peer runs on the same cores. Loading the models is not included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from abc import abstractmethod
from fractions import Fraction
from importlib.resources import files
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from mytalk.media import open_face
from streamer.receive import SPEECH_DEPTH, Inbound
from streamer.speech import CHUNK, OUTPUT_RATE, SpeechChunk, stereo_of
from streamer.stored import LoopedSpeech

ASSETS = Path(str(files("mytalk") / "assets"))
SIZE, BITS = 512, 14
CELL = SIZE // BITS
MARK_ROWS = 24  # lower edge of the picture
WARM_UP = 3.0  # seconds left out of every figure: encoders and buffers settle
BUFFER_MS = 20.0 * SPEECH_DEPTH


class Sender(MediaStreamTrack):
    """Frames in real time; ``sent[n]`` is when frame ``n`` left."""

    def __init__(self, kind: str, interval: float) -> None:
        super().__init__()
        self.kind = kind
        self.sent: list[float] = []
        self._interval = interval
        self._start = 0.0

    async def recv(self) -> av.AudioFrame | av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        index = len(self.sent)
        if index == 0:
            self._start = time.monotonic()
        await asyncio.sleep(self._start + index * self._interval - time.monotonic())
        self.sent.append(time.monotonic())
        return self.frame(index)

    @abstractmethod
    def frame(self, index: int) -> av.AudioFrame | av.VideoFrame: ...


class Camera(Sender):
    """Numbered pictures, to and fro through a short film."""

    def __init__(self, film: list[NDArray[np.uint8]]) -> None:
        super().__init__("video", 1 / 25)
        self._film = film + film[-2:0:-1]

    def frame(self, index: int) -> av.VideoFrame:
        planes = self._film[index % len(self._film)].copy()
        bits = np.array([235 if index >> bit & 1 else 16 for bit in range(BITS)], np.uint8)
        planes[SIZE - MARK_ROWS : SIZE, : BITS * CELL] = np.repeat(bits, CELL)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = index * 3600, Fraction(1, 90_000)
        return frame


def number_of(frame: av.VideoFrame) -> int:
    """The number that the camera wrote."""
    luma = frame.to_ndarray(format="gray")[SIZE - MARK_ROWS + 6 : SIZE - 6]
    cells = [luma[:, bit * CELL + 8 : (bit + 1) * CELL - 8].mean() > 125 for bit in range(BITS)]
    return sum(int(cell) << bit for bit, cell in enumerate(cells))


class Microphone(Sender):
    """A stored speech over and over; ``said`` is all of it, left channel."""

    def __init__(self, speech: LoopedSpeech) -> None:
        super().__init__("audio", 1 / 50)
        self.said: list[NDArray[np.int16]] = []
        self._chunks = speech.chunks()

    def frame(self, index: int) -> av.AudioFrame:
        samples = next(self._chunks)
        self.said.append(samples[:, 0])
        frame = SpeechChunk(index * 320, samples).to_av()
        assert isinstance(frame, av.AudioFrame)
        return frame


class Peer:
    """Sends both tracks and keeps what it needs of what comes back."""

    def __init__(self, camera: Camera, microphone: Microphone) -> None:
        self.pictures: list[tuple[float, int]] = []  # arrival, number
        self.sounds: list[tuple[float, NDArray[np.int16]]] = []  # arrival, samples
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(microphone)
        self.connection.addTrack(camera)
        self.connection.on("track", self._on_track)
        self._readers: list[asyncio.Task[None]] = []

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(t.receiver for t in self.connection.getTransceivers() if t.receiver.track is track)
        self._readers.append(asyncio.create_task(self._read(Inbound(receiver))))

    async def _read(self, inbound: Inbound) -> None:
        while True:
            try:
                frame: Any = await inbound.track.recv()
            except MediaStreamError:
                return
            now = time.monotonic()
            if inbound.track.kind == "video":
                self.pictures.append((now, number_of(frame)))
            else:
                self.sounds.append((now, stereo_of(frame)[:, 0]))

    async def close(self) -> None:
        await self.connection.close()
        await asyncio.gather(*self._readers)


async def converse(url: str, options: argparse.Namespace, pid: int) -> dict[str, Any]:
    """Holds the session for its seconds; returns everything measured."""
    camera = Camera(film_of(options.clip))
    microphone = Microphone(LoopedSpeech.read(options.speech))
    peer = Peer(camera, microphone)
    looks: list[dict[str, Any]] = []
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{url}v1/sessions", json={"profile": options.profile}) as response:
            session = await response.json()
        headers = {"Authorization": f"Bearer {session['token']}"}
        await peer.connection.setLocalDescription(await peer.connection.createOffer())
        local = peer.connection.localDescription
        offer = {"type": local.type, "sdp": local.sdp}
        async with http.post(url + session["urls"]["webrtc"][1:], json=offer, headers=headers) as response:
            answer = await response.json()
        await peer.connection.setRemoteDescription(RTCSessionDescription(**answer))
        await asyncio.sleep(WARM_UP)
        began, server_began, peer_began = time.monotonic(), processor_seconds(pid), time.process_time()
        while time.monotonic() - began < options.seconds:
            await asyncio.sleep(1)
            async with http.get(url + session["urls"]["session"][1:], headers=headers) as response:
                looks.append((await response.json())["stats"])
        took = time.monotonic() - began
        server, own = processor_seconds(pid) - server_began, time.process_time() - peer_began
    await peer.close()
    figures = {"server_cpu_cores": server / took, "peer_cpu_cores": own / took, "server_peak_mb": peak_megabytes(pid)}
    return figures | judge(camera, microphone, peer, began, took) | growth(looks)


def judge(camera: Camera, microphone: Microphone, peer: Peer, began: float, took: float) -> dict[str, Any]:
    """Figures of what was received between ``began`` and ``began + took``."""
    seen = [(at, number) for at, number in peer.pictures if began <= at < began + took]
    known = [(at, number) for at, number in seen if number < len(camera.sent)]
    picture_ms = {number: 1000 * (at - camera.sent[number]) for at, number in known}
    intervals = 1000 * np.diff([at for at, _ in seen])
    speech_ms = speech_latency(microphone, peer, began)
    skews = [
        np.mean([ms for number, ms in picture_ms.items() if abs(camera.sent[number] - at) < 0.5]) - (ms - BUFFER_MS)
        for at, ms in speech_ms
        if any(abs(camera.sent[number] - at) < 0.5 for number in picture_ms)
    ]
    numbers = [number for _, number in known]
    return {
        "pictures_received": len(seen),
        "pictures_expected": round(25 * took),
        "out_of_order": sum(b < a for a, b in pairwise(numbers)),
        **spread("picture_latency", list(picture_ms.values())),
        **spread("speech_latency", [ms for _, ms in speech_ms]),
        **spread("frame_interval", intervals.tolist()),
        "av_skew_mean_ms": float(np.mean(skews)) if skews else None,
        "av_skew_max_ms": float(np.max(np.abs(skews))) if skews else None,
    }


def speech_latency(microphone: Microphone, peer: Peer, began: float) -> list[tuple[float, float]]:
    """For every loud second of received speech: when it was said, and the milliseconds until it was heard."""
    said = np.concatenate(microphone.said).astype(np.float32)
    found = []
    sounds = [(at, samples) for at, samples in peer.sounds if at >= began]
    for start in range(0, len(sounds) - 50, 50):
        part = np.concatenate([samples for _, samples in sounds[start : start + 50]]).astype(np.float32)
        if np.abs(part).mean() < 200:
            continue
        at = sounds[start][0]
        around = int((at - microphone.sent[0]) * OUTPUT_RATE)
        low = max(0, around - 3 * OUTPUT_RATE)
        window = said[low : around + len(part)]
        size = 1 << (len(window) + len(part)).bit_length()
        cross = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(part, size)), size)
        place = int(np.argmax(cross[: max(1, len(window) - len(part))]))
        match = window[place : place + len(part)]
        if len(match) == len(part) and np.corrcoef(match, part)[0, 1] > 0.6:
            packet, into = divmod(low + place, CHUNK)
            said_at = microphone.sent[packet] + into / OUTPUT_RATE
            found.append((said_at, 1000 * (at - said_at)))
    return found


def growth(looks: list[dict[str, Any]]) -> dict[str, Any]:
    """What the server says of itself: queues at both ends of the run, late pictures, milliseconds a stage."""
    first, last = looks[0], looks[-1]
    pictures = {name: count - first["pictures"][name] for name, count in last["pictures"].items()}
    stages = {name: ms - first["engine"].get(name, 0) for name, ms in last["engine"].items() if name.endswith("_ms")}
    frames = max(1, last["engine"].get("frames", 0) - first["engine"].get("frames", 0))
    third = max(1, len(looks) // 3)
    waiting = [look["pictures_waiting"] + look["sounds_waiting"] for look in looks]
    return {
        "late_frames": pictures["late"],
        "never_shown": pictures["overtaken"] + pictures["dropped"],
        "shown_untouched": pictures["untouched"],
        "queue_first_third": float(np.mean(waiting[:third])),
        "queue_last_third": float(np.mean(waiting[-third:])),
        "delay_first_ms": first["delay_ms"],
        "delay_last_ms": last["delay_ms"],
        **{f"{name.removesuffix('_ms')}_ms_a_frame": ms / frames for name, ms in stages.items()},
    }


def spread(name: str, values: list[float]) -> dict[str, float | None]:
    cuts = {f"p{share}": share for share in (50, 95, 99)}
    return {f"{name}_{cut}_ms": float(np.percentile(values, share)) if values else None for cut, share in cuts.items()}


def film_of(clip: Path) -> list[NDArray[np.uint8]]:
    """Four seconds of a clip, or a still that sways, as 512 x 512 planes ``(768, 512)``."""
    source = open_face(clip)
    films = []
    for index, frame in enumerate(islice(source.frames(endless=True), 100)):
        picture = frame.picture.to_av().reformat(SIZE, SIZE, format="yuv420p")
        if source.still:
            rgb = np.roll(picture.to_ndarray(format="rgb24"), round(6 * np.sin(index / 16)), axis=1)
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        films.append(picture.to_ndarray())
    return films


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def table(figures: dict[str, Any]) -> str:
    def shown(value: object) -> str:
        return f"{value:.1f}" if isinstance(value, float) else str(value)

    return "\n".join(f"{name:24} {shown(value):>10}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--profile", default="balanced")
    parser.add_argument("--clip", type=Path, default=ASSETS / "astronaut.png", help="a clip or picture of a face")
    parser.add_argument("--speech", type=Path, default=ASSETS / "demo_speech.flac")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    command = [sys.executable, "-m", "streamer.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            url = next(word for word in line.split() if word.startswith("http"))
            figures = asyncio.run(converse(url, options, server.pid))
        finally:
            server.terminate()
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    figures = machine | {"profile": options.profile, "seconds": options.seconds} | figures
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
