"""Admits, times, logs and counts every request, and turns failures into answers.

The log names the route and the session, never the query, headers or bodies.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

from aiohttp import typedefs, web
from aiohttp.http_exceptions import HttpProcessingError

from mytalk.errors import MyTalkError
from streamer.clock import MILLISECOND_NS, SECOND_NS, Clock
from streamer.config.server_config import ServerConfig
from streamer.errors import ForbiddenError
from streamer.http.authorization import Authorization
from streamer.http.body import check_encoding
from streamer.http.origins import Origins
from streamer.telemetry import logs
from streamer.webrtc.rate_limit import RateLimit

log = logging.getLogger(__name__)
requests = logging.getLogger(logs.REQUESTS)

TOLD = (401, 403, 429, 503)
"""Statuses of refusals that an operator is told of: who may not, has used up what is theirs, or found no room."""

TOLD_A_SECOND, TOLD_AT_ONCE = 5, 50
"""Lines of refusals in the log, on average and at once: a caller may ask again without end. Those beyond are counted in
the next one."""

PROBES = ("/healthz", "/readyz", "/metrics")
"""Routes that machines ask every few seconds: their log lines are for ``--verbose``."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_POLICY = "default-src 'self'; media-src 'self' blob:; img-src 'self' blob:; frame-ancestors 'none'"
"""Content-Security-Policy of the page: the sources that it may load. A picture that was chosen is a ``blob:`` to the
browser, and so is Media Source, which plays the fragmented MP4 of the WebSocket."""

_LOCAL_HOST = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE | re.ASCII)
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class Middleware:
    """Applies the rules of one server. ``served`` counts answers by method, route and status."""

    def __init__(self, access: Authorization, origins: Origins, config: ServerConfig, clock: Clock) -> None:
        self.served: Counter[tuple[str, str, int]] = Counter()
        self._access = access
        self._origins = origins
        self._clock = clock
        self._refusals = RateLimit(TOLD_A_SECOND, TOLD_AT_ONCE)
        self._untold = 0  # refusals since the last that was logged
        self._local_only = config.is_local and config.keys is None and not config.allow_anyone

    def all(self) -> list[typedefs.Middleware]:
        """Returns all of it, the outermost first."""
        return [self._log_and_count, _headers, self._failures, self._admit]

    @web.middleware
    async def _log_and_count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        session = request.match_info.get("id", "")
        with logs.of_session(session) if _SESSION_ID.fullmatch(session) else nullcontext():
            began = self._clock.now()
            response = await handler(request)
            route = _route(request)
            took = (self._clock.now() - began) // MILLISECOND_NS
            self.served[_method(request), route, response.status] += 1
            data = {"method": _method(request), "route": route, "status": response.status, "ms": took}
            requests.log(logging.DEBUG if route in PROBES else logging.INFO, "request", extra={"data": data})
            return response

    @web.middleware
    async def _failures(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turns every failure into JSON with a reason. An unforeseen one is logged, its answer shows nothing of it."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _error(error.status, error.reason.lower().replace(" ", "_"), error.reason, _allowed(error))
        except MyTalkError as error:
            self._tell(request, error)
            return _answer(error)
        except (HttpProcessingError, web.RequestPayloadError):
            return _closing_error("the body is not what its headers say (check its encoding, its length and its parts)")
        except Exception as error:
            if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
                return _closing_error("the client left before its request was complete")
            log.exception("%s %s failed", _method(request), _route(request))
            return _error(500, "internal", "the server failed at this request; its log says why")

    def _tell(self, request: web.Request, error: MyTalkError) -> None:
        """Logs a refusal with the key's id, where one was shown, and the reason that the caller is given."""
        if error.http_status not in TOLD:
            return
        if not self._refusals.take(1, self._clock.now() / SECOND_NS):
            self._untold += 1
            return
        data: dict[str, object] = {"method": _method(request), "route": _route(request), "status": error.http_status}
        data |= {"key": self._access.key_id(request), "reason": str(error)}
        if self._untold:
            data["more_before"], self._untold = self._untold, 0
        log.info("refused", extra={"data": data})

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._local_only and _LOCAL_HOST.fullmatch(request.host) is None:  # a name that leads here (DNS rebinding)
            raise ForbiddenError("this server is for its own machine (ask for localhost, or start it with --keys)")
        self._access.admit(request)
        self._origins.check(request)
        check_encoding(request)
        return await handler(request)


@web.middleware
async def _headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if not response.prepared:
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        if not request.content.is_eof():  # the rest of the body may still come
            response.force_close()
    return response


def _answer(error: MyTalkError) -> web.Response:
    code = getattr(error, "code", "failed")
    headers = {}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if code == "expired" else "Bearer"
    if (retry_after := getattr(error, "retry_after", None)) is not None:
        headers["Retry-After"] = str(retry_after)
    return _error(error.http_status, code, str(error), headers)


def _closing_error(message: str) -> web.Response:
    """Answers a client whose connection is of no further use."""
    response = _error(400, "bad_request", message)
    response.force_close()
    return response


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)


def _allowed(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


def _route(request: web.Request) -> str:
    """Returns the path's pattern: the path itself may hold anything."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


def _method(request: web.Request) -> str:
    return request.method if request.method in ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT") else "other"
