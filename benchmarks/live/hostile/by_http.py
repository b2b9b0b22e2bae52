"""Attacks by HTTP and TCP."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import zlib
from collections import Counter
from contextlib import ExitStack
from functools import cache

import aiohttp

from benchmarks.live.hostile.progressive_jpeg import progressive_jpeg
from benchmarks.live.hostile.target import Target, counted
from streamer.session.picture_header import MAX_PIXELS, MAX_SCANS

CONNECTIONS = 1100
UPLOADS = 120
OFFERS = 300


async def deflate_bomb(target: Target, seconds: float) -> str:
    """Posts 1 MB that inflates to 1 GiB, four at a time, without a key."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "deflate"}
    return await _posts(target, seconds, 4, _bomb(), headers)


async def jpeg_scans(target: Target, seconds: float) -> str:
    """Uploads a progressive JPEG of 8192 x 8192 with 1200 scans, four at a time."""
    return await _uploads(target, seconds, progressive_jpeg(8192, 1200))


async def jpeg_at_the_limits(target: Target, seconds: float) -> str:
    """Uploads a progressive JPEG with as many pixels and scans as are taken, four at a time."""
    side = int(MAX_PIXELS**0.5) // 8 * 8
    return await _uploads(target, seconds, progressive_jpeg(side, MAX_SCANS - 2))


async def silent_connections(target: Target, seconds: float) -> str:
    """Opens 1100 TCP connections and sends nothing; then a new client asks."""
    with ExitStack() as stack:
        refused = 0
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.socket())
            connection.setblocking(False)
            try:
                await asyncio.wait_for(asyncio.get_running_loop().sock_connect(connection, target.address), 2)
            except OSError:  # TimeoutError is one
                refused += 1
        await asyncio.sleep(seconds)
        began = time.monotonic()
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"{target.url}/healthz", timeout=aiohttp.ClientTimeout(total=20)) as response,
            ):
                asked = str(response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            asked = type(error).__name__
    return f"not connected {refused}; a new client gets {asked} after {time.monotonic() - began:.1f} s"


async def unfinished_uploads(target: Target, seconds: float) -> str:
    """Begins 120 uploads of 8 MB at once, and sends all but the last byte of each."""
    host, port = target.address
    length = 8 << 20
    head = f"POST /v1/sessions HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {target.key}\r\n"
    head += f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    answers = Counter[object]()

    async def upload() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(head.encode())
        try:
            for _ in range(127):
                writer.write(bytes(1 << 16))
                async with asyncio.timeout(seconds):
                    await writer.drain()
            async with asyncio.timeout(seconds):
                line = await reader.readline()
            answers[line.split()[1].decode() if line else "closed"] += 1
        except (OSError, TimeoutError) as error:
            answers[type(error).__name__] += 1
        writer.close()

    await asyncio.gather(*(upload() for _ in range(UPLOADS)))
    return counted(answers)


async def offers_at_once(target: Target, seconds: float) -> str:
    """Posts 300 offers of viewers at the same moment, and connects none."""
    from aiortc import RTCConfiguration, RTCPeerConnection

    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in ("audio", "video"):
        peer.addTransceiver(kind, direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    lines = [line for line in peer.localDescription.sdp.splitlines() if not line.startswith("a=candidate")]
    await peer.close()
    sdp = "\r\n".join([*lines, ""])
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {target.honest['view_token']}"}
    answers = Counter[object]()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def post() -> None:
            try:
                async with http.post(target.url + target.honest["urls"]["whep"], data=sdp, headers=headers) as response:
                    answers[response.status] += 1
            except aiohttp.ClientError as error:
                answers[type(error).__name__] += 1

        await asyncio.gather(*(post() for _ in range(OFFERS)))
    await asyncio.sleep(seconds)
    return counted(answers)


async def _uploads(target: Target, seconds: float, picture: bytes) -> str:
    form = aiohttp.MultipartWriter("form-data", boundary="border")
    session = form.append(json.dumps({"speech": "demo"}), {"Content-Type": "application/json"})  # type: ignore[arg-type]
    session.set_content_disposition("form-data", name="session")
    portrait = form.append(picture, {"Content-Type": "image/jpeg"})  # type: ignore[arg-type]
    portrait.set_content_disposition("form-data", name="portrait", filename="portrait.jpg")
    body = await form.as_bytes()
    headers = {"Content-Type": "multipart/form-data; boundary=border"} | target.bearer
    return f"{len(picture) // 1000} kB: {await _posts(target, seconds, 4, body, headers)}"


async def _posts(target: Target, seconds: float, at_once: int, body: bytes, headers: dict[str, str]) -> str:
    """Posts again and again; 201 answers are counted, and their sessions ended."""
    answers, began = Counter[object](), time.monotonic()

    async def post() -> None:
        while time.monotonic() - began < seconds:
            try:
                async with target.http.post(f"{target.url}/v1/sessions", data=body, headers=headers) as response:
                    answers[response.status] += 1
                    if response.status == 201:
                        await target.delete(await response.json())
                    elif response.status == 503:
                        await asyncio.sleep(0.1)
            except aiohttp.ClientError as error:
                answers[type(error).__name__] += 1

    await asyncio.gather(*(post() for _ in range(at_once)))
    return counted(answers)


@cache
def _bomb() -> bytes:
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    return b"".join([*(packer.compress(block) for _ in range(1024)), packer.flush()])
