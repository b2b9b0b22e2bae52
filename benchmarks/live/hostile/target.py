"""The server under attack, as an attacker and the benchmark see it."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from streamer.protocol.codec import SUBPROTOCOL

PATIENCE = 30.0  # seconds until there is room for a session
STEP = 0.005  # seconds between two looks at what is due


@dataclass(frozen=True, slots=True)
class Target:
    """Holds the address of a server and what an attack may use of it."""

    url: str  # without a slash at its end
    pid: int
    key: str  # an API key that may do everything
    honest: dict[str, Any]  # the honest session, of which an attack may use the view token
    silent_rtmp: str  # URL of a receiver that accepts and says nothing
    http: aiohttp.ClientSession

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def create(self, **options: object) -> dict[str, Any]:
        """Makes a session, as soon as there is room. Raises ``RuntimeError`` with the server's reason where it refuses,
        for want of room for ``PATIENCE``."""
        until = time.monotonic() + PATIENCE
        while True:
            async with self.http.post(f"{self.url}/v1/sessions", json=options, headers=self.bearer) as response:
                body: dict[str, Any] = await response.json()
                if response.status == 201:
                    return body
                if response.status != 503 or time.monotonic() > until:
                    raise RuntimeError(f"{response.status} {body['error']['message']}")
            await asyncio.sleep(0.5)

    async def state(self, session: dict[str, Any]) -> dict[str, Any]:
        """Reads what the server says of a session."""
        headers = {"Authorization": f"Bearer {session['token']}"}
        async with self.http.get(self.url + session["urls"]["session"], headers=headers) as response:
            return dict(await response.json())

    async def delete(self, session: dict[str, Any]) -> None:
        """Ends a session."""
        headers = {"Authorization": f"Bearer {session['token']}"}
        async with self.http.delete(self.url + session["urls"]["session"], headers=headers):
            pass

    @asynccontextmanager
    async def stream(self, session: dict[str, Any]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Opens the session's WebSocket."""
        headers = {"Authorization": f"Bearer {session['token']}"}
        address = self.url + session["urls"]["stream"]
        async with self.http.ws_connect(address, protocols=(SUBPROTOCOL,), headers=headers, max_msg_size=0) as socket:
            yield socket

    async def metrics(self, name: str) -> Counter[str]:
        """Reads the figures of one name from ``/metrics``, by their labels."""
        async with self.http.get(f"{self.url}/metrics", headers=self.bearer) as response:
            response.raise_for_status()
            lines = (await response.text()).splitlines()
        found = Counter[str]()
        for line in lines:
            if line.startswith((f"{name} ", f"{name}{{")):
                labels, _, value = line.removeprefix(name).rpartition(" ")
                found[labels] += int(float(value))
        return found


def memory_mb(pid: int) -> float:
    """Reads the resident memory of one process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def open_files(pid: int) -> int:
    """Counts the file descriptors of one process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def paced(rate: float, seconds: float) -> AsyncIterator[int]:
    """Counts up ``rate`` times a second, for so long."""
    began, count = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while count < passed * rate:
            yield count
            count += 1
        await asyncio.sleep(STEP)


def rtp(payload_type: int, number: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool = True) -> bytes:
    """Writes an RTP packet (RFC 3550, 5.1)."""
    header = (0x80, payload_type | marker << 7, number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return struct.pack("!BBHLL", *header) + payload


def counted(results: Counter[object]) -> str:
    """Writes what came of many attempts, as ``415 x 8``."""
    return ", ".join(f"{result} x {count}" for result, count in results.most_common())
