"""Says which web pages of other origins may call: none but those that an operator allows, or that hold a token.

A page of another origin can post forms to a server that its reader reaches, without asking first, and on a server
without keys that would make sessions. Requests without an ``Origin`` are no page's and pass (RFC 6454; Fetch, 3.2).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from streamer.config.server_config import ServerConfig
from streamer.errors import ForbiddenError

_EXPOSED = {"Access-Control-Expose-Headers": "Location, Link, ETag, Retry-After, Accept-Post, Accept-Patch"}
_PREFLIGHT = {"Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match", "Access-Control-Max-Age": "600"}
_WITH_TOKEN = re.compile(r"/v1/sessions/[^/]+/(?:tokens|(?:whip|whep)(?:/[^/]+)?)")
"""Paths that any page may call where the server has keys: they need a session's token, and no cookie."""

_OWNERS = re.compile(r"/v1/sessions(?:/[^/]+(?:/(?:webrtc|clear))?)?")
"""Paths that make, read, change and end sessions."""

_READING = ("GET", "HEAD", "OPTIONS")


class Origins:
    """Checks the origins of one server's callers, and lets pages read what they may."""

    def __init__(self, config: ServerConfig) -> None:
        self._allowed = frozenset(config.allow_origins)
        self._keyless = config.keys is None

    def check(self, request: web.Request) -> None:
        """Raises ``ForbiddenError`` where a foreign page asks for what it may not."""
        if not self._is_foreign(request):
            return
        if self._keyless or (request.method not in _READING and _OWNERS.fullmatch(request.path)):
            raise ForbiddenError(
                f"a page of {request.headers['Origin'][:100]} may not ask this (its server may; or --allow-origin)"
            )

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Lets pages read the answers that are for them, failures too."""
        response = await handler(request)
        if _WITH_TOKEN.fullmatch(request.path):
            response.headers.update({"Access-Control-Allow-Origin": "*"} | _EXPOSED)
        elif _OWNERS.fullmatch(request.path):
            response.headers["Vary"] = "Origin"
            if "Origin" in request.headers and not self._is_foreign(request):
                response.headers.update({"Access-Control-Allow-Origin": request.headers["Origin"]} | _EXPOSED)
        return response

    def _is_foreign(self, request: web.Request) -> bool:
        origin = request.headers.get("Origin")
        if origin is None or origin in self._allowed or "*" in self._allowed:
            return False
        try:
            return urlsplit(origin).netloc.lower() != request.host.lower()
        except ValueError:
            return True


def preflight_of(*methods: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Returns a route that answers what a page may send."""

    async def answer(request: web.Request) -> web.Response:
        return preflight(", ".join([*methods, "OPTIONS"]))

    return answer


def preflight(methods: str, **headers: str) -> web.Response:
    """Returns the answer to an OPTIONS request, with the methods that a path has."""
    return web.Response(status=200, headers={"Access-Control-Allow-Methods": methods, **_PREFLIGHT, **headers})
