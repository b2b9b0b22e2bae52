"""Measures what is left of sessions that have gone: connect, talk, and leave in one of three ways, again and again.

    python -m benchmarks.live.soak [--cycles 200] [--json FILE]

Real aiortc peers on loopback to ``mytalk serve`` (a process of its own). They say goodbye, have their session deleted,
or vanish without a word, in turn. The server's threads, open files and memory are counted after every cycle, once it
holds no slot any more; the first tenth of them is left out: what is loaded once is loaded there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from numpy.typing import NDArray

from benchmarks.live.live_peers import ASSETS, Camera, Microphone, Peer, film_of, serving, table
from streamer.media.looped_speech import LoopedSpeech

DEPARTURES = ("goodbye", "deleted", "vanishes")
PICTURES = 5  # that a peer waits for before it leaves
PATIENCE = 10.0  # seconds


async def cycles(url: str, pid: int, count: int) -> list[dict[str, Any]]:
    """Yields one row a cycle."""
    film, speech = film_of(ASSETS / "astronaut.png", 256), LoopedSpeech.read(ASSETS / "demo_speech.flac")
    rows = []
    async with aiohttp.ClientSession() as http:
        for cycle in range(count):
            departure = DEPARTURES[cycle % len(DEPARTURES)]
            took = await run_session(http, url, departure, film, speech)
            rows.append({"way": departure, "freed_after_s": took, **left_of(pid)})
            print(f"\r{cycle + 1} of {count}", end="", flush=True)
    print()
    return rows


async def run_session(
    http: aiohttp.ClientSession, url: str, departure: str, film: list[NDArray[np.uint8]], speech: LoopedSpeech
) -> float:
    """Runs one session; returns the seconds from its peer's leaving until the server has freed it."""
    peer = Peer(Camera(film), Microphone(speech))
    session = await peer.connect(http, url)
    began = time.monotonic()
    while len(peer.pictures) < PICTURES:
        if time.monotonic() - began > PATIENCE:
            raise SystemExit(f"no {PICTURES} pictures came within {PATIENCE:.0f} s")
        await asyncio.sleep(0.05)
    left = time.monotonic()
    if departure == "goodbye":
        await peer.close()
    elif departure == "deleted":
        await session.call("DELETE", "session")
    else:
        peer.vanish()
    while await slots(http, url):
        if time.monotonic() - left > PATIENCE:
            raise SystemExit(f"a session whose peer {departure} was not freed within {PATIENCE:.0f} s")
        await asyncio.sleep(0.05)
    took = time.monotonic() - left
    await peer.close()
    return took


async def slots(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(f"{url}metrics") as response:
        lines = (await response.text()).splitlines()
    live = [line for line in lines if line.startswith(("mytalk_engine_seats ", "mytalk_sessions{"))]
    return sum(int(float(line.split()[-1])) for line in live)


def left_of(pid: int) -> dict[str, float]:
    """Reads threads, open files and resident megabytes of a process."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return {
        "threads": int(status["Threads"]),
        "files": len(list((process / "fd").iterdir())),
        "memory_mb": int(status["VmRSS"].split()[0]) / 1024,
    }


def growth(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Compares the mean of the last tenth with that of the second, and finds the slowest to be freed."""
    tenth = max(1, len(rows) // 10)
    figures: dict[str, Any] = {"cycles": len(rows)}
    for name in ("threads", "files", "memory_mb"):
        first, last = (float(np.mean([row[name] for row in part])) for part in (rows[tenth : 2 * tenth], rows[-tenth:]))
        figures |= {f"{name}_first": first, f"{name}_last": last, f"{name}_growth_percent": 100 * (last / first - 1)}
    for departure in DEPARTURES:
        figures[f"freed_after_{departure}_s"] = max(
            (row["freed_after_s"] for row in rows if row["way"] == departure), default=None
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with serving() as (url, pid):
        rows = asyncio.run(cycles(url, pid, options.cycles))
    figures = {"machine": platform.machine(), "cores": os.cpu_count(), **growth(rows)}
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures | {"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
