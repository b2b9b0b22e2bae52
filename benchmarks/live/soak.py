"""Measures what an hour of sessions that come and go leaves behind, in every process of the server.

    python -m benchmarks.live.soak [--minutes 20] [--json FILE]

Real peers on loopback to ``mytalk serve``, a process of its own. One call lasts from the first minute to the last: its
skew and its late pictures are compared between the first and the last tenth of the time. Beside it, one session after
another begins and ends in one of four ways: a call says goodbye, is deleted, or vanishes without a word; a WebSocket is
closed. After each the server's processes are measured, once only the long call is left. The first tenth is left out:
what is loaded once is loaded there.

Skew is the receiver's: how much longer pictures travel than sound, each by its own RTP times. Only its change means
anything: the two clocks begin anywhere. ``kept``: the end is as the beginning, within 20 ms of skew, 1 % of late
pictures, 20 MB, not one file and two threads more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from numpy.typing import NDArray

from benchmarks.live.live_peers import ASSETS, Camera, Microphone, Peer, Session, family, film_of, serving, table
from streamer.media.looped_speech import LoopedSpeech
from streamer.protocol.codec import SUBPROTOCOL
from streamer.webrtc.aiortc_internals.receiver import InboundTrack

WAYS = ("goodbye", "deleted", "vanishes", "websocket")
PICTURES = 5  # that a peer waits for before it leaves
PATIENCE = 60.0  # seconds
FEWEST = 10  # sessions
MOST_SKEW_MS, MOST_LATE_PERCENT, MOST_GROWTH_MB = 20.0, 1.0, 20.0
MOST_THREADS = 2  # more at the end: pools fill as they are needed
SERVERS = ("server_memory_mb", "server_files", "server_threads")
KINDS = {"streamer.cli": "server"}  # of processes, by their command line


class LongCall(Peer):
    """The call that lasts: keeps when each frame came, and the media time that it carries, in seconds."""

    def __init__(self, camera: Camera, microphone: Microphone) -> None:
        super().__init__(camera, microphone)
        self.arrived: dict[str, list[tuple[float, float]]] = {"audio": [], "video": []}

    async def _read(self, inbound: InboundTrack) -> None:
        while (frame := await inbound.receive()) is not None:
            assert frame.pts is not None
            assert frame.time_base is not None
            self.arrived[inbound.track.kind].append((time.monotonic(), float(frame.pts * frame.time_base)))

    def part(self, kind: str, since: float, until: float) -> NDArray[np.float64]:
        """Returns arrivals and media times ``(n, 2)`` of a part of the call."""
        return np.array([one for one in self.arrived[kind] if since <= one[0] < until])

    def skew_ms(self, since: float, until: float) -> float:
        """Returns by how much pictures travel longer than sound, and an offset that does not change."""
        travel = [float(np.median(np.subtract(*self.part(kind, since, until).T))) for kind in ("video", "audio")]
        return 1000 * (travel[0] - travel[1])

    def gap_ms(self, kind: str, since: float, until: float) -> float:
        """Returns the longest time between two frames."""
        return float(1000 * np.diff(self.part(kind, since, until)[:, 0]).max())


class Churn:
    """Makes sessions that come and go beside the long call, and measures the server after each."""

    def __init__(self, http: aiohttp.ClientSession, url: str, pid: int) -> None:
        self._http, self._url, self._pid = http, url, pid
        self._film, self._speech = (
            film_of(ASSETS / "astronaut.png", 256),
            LoopedSpeech.read(ASSETS / "demo_speech.flac"),
        )
        self.call = LongCall(Camera(self._film), Microphone(self._speech))
        self.rows: list[dict[str, Any]] = []
        self.refused = 0

    async def run(self, seconds: float) -> dict[str, Any]:
        """Returns the long call's figures; ``rows`` has those of the processes, one row a session."""
        session = await self.call.connect(self._http, self._url)
        await self._until(lambda: len(self.call.arrived["video"]) > PICTURES)
        held = await self._held()
        began = time.monotonic()
        late = [await self._late(session)]
        while (at := time.monotonic() - began) < seconds:
            way = WAYS[len(self.rows) % len(WAYS)]
            try:
                left = await self._come_and_go(way)
            except RuntimeError:  # a busy machine has no room for another
                self.refused += 1
                await asyncio.sleep(1)
                continue
            await self._until(lambda: self._held(), held)
            self.rows.append({"at_s": at, "way": way, "freed_after_s": time.monotonic() - left, **processes(self._pid)})
            late.append(await self._late(session))
            print(f"\r{len(self.rows)} sessions, {at / 60:.1f} of {seconds / 60:.0f} minutes", end="", flush=True)
        print()
        figures = self._of_call(began, time.monotonic(), late)
        await session.call("DELETE", "session")
        await self.call.close()
        return figures

    def _of_call(self, began: float, ended: float, late: list[tuple[int, int]]) -> dict[str, Any]:
        tenth = (ended - began) / 10
        parts = {"first": (began, began + tenth), "last": (ended - tenth, ended)}
        figures: dict[str, Any] = {f"skew_{name}_ms": self.call.skew_ms(*part) for name, part in parts.items()}
        figures["skew_change_ms"] = figures["skew_last_ms"] - figures["skew_first_ms"]
        few = max(1, len(late) // 10)
        for name, (before, after) in {"first": (late[0], late[few]), "last": (late[-1 - few], late[-1])}.items():
            figures[f"late_{name}_percent"] = 100 * (after[0] - before[0]) / max(1, after[1] - before[1])
        for kind in ("audio", "video"):
            figures[f"{kind}_gap_max_ms"] = self.call.gap_ms(kind, began, ended)
        return figures

    async def _come_and_go(self, way: str) -> float:
        """Makes one session and ends it; returns when it was left."""
        if way == "websocket":
            return await self._close_websocket()
        peer = Peer(Camera(self._film), Microphone(self._speech))
        try:
            session = await peer.connect(self._http, self._url)
        except RuntimeError:
            await peer.close()
            raise
        await self._until(lambda: len(peer.pictures) >= PICTURES)
        left = time.monotonic()
        if way == "goodbye":
            await peer.close()
        elif way == "deleted":
            await session.call("DELETE", "session")
        else:
            peer.vanish()
        await peer.close()
        return left

    async def _close_websocket(self) -> float:
        async with self._http.post(
            f"{self._url}v1/sessions", json={"source": "portrait", "speech": "demo"}
        ) as response:
            body = await response.json()
            if response.status != 201:
                raise RuntimeError(body["error"]["message"])
        address, token = self._url + body["urls"]["stream"].removeprefix("/"), body["token"]
        protocols = (SUBPROTOCOL, f"mytalk.token.{token}")
        async with self._http.ws_connect(address, protocols=protocols, max_msg_size=0) as socket:
            await socket.send_json({"type": "session.update", "output": {"audio": "pcm16", "video": "h264"}})
            packets = 0
            while packets < 4 * PICTURES:
                packets += (await socket.receive(PATIENCE)).type is aiohttp.WSMsgType.BINARY
            left = time.monotonic()
        return left

    async def _until(self, condition: Any, wanted: object = True) -> None:
        """Waits until ``condition``, of which either kind will do, gives what is wanted."""
        began = time.monotonic()
        while (await given if asyncio.iscoroutine(given := condition()) else given) != wanted:
            if time.monotonic() - began > PATIENCE:
                raise SystemExit(f"the server does not get on within {PATIENCE:.0f} s")
            await asyncio.sleep(0.05)

    async def _held(self) -> int:
        """Sessions and the engine's slots that the server has."""
        async with self._http.get(f"{self._url}metrics") as response:
            lines = (await response.text()).splitlines()
        live = [line for line in lines if line.startswith(("mytalk_engine_seats ", "mytalk_sessions{"))]
        return sum(int(float(line.split()[-1])) for line in live)

    async def _late(self, session: Session) -> tuple[int, int]:
        """Pictures of the long call that left late or untouched, and all."""
        try:
            pictures = (await session.call("GET", "session"))["stats"]["pictures"]
        except aiohttp.ClientResponseError as error:
            raise SystemExit(f"the long call has ended ({error.status}): this process got no time for 4 s?") from error
        late = pictures["late"] + pictures["untouched"]
        return late, late + pictures["on_time"]


def processes(pid: int) -> dict[str, float]:
    """Returns threads, open files and resident megabytes of the server and of what it started, by kind."""
    found: dict[str, float] = defaultdict(float)
    for one in family(pid):
        process = Path(f"/proc/{one}")
        try:
            command = (process / "cmdline").read_text()
            status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
            files = len(list((process / "fd").iterdir()))
        except OSError:  # it has ended meanwhile
            continue
        kind = next((kind for word, kind in KINDS.items() if word in command), "others")
        found[f"{kind}_threads"] += int(status["Threads"])
        found[f"{kind}_files"] += files
        found[f"{kind}_memory_mb"] += int(status.get("VmRSS", "0").split()[0]) / 1024
    return dict(found)


def growth(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Compares the mean of the last tenth with that of the second, and finds the slowest to be freed."""
    tenth = max(1, len(rows) // 10)
    figures: dict[str, Any] = {"sessions": len(rows)}
    names = sorted({name for row in rows for name in row} - {"at_s", "way", "freed_after_s"})
    for name in names:
        parts = rows[tenth : 2 * tenth], rows[-tenth:]
        first, last = (float(np.mean([row.get(name, 0) for row in part])) for part in parts)
        figures |= {f"{name}_first": first, f"{name}_last": last}
    for way in WAYS:
        figures[f"freed_after_{way}_s"] = max((row["freed_after_s"] for row in rows if row["way"] == way), default=None)
    return figures


async def soak(url: str, pid: int, minutes: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns the figures and the rows."""
    async with aiohttp.ClientSession() as http:
        churn = Churn(http, url, pid)
        figures = await churn.run(60 * minutes)
    if len(churn.rows) < FEWEST:
        raise SystemExit(f"{len(churn.rows)} sessions came and went (need {FEWEST} to compare: take more --minutes)")
    figures |= {"refused": churn.refused} | growth(churn.rows)
    return {"kept": kept(figures)} | figures, churn.rows


def kept(figures: dict[str, Any]) -> bool:
    """Whether the end is as the beginning."""
    grown = {name: figures[f"{name}_last"] - figures[f"{name}_first"] for name in SERVERS}
    late = figures["late_last_percent"] - figures["late_first_percent"]
    return bool(
        abs(figures["skew_change_ms"]) < MOST_SKEW_MS
        and late < MOST_LATE_PERCENT
        and grown["server_memory_mb"] < MOST_GROWTH_MB
        and round(grown["server_files"]) <= 0
        and round(grown["server_threads"]) <= MOST_THREADS
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with serving("--max-sessions", "4") as (url, pid):
        figures, rows = asyncio.run(soak(url, pid, options.minutes))
    figures = {"machine": platform.machine(), "cores": os.cpu_count(), "minutes": options.minutes} | figures
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures | {"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
