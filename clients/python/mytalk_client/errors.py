"""Declares what can go wrong between a program and its server.

::

    ClientError
    ├── RefusedError      the server said no: ``status``, ``code`` and, where it is busy, ``retry_after`` seconds
    ├── LostError         the connection is gone, and could not be resumed
    ├── EndedError        the session is over; nothing more can be said in it
    ├── FormatError       speech or pictures of a kind that there is not; a ``ValueError`` as well
    └── DeviceError       no microphone or loudspeaker that can be used
"""

from __future__ import annotations


class ClientError(Exception):
    """The root: catch this to catch everything that the package raises on purpose."""


class RefusedError(ClientError):
    """The server understood and will not. ``status`` is that of HTTP, 0 where the WebSocket said it."""

    def __init__(self, message: str, code: str, status: int = 0, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code, self.status, self.retry_after = code, status, retry_after


class LostError(ClientError):
    """No connection for longer than the server waits, or none at all."""


class EndedError(ClientError):
    """The session is over: closed by this program, ended by the server, or failed."""


class FormatError(ClientError, ValueError):
    """A format that no server takes, or speech that is not of its format; the message names those that there are."""


class DeviceError(ClientError):
    """PortAudio or a sound device is missing; the message says what to install or to choose."""
