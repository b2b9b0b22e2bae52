"""Runs a server: its socket, engine and routes, until a signal stops it, and then down in bounded time."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np
from aiohttp import web

from mytalk.errors import MyTalkError, ServerError
from mytalk.media.face_source import open_face
from streamer.auth.api_keys import KeyRing
from streamer.clock import SECOND_NS, Clock, SystemClock
from streamer.config.server_config import ServerConfig
from streamer.cpu import Threads, available_cores, engine_threads, leave_some_to_others, take_priority
from streamer.engine.engine import Engine
from streamer.engine.interfaces import Models
from streamer.errors import PortInUseError
from streamer.executors import Executors
from streamer.http.authorization import Authorization
from streamer.http.listener import ConnectionLimit, byte_counter, tls_context
from streamer.http.routes import Routes
from streamer.outputs.push_targets import look_ahead
from streamer.outputs.recording_file import make_folder
from streamer.process_limits import allow_open_files, return_freed_memory
from streamer.session.freed_memory import give_memory_back, settle_collector
from streamer.session.registry import SessionRegistry
from streamer.telemetry.loop_watchdog import LoopWatchdog

log = logging.getLogger(__name__)

STOP_TIMEOUT = 8.0
"""Seconds that stopping may take in all before the rest is left to the operating system."""

HEAD_WAIT = 15.0
"""Seconds in which a connection has to send a whole request head, and that it may rest between two requests."""

LINGER = 2.0
"""Seconds in which the rest of a refused body is dropped before the connection is closed: closed at once, a client that
still sends would be shown a broken connection in place of the answer."""

SAVE_PAUSE = 5 * SECOND_NS
"""Between two writes of what keys have used: so much is forgotten if the server is killed."""

_WATCH = SECOND_NS // 2
_WARM_UP = 12  # pictures dubbed before the server is ready


@dataclass(frozen=True, slots=True)
class Running:
    """Holds a server that listens. ``url`` is where its page is; ``engine`` may still be loading."""

    url: str
    engine: Engine
    sessions: SessionRegistry
    loading: asyncio.Task[None]


@asynccontextmanager
async def running(
    config: ServerConfig, load: Callable[[], Models] | None = None, clock: Clock | None = None
) -> AsyncIterator[Running]:
    """Runs a server inside an event loop, from listening to stopped. Raises ``PortInUseError``, ``ServerError``, or
    ``OptionError`` for a file of keys or certificates that is of no use."""
    _check_open(config)
    make_folder(config.recordings)
    executors = Executors()
    await executors.blocking.run(look_ahead, config.push_to)
    keys = KeyRing(config.keys) if config.keys is not None else None
    tls = tls_context(config.tls_cert, config.tls_key)
    listener = _listen(config.host, config.port)
    clock = clock or SystemClock()
    executors.serve_libraries()
    threads = engine_threads(available_cores(), config.engine_threads, config.tracker_threads)
    engine = Engine(load or (lambda: load_models(config, threads)), clock, threads)
    sessions = SessionRegistry(config, engine, clock, executors)
    access = Authorization(sessions, config, keys, clock, executors.blocking)
    connections = ConnectionLimit(config.max_connections)
    watchdog = LoopWatchdog()
    runner = _runner(Routes(sessions, engine, config, access, connections, watchdog), connections)
    await runner.setup()
    assert runner.server is not None
    connections.start(runner.server, listener, tls)
    watchdog.start()
    loading = asyncio.create_task(engine.start(), name="load the models")
    tasks = [
        loading,
        asyncio.create_task(_end_overdue(sessions, access, clock), name="end overdue sessions"),
        asyncio.create_task(_save(access, clock), name="keep what keys have used"),
        asyncio.create_task(give_memory_back(sessions, executors.blocking, clock), name="give memory back"),
    ]
    try:
        yield Running(_url(listener, secure=tls is not None), engine, sessions, loading)
    finally:
        for task in tasks:
            task.cancel()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await sessions.close()
                connections.close()
                await runner.cleanup()
                await engine.close()
                await access.save()
        except TimeoutError:
            log.error("the server did not stop within %s s", STOP_TIMEOUT)
        await asyncio.gather(*tasks, return_exceptions=True)
        listener.close()
        watchdog.close()
        executors.close()


def _runner(routes: Routes, connections: ConnectionLimit) -> web.AppRunner:
    """Serves the routes; bodies are never inflated."""
    return web.AppRunner(
        routes.app(),
        access_log=log,
        access_log_class=byte_counter(connections.traffic),
        shutdown_timeout=1,
        handle_signals=False,
        keepalive_timeout=HEAD_WAIT,
        lingering_time=LINGER,
        auto_decompress=False,
    )


async def run_until_stopped(config: ServerConfig, ready: Callable[[str], None]) -> None:
    """Serves until SIGINT; or until SIGTERM and then as long as there are sessions, ``config.drain_seconds`` at most,
    which a second signal cuts short. ``ready`` is called with the page's URL once sessions can be made."""
    stop, at_once = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(name: signal.Signals) -> None:
        if name is signal.SIGINT or stop.is_set():
            at_once.set()
        stop.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, on_signal, name)
    try:
        async with running(config) as server:
            stopping = asyncio.create_task(stop.wait(), name="wait for a signal")
            await asyncio.wait({stopping, server.loading}, return_when=asyncio.FIRST_COMPLETED)
            if server.loading.done():
                server.loading.result()
                ready(server.url)
            await stopping
            await _drain(server.sessions, config.drain_seconds, at_once)
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)


async def _drain(sessions: SessionRegistry, seconds: int, at_once: asyncio.Event) -> None:
    """Refuses new sessions, and waits for those there are to end by themselves."""
    sessions.draining = True
    log.info("draining", extra={"data": {"sessions": len(sessions.all()), "seconds": seconds}})
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while sessions.all() and not at_once.is_set():  # noqa: ASYNC110 (two things to wait for)
                await asyncio.sleep(0.1)


async def _end_overdue(sessions: SessionRegistry, access: Authorization, clock: Clock) -> None:
    """Ends sessions that are over their time, or whose key is."""
    while True:
        await clock.sleep_until(clock.now() + _WATCH)
        for session in sessions.all():
            if (reason := access.overdue(session)) is not None:
                session.stop(reason)


async def _save(access: Authorization, clock: Clock) -> None:
    """Saves what keys have used, in a task of its own: a disk may stand still."""
    while True:
        await clock.sleep_until(clock.now() + SAVE_PAUSE)
        await access.save()


def serve(config: ServerConfig, ready: Callable[[str], None] | None = None) -> None:
    """Blocks until SIGINT or SIGTERM. Raises what keeps the server from starting, as a ``MyTalkError``.

    ``ready`` is called with the page's URL; None: the log says it."""
    import uvloop

    return_freed_memory()
    allow_open_files()
    if not config.watermark:
        log.warning("pictures leave without a watermark (--no-watermark)")
    if config.nice and not take_priority(config.nice):
        log.debug("the system does not allow the priority %d (need CAP_SYS_NICE, or a limit of nice)", config.nice)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_until_stopped(config, ready or _log_ready))


def _log_ready(url: str) -> None:
    log.info("serving", extra={"data": {"url": url}})


def load_models(config: ServerConfig, threads: Threads) -> Models:
    """Loads the models and runs them once, so that the first session finds them warm. Called on an engine thread before
    the others begin."""
    import mytalk

    leave_some_to_others(threads.engine)
    pipeline = mytalk.load(
        config.preset,
        device=config.device,
        speech_model=config.speech_model,
        dtype=config.dtype,
    )
    portrait = open_face(config.portrait_path).frames(endless=True)
    for _ in pipeline.dub(islice(portrait, _WARM_UP), np.zeros(0, np.float32)):
        pass
    settle_collector()
    return pipeline


def _check_open(config: ServerConfig) -> None:
    """Refuses to serve other machines without keys, unless told to. Raises ``ServerError``."""
    if not config.is_local and config.keys is None and not config.allow_anyone:
        raise ServerError(
            f"listening on {config.host} lets other machines in, without keys whoever asks "
            "(need --keys FILE, made by 'mytalk keys add FILE --name NAME', or --allow-anyone)"
        )
    if not config.is_local and config.keys is not None and config.tls_cert is None:
        log.warning("keys and tokens cross the network readable (use --tls-cert, or a proxy that speaks TLS)")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise _refused(host, port, error) from error
    return listener


def _refused(host: str, port: int, error: Exception) -> MyTalkError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return PortInUseError(f"port {port} of {host} is in use (stop what listens there, or choose another --port)")
    return ServerError(f"cannot listen on {host} port {port}: {error} (need one of its addresses and a free port)")


def _url(listener: socket.socket, *, secure: bool) -> str:
    host, port = listener.getsockname()[:2]
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::1", "::") else host
    return f"http{'s' * secure}://{f'[{shown}]' if ':' in shown else shown}:{port}/"
