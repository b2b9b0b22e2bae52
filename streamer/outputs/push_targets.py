"""Checks the URL that a session is to be pushed to, before the session is made.

RTMP goes through PyAV, in a process of its own (:mod:`streamer.outputs.push_process`). So does SRT where PyAV's FFmpeg
speaks it; the one in its own wheel does not, and a program does it (:mod:`streamer.outputs.srt`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit, urlunsplit

from streamer.errors import ForbiddenError, RequestError
from streamer.outputs import srt

log = logging.getLogger(__name__)

FORMATS = {"rtmp": "flv", "rtmps": "flv", "srt": "mpegts"}
"""Container formats by the scheme of a URL."""

PORTS = {"rtmp": 1935, "rtmps": 443}
"""Ports that protocols have where a URL names none. SRT has none of its own."""

MAX_URL = 1024


def scheme_of(url: str) -> str:
    """Gives the part of a URL before its first colon."""
    return url.partition(":")[0]


def place_of(url: str) -> str:
    """Gives protocol, host and port: what may be told of a URL, whose rest may hold a stream key or a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def check_url(url: object) -> None:
    """Raises ``RequestError`` where ``url`` is none to push to, without repeating it: it may hold a stream key."""
    if not isinstance(url, str) or len(url) > MAX_URL or "://" not in url or scheme_of(url) not in FORMATS:
        raise RequestError("push is no URL to push to (need rtmp://, rtmps:// or srt://)")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise RequestError("push holds what no URL does (need it percent-encoded)")
    if scheme_of(url) == "srt":
        srt.read_url(url)


def check_leave(url: str, beginnings: Sequence[str]) -> None:
    """Raises ``ForbiddenError`` for a URL that begins with none of the operator's ``--push-to``.

    A protocol's own port may be named or left out, in either.
    """
    if not any(_begins_with(url, one) for one in beginnings):
        raise ForbiddenError("this server does not push there (start it with --push-to, and how such URLs begin)")


def check_way(url: str) -> None:
    """Raises ``RequestError`` where nothing here speaks the URL's protocol. Takes up to a second: not for the loop."""
    if scheme_of(url) == "srt" and not srt.library_speaks() and srt.program() is None:
        raise RequestError("this server cannot push by SRT (its operator needs an ffmpeg with SRT on the PATH)")


def look_ahead(beginnings: Sequence[str]) -> None:
    """Logs a warning where nothing here speaks the protocol of a ``--push-to``. May take a second: not for the loop."""
    try:
        for beginning in beginnings:
            check_way(beginning)
    except RequestError as error:
        log.warning("%s", error)


def _begins_with(url: str, beginning: str) -> bool:
    try:
        return _usual(url).startswith(_usual(beginning)) and _same_host(urlsplit(url), urlsplit(beginning))
    except ValueError:  # no host, or a port that is no number
        return False


def _usual(url: str) -> str:
    """Writes protocol and host small, and leaves the protocol's own port out."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    host = place.lower()
    if parts.scheme in PORTS:
        host = host.removesuffix(f":{PORTS[parts.scheme]}")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{host}")) if parts.netloc else url


def _same_host(given: SplitResult, allowed: SplitResult) -> bool:
    """Compares host and port: ``rtmp://live.example`` allows neither ``rtmp://live.example.evil/`` nor
    ``rtmp://live.example:1@evil/``, and ``rtmp://live.example:1935`` no other port."""
    return allowed.hostname in (None, given.hostname) and allowed.port in (
        None,
        given.port or PORTS.get(given.scheme),
    )
