"""Names what a client of the server can do wrong, or meet, as branches of the tree in :mod:`mytalk.errors`.

Each class has one ``http_status`` (named below where its parent's does not hold) and one ``close_code`` of WebSockets:
1008, or 1013 (try again later) for ``QuotaError`` and ``BusyError``.

::

    InputError
    └── RequestError              400  the request cannot be understood
        ├── MismatchError              JSON that does not fit the type it is read as
        ├── ProtocolError              a message of ``mytalk.v1`` that is none, or cannot be done; its own ``code``
        │   └── PacketError            bytes that are no binary message
        ├── NotAuthorizedError    401  no key or token, or one that is not known
        │   └── ExpiredError           a token that was good once
        ├── ForbiddenError        403  another session's token, or a key without the scope
        ├── UnknownSessionError   404  no such session (any more)
        ├── NoUsableTrackError    406  the offer lacks a track that the session needs
        ├── TooSlowError          408  the body did not come in time
        ├── ConflictError         409  the session has its connection already
        │   └── NotLiveError           nothing to watch yet; ``retry_after`` seconds
        ├── StaleError            412  If-Match names an ICE session that is over
        ├── TooLargeError         413  a body over the limit
        ├── MediaTypeError        415  a content type that the route does not read
        ├── UnprocessableError    422  understood, but not for this connection
        ├── NoConditionError      428  no If-Match
        └── QuotaError            429  the key, or the address, has used what it may; ``retry_after`` seconds
    EngineError
    └── BusyError                 503  no room, or not ready; ``retry_after`` seconds
    ServerError
    └── PortInUseError                 another program listens on the port
"""

from __future__ import annotations

from mytalk.errors import EngineError, InputError, ServerError

__all__ = [
    "BusyError",
    "ConflictError",
    "ExpiredError",
    "ForbiddenError",
    "MediaTypeError",
    "MismatchError",
    "NoConditionError",
    "NoUsableTrackError",
    "NotAuthorizedError",
    "NotLiveError",
    "PacketError",
    "PortInUseError",
    "ProtocolError",
    "QuotaError",
    "RequestError",
    "StaleError",
    "TooLargeError",
    "TooSlowError",
    "UnknownSessionError",
    "UnprocessableError",
]


class RequestError(InputError):
    """The request cannot be understood."""

    code = "bad_request"


class MismatchError(RequestError):
    """JSON does not fit the type that it is read as; the message names the place."""


class ProtocolError(RequestError):
    """A message of ``mytalk.v1`` is none, or cannot be done.

    ``code``: for programs, one of those in PROTOCOL.md. ``event_id``: of the message. ``fatal``: the connection closes.
    """

    def __init__(self, code: str, message: str, event_id: str | None = None, fatal: bool = False) -> None:
        super().__init__(message)
        self.code, self.event_id, self.fatal = code, event_id, fatal


class PacketError(ProtocolError):
    """Bytes are no binary message."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_packet", message)


class NotAuthorizedError(RequestError):
    """A call that needs a key or a token came without one, or with one that is not known (RFC 6750, 3.1)."""

    http_status = 401
    code = "not_authorized"


class ExpiredError(NotAuthorizedError):
    """The token was good once."""

    code = "expired"


class ForbiddenError(RequestError):
    """The token is another session's, or the key lacks the scope."""

    http_status = 403
    code = "forbidden"


class UnknownSessionError(RequestError):
    """No session of that id, or it has ended."""

    http_status = 404
    code = "unknown_session"


class NoUsableTrackError(RequestError):
    """The offer lacks a track that the session needs (RFC 9725, 4.2: 406)."""

    http_status = 406
    code = "no_usable_track"


class TooSlowError(RequestError):
    """The body did not come in time."""

    http_status = 408
    code = "too_slow"


class ConflictError(RequestError):
    """The session has its one connection already."""

    http_status = 409
    code = "conflict"


class NotLiveError(ConflictError):
    """A session has nothing to watch yet (WHEP, 4.2: 409 with Retry-After)."""

    code = "not_live"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StaleError(RequestError):
    """If-Match names an ICE session that is over (RFC 9725, 4.3.2: 412)."""

    http_status = 412
    code = "stale"


class TooLargeError(RequestError):
    """A body over the limit."""

    http_status = 413
    code = "too_large"


class MediaTypeError(RequestError):
    """A content type that the route does not read."""

    http_status = 415
    code = "media_type"


class UnprocessableError(RequestError):
    """Understood, but not for this connection (RFC 9725, 4.3.1: 422)."""

    http_status = 422
    code = "unprocessable"


class NoConditionError(RequestError):
    """A PATCH without If-Match (RFC 9725, 4.3.2: 428)."""

    http_status = 428
    code = "no_condition"


class QuotaError(RequestError):
    """The key, or the address, has used what it may for now."""

    http_status = 429
    close_code = 1013
    code = "over_quota"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BusyError(EngineError):
    """No room for another session or viewer, or the models are not loaded yet."""

    close_code = 1013
    code = "busy"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PortInUseError(ServerError):
    """Another program listens on the port."""
