"""Bounds and counts the server's TCP connections, and loads its certificate."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections import Counter
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from mytalk.errors import OptionError
from streamer.http.middleware import Handler

log = logging.getLogger(__name__)


HANDSHAKE_WAIT = 10.0
"""Seconds in which a TLS handshake has to be over, and again in which a peer has to agree to a connection's end."""

_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_FILES_WAIT = 0.2  # seconds until the next attempt where there is no file descriptor left for a connection
_AT_ONCE = 8  # connections that are accepted before the event loop does other work: 0.3 ms each


class ConnectionLimit:
    """Accepts the server's TCP connections, and counts them from then on: also those that never begin to speak TLS.

    Beyond ``most`` connections, the oldest gives way on which no request is being answered; where there is none, the
    new one is closed at once. ``refused`` counts both. ``traffic``: bytes of requests (``in``) and of their answers
    (``out``).
    """

    def __init__(self, most: int) -> None:
        self.refused = 0
        self.traffic = Counter[str]()
        self._most = most
        self._beginning: dict[asyncio.BaseProtocol, asyncio.Task[None]] = {}  # TLS handshakes; at most ``most``
        self._answered: set[asyncio.BaseProtocol] = set()  # those with a request that is being answered
        self._short_of_files = False

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Knows which connections have a request that is being answered."""
        self._answered.add(request.protocol)
        try:
            return await handler(request)
        finally:
            self._answered.discard(request.protocol)

    @property
    def inside(self) -> int:
        """Returns the number of open connections, without those that are being closed."""
        begun = {one for one in self._server.connections if one.transport is None or not one.transport.is_closing()}
        return len(self._beginning.keys() | begun)

    def start(self, server: web.Server, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Begins to accept. ``listener``: non-blocking, and the caller's to close."""
        self._loop = asyncio.get_running_loop()
        self._server, self._listener, self._tls = server, listener, tls
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Accepts no more, and drops the connections that have not begun."""
        self._loop.remove_reader(self._listener)
        self._most = 0
        for task in self._beginning.values():
            task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # of a connection that is gone already (accept(2)), or there is no room for one
                if error.errno in _NO_FILES:
                    self._wait_for_files(error)
                    return
                continue
            self._short_of_files = False
            if self.inside >= self._most:
                self.refused += 1
                if not self._give_way():
                    connection.close()
                    continue
            connection.setblocking(False)
            protocol = self._server()
            task = self._loop.create_task(self._begin(protocol, connection), name="begin a connection")
            self._beginning[protocol] = task

    async def _begin(self, protocol: asyncio.BaseProtocol, connection: socket.socket) -> None:
        """Gives a connection to its protocol, once the TLS handshake is over where there is one."""
        waits = dict.fromkeys(("ssl_handshake_timeout", "ssl_shutdown_timeout"), HANDSHAKE_WAIT) if self._tls else {}
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._tls, **waits)
        except OSError as error:  # SSLError, ConnectionError and TimeoutError are ones
            log.debug("a connection did not begin: %s", type(error).__name__)
            connection.close()
        finally:
            self._beginning.pop(protocol, None)

    def _give_way(self) -> bool:
        """Ends the oldest connection that asks for nothing; false where there is none."""
        if len(self._beginning) > self._most // 2:  # handshakes that do not go on
            self._beginning.pop(next(iter(self._beginning))).cancel()
            return True
        for protocol in self._server.connections:
            transport = protocol.transport
            if protocol not in self._answered and transport is not None and not transport.is_closing():
                transport.abort()
                return True
        return False

    def _wait_for_files(self, error: OSError) -> None:
        """Leaves connections in the system's queue for a moment."""
        if not self._short_of_files:
            log.error("no connection can be accepted: %s (allow more open files)", error.strerror)
        self._short_of_files = True
        self._loop.remove_reader(self._listener)
        self._loop.call_later(_NO_FILES_WAIT, self._resume)

    def _resume(self) -> None:
        if self._most:
            self._loop.add_reader(self._listener, self._accept)


def byte_counter(traffic: Counter[str]) -> type[AbstractAccessLogger]:
    """Returns an access logger for ``AppRunner`` that counts the bytes of each exchange when it is over.

    Of a WebSocket it counts the request alone.
    """

    class ByteCounter(AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
            traffic["in"] += _head_size(request) + request.content.total_bytes
            traffic["out"] += response.body_length  # aiohttp counts the head as well

    return ByteCounter


def _head_size(request: web.BaseRequest) -> int:
    """Returns the bytes of the request line and the headers (RFC 9112)."""
    line = len(f"{request.method} {request.raw_path} HTTP/1.1\r\n")
    return line + sum(len(name) + len(value) + 4 for name, value in request.raw_headers) + 2


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Returns a context of TLS 1.2 and later, or None without a certificate. Raises ``OptionError``."""
    if certificate is None:
        if key is not None:
            raise OptionError(f"--tls-key {key} without a certificate (need --tls-cert as well)")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2

    def no_password() -> str:
        raise OptionError(f"the private key {key or certificate} wants a password (need one without)")

    try:
        context.load_cert_chain(certificate, key, no_password)
    except OSError as error:  # SSLError is one
        why = "no pair of certificate and key" if isinstance(error, ssl.SSLError) else error.strerror
        raise OptionError(f"TLS: {certificate}, {key or 'the key in it'}: {why} (need PEM files)") from error
    return context
