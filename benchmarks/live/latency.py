"""Measures what a live session costs in time, at the far end: a camera and speech go up, dubbed video and speech
come back.

    python -m benchmarks.live.latency [--seconds 60] [--profile balanced] [--clip VIDEO] [--interrupts 20] [--busy 1]
        [--json FILE]

A real aiortc peer on loopback sends 512 x 512 at 25 fps and speech in 20 ms packets to ``mytalk serve`` (a process of
its own), and measures what it receives: three seconds of a still picture and silence; speech, until the mouth moves;
``--seconds`` of film and speech; 5 s in which one packet in ten does not reach the peer, and what there is from 2 s
after them on (``after_loss``); then a hum that is interrupted again and again. Every picture carries its number;
speech is found again by correlation, second by second. Times are from the peer's microphone or camera to the peer's
decoded frame: both encoders and both decoders are in them; loading the models and a player's buffer against the
network's jitter are not. The peer runs on the same cores. ``--busy N``: in the midst of the film N other processes
compute for ten seconds. Without ``--clip`` the film is that of `benchmarks.clips`.

Beside it, as a yardstick: what a design that makes pictures in blocks of 16 would take on this run's own figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import uvloop

from benchmarks.clips import SPEECH, film_to_dub
from benchmarks.live.aiortc_peer import losing_packets
from benchmarks.live.live_peers import (
    Camera,
    Microphone,
    Peer,
    Session,
    film_of,
    peak_megabytes,
    processor_seconds,
    serving,
    table,
)
from mytalk.face import FaceTracker
from mytalk.face.landmarks import LIPS
from mytalk.picture import Picture
from streamer.media.audio import CHUNK, OUTPUT_RATE
from streamer.media.looped_speech import LoopedSpeech

SIZE = 512
CALM = 3.0  # seconds of silence, for encoders and buffers to settle
ENGINE_STAGES = ("sample", "motion", "render")
STAGES = ("detect", "hear", *ENGINE_STAGES)
LATE_MS = 40.0  # over the median of its run: a picture that comes so much later is late
BLOCK = 16  # pictures, of the yardstick
LOOK_AHEAD_MS = 160.0  # of the yardstick's speech features
LOSS, LOSS_SECONDS = 0.1, 5.0  # share of packets that the peer does not get, and for how long
BUSY_FROM, BUSY_SECONDS = 5.0, 10.0  # seconds into the film, and how long other processes compute
RECOVERY, AFTER_LOSS = 2.0, 8.0  # seconds after them that are not looked at, and that are


async def converse(url: str, options: argparse.Namespace, pid: int) -> dict[str, Any]:
    """Holds the session; returns everything measured."""
    film = film_of(options.clip, SIZE)
    camera, microphone = Camera(film), Microphone(LoopedSpeech.read(options.speech))
    peer = Peer(camera, microphone)
    peer.mouth = mouth_of(film[0])
    looks: list[dict[str, Any]] = []
    async with aiohttp.ClientSession() as http:
        session = await peer.connect(http, url, profile=options.profile)
        await asyncio.sleep(CALM)
        microphone.speak()
        await asyncio.sleep(CALM)
        first = first_frame(microphone, peer)
        peer.mouth = None
        camera.roll()
        await asyncio.sleep(1)
        competing = asyncio.create_task(compete(options.busy))
        began, server_began, peer_began = time.monotonic(), processor_seconds(pid), time.process_time()
        while time.monotonic() - began < options.seconds:
            await asyncio.sleep(1)
            state = await session.call("GET", "session")
            looks.append(state["stats"])
        took = time.monotonic() - began
        await competing
        server, own = processor_seconds(pid) - server_began, time.process_time() - peer_began
        recovered = await recover(peer)
        waits = await interrupt(session, peer, microphone, options.interrupts)
    await peer.close()
    # Only now: the peer could not answer the server while this is worked out.
    figures = judge(camera, microphone, peer, began, took) | {"first_frame_ms": first}
    after = judge(camera, microphone, peer, recovered, AFTER_LOSS)
    figures |= {f"after_loss_{name}": after[name] for name in ("p95_ms", "av_skew_mean_ms", "av_skew_max_ms")}
    figures |= spread("interrupt", waits) | stages(looks) | queues(looks)
    figures["server_cpu_ms_a_frame"] = 1000 * server / (25 * took)
    figures["left_of_40_ms"] = 40 - figures["engine_ms_a_frame"] if figures["engine_ms_a_frame"] else None
    figures["rungs"] = " ".join(str(event["rung"]) for event in state["events"] if "rung" in event) or "full"
    figures |= {"server_cpu_cores": server / took, "peer_cpu_cores": own / took, "server_peak_mb": peak_megabytes(pid)}
    return figures | blocks_of_16(figures)


def mouth_of(planes: Any) -> tuple[slice, slice]:
    """Finds rows and columns of the mouth in a film's first picture."""
    size = planes.shape[1]
    quarter = size // 2
    picture = Picture(planes[:size], *planes[size:].reshape(2, quarter, quarter))
    tracker = FaceTracker()
    face = tracker(picture)
    if face is None:
        raise SystemExit("no face in the clip's first picture (need one, to see the mouth move)")
    (x0, y0), (x1, y1) = (np.asarray(f(face.points[list(LIPS), :2], axis=0)).astype(int) for f in (np.min, np.max))
    return slice(y0, y1), slice(x0, x1)


def first_frame(microphone: Microphone, peer: Peer) -> float | None:
    """Measures milliseconds from the first audible sample to the first picture whose mouth has moved."""
    assert microphone.speaks_from is not None
    said = np.concatenate(microphone.said[microphone.speaks_from :])
    loud = np.flatnonzero(np.abs(said.astype(int)) > 600)
    spoken_at = microphone.sent[microphone.speaks_from] + loud[0] / OUTPUT_RATE
    arrivals = [at for at, _ in peer.pictures][-len(peer.mouths) :]
    calm = [mouth for at, mouth in zip(arrivals, peer.mouths, strict=True) if spoken_at - 1.5 < at < spoken_at]
    rest = np.mean(calm, axis=0)
    away = [float(np.abs(mouth - rest).mean()) for mouth in peer.mouths]
    still = max(away[i] for i, at in enumerate(arrivals) if spoken_at - 1.5 < at < spoken_at)
    moved = (at for at, how_far in zip(arrivals, away, strict=True) if at > spoken_at and how_far > 1.5 * still + 0.5)
    at = next(moved, None)
    return None if at is None else 1000 * (at - spoken_at)


async def compete(count: int) -> None:
    """Runs so many processes that do nothing but compute, for a while."""
    await asyncio.sleep(BUSY_FROM)
    busy = [await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass") for _ in range(count)]
    try:
        await asyncio.sleep(BUSY_SECONDS if count else 0)
    finally:
        for process in busy:
            process.kill()
            await process.wait()


async def recover(peer: Peer) -> float:
    """Loses packets on their way to the peer for a while; returns the moment from which nothing of that ought to be
    left."""
    with losing_packets(peer.connection, LOSS):
        await asyncio.sleep(LOSS_SECONDS)
    began = time.monotonic() + RECOVERY
    await asyncio.sleep(RECOVERY + AFTER_LOSS)
    return began


async def interrupt(session: Session, peer: Peer, microphone: Microphone, times: int) -> list[float]:
    """Measures milliseconds from asking for silence to the first silent 20 ms that the peer gets, each time."""
    microphone.hums = True
    waits = []
    rng = np.random.default_rng(1)
    for _ in range(times):
        await asyncio.sleep(1 + rng.uniform(0, 0.1))
        asked = time.monotonic()
        await session.call("POST", "clear")
        await asyncio.sleep(0.4)
        silent = next((at for at, samples in peer.sounds if at > asked and np.abs(samples).max() < 300), None)
        if silent is not None:
            waits.append(1000 * (silent - asked))
    return waits


def judge(camera: Camera, microphone: Microphone, peer: Peer, began: float, took: float) -> dict[str, Any]:
    """Computes figures of what was received between ``began`` and ``began + took``."""
    seen = [(at, number) for at, number in peer.pictures if began <= at < began + took]
    known = [(at, number) for at, number in seen if number < len(camera.sent)]
    picture_ms = {number: 1000 * (at - camera.sent[number]) for at, number in known}
    received = speech_latency(microphone, peer, began, began + took)
    near_loss = {at: near(picture_ms, camera, at) for at, _ in received}
    both = [max(ms, *pictures) for at, ms in received if (pictures := near_loss[at])]
    skews = [float(np.mean(pictures)) - ms for at, ms in received if (pictures := near_loss[at])]
    numbers = [number for _, number in known]
    usual = float(np.median(list(picture_ms.values())))
    missing = set(range(numbers[0], numbers[-1] + 1)) - set(numbers)
    return {
        "p50_ms": float(np.percentile(both, 50)) if both else None,
        "p95_ms": float(np.percentile(both, 95)) if both else None,
        "late_frames": sum(ms > usual + LATE_MS for ms in picture_ms.values()),
        "missing_frames": len(missing),
        "pictures_received": len(seen),
        "pictures_expected": round(25 * took),
        "out_of_order": sum(b < a for a, b in pairwise(numbers)),
        **spread("picture_latency", list(picture_ms.values())),
        **spread("speech_latency", [ms for _, ms in received]),
        **spread("frame_interval", (1000 * np.diff([at for at, _ in seen])).tolist()),
        "av_skew_mean_ms": float(np.mean(skews)) if skews else None,
        "av_skew_max_ms": float(np.max(np.abs(skews))) if skews else None,
    }


def near(picture_ms: dict[int, float], camera: Camera, at: float) -> list[float]:
    """Picks latencies of the pictures taken within half a second of a moment."""
    return [ms for number, ms in picture_ms.items() if abs(camera.sent[number] - at) < 0.5]


def speech_latency(microphone: Microphone, peer: Peer, began: float, ended: float) -> list[tuple[float, float]]:
    """Computes, for every loud second of received speech, when it was said, and the milliseconds until it came back."""
    said = np.concatenate(microphone.said).astype(np.float32)
    found = []
    sounds = [(at, samples) for at, samples in peer.sounds if began <= at < ended]
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
        index = int(np.argmax(cross[: max(1, len(window) - len(part))]))
        match = window[index : index + len(part)]
        if len(match) == len(part) and np.corrcoef(match, part)[0, 1] > 0.6:
            packet, into = divmod(low + index, CHUNK)
            said_at = microphone.sent[packet] + into / OUTPUT_RATE
            found.append((said_at, 1000 * (at - said_at)))
    return found


def stages(looks: list[dict[str, Any]]) -> dict[str, Any]:
    """Computes milliseconds a frame that the server spends in each stage, as it counts them: tracking and speech
    encoding on threads of their own, the rest, ``engine``, on one. From when a thread begins until it is done,
    however long it waits for a core."""
    spent, frames = dict.fromkeys(STAGES, 0.0), 0.0
    for before, after in pairwise(look["engine"] for look in looks):
        if after.get("frames", 0) > before.get("frames", 0) > 0:  # the same stream, at work
            frames += after["frames"] - before["frames"]
            spent = {name: ms + after[f"{name}_ms"] - before[f"{name}_ms"] for name, ms in spent.items()}
    figures = {f"{name}_ms_a_frame": ms / frames if frames else None for name, ms in spent.items()}
    engine = sum(spent[name] for name in ENGINE_STAGES) / frames if frames else None
    return figures | {"engine_ms_a_frame": engine}


def queues(looks: list[dict[str, Any]]) -> dict[str, Any]:
    """Reads what the server says of its pictures over the run, and of its queues at both ends of it."""
    first, last = looks[0], looks[-1]
    pictures = {name: count - first["pictures"].get(name, 0) for name, count in last["pictures"].items()}
    third = max(1, len(looks) // 3)
    waiting = [look["pictures_waiting"] + look["sounds_waiting"] for look in looks]
    return {
        "server_late": pictures["late"],
        "server_never_shown": pictures["overtaken"] + pictures.get("dropped", 0) + pictures.get("left_out", 0),
        "server_untouched": pictures["untouched"],
        "queue_first_third": float(np.mean(waiting[:third])),
        "queue_last_third": float(np.mean(waiting[-third:])),
        "delay_first_ms": first["delay_ms"],
        "delay_last_ms": last["delay_ms"],
    }


def blocks_of_16(figures: dict[str, Any]) -> dict[str, Any]:
    """Simulates the yardstick: speech is gathered for 16 pictures and their lookahead, all 16 are made, then they
    leave one by one. The way there and back, motion and pixels cost what they cost in this run."""
    making = figures["engine_ms_a_frame"] or 0.0
    path = figures["picture_latency_p50_ms"] - figures["delay_last_ms"]
    latency = BLOCK * 40 + LOOK_AHEAD_MS + BLOCK * making + path
    return {"blocks_of_16_ms": latency, "blocks_of_16_interrupt_ms": BLOCK * 40 + path}


def spread(name: str, values: list[float]) -> dict[str, float | None]:
    cuts = {f"p{share}": share for share in (50, 95, 99)}
    return {f"{name}_{cut}_ms": float(np.percentile(values, share)) if values else None for cut, share in cuts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--profile", default="balanced")
    parser.add_argument("--clip", type=Path, help="a clip or picture of a face of your own")
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside it for ten seconds")
    parser.add_argument("--interrupts", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = film_to_dub(options.clip, Path(folder))
        options.clip = film.clip
        with serving() as (url, pid), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(converse(url, options, pid))
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    figures = (
        machine
        | {"profile": options.profile, "seconds": options.seconds, "film": film.what, "busy": options.busy}
        | figures
    )
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
