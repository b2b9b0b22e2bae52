"""A client of ``mytalk.v1`` that keeps every message and packet it receives, as plain as a script could be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
from numpy.typing import NDArray

from streamer.protocol.codec import SUBPROTOCOL
from streamer.protocol.packets import Kind, Packet
from tests.streamer.support.http_client import Client, bearer
from tests.streamer.support.waiting import eventually

PCM48 = {"encoding": "pcm16", "rate": 48_000, "channels": 1}
UNCOUNTED = ("session.created", "session.resumed", "ack", "pong")


class Streamer:
    """Holds one stream, over as many connections as it takes."""

    def __init__(self, client: Client, session: dict[str, Any]) -> None:
        self.client = client
        self.session = session
        self.messages: list[dict[str, Any]] = []
        self.packets: list[Packet] = []
        self.received = 0  # counted messages
        self.code: int | None = None  # of the close
        self.socket: Any = None
        self._reader: asyncio.Task[None] | None = None

    async def connect(self, resume: int | None = None) -> None:
        query = "" if resume is None else f"?resume={resume}"
        self.socket = await self.client.http.ws_connect(
            self.client.url + self.session["urls"]["stream"] + query,
            protocols=(SUBPROTOCOL,),
            headers=bearer(self.session),
            max_msg_size=0,
        )
        self.code = None
        self._reader = asyncio.create_task(self._read(self.socket))

    async def begin(self, **output: str) -> None:
        """Says what will be sent, and what is wanted: sound, where nothing else is said."""
        await self.send(type="session.update", speech=PCM48, output=output or {"audio": "pcm16"}, event_id="begin")
        await self.one("session.updated")

    async def send(self, **message: object) -> None:
        await self.socket.send_str(json.dumps(message))

    async def say(self, speech: NDArray[np.int16], pts: int = 0, generation: int = 0, step: int = 9600) -> None:
        """Sends PCM in messages of ``step`` samples."""
        for start in range(0, len(speech), step):
            part = speech[start : start + step].tobytes()
            await self.socket.send_bytes(Packet(Kind.SPEECH_PCM16, generation, pts + start, part).to_bytes())

    def all(self, name: str) -> list[dict[str, Any]]:
        """Returns the messages of one type, in order."""
        return [message for message in self.messages if message["type"] == name]

    async def one(self, name: str, seconds: float = 30, count: int = 1) -> dict[str, Any]:
        """Returns the ``count``-th message of a type, as soon as it has come."""
        await self.until(lambda: len(self.all(name)) >= count, seconds)
        return self.all(name)[count - 1]

    async def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        try:
            await eventually(condition, seconds)
        except TimeoutError as error:
            raise AssertionError(
                f"messages {self.messages[-8:]}, {len(self.packets)} packets, close {self.code}"
            ) from error

    def of(self, kind: Kind) -> list[Packet]:
        return [packet for packet in self.packets if packet.kind is kind]

    def heard(self) -> NDArray[np.int16]:
        """Joins all sound that came, left channel; its packets must follow one another."""
        sounds = self.of(Kind.AUDIO_PCM16)
        assert [sound.pts for sound in sounds] == list(range(sounds[0].pts, sounds[0].pts + 320 * len(sounds), 320))
        return np.frombuffer(b"".join(sound.payload for sound in sounds), "<i2").reshape(-1, 2)[:, 0]

    async def cut(self) -> None:
        """Breaks the connection without closing it."""
        self.socket._response.connection.transport.abort()
        await self.close()

    async def close(self) -> None:
        if self.socket is not None:
            await self.socket.close()
        if self._reader is not None:
            await self._reader

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                body = json.loads(message.data)
                self.messages.append(body)
                self.received += body["type"] not in UNCOUNTED
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.packets.append(Packet.from_bytes(message.data))
                self.received += 1
        self.code = socket.close_code


@asynccontextmanager
async def streaming(client: Client, **options: object) -> AsyncIterator[Streamer]:
    """A connected stream of a new session: a portrait, unless the options say otherwise."""
    session = await client.create(**({"source": "portrait", "speech": "stream"} | options))
    streamer = Streamer(client, session)
    await streamer.connect()
    try:
        await streamer.one("session.created")
        yield streamer
    finally:
        await streamer.close()


def found_in(speech: NDArray[np.int16], heard: NDArray[np.int16]) -> int:
    """The index at which all of ``speech`` stands in ``heard``, to the bit; -1 where it does not."""
    first = np.flatnonzero(speech)[0]
    for start in np.flatnonzero(heard == speech[first]) - first:
        if start >= 0 and np.array_equal(heard[start : start + len(speech)], speech):
            return int(start)
    return -1
