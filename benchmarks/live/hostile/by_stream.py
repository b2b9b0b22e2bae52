"""Attacks by the WebSocket of a session, and by what a session is asked for."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
import time
from collections import Counter
from contextlib import suppress
from itertools import cycle

import aiohttp

from benchmarks.live.hostile.target import Target, counted
from streamer.protocol.codec import SUBPROTOCOL
from streamer.protocol.packets import Flags, Kind, Packet

AHEAD = 45 * 16_000  # media time
PATIENCE = 5.0  # seconds for an answer
UNREAD = 64 << 20  # bytes of pings whose answers are not read


async def another_session(target: Target, seconds: float) -> str:
    """Attacks nothing: has one more portrait session, as ``silent_push`` and ``many_steps`` do."""
    session = await target.create(source="portrait", speech="demo")
    async with target.stream(session) as stream:
        await stream.send_json({"type": "session.update", "output": {"audio": "pcm16"}})
        await asyncio.sleep(seconds)
    await target.delete(session)
    return ""


async def timed_large(target: Target, seconds: float) -> str:
    """Sends 0.9 MB of speech for the same pictures again and again, 50 messages a second at most."""
    return await _timed(target, seconds, 470_000, batch=1, pause=0.02)


async def timed_tiny(target: Target, seconds: float) -> str:
    """Sends pieces of three samples for the same picture as fast as they are taken."""
    return await _timed(target, seconds, 3, batch=50, pause=0)


async def pings_unread(target: Target, seconds: float) -> str:
    """Sends pings of 4 kB and reads no answer."""
    session = await target.create(source="portrait", speech="stream")
    host, port = target.address
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET {session['urls']['stream']} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
    head += f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    head += f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\nAuthorization: Bearer {session['token']}\r\n\r\n"
    writer.write(head.encode())
    await reader.readuntil(b"\r\n\r\n")
    body = json.dumps({"type": "ping", "data": "x" * 4096}).encode()
    frame = b"\x81" + bytes([0x80 | 126]) + struct.pack("!H", len(body)) + bytes(4) + body  # RFC 6455, 5.2
    sent, began = 0, time.monotonic()
    with suppress(OSError, TimeoutError):
        while time.monotonic() - began < seconds and sent < UNREAD:
            writer.write(frame)
            sent += len(frame)
            async with asyncio.timeout(seconds):
                await writer.drain()
    writer.close()
    await target.delete(session)
    return f"{sent / 1e6:.1f} MB of pings taken"


async def many_steps(target: Target, seconds: float) -> str:
    """Asks for sessions of 50 sampling steps, and for as many of a session that there is."""
    answers = Counter[object]()
    with suppress(RuntimeError):
        await target.delete(await target.create(source="portrait", speech="demo", steps=50))
        answers["made with 50"] += 1
    session = await target.create(source="portrait", speech="demo")
    async with target.stream(session) as stream:
        await stream.send_json({"type": "session.update", "output": {"audio": "pcm16"}, "controls": {"steps": 50}})
        async with asyncio.timeout(PATIENCE + seconds):
            while (message := await stream.receive()).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                if message.type is aiohttp.WSMsgType.TEXT:
                    kind = message.json()["type"]
                    if kind in ("error", "session.updated"):
                        answers[kind] += 1
                        break
        await asyncio.sleep(seconds)
    await target.delete(session)
    return counted(answers)


async def silent_push(target: Target, seconds: float) -> str:
    """Has a session pushed to a receiver that accepts and says nothing."""
    session = await target.create(source="portrait", speech="demo", push=target.silent_rtmp)
    told = Counter[object]()
    async with target.stream(session) as stream:
        await stream.send_json({"type": "session.update", "output": {"audio": "pcm16"}})
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds + PATIENCE):
                async for message in stream:
                    if message.type is aiohttp.WSMsgType.TEXT and "push" in message.data:
                        told[message.json()["type"]] += 1
    await target.delete(session)
    return f"told: {counted(told)}"


async def _timed(target: Target, seconds: float, samples: int, batch: int, pause: float) -> str:
    session = await target.create(source="portrait", speech="stream")
    message = Packet(Kind.SPEECH_PCM16, 0, AHEAD, b"\1\0" * samples, Flags.TIMED).to_bytes()
    sent, errors, began = 0, 0, time.monotonic()
    async with target.stream(session) as stream:
        await stream.send_json({"type": "session.update", "speech": {"encoding": "pcm16", "rate": 48_000}})

        async def read() -> None:
            nonlocal errors
            async for one in stream:
                errors += one.type is aiohttp.WSMsgType.TEXT and one.json()["type"] == "error"

        reading = asyncio.create_task(read())
        with suppress(ConnectionError):
            for _ in cycle((None,)):
                for _ in range(batch):
                    await stream.send_bytes(message)
                    sent += 1
                await asyncio.sleep(pause)
                if time.monotonic() - began > seconds:
                    break
        await stream.close()
        await reading
    await target.delete(session)
    return f"{sent} of {len(message)} bytes, {errors} errors"


def silent_receiver() -> socket.socket:
    """Listens on a free port of loopback; the system accepts, and nobody answers."""
    receiver = socket.create_server(("127.0.0.1", 0))
    receiver.listen(16)
    return receiver
