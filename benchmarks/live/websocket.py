"""Measures how soon speech that is sent over the WebSocket comes back as sound and picture, and what a cut of the
line costs.

    python -m benchmarks.live.websocket [--times 30] [--cuts 5] [--profile balanced] [--json FILE]

A portrait speaks in ``mytalk serve`` (a process of its own); the Python client sends short utterances on loopback,
each when the one before was heard. From the first byte sent to: ``playback.started``, the sound of that moment, the
first picture of that moment or after it (H264; the figure to reach: p95 at most 400 ms). Then one long speech, in which
the TCP connection is broken ``--cuts`` times: from the cut to the first sound that comes again, and whether any sample
of the speech is missing in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.live.live_peers import serving, table

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "clients" / "python"))

try:
    from mytalk_client import Audio, PlaybackFinished, PlaybackStarted, Session, SpeechFormat, Video, connect
except ImportError as error:
    raise SystemExit(f"{error}: the Python client is needed (pip install ./clients/python)") from error

RATE = 48_000
WORD = 0.4  # seconds of an utterance
PAUSE = 0.3  # between two of them
BETWEEN_CUTS = 2.0  # seconds
SETTLE = 5.0  # seconds until the engine has forgotten the session before


def words(seconds: float, seed: int) -> NDArray[np.int16]:
    """Makes sound of which no two places are alike, and no sample is 0."""
    noise = np.random.default_rng(seed).integers(1, 6_000, int(seconds * RATE))
    return np.asarray(noise, np.int16)


async def round_trip(session: Session, seed: int) -> dict[str, float]:
    """Measures milliseconds from sending one utterance to what comes of it."""
    began = time.perf_counter()
    await session.say(words(WORD, seed).tobytes())
    found: dict[str, float] = {}
    at = None
    while not {"started", "sound", "picture", "finished"} <= found.keys():
        event = await asyncio.wait_for(anext(session), 30)
        passed = 1000 * (time.perf_counter() - began)
        if isinstance(event, PlaybackStarted):
            at = event.pts
            found["started"] = passed
        elif isinstance(event, Audio) and "sound" not in found and np.frombuffer(event.data, "<i2").any():
            found["sound"] = passed
        elif isinstance(event, Video) and at is not None and event.pts >= at:
            found.setdefault("picture", passed)
        elif isinstance(event, PlaybackFinished):
            found["finished"] = passed
    return found


class Line:
    """Relays a TCP connection to the server, and can break it."""

    def __init__(self, url: str) -> None:
        self.url = ""
        self._port = int(url.rstrip("/").rsplit(":", 1)[1])
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


async def cuts(url: str, count: int, profile: str) -> tuple[list[float], int]:
    """Measures milliseconds without sound after each cut, and samples of the speech that never came."""
    line = Line(url)
    server = await line.open()
    said = words(BETWEEN_CUTS * (count + 1), seed=99)
    gaps: list[float] = []
    sound: list[bytes] = []
    async with connect(line.url, speech=SpeechFormat(RATE), audio=True, video="h264", profile=profile) as session:
        await session.say(said.tobytes())
        next_cut: float | None = None
        cut_at: float | None = None
        async for event in session:
            now = time.perf_counter()
            if isinstance(event, PlaybackStarted):
                next_cut = now + BETWEEN_CUTS
            elif isinstance(event, Audio):
                sound.append(event.data)
                if cut_at is not None:
                    gaps.append(1000 * (now - cut_at))
                    cut_at = None
            elif isinstance(event, PlaybackFinished):
                break
            if next_cut is not None and now >= next_cut and len(gaps) < count:
                line.cut()
                cut_at, next_cut = now, now + BETWEEN_CUTS
        sound += [event.data for event in [await anext(session) for _ in range(60)] if isinstance(event, Audio)]
    server.close()
    heard = np.frombuffer(b"".join(sound), "<i2")[::2]
    return gaps, len(said) - int(np.count_nonzero(heard))


async def converse(url: str, profile: str, times: int, breaks: int) -> dict[str, Any]:
    """Measures so many round trips of utterances, and so many cuts, over the server's WebSocket."""
    rows = []
    async with connect(url, speech=SpeechFormat(RATE), audio=True, video="h264", profile=profile) as session:
        for seed in range(times + 1):
            rows.append(await round_trip(session, seed))
            await asyncio.sleep(PAUSE)
    await asyncio.sleep(SETTLE)
    gaps, missing = await cuts(url, breaks, profile)
    figures: dict[str, Any] = {}
    for name in ("started", "sound", "picture"):
        found = [row[name] for row in rows[1:]]  # the first one waits for the first window
        figures |= {f"{name}_ms_p50": float(np.median(found)), f"{name}_ms_p95": float(np.percentile(found, 95))}
    return figures | {"cuts": len(gaps), "gap_ms_most": max(gaps, default=0.0), "samples_missing": missing}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--cuts", type=int, default=5)
    parser.add_argument("--profile", choices=["low", "balanced", "quality"], default="balanced")
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with serving("--preset", options.preset) as (url, _):
        figures = asyncio.run(converse(url.rstrip("/"), options.profile, options.times, options.cuts))
    figures = {"cores": os.cpu_count(), "machine": platform.machine(), "profile": options.profile} | figures
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
