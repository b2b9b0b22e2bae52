"""Measures how soon sessions are dubbed and in sync again after the server's process stood still.

    python -m benchmarks.live.stall [--seconds 2 5 20 60] [--json FILE]

A portrait session of ``mytalk serve``, a process of its own, is stopped (SIGSTOP) with all that it started, and goes on
after so many seconds (SIGCONT), as after a pause of a virtual machine. Its WebSocket client asks for sound and H264.

``back_s`` is from SIGCONT until the first picture from which on, for a second, pictures and sound leave side by side:
20 pictures a second or more, none of them late or untouched, and each within 80 ms of the sound that arrives with it.
``late_before`` counts the looks, ten in the second before the pause, at which more pictures were late or untouched:
where there are any, other programs leave the server too little of the machine, and ``back_s`` is theirs too. ``cpu_s``
does not depend on them: what the server computes in the second after SIGCONT, beside ``cpu_before_s``, in that before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from benchmarks.live.live_peers import Session, family, processor_seconds, serving
from streamer.protocol.codec import SUBPROTOCOL
from streamer.protocol.packets import Kind, Packet

BEFORE = 4.0  # seconds of an undisturbed session
AFTER = 10.0  # seconds in which it has to be back
STEADY = 1.0  # seconds that have to be good
LEAST_PICTURES = 20  # of them
MOST_SKEW_S = 0.08
RATE = 16_000  # media time a second
LOOK = 0.1  # seconds between two looks at the session's counts


@dataclass
class Received:
    """Holds arrivals (``time.monotonic()``) and media times, in seconds, of what a client received."""

    sounds: list[tuple[float, float]] = field(default_factory=list)
    pictures: list[tuple[float, float]] = field(default_factory=list)
    spoilt: list[float] = field(default_factory=list)  # when more pictures were counted as late or untouched

    def back(self, since: float) -> float | None:
        """Returns the seconds from ``since`` until all is well for a second; None where it never is."""
        sounds = np.array(self.sounds)
        for index, (at, _) in enumerate(self.pictures):
            if at < since:
                continue
            second = [one for one in self.pictures[index:] if one[0] < at + STEADY]
            if self.pictures[-1][0] < at + STEADY or len(second) < LEAST_PICTURES:
                continue
            if any(at < spoilt < at + STEADY + LOOK for spoilt in self.spoilt):
                continue
            heard = np.interp([one[0] for one in second], sounds[:, 0], sounds[:, 1])
            if np.abs(heard - [one[1] for one in second] - self.skew(since)).max() < MOST_SKEW_S:
                return at - since
        return None

    def skew(self, before: float) -> float:
        """Returns how far the sound that arrives with a picture is ahead of it, before a moment: the median."""
        sounds = np.array(self.sounds)
        ahead = [np.interp(at, sounds[:, 0], sounds[:, 1]) - media for at, media in self.pictures if at < before]
        return float(np.median(ahead))


async def read(socket: aiohttp.ClientWebSocketResponse, received: Received) -> None:
    """Takes packets until the connection ends."""
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY:
            continue
        packet = Packet.from_bytes(message.data)
        kept = received.sounds if packet.kind is Kind.AUDIO_PCM16 else received.pictures
        kept.append((time.monotonic(), packet.pts / RATE))


async def look(session: Session, received: Received) -> None:
    """Notes when the session's count of late or untouched pictures has grown."""
    before = None
    while True:
        counts = (await session.call("GET", "session"))["stats"]["pictures"]
        spoilt = counts["late"] + counts["untouched"]
        if before is not None and spoilt > before:
            received.spoilt.append(time.monotonic())
        before = spoilt
        await asyncio.sleep(LOOK)


async def stand_still(http: aiohttp.ClientSession, url: str, pid: int, seconds: float) -> dict[str, Any]:
    """Measures one pause."""
    async with http.post(f"{url}v1/sessions", json={"source": "portrait", "speech": "demo"}) as response:
        body = await response.json()
        if response.status != 201:
            raise SystemExit(body["error"]["message"])
    session, received = Session(http, url, body), Received()
    address = url + body["urls"]["stream"].removeprefix("/")
    protocols = (SUBPROTOCOL, f"mytalk.token.{body['token']}")
    async with http.ws_connect(address, protocols=protocols, max_msg_size=0) as socket:
        await socket.send_json({"type": "session.update", "output": {"audio": "pcm16", "video": "h264"}})
        tasks = [asyncio.create_task(read(socket, received)), asyncio.create_task(look(session, received))]
        await asyncio.sleep(BEFORE - STEADY)
        cpu = [processor_seconds(pid)]
        await asyncio.sleep(STEADY)
        cpu.append(processor_seconds(pid))
        stopped, now = family(pid), time.monotonic()
        late_before = sum(at > now - STEADY for at in received.spoilt)
        for one in stopped:
            os.kill(one, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        for one in reversed(stopped):
            os.kill(one, signal.SIGCONT)
        since = time.monotonic()
        await asyncio.sleep(STEADY)
        cpu.append(processor_seconds(pid))
        await asyncio.sleep(AFTER - STEADY)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        state = (await session.call("GET", "session"))["state"]
        await session.call("DELETE", "session")
    first = next((at - since for at, _ in received.sounds if at > since), None)
    return {
        "stopped_s": seconds,
        "back_s": received.back(since),
        "first_sound_s": first,
        "late_before": late_before,
        "cpu_before_s": cpu[1] - cpu[0],
        "cpu_s": cpu[2] - cpu[1],
        "state": state,
    }


async def measure(url: str, pid: int, pauses: list[float]) -> list[dict[str, Any]]:
    """Measures one pause after another, and prints a row of each."""
    rows = []
    async with aiohttp.ClientSession() as http:
        for seconds in pauses:
            rows.append(await stand_still(http, url, pid, seconds))
            print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", nargs="+", type=float, default=[2, 5, 20, 60])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with serving() as (url, pid):
        rows = asyncio.run(measure(url, pid, options.seconds))
    if options.json:
        figures = {"machine": platform.machine(), "cores": os.cpu_count(), "rows": rows}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
