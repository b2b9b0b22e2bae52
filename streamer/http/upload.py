"""Reads ``POST /v1/sessions`` with a portrait: multipart/form-data (RFC 7578) with bounds on everything.

Parts: ``session``, the JSON that the route takes without a portrait, with a ``consent`` in it; ``portrait``, and
``background``, an image to be seen behind the person. One of the two images must be there.
The body is read whole and then split: aiohttp's reader takes what comes before the first part line by line, on the
event loop, for as long as it comes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

from aiohttp import web

from streamer.errors import BusyError, RequestError, TooLargeError
from streamer.http.body import read_body
from streamer.session.picture_header import MAX_BYTES
from streamer.trust.consent import Consent

TIMEOUT = 30.0
"""Seconds that an upload may take."""

UPLOADS = 4
"""Uploads, of at most ``_BODY`` bytes, that are read or decoded at a time. Full: another gets ``BusyError``."""

RETRY_UPLOAD = 2
"""Seconds after which a client whose upload was refused may try again."""

_MOST = {"session": 64 * 1024, "portrait": MAX_BYTES, "background": MAX_BYTES}  # bytes
_BODY = sum(_MOST.values()) + 64 * 1024  # bytes, with what stands around the parts
_HEADERS = 4096  # bytes of one part's
_STEP = 1 << 20  # bytes that are searched at a time


@dataclass(frozen=True, slots=True)
class Upload:
    """Holds the parts of an upload."""

    options: dict[str, Any]  # for SessionOptions
    consent: Consent | None
    portrait: bytes | None
    background: bytes | None


class UploadLimit:
    """Lets a few uploads of one server be read and decoded at a time."""

    def __init__(self) -> None:
        self._running = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds one place. Raises ``BusyError`` where all are taken."""
        if self._running >= UPLOADS:
            raise BusyError(f"{UPLOADS} other portraits are being uploaded (try again in a moment)", RETRY_UPLOAD)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


async def read_upload(request: web.Request) -> Upload:
    """Returns the upload of a request. Raises ``RequestError``, or what ``read_body`` raises."""
    body = await read_body(request, _BODY, TIMEOUT)
    return _upload(await _named(body, request.headers.get("Content-Type", "")))


def _upload(parts: dict[str, bytes]) -> Upload:
    if not {"portrait", "background"} & parts.keys():
        raise RequestError("the upload has no part named portrait (need one: PNG, JPEG, WebP or HEIC)")
    try:
        options = json.loads(parts.get("session", b"{}"))
    except (ValueError, RecursionError) as error:
        raise RequestError("the part named session is not JSON") from error
    if not isinstance(options, dict):
        raise RequestError("the part named session is not a JSON object (need one, {} for all defaults)")
    given = options.pop("consent", None)
    consent = Consent.from_json(given) if given else None
    return Upload({"source": "portrait"} | options, consent, parts.get("portrait"), parts.get("background"))


async def _named(body: bytes, content_type: str) -> dict[str, bytes]:
    """Returns the parts by name."""
    outer = Message()
    outer["Content-Type"] = content_type
    boundary = outer.get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= 70:
        raise _no_form()
    parts: dict[str, bytes] = {}
    async for headers, content in _parts(body, boundary.encode(errors="surrogateescape")):
        name = headers.get_param("name", header="content-disposition")
        if not isinstance(name, str) or name not in _MOST or name in parts:
            raise RequestError(f"the upload has a part that is not wanted (need one each of {', '.join(_MOST)})")
        if len(content) > _MOST[name]:
            raise TooLargeError(f"the part {name} is over {_MOST[name]} bytes (send less)")
        parts[name] = content
    return parts


async def _parts(body: bytes, boundary: bytes) -> AsyncIterator[tuple[Message, bytes]]:
    """Yields headers and content of each part (RFC 2046, 5.1.1). A caller that wants no more stops asking."""
    delimiter = b"\r\n--" + boundary
    at = 0 if body.startswith(delimiter[2:]) else await _find(body, delimiter, 0) + 2  # of the dashes
    while at != 1:
        at += len(delimiter) - 2
        if body.startswith(b"--", at):
            return
        start = body.find(b"\r\n", at, at + 80) + 2
        end = body.find(b"\r\n\r\n", start - 2, start + _HEADERS)
        after = await _find(body, delimiter, end + 2)
        if start == 1 or end < 0 or after < 0:
            break
        yield BytesHeaderParser().parsebytes(body[start:end]), body[end + 4 : after]
        at = after + 2
    raise _no_form()


async def _find(body: bytes, delimiter: bytes, start: int) -> int:
    """Returns where the delimiter next stands, or -1. Between steps of 2 ms at most, the event loop does other work."""
    while start < len(body):
        found = body.find(delimiter, start, start + _STEP + len(delimiter) - 1)
        if found >= 0:
            return found
        start += _STEP
        await asyncio.sleep(0)
    return -1


def _no_form() -> RequestError:
    return RequestError("the body is no multipart/form-data (need RFC 7578)")
