"""Serves the routes that WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) share.

An offer is posted, an answer returned, and the connection has a URL that takes candidates, ICE restarts and the end.
Any web page may call them: they need a token and no cookie.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress

from aiohttp import web

from streamer.auth.tokens import Right
from streamer.config.server_config import ServerConfig
from streamer.errors import (
    BusyError,
    MediaTypeError,
    NoConditionError,
    StaleError,
    UnknownSessionError,
)
from streamer.http.authorization import Authorization
from streamer.http.body import read_text
from streamer.http.origins import preflight
from streamer.session.registry import RETRY_STOPPED, SessionRegistry
from streamer.session.session import Session
from streamer.webrtc.connection import Connection
from streamer.webrtc.sdp_fragment import MEDIA_TYPE, read_fragment
from streamer.webrtc.sdp_offer import Offer, read_offer
from streamer.webrtc.turns import Turns

SDP = "application/sdp"


class WebRtcSignalling(ABC):
    """Serves the routes of one of the two protocols."""

    name: str  # the last part of the endpoint's path
    right: Right

    def __init__(self, sessions: SessionRegistry, access: Authorization, config: ServerConfig) -> None:
        self._sessions = sessions
        self._access = access
        self._config = config
        self._turns = Turns()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Adds the routes. Other methods are answered by 405, as RFC 9725, 4.2 wants."""
        endpoint = f"/v1/sessions/{{id}}/{self.name}"
        router.add_post(endpoint, self._post)
        router.add_route("OPTIONS", endpoint, self._options)
        router.add_patch(endpoint + "/{connection}", self._patch)
        router.add_delete(endpoint + "/{connection}", self._delete)
        router.add_route("OPTIONS", endpoint + "/{connection}", self._connection_options)

    @abstractmethod
    def check(self, offer: Offer, session: Session) -> None:
        """Checks an offer. Raises ``NoUsableTrackError`` where it lacks what this protocol needs."""

    @abstractmethod
    async def open(self, offer: Offer, session: Session) -> tuple[Connection, str]:
        """Answers an offer. Returns the connection, which the session has taken, and the answer."""

    @abstractmethod
    def find(self, session: Session, connection: str) -> Connection | None:
        """Returns a connection of this protocol by its id, or None."""

    async def _post(self, request: web.Request) -> web.Response:
        if (elsewhere := self._elsewhere(request)) is not None:
            return elsewhere
        session = self._access.session(request, self.right)
        if self._sessions.draining:
            raise BusyError("the server is stopping (ask another)", RETRY_STOPPED)
        text = await read_text(request, SDP)
        await self._turns.take()
        offer = read_offer(text)
        self.check(offer, session)
        connection, answer = await self.open(offer, session)
        response = web.Response(body=answer.encode(), status=201, content_type=SDP)  # no charset: clients compare it
        response.headers["Location"] = f"/v1/sessions/{session.id}/{self.name}/{connection.id}"
        response.headers["ETag"] = connection.etag
        self._link(response)
        return response

    async def _options(self, request: web.Request) -> web.Response:
        """Answers what may be posted; to a caller who may post, also the ICE servers (RFC 9725, 4.6)."""
        response = preflight("POST, OPTIONS", **{"Accept-Post": SDP})
        if "Authorization" in request.headers:
            self._access.session(request, self.right)
            self._link(response)
        return response

    async def _connection_options(self, request: web.Request) -> web.Response:
        return preflight("PATCH, DELETE, OPTIONS", **{"Accept-Patch": MEDIA_TYPE})

    async def _patch(self, request: web.Request) -> web.Response:
        """Takes candidates that came later (204), or an ICE restart (200)."""
        session, connection = self._connection(request)
        if request.content_type != MEDIA_TYPE:
            raise MediaTypeError(f"content type {request.content_type} (need {MEDIA_TYPE})")
        condition = request.headers.get("If-Match")
        if condition is None:
            raise NoConditionError("no If-Match (need the ETag of the answer, or * to restart ICE)")
        tags = [tag.strip() for tag in condition.split(",")]
        if tags != ["*"] and connection.etag not in tags:
            raise StaleError("If-Match names another ICE session (need the newest ETag)")
        fragment = read_fragment(await read_text(request, MEDIA_TYPE))
        if tags == ["*"] and fragment.username is not None and fragment.username != connection.remote_username:
            answer = await connection.restart_ice(fragment)
            session.connections.restarted(connection)
            return web.Response(body=answer.encode(), content_type=MEDIA_TYPE, headers={"ETag": connection.etag})
        await connection.trickle(fragment)
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.Response:
        session, connection = self._connection(request)
        await session.drop(connection)
        return web.Response(status=200)

    def _connection(self, request: web.Request) -> tuple[Session, Connection]:
        session = self._access.session(request, self.right)
        connection = self.find(session, request.match_info["connection"])
        if connection is None:
            raise UnknownSessionError("no such connection (it may have ended; post another offer)")
        return session, connection

    def _elsewhere(self, request: web.Request) -> web.Response | None:
        """Redirects a request for an unknown session to the other server, where there is one."""
        if self._config.redirect is None:
            return None
        with suppress(UnknownSessionError):
            self._sessions.find(request.match_info["id"])
            return None
        return redirected(self._config.redirect, request)

    def _link(self, response: web.Response) -> None:
        for server in self._config.ice_servers:
            response.headers.add("Link", server.link())


def redirected(server: str, request: web.Request) -> web.Response:
    """Redirects to another server with 307, which keeps the method and the body (RFC 9725, 4.5)."""
    location = server.rstrip("/") + request.raw_path
    return web.Response(status=307, headers={"Location": location})
