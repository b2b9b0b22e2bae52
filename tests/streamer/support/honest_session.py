"""An honest session beside an attack: what a viewer on the same server felt of it.

    async with honest_session(client) as honest:
        honest.begin()
        await attack()
        await honest.goes_on()
        assert honest.felt().memory_mb < 20

The session has a portrait, the demo speech and a WebSocket client that decodes nothing. It runs on the test's loop, as
the server of the ``server`` fixture does: whatever holds that loop is a gap, the test's own work too. An attack that
computes much sends from a thread. Tests assert that it goes on, and what it cost in memory; how long its gaps are on a
free machine, ``python -m benchmarks.live.attacks`` measures.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from streamer.protocol.codec import SUBPROTOCOL
from streamer.protocol.packets import Kind, Packet
from tests.streamer.support.http_client import Client, bearer
from tests.streamer.support.waiting import eventually

FIRST_PICTURES = 10
"""Pictures that an honest session has received before an attack begins."""


@dataclass(frozen=True, slots=True)
class Felt:
    """Counts what an honest session received since :meth:`HonestSession.begin`, and its process's growth."""

    seconds: float
    sound_gap_ms: float  # the longest time without sound; packets come every 20 ms
    picture_gap_ms: float
    pictures_per_second: float
    memory_mb: float  # resident memory, now less then
    files: int  # open file descriptors, now less then


class HonestSession:
    """A session whose packets are timed as they arrive."""

    def __init__(self, session: dict[str, Any], socket: aiohttp.ClientWebSocketResponse) -> None:
        self.session = session
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self._sounds: list[float] = []
        self._pictures: list[float] = []
        self.begin()

    def begin(self) -> None:
        """Measures from here on."""
        self._began = time.monotonic()
        self._memory, self._files = resident_megabytes(), open_files()
        self._sounds.clear()
        self._pictures.clear()

    def felt(self) -> Felt:
        """Returns the figures from ``begin`` to now. A gap that still lasts counts as far as it has lasted."""
        now = time.monotonic()
        seconds = now - self._began
        return Felt(
            seconds,
            1000 * _longest_gap([self._began, *self._sounds, now]),
            1000 * _longest_gap([self._began, *self._pictures, now]),
            len(self._pictures) / seconds,
            resident_megabytes() - self._memory,
            open_files() - self._files,
        )

    async def goes_on(self, pictures: int = FIRST_PICTURES) -> None:
        """Returns when so many more pictures and twice as many pieces of sound have come. Fails where they do not."""
        enough = len(self._pictures) + pictures, len(self._sounds) + 2 * pictures
        try:
            await eventually(lambda: len(self._pictures) >= enough[0] and len(self._sounds) >= enough[1])
        except TimeoutError as error:
            raise AssertionError(
                f"the honest session stands still: {self.messages[-8:]}, {self.socket.close_code}"
            ) from error

    async def read(self) -> None:
        """Times what comes until the connection ends."""
        async for message in self.socket:
            now = time.monotonic()
            if message.type is aiohttp.WSMsgType.BINARY:
                kind = Packet.from_bytes(message.data).kind
                (self._sounds if kind is Kind.AUDIO_PCM16 else self._pictures).append(now)
            elif message.type is aiohttp.WSMsgType.TEXT:
                self.messages.append(message.json())


@asynccontextmanager
async def honest_session(client: Client, key: str | None = None, **options: object) -> AsyncIterator[HonestSession]:
    """An honest session that already receives pictures and sound. ``key`` is an API key where the server wants one."""
    wanted = {"source": "portrait", "speech": "demo"} | options
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with client.http.post(f"{client.url}/v1/sessions", json=wanted, headers=headers) as response:
        assert response.status == 201, await response.text()
        session = dict(await response.json())
    async with client.http.ws_connect(
        client.url + session["urls"]["stream"], protocols=(SUBPROTOCOL,), headers=bearer(session), max_msg_size=0
    ) as socket:
        honest = HonestSession(session, socket)
        reading = asyncio.create_task(honest.read())
        try:
            await socket.send_json({"type": "session.update", "output": {"audio": "pcm16", "video": "h264"}})
            await honest.goes_on()
            honest.begin()
            yield honest
        finally:
            await socket.close()
            await reading
    async with client.http.delete(client.url + session["urls"]["session"], headers=bearer(session)):
        pass


def resident_megabytes(pid: int | str = "self") -> float:
    """Memory of a process that is in RAM."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def open_files(pid: int | str = "self") -> int:
    """File descriptors of a process, sockets included."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _longest_gap(moments: list[float]) -> float:
    return max(later - earlier for earlier, later in itertools.pairwise(moments))
