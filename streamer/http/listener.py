"""Bounds and counts the server's TCP connections, and loads its certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from mytalk.errors import OptionError


class ConnectionLimit:
    """Makes the protocol of each new TCP connection, as ``create_server`` wants it.

    Beyond ``most`` connections, new ones are closed at once and counted. ``traffic``: bytes of requests (``in``) and of
    their answers (``out``).
    """

    opens_to: web.Server  # before the first connection

    def __init__(self, most: int) -> None:
        self.refused = 0
        self.traffic = Counter[str]()
        self._most = most

    @property
    def inside(self) -> int:
        """Returns the number of open connections."""
        return len(self.opens_to.connections)

    def __call__(self) -> asyncio.Protocol:
        if self.inside < self._most:
            return self.opens_to()
        self.refused += 1
        return _Closed()


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


class _Closed(asyncio.Protocol):
    """Closes a connection beyond the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


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
