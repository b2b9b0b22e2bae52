"""The server's front door: how many may be in at a time, and the certificate that it shows."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from aiohttp import web

from mytalk.errors import OptionError


class Door:
    """Makes the protocol of each new TCP connection, as ``create_server`` wants it. Beyond ``most`` connections, new
    ones are closed at once and counted."""

    opens_to: web.Server  # before the first connection

    def __init__(self, most: int) -> None:
        self.refused = 0
        self._most = most

    @property
    def inside(self) -> int:
        """Connections now."""
        return len(self.opens_to.connections)

    def __call__(self) -> asyncio.Protocol:
        if self.inside < self._most:
            return self.opens_to()
        self.refused += 1
        return _Closed()


class _Closed(asyncio.Protocol):
    """A connection that found no place."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """TLS 1.2 and later with that certificate; None where there is none. Raises ``OptionError``."""
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
        why = (
            error.strerror
            if not isinstance(error, ssl.SSLError)
            else f"no pair of certificate and key ({error.reason})"
        )
        raise OptionError(f"TLS: {certificate}, {key or 'the key in it'}: {why} (need PEM files)") from error
    return context
