"""Reads the bodies of requests, bounded in bytes and time.

A route reads a body once it has checked the caller and reserved what the request needs: until then the bytes stay in
the connection, at most 128 KiB of them. Nothing is decompressed.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from streamer.errors import MediaTypeError, RequestError, TooLargeError, TooSlowError

MAX_BODY = 64 * 1024
"""Bytes of a request's body; a browser's offer takes about 8 000."""

BODY_WAIT = 10.0
"""Seconds that a body may take to arrive."""


def check_encoding(request: web.Request) -> None:
    """Checks that a body is sent as it is: 1 MB can inflate to 1 GiB. Raises ``MediaTypeError``."""
    encoding = request.headers.get("Content-Encoding", "identity").strip()
    if encoding.lower() != "identity":
        raise MediaTypeError(f"the content encoding {encoding[:40]!r} (send the body as it is, without one)")


async def read_body(request: web.Request, most: int | None = None, seconds: float | None = None) -> bytes:
    """Returns the body, of ``most`` bytes within ``seconds``: by default ``MAX_BODY`` and ``BODY_WAIT``.

    Raises ``TooLargeError`` or ``TooSlowError``. The middleware closes a connection whose body was not read to its end.
    """
    most, seconds = MAX_BODY if most is None else most, BODY_WAIT if seconds is None else seconds
    too_large = TooLargeError(f"the body is over {most} bytes (send less)")
    if (request.content_length or 0) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most:
                    raise too_large
    except BaseException as error:
        body.clear()  # the frames of an exception, and what is in them, may stay until garbage is collected
        if not isinstance(error, TimeoutError):
            raise
        raise TooSlowError(f"the body did not come within {seconds:.0f} s (send it faster)") from None
    return bytes(body)


async def read_text(request: web.Request, media_type: str) -> str:
    """Returns the body, UTF-8 whatever charset it claims. Raises ``MediaTypeError``, ``RequestError`` or as above."""
    if request.content_type != media_type:
        raise MediaTypeError(f"content type {request.content_type} (need {media_type})")
    try:
        return (await read_body(request)).decode()
    except UnicodeDecodeError as error:
        raise RequestError("the body is not text (need UTF-8)") from error


async def read_json(request: web.Request) -> Any:
    """Returns the body's JSON. Raises as ``read_text`` does."""
    text = await read_text(request, "application/json")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON ({error})") from error
