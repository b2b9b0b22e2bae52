"""Serves avatars to rooms: one process, one engine, many rooms.

    mytalk-livekit-worker [--server URL] [--host 127.0.0.1] [--port 8089] [-- OPTIONS OF mytalk serve]

``POST /v1/rooms`` with a room's URL and token makes an avatar join it, ``POST /v1/rooms/{id}/face`` gives it another
face, ``DELETE /v1/rooms/{id}`` makes it leave. Where
MYTALK_WORKER_KEY is set, ``Authorization: Bearer`` must carry it; without it the worker listens on loopback alone.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import ipaddress
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from livekit import rtc
from mytalk_client import ClientError, RefusedError
from mytalk_client.local_server import local_server

from .log import logger
from .room import BadRequestError, RoomAvatar, RoomRequest, face_of_json

ROOMS = 64
"""Rooms at a time. The server behind refuses as many sessions as it has no time for; this bounds what waits for it."""

REQUEST_BYTES = 12 << 20
"""Of a request: a portrait of 8 MiB in base64, and the rest."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Worker:
    """Keeps the avatars of rooms, each in a task of its own."""

    def __init__(
        self,
        server_url: str,
        api_key: str | None = None,
        worker_key: str | None = None,
        room: Callable[[], rtc.Room] = rtc.Room,
    ) -> None:
        self.server_url, self._api_key, self._worker_key, self._room = server_url, api_key, worker_key, room
        self.rooms: dict[str, asyncio.Task[None]] = {}
        self._avatars: dict[str, RoomAvatar] = {}

    def app(self) -> web.Application:
        """Returns the HTTP service."""
        app = web.Application(client_max_size=REQUEST_BYTES, middlewares=[self._check])
        app.router.add_get("/readyz", self._readyz)
        app.router.add_post("/v1/rooms", self._join)
        app.router.add_post("/v1/rooms/{id}/face", self._change_face)
        app.router.add_delete("/v1/rooms/{id}", self._leave)
        return app

    async def close(self) -> None:
        """Makes all avatars leave."""
        tasks = list(self.rooms.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._worker_key is not None and request.path != "/readyz":
            if not hmac.compare_digest(given.encode(), self._worker_key.encode()):
                return _error(401, "not_authorized", "the worker's key is missing or wrong")
        elif request.headers.get("Origin") is not None:
            return _error(403, "forbidden", "web pages may not call a worker without a key")
        return await handler(request)

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ready", "rooms": len(self.rooms)})

    async def _join(self, request: web.Request) -> web.Response:
        try:
            asked = RoomRequest.parse(await request.read())
        except BadRequestError as error:
            return _error(400, "bad_request", str(error))
        if len(self.rooms) >= ROOMS:
            return _error(503, "busy", f"{ROOMS} rooms (need one that ends first)", {"Retry-After": "1"})
        id_ = secrets.token_urlsafe(16)
        avatar = self._avatars[id_] = RoomAvatar(asked, self.server_url, self._api_key, self._room)
        task = self.rooms[id_] = asyncio.create_task(avatar.run(), name=f"avatar {id_}")
        task.add_done_callback(lambda _: (self.rooms.pop(id_, None), self._avatars.pop(id_, None)))
        task.add_done_callback(_report)
        try:
            await avatar.joined(task)
        except RefusedError as error:
            return _refused(error)
        except (ClientError, rtc.ConnectError, OSError) as error:
            return _error(502, "not_joined", str(error))
        return web.json_response({"id": id_, "disclosure": avatar.disclosure}, status=201)

    async def _change_face(self, request: web.Request) -> web.Response:
        avatar = self._avatars.get(request.match_info["id"])
        if avatar is None:
            return _error(404, "unknown_room", "no such room (it has ended)")
        try:
            await avatar.change_face(*face_of_json(json.loads(await request.read())))
        except ValueError as error:  # no JSON, or a field that is wrong
            return _error(400, "bad_request", str(error))
        except RefusedError as error:
            return _refused(error)
        except ClientError as error:
            return _error(502, "not_changed", str(error))
        return web.Response(status=202)

    async def _leave(self, request: web.Request) -> web.Response:
        task = self.rooms.get(request.match_info["id"])
        if task is None:
            return _error(404, "unknown_room", "no such room (it has ended)")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return web.Response(status=204)


def _refused(error: RefusedError) -> web.Response:
    """Passes on what the streamer answered."""
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else None
    return _error(error.status or 502, error.code, str(error), headers)


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("an avatar left its room: %s", error)


@asynccontextmanager
async def serving(worker: Worker, host: str, port: int) -> AsyncIterator[str]:
    """Serves for as long as the block runs, and yields the URL."""
    runner = web.AppRunner(worker.app())
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{bound}"
    finally:
        await worker.close()
        await runner.cleanup()


async def run(args: argparse.Namespace, stop: asyncio.Event) -> None:
    """Serves until ``stop`` is set. Raises ``ClientError`` where no server can be started."""
    async with AsyncExitStack() as stack:
        url = args.server or await stack.enter_async_context(local_server(*args.options))
        worker = Worker(url, os.environ.get("MYTALK_API_KEY"), os.environ.get("MYTALK_WORKER_KEY"))
        address = await stack.enter_async_context(serving(worker, args.host, args.port))
        print(f"Serving at {address} (Ctrl-C to stop)", flush=True)
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the worker. Returns 1, after one line on standard error, where it cannot start."""
    parser = argparse.ArgumentParser(prog="mytalk-livekit-worker", description=__doc__)
    parser.add_argument("--server", metavar="URL", help="of a MyTalk streamer (default: one of its own)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8089, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("options", nargs="*", help="of 'mytalk serve', after --")
    args = parser.parse_args(arguments)
    if not _is_loopback(args.host) and not os.environ.get("MYTALK_WORKER_KEY"):
        print(f"{args.host}: other machines need a key (set MYTALK_WORKER_KEY)", file=sys.stderr)
        return 1

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run(args, stop)

    try:
        asyncio.run(work())
    except (ClientError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
