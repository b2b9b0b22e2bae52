"""Reads ``POST /v1/sessions`` with a portrait: multipart/form-data (RFC 7578) with bounds on everything.

Two parts: ``session``, the JSON that the route takes without a portrait, with a ``consent`` in it; and ``portrait``.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import BodyPartReader, web

from streamer.errors import RequestError, TooLargeError
from streamer.session.portraits import MAX_BYTES, Consent

TIMEOUT = 30.0
"""Seconds that an upload may take."""

_MOST = {"session": 64 * 1024, "portrait": MAX_BYTES}  # bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """Holds the parts of an upload."""

    options: dict[str, Any]  # for SessionOptions
    consent: Consent | None
    portrait: bytes


async def read_upload(request: web.Request) -> Upload:
    """Returns the upload of a request. Raises ``RequestError`` or ``TooLargeError``."""
    try:
        async with asyncio.timeout(TIMEOUT):
            parts = await _parts(request)
    except TimeoutError as error:
        raise RequestError(f"the upload took more than {TIMEOUT:.0f} s (send it faster)") from error
    except (ValueError, RuntimeError) as error:  # of aiohttp's reader: no border, no length, a charset that is none
        raise RequestError("the body is no multipart/form-data (need RFC 7578)") from error
    if "portrait" not in parts:
        raise RequestError("the upload has no part named portrait (need one: PNG, JPEG or WebP)")
    try:
        options = json.loads(parts.get("session", b"{}"))
    except (ValueError, RecursionError) as error:
        raise RequestError("the part named session is not JSON") from error
    if not isinstance(options, dict):
        raise RequestError("the part named session is not a JSON object (need one, {} for all defaults)")
    given = options.pop("consent", None)
    return Upload({"source": "portrait"} | options, Consent.from_json(given) if given else None, parts["portrait"])


async def _parts(request: web.Request) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name not in _MOST or part.name in parts:
            raise RequestError(f"the upload has a part that is not wanted (need one each of {', '.join(_MOST)})")
        content = bytearray()
        while chunk := await part.read_chunk():
            content += chunk
            if len(content) > _MOST[part.name]:
                raise TooLargeError(f"the part {part.name} is over {_MOST[part.name]} bytes (send less)")
        parts[part.name] = bytes(content)
    return parts
