"""Measures how many sessions one server holds: more and more of them at once, each with a camera and a microphone of
its own.

    python -m benchmarks.live.sessions [--counts 1 2 3] [--size 256] [--seconds 30] [--json FILE]

Real aiortc peers on loopback, 25 fps, to ``mytalk serve``, a process of its own. A number of sessions is held when
every peer gets 98 % of its pictures, none of them untouched or without a face, with an interval p99 of 60 ms. A session
that the server refuses is reported with the server's reason. The peers run on the same cores; their cameras send a film
that was encoded once. Without ``--clip`` it is that of `benchmarks.clips`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from benchmarks.clips import film_to_dub
from benchmarks.live.live_peers import ASSETS, LoopedCamera, Microphone, Peer, film_of, processor_seconds, serving
from streamer.media.looped_speech import LoopedSpeech

SETTLE = 4.0  # seconds left out of every figure
UNTOUCHED = ("untouched", "no_face", "not_finite")  # why pictures leave as they came
MIN_SHARE, MAX_INTERVAL_MS = 0.98, 60.0


async def hold(url: str, count: int, film: list[bytes], options: argparse.Namespace) -> dict[str, Any]:
    """Measures one row: ``count`` sessions for their seconds."""
    speech = LoopedSpeech.read(options.speech)
    peers, sessions, refused = [], [], ""
    async with aiohttp.ClientSession() as http:
        for _ in range(count):
            camera, microphone = LoopedCamera(film), Microphone(speech)
            peer = Peer(camera, microphone)
            peers.append((peer, camera))
            try:
                sessions.append(await peer.connect(http, url))
            except RuntimeError as error:
                refused = str(error)
                break
            microphone.speak()
            await asyncio.sleep(SETTLE)  # the server judges the next by how busy these keep it
        began = time.monotonic()
        before = [(await session.call("GET", "session"))["stats"] for session in sessions]
        await asyncio.sleep(options.seconds if not refused else 0)
        took = time.monotonic() - began
        after = [(await session.call("GET", "session"))["stats"] for session in sessions]
        for session in sessions:
            await session.call("DELETE", "session")
    for peer, _ in peers:
        await peer.close()
    if refused:
        return {"sessions": count, "held": False, "refused": refused}
    return {"sessions": count, **judge(peers, before, after, began, took), "refused": ""}


def judge(peers: list[Any], before: list[Any], after: list[Any], began: float, took: float) -> dict[str, Any]:
    """Computes the worst peer's figures, and whether all are held."""
    shares, intervals, latencies = [], [], []
    for peer, camera in peers:
        seen = [(at, number) for at, number in peer.pictures if began <= at < began + took]
        shares.append(len(seen) / (25 * took))
        intervals.append(float(np.percentile(1000 * np.diff([at for at, _ in seen]), 99)) if len(seen) > 1 else np.inf)
        sent = [(at, camera.sent_at(number, before=at)) for at, number in seen]
        late = [1000 * (at - left) for at, left in sent if left is not None]
        latencies.append(float(np.percentile(late, 95)) if late else np.inf)
    looks = list(zip(before, after, strict=True))
    untouched = sum(b["pictures"][why] - a["pictures"][why] for a, b in looks for why in UNTOUCHED)
    return {
        "held": bool(min(shares) >= MIN_SHARE and max(intervals) <= MAX_INTERVAL_MS and not untouched),
        "pictures_share": min(shares),
        "interval_p99_ms": max(intervals),
        "latency_p95_ms": max(latencies),
        "untouched": untouched,
        "rungs": " ".join(sorted({look["rung"] for look in after})),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--size", type=int, default=256, help="width and height of the pictures")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--clip", type=Path, help="a clip or picture of a face of your own")
    parser.add_argument("--speech", type=Path, default=ASSETS / "demo_speech.flac")
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = film_to_dub(options.clip, Path(folder))
        film = LoopedCamera.encode(film_of(source.clip, options.size))
    served = ("--max-sessions", str(max(options.counts)), "--device", options.device, "--dtype", options.dtype)
    rows = []
    with serving(*served, "--preset", options.preset) as (url, pid):
        for count in options.counts:
            began, cpu, own = time.monotonic(), processor_seconds(pid), time.process_time()
            row = asyncio.run(hold(url, count, film, options))
            took = time.monotonic() - began
            row["server_cpu_cores"] = (processor_seconds(pid) - cpu) / took
            row["peers_cpu_cores"] = (time.process_time() - own) / took
            rows.append(row)
            print(json.dumps(row), flush=True)
    figures = {
        "film": source.what,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "size": options.size,
        "held": max((row["sessions"] for row in rows if row["held"]), default=0),
        "rows": rows,
    }
    carried = figures["held"] or f"none of {', '.join(map(str, options.counts))}"
    print(f"held: {carried} sessions of {options.size} x {options.size} on {os.cpu_count()} cores ({source.what})")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
