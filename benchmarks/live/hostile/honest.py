"""Holds an honest session in a process of its own, and says what it felt: a camera and a microphone that publish by
WHIP, and a viewer by WHEP.

    python -m benchmarks.live.hostile.honest URL [KEY]

It prints its session as JSON once pictures come. Then, for each line on standard input, it prints what came since the
line before. Nothing is decoded: a sound is a packet of the viewer's, a picture one with the marker bit.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import Any

import aiohttp
from aiortc.rtp import RtpPacket

from benchmarks.live.aiortc_peer import on_packets
from benchmarks.live.clients import Publisher, Watcher
from benchmarks.live.live_peers import ASSETS, Camera, Microphone, Session, film_of
from streamer.media.looped_speech import LoopedSpeech

PATIENCE = 30.0  # seconds until the first pictures
TICK = 0.01  # seconds between two looks at this process's own delay


class Honest:
    """Times what a viewer receives. ``own_ms`` is by how much this process itself was late, at most."""

    def __init__(self) -> None:
        self.came: dict[str, list[float]] = {"audio": [], "video": []}
        self._own = 0.0
        self._ticking = asyncio.create_task(self._tick())

    async def connect(self, http: aiohttp.ClientSession, url: str, key: str | None) -> tuple[Session, dict[str, Any]]:
        """Publishes and watches; returns the session, and what the server said of it.

        Raises ``SystemExit`` with the server's reason, or where no pictures come."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        async with http.post(f"{url}v1/sessions", json={}, headers=headers) as response:
            body = await response.json()
            if response.status != 201:
                raise SystemExit(body["error"]["message"])
        camera = Camera(film_of(ASSETS / "astronaut.png", 256))
        microphone = Microphone(LoopedSpeech.read(ASSETS / "demo_speech.flac"))
        self._publisher, self._watcher = Publisher(camera, microphone), Watcher("vp8", decodes=False)
        whip, whep = (url.rstrip("/") + body["urls"][name] for name in ("whip", "whep"))
        await self._publisher.connect(http, whip, body["token"])
        camera.roll()
        microphone.speak()
        await self._watcher.connect(http, whep, body["view_token"])
        on_packets(self._watcher.connection, self._on_packet)
        try:
            async with asyncio.timeout(PATIENCE):
                while len(self.came["video"]) < 50:  # noqa: ASYNC110 (packets have no event)
                    await asyncio.sleep(TICK)
        except TimeoutError:
            raise SystemExit("the server gives no pictures") from None
        return Session(http, url, body), body

    def begin(self) -> None:
        """Forgets what came."""
        self._began, self._own = time.monotonic(), 0.0
        for arrivals in self.came.values():
            arrivals.clear()

    def felt(self) -> dict[str, float]:
        """Returns gaps and rates since ``begin``. A gap that still lasts counts as far as it has lasted."""
        now = time.monotonic()
        gaps = {
            kind: max(later - earlier for earlier, later in itertools.pairwise([self._began, *arrivals, now]))
            for kind, arrivals in self.came.items()
        }
        return {
            "seconds": now - self._began,
            "sound_gap_ms": 1000 * gaps["audio"],
            "picture_gap_ms": 1000 * gaps["video"],
            "pictures_per_second": len(self.came["video"]) / (now - self._began),
            "own_ms": 1000 * self._own,
        }

    async def close(self) -> None:
        """Ends the connections."""
        self._ticking.cancel()
        await self._watcher.close()
        await self._publisher.connection.close()

    def _on_packet(self, kind: str, packet: RtpPacket) -> None:
        if kind == "audio" or packet.marker:
            self.came[kind].append(time.monotonic())

    async def _tick(self) -> None:
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            self._own = max(self._own, time.monotonic() - due)


async def pictures(session: Session) -> dict[str, int]:
    """Reads what became of the session's pictures so far."""
    return dict((await session.call("GET", "session"))["stats"]["pictures"])


async def main(url: str, key: str | None) -> None:
    async with aiohttp.ClientSession() as http:
        honest = Honest()
        session, body = await honest.connect(http, url, key)
        print(json.dumps(body), flush=True)
        honest.begin()
        before = await pictures(session)
        while await asyncio.to_thread(sys.stdin.readline):
            felt: dict[str, Any] = dict(honest.felt())
            now = await pictures(session)
            felt["pictures"] = {name: count - before.get(name, 0) for name, count in now.items()}
            before = now
            print(json.dumps(felt), flush=True)
            honest.begin()
        await session.call("DELETE", "session")
        await honest.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
